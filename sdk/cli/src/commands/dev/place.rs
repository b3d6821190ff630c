//! Who is to have what an author builds: a Soul, a Matrix, or an interceptor of the chain.

use std::fmt;
use std::time::Duration;

use matrix_proto::v1::{
    ChainStage, GetChainRequest, SoulManifest, SoulState, SpawnRequest, SwapInterceptorRequest,
    SwapMatrixRequest, SwapSoulRequest,
};

use super::super::{check, matrices, souls};
use crate::author::language::Kind;
use crate::connection::Node;
use crate::errors::Error;
use crate::request;

/// How long a swap may take: components are compiled first.
const SWAP_DEADLINE: Duration = Duration::from_secs(180);

/// How long new code of an interceptor is on trial, in milliseconds: an author looks on.
const TRIAL_MS: u32 = 100;

/// Who is to have it.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct PlaceArgs {
    /// The Soul that gets each new build; it is spawned if it is not there
    #[arg(long, value_name = "NAME")]
    soul: Option<String>,
    /// The Matrix whose rules each new build becomes
    #[arg(long, value_name = "NAME")]
    matrix: Option<String>,
    /// The interceptor of the chain that each new build becomes
    #[arg(long, value_name = "NAME")]
    interceptor: Option<String>,
}

/// Who has it.
#[derive(Debug)]
pub(super) enum Place {
    /// A Soul.
    Soul(String),
    /// A Matrix.
    Matrix(String),
    /// An interceptor, as the chain calls it.
    Interceptor(String),
}

/// What was done about it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    /// It was not there.
    Spawned,
    /// It has new code.
    Swapped,
    /// It had this code already.
    Unchanged,
}

/// A component that the node says it serves.
#[derive(Debug)]
pub(super) struct Served {
    /// What was done about it.
    pub(super) change: Change,
    /// The digest that the node named.
    pub(super) digest: String,
    /// How long it took, from the end of the build.
    pub(super) took: Duration,
}

impl PlaceArgs {
    /// Who it is, if a component of this kind can be that.
    pub(super) fn place(self, kind: Kind) -> Result<Place, Error> {
        let wrong = |flag: &str| {
            let what = format!("what is built here is of the kind `{kind}`, which {flag} does not take");
            let flag = match kind {
                Kind::Soul => "--soul",
                Kind::Rules => "--matrix",
                Kind::Transport => "--interceptor",
            };
            Err(Error::usage(what, format!("say {flag} NAME")))
        };
        match (self.soul, self.matrix, self.interceptor) {
            (Some(name), ..) if kind == Kind::Soul => Ok(Place::Soul(name)),
            (Some(_), ..) => wrong("--soul"),
            (_, Some(name), _) if kind == Kind::Rules => Ok(Place::Matrix(name)),
            (_, Some(_), _) => wrong("--matrix"),
            (_, _, Some(name)) if kind == Kind::Transport => Ok(Place::Interceptor(name)),
            (_, _, _) => wrong("--interceptor"),
        }
    }
}

impl Place {
    /// Gives it the component of this digest, while it lives.
    pub(super) async fn serve(&self, node: &Node, digest: &str) -> Result<Change, Error> {
        let (component, request_id) = (digest.to_owned(), request::id()?);
        let deadline = node.deadline(SWAP_DEADLINE);
        let changed = match self {
            Self::Soul(name) => return serve_soul(node, name, component).await,
            Self::Matrix(name) => {
                let before = matrices::get(node, name).await?.manifest.unwrap_or_default().rules;
                if before == digest {
                    return Ok(Change::Unchanged);
                }
                let name = name.clone();
                let message = SwapMatrixRequest { name, component, dry_run: false, ticks: 0, request_id };
                let swap = async |request| node.matrices().swap(request).await;
                request::retried(message, deadline, swap).await.map(|_| true)
            }
            Self::Interceptor(name) => {
                let (name, watch_ms) = (name.clone(), TRIAL_MS);
                let message =
                    SwapInterceptorRequest { name, component, dry_run: false, watch_ms, request_id };
                let swap = async |request| node.interceptors().swap(request).await;
                request::retried(message, deadline, swap).await.map(|swapped| swapped.changed)
            }
        };
        let changed = changed.map_err(|status| Error::node(status, self.to_string()))?;
        Ok(if changed { Change::Swapped } else { Change::Unchanged })
    }

    /// What a component is checked with that is to go there. Of whom is not there yet nothing is known.
    pub(super) async fn around(&self, node: &Node) -> Result<Vec<String>, Error> {
        let around = match self {
            Self::Soul(name) => check::of_soul(node, name).await,
            Self::Matrix(name) => check::of_matrix(node, name).await,
            Self::Interceptor(name) => {
                check::of_stage(node, |place, stage| is_called(place, stage, name)).await
            }
        };
        match around {
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            around => around,
        }
    }

    /// The digest of what the node says that it serves there.
    pub(super) async fn serves(&self, node: &Node) -> Result<String, Error> {
        match self {
            Self::Soul(name) => Ok(souls::get(node, name).await?.digest),
            Self::Matrix(name) => Ok(matrices::get(node, name).await?.manifest.unwrap_or_default().rules),
            Self::Interceptor(name) => {
                let get = async |request| node.interceptors().get_chain(request).await;
                let chain = node.call(self.to_string(), GetChainRequest { revision: 0 }, get).await?;
                let mut stages = chain.stages.into_iter().enumerate();
                let stage = stages.find(|(place, stage)| is_called(*place, stage, name));
                stage.map(|(_, stage)| stage.running).ok_or(Error::Answer("such interceptor"))
            }
        }
    }

    /// Whose lines in the node's log are this component's.
    pub(super) fn log_source(&self) -> String {
        match self {
            Self::Soul(name) => format!("soul:{name}"),
            Self::Matrix(name) => format!("matrix:{name}"),
            // What interceptors write is the node's.
            Self::Interceptor(_) => "node".to_owned(),
        }
    }
}

/// Whether an interceptor goes by this name, or this number.
fn is_called(place: usize, stage: &ChainStage, name: &str) -> bool {
    stage.name == name || (place + 1).to_string() == name
}

async fn serve_soul(node: &Node, name: &str, component: String) -> Result<Change, Error> {
    let place = format!("soul {name}");
    let before = match souls::get(node, name).await {
        Ok(soul) => Some(soul),
        Err(error) if error.is_not_found() => None,
        Err(error) => return Err(error),
    };
    let request_id = request::id()?;
    let asleep = |state| matches!(state, SoulState::Stopped | SoulState::Failed);
    match before {
        Some(soul) if !asleep(soul.state()) => {
            let name = name.to_owned();
            let message = SwapSoulRequest { name, component, dry_run: false, turn_ms: 0, request_id };
            let swap = async |request| node.souls().swap(request).await;
            let swapped = request::retried(message, node.deadline(SWAP_DEADLINE), swap).await;
            let swapped = swapped.map_err(|status| Error::node(status, place))?;
            Ok(if swapped.changed { Change::Swapped } else { Change::Unchanged })
        }
        // One that sleeps, or crashed too often, is woken with the new code.
        other => {
            let change = if other.is_some() { Change::Swapped } else { Change::Spawned };
            let manifest = other.and_then(|soul| soul.manifest).unwrap_or_default();
            let manifest = SoulManifest { name: name.to_owned(), component, ..manifest };
            souls::spawn(node, SpawnRequest { manifest: Some(manifest), request_id }).await?;
            Ok(change)
        }
    }
}

impl Change {
    /// The word for it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Spawned => "spawned",
            Self::Swapped => "swapped",
            Self::Unchanged => "unchanged",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Soul(name) => write!(out, "soul {name}"),
            Self::Matrix(name) => write!(out, "matrix {name}"),
            Self::Interceptor(name) => write!(out, "interceptor {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_goes_where_its_kind_may() {
        let args = |soul: Option<&str>, matrix: Option<&str>| PlaceArgs {
            soul: soul.map(str::to_owned),
            matrix: matrix.map(str::to_owned),
            interceptor: None,
        };
        assert!(matches!(args(Some("ada"), None).place(Kind::Soul), Ok(Place::Soul(name)) if name == "ada"));
        assert!(matches!(args(None, Some("game")).place(Kind::Rules), Ok(Place::Matrix(_))));
        for (args, kind) in [(args(Some("ada"), None), Kind::Rules), (args(None, Some("game")), Kind::Soul)] {
            assert_eq!(args.place(kind).expect_err("the wrong kind").exit() as u8, 2);
        }
    }
}
