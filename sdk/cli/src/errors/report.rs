//! Errors as people and programs read them.

use serde_json::{Map, Value, json};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{Error, Exit};
use crate::text;

/// An error, taken apart: what is wrong, where, what to change.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    /// The exit code that goes with it.
    pub(crate) exit: Exit,
    /// What is wrong.
    pub(crate) what: String,
    /// Where: things, fields, limits, files.
    pub(crate) place: Vec<String>,
    /// What to change.
    pub(crate) change: Vec<String>,
    /// What the node added for programs: `grpc`, `reason`, `metadata`, `retry_after_ms`.
    pub(crate) details: Map<String, Value>,
}

impl Report {
    /// Takes an error apart.
    pub(crate) fn of(error: &Error) -> Self {
        let mut report = Self {
            exit: error.exit(),
            what: error.to_string(),
            place: Vec::new(),
            change: Vec::new(),
            details: Map::new(),
        };
        match error {
            Error::Usage { change, .. } | Error::NotFound { change, .. } | Error::Deadline { change, .. } => {
                report.change.push(change.clone());
            }
            Error::Local { place, .. } => report.place.push(place.clone()),
            Error::Manifest(error) => {
                report.place.push(error.place.clone());
                report.change.extend(error.change.clone());
            }
            Error::NoNode { tried } => {
                report.place.clone_from(tried);
                report.change.push("start a node with `make run` or `matrixd`".to_owned());
                report.change.push(
                    "or name another: --node URL, MATRIX_NODE, --data-dir DIR, MATRIX_DATA_DIR".to_owned(),
                );
            }
            Error::Node { status, place } => report.add_status(status, place),
            Error::Conflict { place, change, .. }
            | Error::Failed { place, change, .. }
            | Error::Registry { place, change, .. } => {
                report.place.push(place.clone());
                report.change.push(change.clone());
            }
            Error::Difference { matrix, .. } => {
                report.place.push(format!("matrix {matrix}"));
                report.change.push(
                    "the run log or the rules were altered, or the rules are not deterministic".to_owned(),
                );
            }
            Error::Unfinished { matrix, .. } => {
                report.place.push(format!("matrix {matrix}"));
                report.change.push(format!("see `matrix logs matrix:{matrix}`"));
            }
            Error::Answer(_) => report.change.push("use a `matrix` of the node's version".to_owned()),
            Error::Interrupted | Error::Closed => {}
        }
        report
    }

    /// Adds what the node said of its error.
    fn add_status(&mut self, status: &Status, place: &str) {
        self.what = text::printable(status.message());
        if self.what.is_empty() {
            self.what = status.code().description().to_owned();
        }
        self.place.push(place.to_owned());
        self.details.insert("grpc".to_owned(), json!(matrix_proto::code_name(status.code())));
        let details = status.get_error_details();
        for field in details.bad_request().iter().flat_map(|bad| &bad.field_violations) {
            self.place.push(format!("field `{}`", text::printable(&field.field)));
            self.change.push(text::printable(&field.description));
        }
        for limit in details.quota_failure().iter().flat_map(|quota| &quota.violations) {
            self.place.push(format!("limit `{}`", text::printable(&limit.subject)));
            self.change.push(text::printable(&limit.description));
        }
        for broken in details.precondition_failure().iter().flat_map(|failure| &failure.violations) {
            self.place.push(format!("`{}`", text::printable(&broken.subject)));
            self.change.push(text::printable(&broken.description));
        }
        if let Some(resource) = details.resource_info() {
            let kind = text::printable(&resource.resource_type);
            self.place.push(format!("{kind} `{}`", text::printable(&resource.resource_name)));
            self.change.push(text::printable(&resource.description));
        }
        for link in details.help().iter().flat_map(|help| &help.links) {
            self.change.push(text::printable(&format!("{} {}", link.description, link.url)));
        }
        if let Some(info) = details.error_info() {
            self.details.insert("reason".to_owned(), json!(info.reason));
            let metadata: Map<_, _> = info.metadata.iter().map(|(k, v)| (k.clone(), json!(v))).collect();
            self.details.insert("metadata".to_owned(), Value::Object(metadata));
        }
        if let Some(delay) = details.retry_info().and_then(|retry| retry.retry_delay) {
            self.details.insert("retry_after_ms".to_owned(), json!(delay.as_millis() as u64));
        }
        self.change.retain(|change| !change.trim().is_empty());
        if self.change.is_empty() {
            self.change.extend(advice(status.code()));
        }
    }

    /// The error object of `--output json`.
    pub(crate) fn json(&self) -> Value {
        let mut error = self.details.clone();
        error.insert("code".to_owned(), json!(self.exit.name()));
        error.insert("exit".to_owned(), json!(self.exit as u8));
        error.insert("message".to_owned(), json!(self.what));
        error.insert("where".to_owned(), json!(self.place));
        error.insert("change".to_owned(), json!(self.change));
        json!({ "error": error })
    }
}

/// Tells of wrong arguments (or shows the help that was asked for), and returns the exit code.
pub(crate) fn usage(refusal: &clap::Error) -> u8 {
    // The arguments could not be parsed, so `--output json` is looked for by hand.
    let arguments: Vec<_> = std::env::args_os().collect();
    let json = arguments.iter().any(|argument| argument == "--output=json")
        || arguments.windows(2).any(|pair| pair[0] == "--output" && pair[1] == "json");
    if json && refusal.use_stderr() {
        let text = refusal.to_string();
        let what = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        let error = Error::usage(what, "see `matrix --help`");
        crate::output::error_object(&Report::of(&error));
    } else {
        // Whoever closed the stream does not want to read this.
        drop(refusal.print());
    }
    if refusal.use_stderr() { Exit::Usage as u8 } else { Exit::Ok as u8 }
}

/// What to do about an error that the node said nothing more about.
fn advice(code: Code) -> Option<String> {
    let text = match code {
        Code::Unauthenticated => {
            "give a token that this node knows: --token-file FILE, or --data-dir with the node's own folder"
        }
        Code::PermissionDenied => "ask the node's operator for the right to do this",
        Code::NotFound => "check the name: `list` shows what there is",
        Code::Unavailable => "try again soon; `matrix status` tells how the node is",
        Code::DeadlineExceeded | Code::Cancelled => "give it more time: --timeout SECONDS",
        Code::ResourceExhausted => "try again later, or raise the limit",
        Code::Unimplemented => "use a node of the version of this `matrix`",
        Code::Internal | Code::Unknown | Code::DataLoss => "see the node's log: `matrix logs node`",
        _ => return None,
    };
    Some(text.to_owned())
}
