//! `matrix apply`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use matrix_proto::v1::{
    CreateMatrixRequest, Matrix, MatrixManifest, MatrixState, SoulManifest, SoulState, SpawnRequest,
};
use serde_json::{Value, json};

use super::{components, matrices, souls};
use crate::connection::Node;
use crate::content::read_file;
use crate::errors::Error;
use crate::manifest::{Manifest, MatrixEntry, Source};
use crate::request;
use crate::session::Session;
use crate::wait::{self, Wait};

/// The most bytes in a manifest.
const MANIFEST_BYTES_MAX: u64 = 1 << 20;

/// Which manifest, and how.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// The manifest (TOML)
    file: PathBuf,
    /// Run Matrices again that are over, or differ: what they hold is deleted
    #[arg(long)]
    replace: bool,
    /// Wait until the Matrices that start are over, and show their results
    #[arg(short, long)]
    wait: bool,
}

/// What became of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Created,
    Unchanged,
    Updated,
}

/// A manifest that is being carried out.
struct Apply<'a> {
    args: &'a Args,
    session: &'a Session<'a>,
    node: Node,
    /// Digests of the components, by the name that the manifest calls them.
    digests: BTreeMap<String, String>,
}

/// Makes the node hold what a manifest says. What is there already is left alone, so that the same
/// manifest again changes nothing.
pub(crate) async fn run(args: Args, session: &Session<'_>) -> Result<(), Error> {
    let file = args.file.display().to_string();
    let bytes = read_file(&args.file, MANIFEST_BYTES_MAX)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Error::file("cannot read the manifest", &args.file, "it is not UTF-8"))?;
    let manifest = Manifest::parse(text, &file)?;
    let mut apply = Apply { args: &args, session, node: session.node().await?, digests: BTreeMap::new() };
    for (name, source) in &manifest.components {
        let done = apply.component(name, source).await;
        done.map_err(|error| error.within(&format!("{file}: [components] {name}")))?;
    }
    for soul in manifest.souls {
        let place = format!("{file}: [[soul]] {}", soul.name);
        apply.soul(soul).await.map_err(|error| error.within(&place))?;
    }
    let mut waits = Vec::new();
    for matrix in manifest.matrices {
        let place = format!("{file}: [[matrix]] {}", matrix.manifest.name);
        waits.extend(apply.matrix(matrix).await.map_err(|error| error.within(&place))?);
    }
    // One that failed does not keep the others from being shown.
    let mut end = Ok(());
    for wait in waits {
        let matrix = wait.until_over(&apply.node, session.output).await?;
        end = end.and(wait::show(session.output, &matrix));
    }
    end
}

impl Apply<'_> {
    /// Uploads a component, unless the node has its bytes.
    async fn component(&mut self, name: &str, source: &Source) -> Result<(), Error> {
        let (digest, change) = match source {
            Source::Digest(digest) => {
                components::get(&self.node, digest).await?;
                (digest.clone(), Change::Unchanged)
            }
            Source::File(path) => {
                let folder = self.args.file.parent().unwrap_or(Path::new(""));
                let local = components::LocalComponent::read(&folder.join(path))?;
                let change = match found(components::get(&self.node, &local.digest).await)? {
                    Some(_) => Change::Unchanged,
                    None => {
                        let older = found(components::get(&self.node, name).await)?;
                        components::upload(&self.node, self.session.output, &local, name).await?;
                        if older.is_some() { Change::Updated } else { Change::Created }
                    }
                };
                (local.digest, change)
            }
        };
        self.tell(change, "component", name, &digest)?;
        self.digests.insert(name.to_owned(), digest);
        Ok(())
    }

    /// Spawns a Soul. The node itself leaves one alone whose manifest is the same.
    async fn soul(&self, mut manifest: SoulManifest) -> Result<(), Error> {
        manifest.component = self.resolve(&manifest.component).await?;
        let name = manifest.name.clone();
        let before = found(souls::get(&self.node, &name).await)?;
        let message = SpawnRequest { manifest: Some(manifest), request_id: request::id()? };
        let after = souls::spawn(&self.node, message).await?;
        let change = match before {
            None => Change::Created,
            Some(before) if before.manifest != after.manifest => Change::Updated,
            // Spawning has woken it.
            Some(before) if matches!(before.state(), SoulState::Stopped | SoulState::Failed) => {
                Change::Updated
            }
            Some(_) => Change::Unchanged,
        };
        self.tell(change, "soul", &name, &after.digest)
    }

    /// Creates a Matrix, unless there is an equal one; returns what to wait for, if that is wanted.
    async fn matrix(&self, entry: MatrixEntry) -> Result<Option<Wait>, Error> {
        let MatrixEntry { mut manifest, start } = entry;
        manifest.rules = self.resolve(&manifest.rules).await?;
        let name = manifest.name.clone();
        let before = found(matrices::get(&self.node, &name).await)?;
        let change = match &before {
            None => Change::Created,
            Some(before) => self.change_of(before, &manifest)?,
        };
        let waits = start && self.args.wait;
        let wait = if waits { Some(Wait::prepare(&self.node, &name).await) } else { None };
        if let (Some(before), Change::Updated) = (&before, change) {
            if before.state() == MatrixState::Running {
                matrices::stop(&self.node, &name).await?;
            }
            matrices::delete(&self.node, &name).await?;
        }
        if change != Change::Unchanged {
            let message =
                CreateMatrixRequest { manifest: Some(manifest.clone()), request_id: request::id()?, start };
            matrices::create_matrix(&self.node, message).await?;
        }
        self.tell(change, "matrix", &name, &manifest.rules)?;
        Ok(wait)
    }

    /// Whether a Matrix that exists is left as it is, or replaced; an error if it would have to be,
    /// and the user did not say so.
    fn change_of(&self, before: &Matrix, wanted: &MatrixManifest) -> Result<Change, Error> {
        let there = before.manifest.clone().unwrap_or_default();
        let differences = differences(&there, wanted);
        let is_over =
            matches!(before.state(), MatrixState::Finished | MatrixState::Stopped | MatrixState::Failed);
        match (differences.is_empty(), self.args.replace) {
            (true, false) => Ok(Change::Unchanged),
            (true, true) if !is_over => Ok(Change::Unchanged),
            (_, true) => Ok(Change::Updated),
            (false, false) => Err(Error::Conflict {
                what: format!("the Matrix `{}` exists, with another {}", wanted.name, differences.join(", ")),
                place: format!("{}: [[matrix]] {}", self.args.file.display(), wanted.name),
                change: "give it another name, or delete and create it with --replace".to_owned(),
            }),
        }
    }

    /// The digest of a component: of the manifest's own, or of one that the node knows.
    async fn resolve(&self, reference: &str) -> Result<String, Error> {
        if let Some(digest) = self.digests.get(reference) {
            return Ok(digest.clone());
        }
        if reference.starts_with("sha256:") {
            return Ok(reference.to_owned());
        }
        Ok(components::get(&self.node, reference).await?.digest)
    }

    fn tell(&self, change: Change, kind: &str, name: &str, digest: &str) -> Result<(), Error> {
        let json = json!({ "change": change.word(), "kind": kind, "name": name, "digest": digest });
        self.session.output.show(&json, |style| {
            let word = format!("{:9}", change.word());
            let word = match change {
                Change::Created => style.green(&word),
                Change::Unchanged => style.dim(&word),
                Change::Updated => style.yellow(&word),
            };
            format!("{word}  {kind:9}  {name}  {}\n", style.dim(&crate::text::short_digest(digest)))
        })
    }
}

impl Change {
    const fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Unchanged => "unchanged",
            Self::Updated => "updated",
        }
    }
}

/// Makes "there is none" an answer.
fn found<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Ok(thing) => Ok(Some(thing)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// What differs between a Matrix that is there and one that is wanted, by field. A limit that is
/// wanted as 0 is the node's default, which the node may have filled in: it does not differ.
fn differences(there: &MatrixManifest, wanted: &MatrixManifest) -> Vec<&'static str> {
    let config = |text: &str| match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(object)) if object.is_empty() => None,
        Ok(value) => Some(value),
        Err(_) => (!text.is_empty()).then(|| json!(text)),
    };
    let limit = |there: u64, wanted: u64| wanted != 0 && there != wanted;
    [
        ("rules", there.rules != wanted.rules),
        ("players", there.players != wanted.players),
        ("config", config(&there.config) != config(&wanted.config)),
        ("seed", there.seed != wanted.seed),
        ("tick_deadline_ms", limit(there.tick_deadline_ms.into(), wanted.tick_deadline_ms.into())),
        ("tick_interval_ms", there.tick_interval_ms != wanted.tick_interval_ms),
        ("call_fuel", limit(there.call_fuel, wanted.call_fuel)),
        ("memory_bytes", limit(there.memory_bytes, wanted.memory_bytes)),
    ]
    .into_iter()
    .filter_map(|(field, differs)| differs.then_some(field))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(config: &str, seed: u64, call_fuel: u64) -> MatrixManifest {
        MatrixManifest { config: config.to_owned(), seed, call_fuel, ..MatrixManifest::default() }
    }

    #[test]
    fn equal_manifests_do_not_differ() {
        let there = matrix(r#"{"a": 1, "b": [2]}"#, 7, 500);
        assert!(differences(&there, &matrix(r#"{"b":[2],"a":1}"#, 7, 0)).is_empty());
        assert!(differences(&matrix("", 0, 0), &matrix("{}", 0, 0)).is_empty());
    }

    #[test]
    fn what_differs_is_named() {
        let there = matrix(r#"{"a":1}"#, 7, 500);
        assert_eq!(differences(&there, &matrix(r#"{"a":2}"#, 8, 400)), ["config", "seed", "call_fuel"]);
        assert_eq!(differences(&there, &matrix("", 7, 500)), ["config"]);
    }
}
