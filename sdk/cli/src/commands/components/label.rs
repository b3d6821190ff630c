//! What components say of themselves: `matrix components label`, and what is shown of a node's.

use std::path::Path;

use matrix_label::{Label, Producer};
use matrix_proto::v1::{ComponentLabel, ComponentProducer};
use serde_json::{Value, json};

use super::COMPONENT_BYTES_MAX;
use crate::content::read_file;
use crate::errors::Error;
use crate::session::Session;
use crate::table;

/// What can be said of a component.
const KEYS: &str = "name, version, authors, description, licenses, source, homepage, revision";

/// A key and what is said under it, from `KEY=TEXT`.
pub(super) fn parse(pair: &str) -> Result<(String, String), String> {
    let (key, text) = pair.split_once('=').unwrap_or((pair, ""));
    if text.is_empty() || Label::default().text(key).is_none() {
        return Err(format!("say KEY=TEXT; the keys are {KEYS}"));
    }
    Ok((key.to_owned(), text.to_owned()))
}

/// Shows what a component's file says of itself, after adding to it what is given, and the program in the file `program`.
pub(super) fn label(
    session: &Session<'_>,
    path: &Path,
    pairs: &[(String, String)],
    program: Option<&Path>,
) -> Result<(), Error> {
    let failed = |error: matrix_label::Malformed| Error::file("cannot label it", path, error);
    let mut component = read_file(path, COMPONENT_BYTES_MAX)?.to_vec();
    let mut label = Label::default();
    for (key, text) in pairs {
        if let Some(place) = label.text(key) {
            text.clone_into(place);
        }
    }
    if let Some(program) = program {
        let program = read_file(program, COMPONENT_BYTES_MAX)?;
        component = matrix_label::carrying(&component, &program).map_err(failed)?;
    }
    if !pairs.is_empty() || program.is_some() {
        component = label.write(&component).map_err(failed)?;
        replace(path, &component).map_err(|error| Error::file("cannot write the file", path, error))?;
    }
    let label = to_wire(&Label::read(&component).map_err(failed)?);
    session.output.show(&json_of(&label), |style| {
        let named = std::iter::once(("name", label.name.clone())).filter(|it| !it.1.is_empty());
        let all: Vec<_> = named.chain(fields(&label)).collect();
        if all.iter().all(|(_, text)| text.is_empty()) {
            return format!("{}\n", style.dim("it says nothing of itself: `--set version=1.2.0`"));
        }
        table::fields(style, all)
    })
}

/// Replaces a file. Whoever reads it reads it whole, before or after.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut aside = tempfile::NamedTempFile::new_in(folder)?;
    std::io::Write::write_all(&mut aside, bytes)?;
    aside.as_file().set_permissions(std::fs::metadata(path)?.permissions())?;
    aside.persist(path).map(drop).map_err(|error| error.error)
}

/// A label as the interface has it.
fn to_wire(label: &Label) -> ComponentLabel {
    let Label { name, version, authors, description, licenses, source, homepage, revision, producers } =
        label.clone();
    let producer = |Producer { role, name, version }| ComponentProducer { role, name, version };
    let producers = producers.into_iter().map(producer).collect();
    ComponentLabel { name, version, authors, description, licenses, source, homepage, revision, producers }
}

/// A label for programs.
pub(super) fn json_of(label: &ComponentLabel) -> Value {
    let producers =
        label.producers.iter().map(|it| json!({ "role": it.role, "name": it.name, "version": it.version }));
    json!({
        "name": label.name,
        "version": label.version,
        "authors": label.authors,
        "description": label.description,
        "licenses": label.licenses,
        "source": label.source,
        "homepage": label.homepage,
        "revision": label.revision,
        "producers": producers.collect::<Vec<_>>(),
    })
}

/// A label for people, but for the name.
pub(super) fn fields(label: &ComponentLabel) -> [(&'static str, String); 8] {
    let producers: Vec<_> = label.producers.iter().map(producer).collect();
    [
        ("version", label.version.clone()),
        ("about", label.description.clone()),
        ("authors", label.authors.clone()),
        ("licences", label.licenses.clone()),
        ("source", label.source.clone()),
        ("homepage", label.homepage.clone()),
        ("revision", label.revision.clone()),
        ("made with", producers.join(", ")),
    ]
}

fn producer(it: &ComponentProducer) -> String {
    if it.version.is_empty() { it.name.clone() } else { format!("{} {}", it.name, it.version) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_a_key_and_a_text() {
        assert_eq!(parse("version=1=2"), Ok(("version".to_owned(), "1=2".to_owned())));
        for wrong in ["version", "version=", "colour=red", "=1", ""] {
            assert!(parse(wrong).is_err_and(|change| change.contains(KEYS)), "{wrong}");
        }
        for key in KEYS.split(", ") {
            assert!(parse(&format!("{key}=x")).is_ok(), "{key}");
        }
    }

    #[test]
    fn people_see_what_made_it_in_a_line() {
        let producer = |name: &str, version: &str| ComponentProducer {
            role: "sdk".to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
        };
        let producers = vec![producer("Rust", ""), producer("matrix-sdk", "0.1.0")];
        let label = ComponentLabel { producers, ..ComponentLabel::default() };
        assert_eq!(fields(&label)[7].1, "Rust, matrix-sdk 0.1.0");
    }
}
