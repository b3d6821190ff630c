//! What a component says of itself: its name, version, authors and the like.
//!
//! It stands in custom sections at the outside of the component, where `wasm-tools metadata` and registries look for it:
//! `component-name` and `producers` as the [tool conventions] have them, and one section each for the [OCI annotations]
//! `version`, `authors`, `description`, `licenses`, `source`, `homepage` and `revision`.
//!
//! Whoever reads a label has no reason to believe it: it is made of texts of bounded length without control characters.
//!
//! [tool conventions]: https://github.com/WebAssembly/tool-conventions
//! [OCI annotations]: https://specs.opencontainers.org/image-spec/annotations/

mod cargo;
mod program;
mod sections;

use serde::{Deserialize, Serialize};

pub use cargo::of_package;
pub use program::{PROGRAM, carrying};
use sections::{COMPONENT, Reader, custom, put_text};
pub use sections::{Malformed, Section, sections};

/// The most bytes of a text of a label that are read: a description of some sentences.
pub const TEXT_BYTES_MAX: usize = 1_024;
/// The most bytes of the name, and of the version, of something that had a part in making a component.
pub const PRODUCER_BYTES_MAX: usize = 128;
/// The most of those that are read.
pub const PRODUCERS_MAX: usize = 32;

/// The section with the component's name.
const NAMES: &str = "component-name";
/// The section with what made it.
const PRODUCERS: &str = "producers";
/// In the section of names: the part with the component's own.
const OWN_NAME: u8 = 0;

/// What a component says of itself. An empty text: it says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Label {
    /// What its author calls it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its version, as its author counts.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Who wrote it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub authors: String,
    /// What it is, in a sentence.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Under which licences it may be used, as an SPDX expression.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub licenses: String,
    /// Where its source is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// Where more is said about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub homepage: String,
    /// Which revision of the source it was made of.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// What had a part in making it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub producers: Vec<Producer>,
}

/// Something that had a part in making a component.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Producer {
    /// Which part: `language`, `processed-by` or `sdk`.
    pub role: String,
    /// What it is called.
    pub name: String,
    /// Its version, which may be empty.
    pub version: String,
}

impl Label {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The text that a key stands for, such as `version`.
    pub fn text(&mut self, key: &str) -> Option<&mut String> {
        match key {
            "name" => Some(&mut self.name),
            key => self.annotation(key),
        }
    }

    /// What has a section of its own, by the section's name.
    fn annotation(&mut self, section: &str) -> Option<&mut String> {
        Some(match section {
            "version" => &mut self.version,
            "authors" => &mut self.authors,
            "description" => &mut self.description,
            "licenses" => &mut self.licenses,
            "source" => &mut self.source,
            "homepage" => &mut self.homepage,
            "revision" => &mut self.revision,
            _ => return None,
        })
    }

    /// The texts that have sections of their own, by the names of these.
    pub fn annotations(&self) -> [(&'static str, &str); 7] {
        [
            ("version", &self.version),
            ("authors", &self.authors),
            ("description", &self.description),
            ("licenses", &self.licenses),
            ("source", &self.source),
            ("homepage", &self.homepage),
            ("revision", &self.revision),
        ]
    }

    /// Reads a custom section at the outside of a component. Of two that say the same thing the later counts; one that is
    /// malformed counts as far as it can be read, and any other is passed over.
    pub fn read_section(&mut self, name: &str, data: &[u8]) {
        match name {
            NAMES => {
                if let Some(name) = own_name(data) {
                    self.name = text(name, TEXT_BYTES_MAX);
                }
            }
            PRODUCERS => {
                self.producers.clear();
                sections::producers(data, &mut |role, name, version| {
                    let short = |data| text(data, PRODUCER_BYTES_MAX);
                    let it = Producer { role: short(role), name: short(name), version: short(version) };
                    self.producers.push(it);
                    self.producers.len() < PRODUCERS_MAX
                });
            }
            name => {
                if let Some(place) = self.annotation(name) {
                    *place = text(data, TEXT_BYTES_MAX);
                }
            }
        }
    }

    /// What the bytes of a component say of it.
    ///
    /// # Errors
    /// Where the bytes are no component, or end in the midst of one.
    pub fn read(component: &[u8]) -> Result<Self, Malformed> {
        let mut label = Self::default();
        for section in sections(component)? {
            if let Some((name, data)) = section?.custom {
                label.read_section(name, data);
            }
        }
        Ok(label)
    }

    /// The component with this label: what this one says replaces what it said before, and what this one leaves open
    /// stays. What it is labelled with twice is as if it were once, to the byte.
    ///
    /// # Errors
    /// Where the bytes are no component, or end in the midst of one.
    pub fn write(&self, component: &[u8]) -> Result<Vec<u8>, Malformed> {
        let mut out = Vec::with_capacity(component.len() + 1_024);
        out.extend_from_slice(&COMPONENT);
        let (mut other_names, mut made_before) = (Vec::new(), Label::default());
        for section in sections(component)? {
            let section = section?;
            match section.custom {
                Some((NAMES, data)) if !self.name.is_empty() => {
                    other_names.clear();
                    sections::parts(data, &mut |id, whole, _| {
                        if id != OWN_NAME {
                            other_names.extend_from_slice(whole);
                        }
                    });
                }
                Some((PRODUCERS, data)) if !self.producers.is_empty() => {
                    made_before.read_section(PRODUCERS, data)
                }
                Some((name, _)) if self.annotations().iter().any(|it| it.0 == name && !it.1.is_empty()) => {}
                _ => out.extend_from_slice(section.whole),
            }
        }
        if !self.name.is_empty() {
            let mut own = Vec::new();
            put_text(&mut own, &self.name);
            let mut names = vec![OWN_NAME];
            sections::put_length(&mut names, own.len());
            names.extend(own);
            names.extend(other_names);
            custom(&mut out, NAMES, &names);
        }
        if !self.producers.is_empty() {
            let mut all = made_before.producers;
            for it in &self.producers {
                all.retain(|before| (&before.role, &before.name) != (&it.role, &it.name));
                all.push(it.clone());
            }
            custom(&mut out, PRODUCERS, &sections::of_producers(&all));
        }
        for (name, text) in self.annotations().iter().filter(|it| !it.1.is_empty()) {
            custom(&mut out, name, text.as_bytes());
        }
        Ok(out)
    }
}

/// The component's own name, in a section of names.
fn own_name(data: &[u8]) -> Option<&[u8]> {
    let mut own = None;
    sections::parts(data, &mut |id, _, part| {
        if id == OWN_NAME {
            own = Reader::new(part).text();
        }
    });
    own
}

/// A foreign text that is safe to keep and to show: not too long, on one line, nothing but characters.
fn text(data: &[u8], bytes_max: usize) -> String {
    let cut = &data[..data.len().min(bytes_max)];
    let cut = match std::str::from_utf8(cut) {
        // Cut in the midst of a character.
        Err(error) if error.error_len().is_none() && cut.len() < data.len() => &cut[..error.valid_up_to()],
        _ => cut,
    };
    let text = String::from_utf8_lossy(cut);
    let plain: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    plain.trim().to_owned()
}

#[cfg(test)]
mod tests;
