//! The languages in which authors write: what stands in a new folder, and how it is built. Another language is a folder
//! of templates, a file here and its place in [`LANGUAGES`].

mod c;
mod js;
mod python;
mod rust;

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

use super::project::Project;
use super::template::{self, Filling};

/// What a component is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// An agent
    Soul,
    /// The rules of a Matrix
    Rules,
    /// A stage that messages pass
    Transport,
}

/// A file of a new folder.
#[derive(Debug)]
pub(crate) struct File {
    /// Where it stands in the folder.
    pub(crate) path: &'static str,
    /// What it says, with places for what differs: see [`template`].
    pub(crate) text: &'static str,
    /// Makes the one for a folder of it.
    pub(crate) made: fn(&str, &Filling<'_>) -> String,
}

/// A template.
const fn file(path: &'static str, text: &'static str) -> File {
    File { path, text, made: template::fill }
}

/// Something that a build needs on this machine.
#[derive(Debug)]
pub(crate) struct Need {
    /// What errors call it.
    pub(crate) what: &'static str,
    /// The command that tells whether it is there.
    pub(crate) probe: &'static [&'static str],
    /// Whether what the command printed says that it is there; it has succeeded.
    pub(crate) says_yes: fn(&str) -> bool,
    /// The command that installs it.
    pub(crate) install: &'static str,
}

/// Packages that a build needs in the folder itself.
#[derive(Debug)]
pub(crate) struct Packages {
    /// The folder that they are in.
    pub(crate) folder: &'static str,
    /// The files that say which these are.
    pub(crate) named_in: &'static [&'static str],
    /// The folder of the SDK, if it is on this machine: what is in it counts as well.
    pub(crate) sdk: fn(&Project) -> Option<PathBuf>,
    /// The commands that install them, as [`Language::build`] is written.
    pub(crate) install: &'static [&'static [&'static str]],
}

/// How one builds for an author who waits.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Quick {
    /// With less optimisation, by another command, as [`Language::build`] is written: good for tests too.
    Plain(&'static [&'static str]),
    /// By another command, which puts the code beside an interpreter that was built before. Tests see what users get.
    Interpreted(&'static [&'static str]),
    /// The same, by the usual commands with this at their end, also what is beside the component.
    InterpretedBy(&'static str),
}

/// What builds a component that is there for another to be tried with.
#[derive(Debug)]
pub(crate) struct Beside {
    /// How its source ends.
    pub(crate) source: &'static str,
    /// The command, as [`Language::build`] is written.
    pub(crate) build: &'static [&'static str],
}

/// Finds what a build made: is given what the command printed to stdout, and the project; gives components, by name.
pub(crate) type Products = fn(&str, &Project) -> Vec<(String, PathBuf)>;

/// Where an SDK is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sdk {
    /// In a folder, from the root on.
    Folder(String),
    /// In a git repository, as the project has it: a URL of characters that no tool takes for anything else.
    Git(String),
}

/// What goes into the places of a language's own templates, by name.
pub(crate) type Places = Vec<(&'static str, String)>;

/// A language, and all that is known about it.
#[derive(Debug)]
pub(crate) struct Language {
    /// What `--lang` and `matrix.toml` call it.
    pub(crate) name: &'static str,
    /// The folder of its SDK, in the folder `sdk` of the project.
    pub(crate) sdk: &'static str,
    /// A file that is in the folder of its SDK.
    pub(crate) sdk_mark: &'static str,
    /// How its files name an SDK, and what else differs by kind; the error says why they cannot.
    pub(crate) places: fn(&Sdk, Kind) -> Result<Places, String>,
    /// Names that its tools or its templates do not take, a space between two.
    pub(crate) reserved: &'static str,
    /// What a build needs, in the order in which it is looked for.
    pub(crate) needs: &'static [Need],
    /// What it needs in the folder; none: its tools see to that.
    pub(crate) packages: Option<Packages>,
    /// The command that builds, in the folder: `{name}` stands for the component's name, `{kind}` for its kind.
    pub(crate) build: &'static [&'static str],
    /// How one builds for an author who waits, where that takes less time than `build` and makes a component that does the same.
    pub(crate) quick: Option<Quick>,
    /// The command that builds what is beside the component, where nothing else does: `{beside}` stands for its name, and for
    /// that of its source.
    pub(crate) beside: Option<Beside>,
    /// Whether what the command prints to stdout is for people, and not for `products`.
    pub(crate) tells_people: bool,
    /// Whether its tools find out by themselves that nothing has changed.
    pub(crate) is_incremental: bool,
    /// What it leaves: the component, and whatever else is to be in `out`.
    pub(crate) products: Products,
    /// Files and folders of the project that no component is built from: a change of them is no reason to build.
    pub(crate) unwatched: &'static [&'static str],
    /// What a new folder has, of whatever kind.
    common: &'static [File],
    /// What one of each kind has; nothing: there is no such component in this language.
    soul: &'static [File],
    rules: &'static [File],
    transport: &'static [File],
}

/// Every language.
pub(crate) static LANGUAGES: [&Language; 4] = [&rust::RUST, &python::PYTHON, &js::JS, &c::C];

/// What `matrix build` goes by: the same in every language.
const SETTINGS: File = file("matrix.toml", include_str!("../../templates/matrix.toml.in"));
/// What a Soul is told first, and must answer: the same in every language.
const GREETING: File = file("scenarios/first.toml", include_str!("../../templates/soul/first.toml.in"));
/// A game on a node: the same in every language.
const WORLD: File = file("world.toml", include_str!("../../templates/rules/world.toml.in"));
/// A game with the chance that the SDKs have: the same in every language but Rust.
const GAME: File = file("scenarios/first.toml", include_str!("../../templates/rules/first.toml.in"));
/// What is said, and what of it must arrive: the same in every language.
const SPOON: File = file("scenarios/first.toml", include_str!("../../templates/transport/first.toml.in"));

/// The language of this name.
///
/// # Errors
/// Names those that there are.
pub(crate) fn parse(name: &str) -> Result<&'static Language, String> {
    let found = LANGUAGES.into_iter().find(|language| language.name == name);
    found.ok_or_else(|| format!("there is {}", names(|_| true)))
}

/// The names of the languages of which this is so.
pub(crate) fn names(of: impl Fn(&Language) -> bool) -> String {
    let names: Vec<_> = LANGUAGES.iter().filter(|language| of(language)).map(|one| one.name).collect();
    names.join(", ")
}

impl Kind {
    /// What the component is called that stands beside one of this kind, for it to be tried with.
    pub(crate) const fn beside(self) -> Option<&'static str> {
        match self {
            Self::Soul => None,
            Self::Rules => Some("player"),
            Self::Transport => Some("echo"),
        }
    }
}

impl Language {
    /// Whether there are components of this kind in it.
    pub(crate) fn has(&self, kind: Kind) -> bool {
        !self.of_kind(kind).is_empty()
    }

    /// The files of a new folder.
    pub(crate) fn files(&self, kind: Kind) -> impl Iterator<Item = &'static File> {
        self.common.iter().chain(self.of_kind(kind))
    }

    fn of_kind(&self, kind: Kind) -> &'static [File] {
        match kind {
            Kind::Soul => self.soul,
            Kind::Rules => self.rules,
            Kind::Transport => self.transport,
        }
    }
}

/// What a build leaves that is told where to put the component: that one.
fn as_told(_: &str, project: &Project) -> Vec<(String, PathBuf)> {
    vec![(project.name.clone(), project.component())]
}

/// A path as it stands in a URL of a file: all but the plainest bytes by their numbers.
fn percent_encoded(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let encoded = path.bytes().map(|byte| match byte {
        byte if plain(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    encoded.collect()
}

/// The path that was encoded so; none: it was not.
fn percent_decoded(text: &str) -> Option<PathBuf> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
    }
    String::from_utf8(bytes).ok().map(PathBuf::from)
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Soul => "soul",
            Self::Rules => "rules",
            Self::Transport => "transport",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_in_urls_are_read_as_they_were_written() {
        for path in ["/plain/sdk-1.0_a", "/a b/#1/50%/[x]?", "/grüße/'\"\n$(x)"] {
            let encoded = percent_encoded(path);
            assert!(encoded.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~/%".contains(&byte)));
            assert_eq!(percent_decoded(&encoded), Some(PathBuf::from(path)));
        }
        assert_eq!(percent_encoded("/a b"), "/a%20b");
        for wrong in ["%", "%2", "%zz", "%ff"] {
            assert_eq!(percent_decoded(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_there_is_of_a_kind_is_known() {
        assert_eq!(names(|language| language.has(Kind::Soul)), "rust, python, js, c");
        assert_eq!(names(|language| language.has(Kind::Rules)), "rust, python, js, c");
        assert!(parse("cobol").expect_err("there is none").ends_with("rust, python, js, c"));
    }
}
