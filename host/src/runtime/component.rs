//! A component that may be instantiated: read, compiled, and joined to the host's interfaces.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime::component::{InstancePre, Linker};

use super::components::Admitted;
use super::guest::Crash;
use super::inspect::{ComponentInfo, Kind};
use super::pace::{Ground, Mode, Pace};
use super::rules::RulesExports;
use super::soul::SoulExports;
use super::stage::StageExports;
use super::state::GuestState;
use super::stateful::StatefulExports;
use crate::ids::Digest;

/// What all instances of a component share.
pub struct Component {
    admitted: Arc<Admitted>,
    pre: InstancePre<GuestState>,
    world: World,
    stateful: Option<StatefulExports>,
    pace: Arc<Pace>,
}

enum World {
    Soul(SoulExports),
    Rules(RulesExports),
    Transport(StageExports),
}

/// Why a component cannot be joined to the host.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// An import has another type than the host's.
    #[error("an import does not have the type that wit/ gives it: {0}")]
    Import(String),
    /// An export is missing, or has another type than it must.
    #[error(transparent)]
    Export(#[from] Crash),
}

impl Component {
    /// Joins a compiled component to what `linker` provides; it will run on `ground`.
    pub(crate) fn link(
        admitted: &Arc<Admitted>,
        linker: &Linker<GuestState>,
        ground: &Ground,
    ) -> Result<Self, LinkError> {
        let (digest, info, compiled) = (admitted.digest, &admitted.info, admitted.compiled());
        let pre =
            linker.instantiate_pre(compiled).map_err(|error| LinkError::Import(format!("{error:#}")))?;
        let world = match info.kind {
            Kind::Soul => World::Soul(SoulExports::of(compiled)?),
            Kind::Rules => World::Rules(RulesExports::of(compiled)?),
            Kind::Transport => World::Transport(StageExports::of(compiled)?),
        };
        let stateful = StatefulExports::of(compiled)?;
        let mode = if info.can_block { Mode::Fiber } else { Mode::Direct };
        let pace = Arc::new(Pace::new(digest, mode, ground.clone()));
        Ok(Self { admitted: admitted.clone(), pre, world, stateful, pace })
    }

    /// Its name.
    pub fn digest(&self) -> Digest {
        self.admitted.digest
    }

    /// What its bytes say.
    pub fn info(&self) -> &ComponentInfo {
        &self.admitted.info
    }

    /// What it runs, where it is an interpreter.
    pub(crate) fn program(&self) -> &Bytes {
        &self.admitted.program
    }

    pub(crate) fn pre(&self) -> &InstancePre<GuestState> {
        &self.pre
    }

    /// How quick its calls are, and what follows from that.
    pub(crate) fn pace(&self) -> &Arc<Pace> {
        &self.pace
    }

    pub(crate) fn soul(&self) -> Result<&SoulExports, Crash> {
        match &self.world {
            World::Soul(exports) => Ok(exports),
            _ => Err(Crash::Contract { function: "agent", reason: "the component is no Soul".into() }),
        }
    }

    pub(crate) fn rules(&self) -> Result<&RulesExports, Crash> {
        match &self.world {
            World::Rules(exports) => Ok(exports),
            _ => Err(Crash::Contract { function: "rules", reason: "the component is no rule engine".into() }),
        }
    }

    pub(crate) fn stage(&self) -> Result<&StageExports, Crash> {
        match &self.world {
            World::Transport(exports) => Ok(exports),
            _ => Err(Crash::Contract { function: "interceptor", reason: "the component is no stage".into() }),
        }
    }

    pub(crate) fn stateful(&self) -> Option<&StatefulExports> {
        self.stateful.as_ref()
    }
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Component").field("digest", &self.admitted.digest).finish_non_exhaustive()
    }
}
