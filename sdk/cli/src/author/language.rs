//! The languages in which authors write: what stands in a new folder, and how it is built. Another language is a folder
//! of templates and an entry in [`LANGUAGES`].

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::project::Project;

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
    /// What it says, with places for what differs: see [`template`](super::template).
    pub(crate) text: &'static str,
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

/// Finds what a build made: is given what the command printed to stdout, and the project; gives components, by name.
pub(crate) type Products = fn(&str, &Project) -> Vec<(String, PathBuf)>;

/// A language, and all that is known about it.
#[derive(Debug)]
pub(crate) struct Language {
    /// What `--lang` and `matrix.toml` call it.
    pub(crate) name: &'static str,
    /// The folder of its SDK, in the folder `sdk` of the project.
    pub(crate) sdk: &'static str,
    /// A file that is in the folder of its SDK.
    pub(crate) sdk_mark: &'static str,
    /// How its files name an SDK that is a folder: `{}` stands for the folder, as a quoted text.
    pub(crate) sdk_folder: &'static str,
    /// How its files name an SDK that is a git repository.
    pub(crate) sdk_git: &'static str,
    /// Names that its tools do not take, a space between two.
    pub(crate) reserved: &'static str,
    /// What a build needs, in the order in which it is looked for.
    pub(crate) needs: &'static [Need],
    /// The command that builds, in the folder: `{name}` stands for the component's name.
    pub(crate) build: &'static [&'static str],
    /// What it leaves: the component, and whatever else is to be in `out`.
    pub(crate) products: Products,
    /// Files and folders of the project that no author writes: a change of them is no reason to build.
    pub(crate) unwatched: &'static [&'static str],
    /// What a new folder has, of whatever kind.
    common: &'static [File],
    soul: &'static [File],
    rules: &'static [File],
    transport: &'static [File],
}

/// Every language.
pub(crate) static LANGUAGES: [Language; 1] = [Language {
    name: "rust",
    sdk: "rust",
    sdk_mark: "Cargo.toml",
    sdk_folder: "{ path = {} }",
    sdk_git: "{ git = {} }",
    // Rust's keywords, what cargo keeps for itself, and what the new crate depends on.
    reserved: "abstract as async await become box break const continue crate do dyn else enum extern false final \
        fn for gen if impl in let loop macro match mod move mut override priv pub ref return self static \
        struct super trait true try type typeof unsafe unsized use virtual where while yield alloc core \
        proc-macro std test build deps examples incremental matrix-sdk serde",
    needs: &[
        Need {
            what: "cargo",
            probe: &["cargo", "--version"],
            says_yes: |_| true,
            install: "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh",
        },
        Need {
            what: "Rust's target wasm32-wasip2",
            probe: &["rustc", "--print", "target-libdir", "--target", "wasm32-wasip2"],
            says_yes: |folder| Path::new(folder.trim()).is_dir(),
            install: "rustup target add wasm32-wasip2",
        },
    ],
    build: &[
        "cargo",
        "build",
        "--release",
        "--target=wasm32-wasip2",
        "--lib",
        "--examples",
        "--message-format=json-render-diagnostics",
    ],
    products: super::build::told_by_cargo,
    unwatched: &["target", "Cargo.lock"],
    common: &[TOOLCHAIN, LOCK, SETTINGS, IGNORED],
    soul: &[
        CARGO,
        File { path: "README.md", text: include_str!("../../templates/rust/soul/README.md.in") },
        File { path: "src/lib.rs", text: include_str!("../../templates/rust/soul/lib.rs.in") },
        File { path: "scenarios/first.toml", text: include_str!("../../templates/rust/soul/first.toml.in") },
    ],
    rules: &[
        File {
            path: "Cargo.toml",
            text: concat!(
                include_str!("../../templates/rust/cargo.toml.in"),
                include_str!("../../templates/rust/rules/example.toml.in")
            ),
        },
        File { path: "README.md", text: include_str!("../../templates/rust/rules/README.md.in") },
        File { path: "src/lib.rs", text: include_str!("../../templates/rust/rules/lib.rs.in") },
        File { path: "examples/player.rs", text: include_str!("../../templates/rust/rules/player.rs.in") },
        File { path: "world.toml", text: include_str!("../../templates/rust/rules/world.toml.in") },
        File { path: "scenarios/first.toml", text: include_str!("../../templates/rust/rules/first.toml.in") },
    ],
    transport: &[
        File {
            path: "Cargo.toml",
            text: concat!(
                include_str!("../../templates/rust/cargo.toml.in"),
                include_str!("../../templates/rust/transport/example.toml.in")
            ),
        },
        File { path: "README.md", text: include_str!("../../templates/rust/transport/README.md.in") },
        File { path: "src/lib.rs", text: include_str!("../../templates/rust/transport/lib.rs.in") },
        File { path: "examples/echo.rs", text: include_str!("../../templates/rust/transport/echo.rs.in") },
        File {
            path: "scenarios/first.toml",
            text: include_str!("../../templates/rust/transport/first.toml.in"),
        },
    ],
}];

/// What `matrix build` goes by: the same in every language.
const SETTINGS: File = File { path: "matrix.toml", text: include_str!("../../templates/matrix.toml.in") };
const CARGO: File = File { path: "Cargo.toml", text: include_str!("../../templates/rust/cargo.toml.in") };
const IGNORED: File = File { path: ".gitignore", text: include_str!("../../templates/rust/gitignore.in") };
/// The compiler that the SDK is tested with; rustup gets it by itself.
const TOOLCHAIN: File =
    File { path: "rust-toolchain.toml", text: include_str!("../../../../rust-toolchain.toml") };
/// The versions that the SDK is tested with: cargo keeps those of what the new crate needs, and drops the rest.
const LOCK: File = File { path: "Cargo.lock", text: include_str!("../../../../guests/Cargo.lock") };

/// The language of this name.
///
/// # Errors
/// Names those that there are.
pub(crate) fn parse(name: &str) -> Result<&'static Language, String> {
    let found = LANGUAGES.iter().find(|language| language.name == name);
    found.ok_or_else(|| {
        let names: Vec<_> = LANGUAGES.iter().map(|language| language.name).collect();
        format!("there is {}", names.join(", "))
    })
}

impl Language {
    /// The files of a new folder.
    pub(crate) fn files(&self, kind: Kind) -> impl Iterator<Item = &'static File> {
        let own = match kind {
            Kind::Soul => self.soul,
            Kind::Rules => self.rules,
            Kind::Transport => self.transport,
        };
        self.common.iter().chain(own)
    }
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
