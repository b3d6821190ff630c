//! `matrix souls persona`.

use std::path::PathBuf;

use matrix_proto::v1::{Persona, SetPersonaRequest, Value};
use serde_json::json;

use super::{get, parse_name, spawn, swap};
use crate::content::read_file;
use crate::errors::Error;
use crate::manifest;
use crate::session::Session;
use crate::{request, table, text};

/// The most bytes in a file with a persona: more than a node takes.
const PERSONA_BYTES_MAX: u64 = 256 << 10;

/// Whose persona, and what it is to be.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// The Soul's name
    #[arg(value_parser = parse_name)]
    name: String,
    /// Make it what this file says: description, traits and values, in TOML
    #[arg(long, value_name = "FILE", conflicts_with_all = ["description", "traits", "values"])]
    set: Option<PathBuf>,
    /// Who it is, in a sentence or two, instead of what it says now
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// A word that describes it, instead of those that do now; may be given again
    #[arg(long = "trait", value_name = "WORD")]
    traits: Vec<String>,
    /// What it seeks (up to 1) or shuns (down to -1); others stay as they are; may be given again
    #[arg(long = "value", value_name = "NAME=WEIGHT", value_parser = spawn::parse_value)]
    values: Vec<Value>,
}

/// Shows a persona, or changes it.
pub(crate) async fn run(args: Args, session: &Session<'_>) -> Result<(), Error> {
    let node = session.node().await?;
    let Args { name, set, description, traits, values } = args;
    let edits = description.is_some() || !traits.is_empty() || !values.is_empty();
    let persona = match set {
        Some(file) => read(&file)?,
        None => {
            let soul = get(&node, &name).await?;
            let mut persona = soul.manifest.unwrap_or_default().persona.unwrap_or_default();
            if !edits {
                return show(name, persona, session);
            }
            persona.description = description.unwrap_or(persona.description);
            if !traits.is_empty() {
                persona.traits = traits;
            }
            for value in values {
                persona.values.retain(|other| other.name != value.name);
                persona.values.push(value);
            }
            persona
        }
    };
    let message = SetPersonaRequest {
        name: name.clone(),
        persona: Some(persona),
        turn_ms: 0,
        request_id: request::id()?,
    };
    let set = async |request| node.souls().set_persona(request).await;
    let swapped = node.call(format!("soul {name}"), message, set).await?;
    swap::show(&swapped, session)
}

fn read(file: &std::path::Path) -> Result<Persona, Error> {
    let bytes = read_file(file, PERSONA_BYTES_MAX)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Error::file("cannot read the persona", file, "it is not UTF-8"))?;
    Ok(manifest::parse_persona(text, &file.display().to_string())?)
}

fn show(name: String, persona: Persona, session: &Session<'_>) -> Result<(), Error> {
    let values: Vec<_> =
        persona.values.iter().map(|value| json!({ "name": value.name, "weight": value.weight })).collect();
    let shown = json!({
        "name": name,
        "persona": { "description": persona.description, "traits": persona.traits, "values": values },
    });
    session.output.show(&shown, |style| {
        let values = persona.values.iter().map(|value| format!("{} {}", value.name, value.weight));
        let values: Vec<_> = values.collect();
        let (description, traits) = (text::one_line(&persona.description), persona.traits.join(", "));
        let fields =
            [("name", name), ("persona", description), ("traits", traits), ("values", values.join(", "))];
        table::fields(style, fields)
    })
}
