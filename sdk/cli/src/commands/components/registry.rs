//! `matrix components publish` and `matrix components fetch`: components in registries of OCI.

use std::path::{Path, PathBuf};
use std::time::Duration;

use matrix_label::Label;
use serde_json::{Value, json};

use super::{COMPONENT_BYTES_MAX, LocalComponent, download, get, name_of, pushed_human, pushed_json, upload};
use crate::content::read_file;
use crate::errors::Error;
use crate::outside::Outside;
use crate::progress::{Progress, Unit};
use crate::registry::artifact::Artifact;
use crate::registry::credentials::Credentials;
use crate::registry::reference::{Reference, is_tag};
use crate::registry::{Registry, Way};
use crate::session::Session;
use crate::text;

/// How long one answer of a registry may take, where nothing else is said: a large component over a slow line.
const ANSWER_DEADLINE: Duration = Duration::from_secs(300);

/// How a registry is reached.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Who one is to the registry [env: MATRIX_REGISTRY_USERNAME] [default: as `docker login` keeps it]
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// File with the password, or the token [env: MATRIX_REGISTRY_PASSWORD holds it]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// File with the authorities that the registry is trusted by (PEM) [default: those of the system]
    #[arg(long, value_name = "FILE")]
    registry_ca: Option<PathBuf>,
    /// Speaks without TLS, also to another machine: whoever is between sees and changes all
    #[arg(long, conflicts_with = "registry_ca")]
    plain_http: bool,
}

impl Args {
    fn open<'a>(
        &self,
        session: &Session<'_>,
        reference: &'a Reference,
        writes: bool,
    ) -> Result<Registry<'a>, Error> {
        let (username, file) = (self.username.as_deref(), self.password_file.as_deref());
        let credentials = Credentials::find(username, file, session.environment(), &reference.host)?;
        let way = Way {
            credentials,
            ca: self.registry_ca.as_deref(),
            in_the_clear: self.plain_http,
            deadline: session.deadline(ANSWER_DEADLINE),
        };
        Registry::new(reference, way, writes)
    }
}

/// Publishes a component, from a file or from the node.
pub(super) async fn publish(
    session: &Session<'_>,
    what: &str,
    to: &Reference,
    args: &Args,
) -> Result<(), Error> {
    if to.digest.is_some() {
        let change = "name a tag: what digest it gets follows from the component";
        return Err(Error::usage("a component is not published under a digest", change));
    }
    let bytes = match is_file(what) {
        true => read_file(Path::new(what), COMPONENT_BYTES_MAX)?,
        false => {
            let node = session.node().await?;
            let component = get(&node, what).await?;
            download(session, &node, &component, what).await?.into()
        }
    };
    let unreadable = |why: String| Error::local("this is no component", what, why);
    let label = Label::read(&bytes).map_err(|error| unreadable(error.to_string()))?;
    let outside = Outside::of(&bytes).map_err(unreadable)?;
    let tag = match &to.tag {
        Some(tag) => tag.clone(),
        None if is_tag(&label.version) => label.version.clone(),
        None => {
            let change = format!("name one: {to}:1.0.0");
            return Err(Error::usage("no tag is given, and the component says no version", change));
        }
    };
    let artifact = Artifact::of(bytes, outside, &label).map_err(|error| unreadable(error.to_string()))?;
    let size = artifact.layer.bytes.len() as u64;
    let to = Reference { tag: Some(tag.clone()), ..to.clone() };
    let progress = Progress::start(session.output, format!("Publishing {to}"), Unit::Bytes, Some(size));
    args.open(session, &to, true)?.publish(&artifact, &tag).await?;
    progress.finish(size);
    let (digest, component) = (&artifact.manifest.digest, &artifact.layer.digest);
    let pinned = to.pinned(digest);
    let json = json!({
        "reference": to.to_string(),
        "pinned": pinned,
        "digest": digest,
        "component": component,
        "size": size,
    });
    session
        .output
        .show(&json, |style| format!("{} {to} ({})\n{pinned}\n", style.green("published"), text::bytes(size)))
}

/// Fetches a component, to a file or into the node.
pub(super) async fn fetch(
    session: &Session<'_>,
    from: &Reference,
    out: Option<&Path>,
    name: Option<String>,
    args: &Args,
) -> Result<(), Error> {
    if from.wanted().is_none() {
        let change = format!("write {from}:TAG, or {from}@sha256:… for the same bytes each time");
        return Err(Error::usage("it is not said which version", change));
    }
    let progress = Progress::start(session.output, format!("Fetching {from}"), Unit::Bytes, None);
    let mut registry = args.open(session, from, false)?;
    let fetched =
        registry.fetch(COMPONENT_BYTES_MAX, &mut |done, size| progress.set(done, Some(size))).await?;
    let size = fetched.component.bytes.len() as u64;
    progress.finish(size);
    let (pinned, component) = (from.pinned(&fetched.digest), fetched.component);
    let mut json = json!({
        "reference": from.to_string(),
        "pinned": pinned,
        "digest": fetched.digest,
        "component": component.digest,
        "size": size,
    });
    if let Some(path) = out {
        std::fs::write(path, &component.bytes)
            .map_err(|error| Error::file("cannot write the file", path, error))?;
        json["path"] = Value::String(path.display().to_string());
        return session.output.show(&json, |style| {
            format!("{} {} ({})\n{pinned}\n", style.green("wrote"), path.display(), text::bytes(size))
        });
    }
    let name = name.unwrap_or_else(|| name_of(Path::new(from.last_name())));
    let component = LocalComponent { digest: component.digest, bytes: component.bytes, signature: None };
    let done = upload(&session.node().await?, session.output, &component, &name).await?;
    json["pushed"] = pushed_json(&done);
    session.output.show(&json, |style| format!("{}{pinned}\n", pushed_human(style, &done)))
}

/// Whether a file is meant, and not a component of the node: those have neither endings nor folders.
fn is_file(what: &str) -> bool {
    what.contains('/') || what.ends_with(".wasm")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_components_of_the_node_are_told_apart() {
        assert!(["greeter.wasm", "./greeter", "out/greeter.wasm"].into_iter().all(is_file));
        assert!(!["greeter", "sha256:00"].into_iter().any(is_file));
    }
}
