//! Why a component is refused: what was found, and what to change.

use std::fmt;

use super::world::Kind;

/// The most characters of a foreign text that an error repeats.
const SHOWN_CHARS_MAX: usize = 200;

/// Why bytes are not a component that this node runs. `limit` names a field of
/// [`InspectLimits`](super::InspectLimits).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The bytes are a core module.
    #[error(
        "this is a core WebAssembly module, not a component: build it for the target `wasm32-wasip2`, \
         or wrap it into a component together with the WASI adapter"
    )]
    CoreModule,
    /// The bytes are machine code.
    #[error(
        "this is compiled machine code, which a node never takes from outside: upload the component itself"
    )]
    Precompiled,
    /// The bytes are something else.
    #[error(
        "this is not WebAssembly: it starts with `{starts_with}`, and a component starts with `00 61 73 6d`; \
         text has to be assembled, and an archive unpacked, before it is uploaded"
    )]
    NotWasm {
        /// The first bytes, in hexadecimal.
        starts_with: String,
    },
    /// The bytes end in the middle.
    #[error("the component ends after {bytes} bytes, in the middle of a section: upload it again, whole")]
    Truncated {
        /// How many bytes there are.
        bytes: usize,
    },
    /// The bytes are no valid component.
    #[error(
        "the component is not valid, at byte {offset}: {reason}. The node takes the component model with \
         WebAssembly 2.0, tail calls, several memories and extended constants; it takes no threads, no \
         exceptions, no garbage collection and no 64-bit memories"
    )]
    Invalid {
        /// Where, in bytes from the start.
        offset: usize,
        /// What is wrong.
        reason: String,
    },
    /// There is too much of something.
    #[error(
        "the component has {found} {what}, and this node takes at most {max} (limit `{limit}`): make \
         it smaller"
    )]
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// How much there is; where reading stopped at the limit, how much had been seen by then.
        found: u64,
        /// How much there may be.
        max: u64,
        /// The limit's name.
        limit: &'static str,
    },
    /// One function is too much for the compiler.
    #[error(
        "the function at byte {offset} has {found} {what}, and this node takes at most {max} (limit \
         `{limit}`): split it up"
    )]
    Function {
        /// Where its body starts, in bytes from the start.
        offset: usize,
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        found: u64,
        /// How much there may be.
        max: u64,
        /// The limit's name.
        limit: &'static str,
    },
    /// The component wants what no node gives.
    #[error("the component imports `{name}`, which this node does not give to any component: {remedy}")]
    Import {
        /// The import.
        name: String,
        /// What to do.
        remedy: String,
    },
    /// The component wants what nodes give, but not to its kind.
    #[error("the component imports `{name}`, which this node does not give to {}: {remedy}", .kind.plural())]
    ImportOfKind {
        /// The import.
        name: String,
        /// What the component is.
        kind: Kind,
        /// What to do.
        remedy: &'static str,
    },
    /// The component is of no known world.
    #[error(
        "the component exports {}, and none of `matrix:node/agent@0.1.0` (a Soul), `matrix:node/rules@0.1.0` \
         (the rules of a Matrix) or `matrix:node/interceptor@0.1.0` (a stage of the transport): implement \
         one of the worlds in the node's `wit/`",
        Listed(.exports)
    )]
    NoWorld {
        /// What it exports.
        exports: Vec<String>,
    },
    /// The component is of several worlds.
    #[error(
        "the component is {} and {} at once: build one component of each kind",
        .first.singular(), .second.singular()
    )]
    TwoWorlds {
        /// One kind that it is.
        first: Kind,
        /// Another kind that it is.
        second: Kind,
    },
    /// The component lacks an interface.
    #[error(
        "the component is {}, and does not export `{interface}`, which every such component must",
        .kind.singular()
    )]
    MissingExport {
        /// What the component is.
        kind: Kind,
        /// What it lacks.
        interface: String,
    },
    /// An interface lacks a function.
    #[error(
        "the component's export `{interface}` has no function `{function}`: build against the node's `wit/`"
    )]
    MissingFunction {
        /// The interface.
        interface: String,
        /// The function.
        function: &'static str,
    },
    /// The component has an interface of the node that its kind does not have.
    #[error(
        "the component is {}, and exports `{interface}`, which is not part of its world: leave it out",
        .kind.singular()
    )]
    ForeignExport {
        /// What the component is.
        kind: Kind,
        /// What it should not export.
        interface: String,
    },
}

impl Refusal {
    /// What the validator says, with what it quotes of the component made safe to show.
    pub(super) fn invalid(error: &wasmparser::BinaryReaderError) -> Self {
        Self::Invalid { offset: error.offset(), reason: shown(error.message()) }
    }
}

/// Shortened and escaped, so that a hostile text can be shown in an error.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).flat_map(char::escape_default).collect()
}

/// The most names that an error lists.
const LISTED_MAX: usize = 8;

struct Listed<'a>(&'a [String]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, name) in self.0.iter().take(LISTED_MAX).enumerate() {
            write!(f, "{}`{name}`", if place == 0 { "" } else { ", " })?;
        }
        match self.0.len() {
            0 => f.write_str("nothing"),
            count if count > LISTED_MAX => write!(f, " and {} more", count - LISTED_MAX),
            _ => Ok(()),
        }
    }
}
