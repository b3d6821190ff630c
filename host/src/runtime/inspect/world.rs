//! The worlds of `wit/` as a component's outside shows them: which imports and exports make what.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::refusal::{Refusal, shown};

/// What a component is. Each component is of exactly one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An agent: the world `soul`.
    Soul,
    /// The rule engine of a Matrix: the world `matrix-rules`.
    Rules,
    /// A stage of the node's transport: the world `transport`.
    Transport,
}

impl Kind {
    /// What a component of this kind is, in words.
    pub const fn singular(self) -> &'static str {
        match self {
            Self::Soul => "a Soul",
            Self::Rules => "the rules of a Matrix",
            Self::Transport => "a stage of the transport",
        }
    }

    pub(super) const fn plural(self) -> &'static str {
        match self {
            Self::Soul => "Souls",
            Self::Rules => "the rules of a Matrix",
            Self::Transport => "stages of the transport",
        }
    }
}

impl fmt::Display for Kind {
    /// The word that the API and the logs use: `soul`, `rules` or `transport`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Soul => "soul",
            Self::Rules => "rules",
            Self::Transport => "transport",
        })
    }
}

/// Which versions of an interface are the same to the linker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// This one alone: a draft promises nothing about the next.
    Exact(&'static str),
    /// `0.minor.patch` with any patch: releases that semantic versioning holds to be compatible.
    Minor(u64),
}

impl Version {
    pub(super) fn fits(self, found: &str) -> bool {
        match self {
            Self::Exact(wanted) => found == wanted,
            Self::Minor(wanted) => {
                let number = |text: &str| -> Option<u64> {
                    let plain =
                        text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
                    text.parse().ok().filter(|_| plain)
                };
                let parts: Vec<_> = found.splitn(4, '.').map(number).collect();
                matches!(parts[..], [Some(0), Some(minor), Some(_)] if minor == wanted)
            }
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(version) => f.write_str(version),
            Self::Minor(minor) => write!(f, "0.{minor}.x"),
        }
    }
}

/// The version of `matrix:node` that this node speaks.
const NODE: Version = Version::Minor(1);
/// The release of WASI whose interfaces this node gives.
const WASI: Version = Version::Minor(2);

const ALL: &[Kind] = &[Kind::Soul, Kind::Rules, Kind::Transport];
const NOT_RULES: &[Kind] = &[Kind::Soul, Kind::Transport];
const SOUL: &[Kind] = &[Kind::Soul];

/// Everything that a component may import: interface, version, and the kinds that are given it.
/// Rules see no settings and no store, for the same actions must give the same outcome; a stage of the
/// transport sends no messages, for they would pass through itself. The interfaces of `wasi:filesystem`
/// are there because C libraries import them: there are no files.
const IMPORTS: &[(&str, Version, &[Kind])] = &[
    ("matrix:node/types", NODE, ALL),
    ("matrix:node/events", NODE, ALL),
    ("matrix:node/program", NODE, ALL),
    ("matrix:node/messaging", NODE, SOUL),
    ("matrix:node/memory", NODE, SOUL),
    ("matrix:node/grpc", NODE, SOUL),
    ("wasi:logging/logging", Version::Exact("0.1.0-draft"), ALL),
    ("wasi:config/store", Version::Exact("0.2.0-rc.1"), NOT_RULES),
    ("wasi:keyvalue/store", Version::Exact("0.2.0-draft"), NOT_RULES),
    ("wasi:keyvalue/atomics", Version::Exact("0.2.0-draft"), NOT_RULES),
    ("wasi:keyvalue/batch", Version::Exact("0.2.0-draft"), NOT_RULES),
    ("wasi:cli/environment", WASI, ALL),
    ("wasi:cli/exit", WASI, ALL),
    ("wasi:cli/stdin", WASI, ALL),
    ("wasi:cli/stdout", WASI, ALL),
    ("wasi:cli/stderr", WASI, ALL),
    ("wasi:cli/terminal-input", WASI, ALL),
    ("wasi:cli/terminal-output", WASI, ALL),
    ("wasi:cli/terminal-stdin", WASI, ALL),
    ("wasi:cli/terminal-stdout", WASI, ALL),
    ("wasi:cli/terminal-stderr", WASI, ALL),
    ("wasi:clocks/monotonic-clock", WASI, ALL),
    ("wasi:clocks/wall-clock", WASI, ALL),
    ("wasi:random/random", WASI, ALL),
    ("wasi:random/insecure", WASI, ALL),
    ("wasi:random/insecure-seed", WASI, ALL),
    ("wasi:io/error", WASI, ALL),
    ("wasi:io/poll", WASI, ALL),
    ("wasi:io/streams", WASI, ALL),
    ("wasi:http/types", WASI, SOUL),
    ("wasi:http/outgoing-handler", WASI, SOUL),
    ("wasi:filesystem/types", WASI, ALL),
    ("wasi:filesystem/preopens", WASI, ALL),
];

/// The functions in which a guest may wait for others; `None` means every function of the package. Those of
/// `wasi:io` are not among them: who sends no requests has stdio's streams alone, which are always ready.
const WAITING: &[(&str, Option<&str>)] = &[
    ("matrix:node/messaging", Some("ask")),
    ("matrix:node/memory", None),
    ("matrix:node/grpc", None),
    ("wasi:http/", None),
    ("wasi:keyvalue/", None),
];

/// What tells the time: clocks; episodes, which have the time of what was handled; and services, which answer as things are.
/// Who calls these handles one message at a time also so that it is known for which one it called.
const CLOCKS: [&str; 4] = ["wasi:clocks/", "matrix:node/memory", "matrix:node/grpc", "wasi:http/"];

/// An interface that components export, and the functions that it has.
struct Interface(&'static str, &'static [&'static str]);

/// What a kind exports: first the interface that makes it this kind.
struct World {
    kind: Kind,
    required: &'static [Interface],
    optional: &'static [Interface],
}

const STATEFUL: Interface = Interface("matrix:node/stateful", &["schema", "snapshot", "restore"]);

const WORLDS: &[World] = &[
    World {
        kind: Kind::Soul,
        required: &[Interface("matrix:node/agent", &["init", "receive"])],
        optional: &[
            STATEFUL,
            Interface("matrix:node/player", &["act"]),
            Interface("matrix:node/learner", &["train", "evaluate"]),
        ],
    },
    World {
        kind: Kind::Rules,
        required: &[
            Interface(
                "matrix:node/rules",
                &["describe", "start", "step", "join", "leave", "receive", "view"],
            ),
            STATEFUL,
        ],
        optional: &[],
    },
    World {
        kind: Kind::Transport,
        required: &[Interface("matrix:node/interceptor", &["outbound", "inbound"])],
        optional: &[],
    },
];

/// An import or export as found: its name, and the functions in it if it is an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) name: String,
    pub(super) functions: Option<Vec<String>>,
}

impl Item {
    /// The name without its version, and the version.
    fn parts(&self) -> (&str, &str) {
        self.name.split_once('@').unwrap_or((&self.name, ""))
    }
}

/// Refuses the first import that no kind of component is given.
pub(super) fn check_imports(imports: &[Item]) -> Result<(), Refusal> {
    for item in imports {
        let (interface, version) = item.parts();
        let remedy = match IMPORTS.iter().find(|(name, ..)| *name == interface) {
            Some((_, wanted, _)) if wanted.fits(version) && item.functions.is_some() => continue,
            Some((_, wanted, _)) => format!("build against version {wanted} of this interface"),
            None => remedy(interface, item.functions.is_some()).to_owned(),
        };
        return Err(Refusal::Import { name: shown(&item.name), remedy });
    }
    Ok(())
}

fn remedy(interface: &str, is_interface: bool) -> &'static str {
    let package = interface.split('/').next().unwrap_or_default();
    match package {
        "wasi:sockets" => {
            "a component has no network of its own; it reaches others through `matrix:node/messaging`, and by `wasi:http` or \
             `matrix:node/grpc` what its node lets it"
        }
        "wasi:http" => "the node gives `outgoing-handler` and `types` of it: a Soul is reached by messages",
        "matrix:node" => "build against the node's `wit/`",
        "wasi:cli" | "wasi:clocks" | "wasi:random" | "wasi:io" | "wasi:filesystem" => {
            "the node gives the stable interfaces of WASI 0.2 and no others"
        }
        _ if !is_interface => {
            "the node gives interfaces only, no single functions, types, modules or components"
        }
        _ => "leave it out, or compose the component with another that exports it",
    }
}

/// The one kind whose exports these are, with every function of its interfaces.
pub(super) fn kind_of(exports: &[Item]) -> Result<Kind, Refusal> {
    let find = |interface: &Interface| {
        exports.iter().find(|item| {
            let (name, version) = item.parts();
            name == interface.0 && NODE.fits(version)
        })
    };
    let mut worlds = WORLDS.iter().filter(|world| find(&world.required[0]).is_some());
    let world = worlds.next().ok_or_else(|| Refusal::NoWorld {
        exports: exports.iter().map(|item| shown(&item.name)).collect(),
    })?;
    let kind = world.kind;
    if let Some(second) = worlds.next() {
        return Err(Refusal::TwoWorlds { first: kind, second: second.kind });
    }
    for interface in world.required {
        let missing = || Refusal::MissingExport { kind, interface: format!("{}@0.1.0", interface.0) };
        check_functions(interface, find(interface).ok_or_else(missing)?)?;
    }
    let known = || world.required.iter().chain(world.optional);
    for item in exports.iter().filter(|item| item.name.starts_with("matrix:node/")) {
        let (name, version) = item.parts();
        match known().find(|interface| interface.0 == name) {
            Some(interface) if NODE.fits(version) => check_functions(interface, item)?,
            _ => return Err(Refusal::ForeignExport { kind, interface: shown(&item.name) }),
        }
    }
    Ok(kind)
}

fn check_functions(interface: &Interface, item: &Item) -> Result<(), Refusal> {
    let has = |function: &str| item.functions.iter().flatten().any(|found| found == function);
    match interface.1.iter().find(|function| !has(function)) {
        Some(function) => Err(Refusal::MissingFunction { interface: shown(&item.name), function }),
        None => Ok(()),
    }
}

/// Refuses the first import that this kind of component is not given. They have passed [`check_imports`].
pub(super) fn check_imports_of(kind: Kind, imports: &[Item]) -> Result<(), Refusal> {
    let given = |item: &&Item| {
        IMPORTS.iter().any(|(name, _, kinds)| *name == item.parts().0 && kinds.contains(&kind))
    };
    match imports.iter().find(|item| !given(item)) {
        None => Ok(()),
        Some(item) => Err(Refusal::ImportOfKind {
            name: shown(&item.name),
            kind,
            remedy: match kind {
                Kind::Rules => "rules see only what they are passed, so that a run can be replayed",
                Kind::Soul | Kind::Transport => {
                    "a stage judges messages with `verdict`: it sends none, remembers nothing, and calls nobody"
                }
            },
        }),
    }
}

/// Whether a guest with these imports may wait for others while it is called.
pub(super) fn can_block(imports: &[Item]) -> bool {
    imports.iter().any(|item| {
        let functions = || item.functions.iter().flatten();
        WAITING.iter().any(|(prefix, waiting)| {
            item.parts().0.starts_with(prefix)
                && waiting.map_or(functions().next().is_some(), |name| functions().any(|found| found == name))
        })
    })
}

/// Whether a guest with these imports can read a clock, or what has a time.
pub(super) fn sees_time(imports: &[Item]) -> bool {
    imports.iter().any(|item| CLOCKS.iter().any(|clock| item.name.starts_with(clock)))
}
