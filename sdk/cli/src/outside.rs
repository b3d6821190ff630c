//! What a component shows to others.

use serde::Serialize;
use wasmparser::{Parser, Payload};

/// What a component imports and exports.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Outside {
    /// The interfaces that it exports, in its own order.
    pub(crate) exports: Vec<String>,
    /// The interfaces that it imports, in its own order.
    pub(crate) imports: Vec<String>,
}

impl Outside {
    /// Reads it out of a component.
    ///
    /// # Errors
    /// Where the bytes are no WebAssembly, in the parser's words.
    pub(crate) fn of(bytes: &[u8]) -> Result<Self, String> {
        let (mut outside, mut depth) = (Self::default(), 0);
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(|error| error.to_string())? {
                // Components and modules within it have imports and exports of their own.
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth -= 1,
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        outside.imports.push(import.map_err(|error| error.to_string())?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        outside.exports.push(export.map_err(|error| error.to_string())?.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(outside)
    }
}
