//! The switches of a run: which rules it had when, and how new rules take over from those before.

use serde::{Deserialize, Serialize};

use super::error::{MatrixError, refused};
use super::replay::state_hash;
use super::world::{Rules, World};
use crate::capabilities::random;
use crate::ids::{Digest, StateHash};
use crate::runtime::stateful::Snapshot;

/// The most switches of one run: each takes some 300 bytes of the Matrix's record, which holds its players too.
pub(crate) const SWITCHES_MAX: usize = 100;

/// Other rules took over between two ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// Ticks done before it: the next is the first of the new rules.
    pub tick: u64,
    /// The component of the rules before it.
    pub before: Digest,
    /// The component of the rules after it.
    pub after: Digest,
    /// The hash of the new rules' state when they had taken up that of those before.
    pub state: StateHash,
}

/// What rules leave to those that take over.
#[derive(Debug)]
pub(crate) struct Estate {
    state: Snapshot,
    chance: random::Ctx,
}

/// What rules would leave now. Their source of chance stays where it was: most estates are never taken up.
pub(crate) async fn estate<R: Rules>(rules: &mut R) -> Result<Estate, MatrixError> {
    let chance = rules.chance();
    let state = rules.snapshot().await?.map_err(refused)?;
    rules.set_chance(chance.clone());
    Ok(Estate { state, chance })
}

/// Rules of a component that have taken up an estate, and the hash of their state: that they give one is the proof
/// that they live. The same estate gives the same hash, on every machine.
pub(crate) async fn heir<W: World>(
    world: &W,
    component: Digest,
    estate: Estate,
) -> Result<(W::Rules, StateHash), MatrixError> {
    let mut rules = world.rules(component).await?;
    rules.restore(estate.state).await?.map_err(refused)?;
    let state = state_hash(&mut rules).await?;
    rules.set_chance(estate.chance);
    Ok((rules, state))
}
