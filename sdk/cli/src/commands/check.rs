//! `matrix check`: carried out by the program `matrix-check`, which has the engine that this one does without.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use matrix_proto::v1::SoulManifest;
use serde_json::json;

use super::souls;
use crate::errors::Error;
use crate::session::Session;

/// The program that checks.
const PROGRAM: &str = "matrix-check";

/// Says whether a component keeps what its world promises.
///
/// It is run here, in the engine of a node, and needs none. Ends with 0 where it does, with 1 where it does not, and
/// with 2 where it could not be checked.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The component, a file
    component: PathBuf,
    /// What it must be: soul, matrix-rules or transport
    #[arg(long)]
    world: Option<String>,
    /// An older version of it, whose state it must take up
    #[arg(long, value_name = "COMPONENT")]
    against: Option<PathBuf>,
    /// Rules that a Soul plays by
    #[arg(long, value_name = "COMPONENT")]
    rules: Option<PathBuf>,
    /// A Soul of the node: what it is granted, its settings and its limits are those of the check
    #[arg(long, value_name = "NAME")]
    soul: Option<String>,
    /// A setting of a Soul or of a stage; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// The setup of rules, JSON
    #[arg(long, value_name = "JSON")]
    config: Option<String>,
    /// A limit of a Soul, as in its manifest; may be repeated
    #[arg(long, value_name = "NAME=NUMBER")]
    limit: Vec<String>,
    /// A message that a Soul understands; may be repeated
    #[arg(long, value_name = "TEXT")]
    say: Vec<String>,
    /// What a Soul that learns is taught; may be repeated
    #[arg(long, value_name = "INPUT=OUTPUT")]
    teach: Vec<String>,
    /// The seed of everything that is drawn
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Writes the report as JSON
    #[arg(long)]
    json: bool,
    /// Writes the report to a file as well, in the form of JUnit
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// Hands over to the program that checks: where that succeeds, this one ends.
pub(crate) async fn run(args: Args, session: &Session<'_>) -> Result<(), Error> {
    let manifest = match &args.soul {
        None => None,
        Some(name) => {
            let soul = souls::get(&session.node().await?, name).await?;
            Some(soul.manifest.ok_or(Error::Answer("manifest"))?)
        }
    };
    let program = beside().unwrap_or_else(|| PROGRAM.into());
    let given = arguments(args, manifest.as_ref(), session.output.is_json());
    let failed = Command::new(program).args(given).exec();
    if failed.kind() == std::io::ErrorKind::NotFound {
        return Err(Error::NotFound {
            what: format!("the program `{PROGRAM}` is neither beside `matrix` nor on the PATH"),
            change: format!(
                "install it beside `matrix`: `cargo build --bins` makes both, and {PROGRAM} is one file"
            ),
        });
    }
    Err(Error::local("cannot start the program that checks", PROGRAM, failed))
}

/// The program, where it lies beside this one.
fn beside() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?.with_file_name(PROGRAM);
    program.is_file().then_some(program)
}

/// What the program is told. What is said here counts more than what the Soul's manifest says.
fn arguments(args: Args, manifest: Option<&SoulManifest>, json: bool) -> Vec<OsString> {
    let mut given = Vec::new();
    if let Some(manifest) = manifest {
        given.extend(of_soul(manifest).map(OsString::from));
    }
    let mut add = |name: &str, value: OsString| given.push([OsString::from(name), value].join("=".as_ref()));
    let files = [("--against", args.against), ("--rules", args.rules), ("--junit", args.junit)];
    for (name, file) in files {
        file.into_iter().for_each(|file| add(name, file.into()));
    }
    let texts =
        [("--world", args.world), ("--config", args.config), ("--seed", args.seed.map(|n| n.to_string()))];
    for (name, text) in texts {
        text.into_iter().for_each(|text| add(name, text.into()));
    }
    let lists = [("--set", args.set), ("--limit", args.limit), ("--say", args.say), ("--teach", args.teach)];
    for (name, list) in lists {
        list.into_iter().for_each(|text| add(name, text.into()));
    }
    if args.json || json {
        given.push("--json".into());
    }
    given.push("--".into());
    given.push(args.component.into());
    given
}

/// A Soul's grants, settings and limits.
fn of_soul(manifest: &SoulManifest) -> impl Iterator<Item = String> + use<> {
    let grants = manifest.grants.clone().unwrap_or_default();
    let limits = manifest.limits.unwrap_or_default();
    let grants = json!({
        "send": grants.send, "ask": grants.ask, "subscribe": grants.subscribe, "buckets": grants.buckets,
        "events": grants.events, "memory": grants.memory, "grpc": grants.grpc,
    });
    let limits = [
        ("memory_bytes", limits.memory_bytes),
        ("call_ms", limits.call_ms.into()),
        ("call_fuel", limits.call_fuel),
        ("body_bytes", limits.body_bytes.into()),
        ("messages_per_second", limits.messages_per_second.into()),
        ("kv_per_second", limits.kv_per_second.into()),
        ("log_lines_per_second", limits.log_lines_per_second.into()),
        ("events_per_second", limits.events_per_second.into()),
        ("episodes", limits.episodes.into()),
        ("episodes_bytes", limits.episodes_bytes),
        ("memory_per_second", limits.memory_per_second.into()),
        ("grpc_per_second", limits.grpc_per_second.into()),
    ];
    let settings = manifest.config.clone().into_iter().map(|(name, value)| format!("--set={name}={value}"));
    let limits = limits.into_iter().filter(|(_, amount)| *amount > 0);
    let limits = limits.map(|(name, amount)| format!("--limit={name}={amount}"));
    std::iter::once(format!("--grants={grants}")).chain(settings).chain(limits)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use matrix_proto::v1::{Grants, Limits};

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn what_is_said_here_comes_after_what_the_soul_has() {
        let line = ["check", "a.wasm", "--set", "x=2", "--seed", "7", "--junit", "r.xml"];
        let args = Line::parse_from(line).args;
        let manifest = SoulManifest {
            config: [("x".to_owned(), "1".to_owned())].into(),
            grants: Some(Grants { send: vec!["soul:neo".to_owned()], events: true, ..Grants::default() }),
            limits: Some(Limits { call_ms: 9, ..Limits::default() }),
            ..SoulManifest::default()
        };
        let given = arguments(args, Some(&manifest), true);
        let given: Vec<_> = given.iter().map(|one| one.to_string_lossy().into_owned()).collect();
        let grants = "--grants={\"ask\":[],\"buckets\":[],\"events\":true,\"grpc\":[],\"memory\":false,\
                      \"send\":[\"soul:neo\"],\"subscribe\":[]}";
        let expected = [
            grants,
            "--set=x=1",
            "--limit=call_ms=9",
            "--junit=r.xml",
            "--seed=7",
            "--set=x=2",
            "--json",
            "--",
            "a.wasm",
        ];
        assert_eq!(given, expected);
    }
}
