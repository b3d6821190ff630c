//! New code for all Souls that use a component: what a rollout has to know of them.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::error::SoulError;
use super::super::fleet::Fleet;
use super::super::records::{self, Wanted};
use crate::ids::{Digest, SoulName};
use crate::rollout::Users;

/// Gives Souls new code.
#[derive(Debug)]
pub struct Renewal {
    fleet: Fleet,
    to: Digest,
    turn: Duration,
}

impl Fleet {
    /// What gives Souls the code `to`; a turn under way may take as long as `turn` before what it waits for is given up.
    pub fn renewal(&self, to: Digest, turn: Duration) -> Renewal {
        Renewal { fleet: self.clone(), to, turn }
    }

    /// The Souls of the realm that have one of these codes, in the order of their names.
    ///
    /// # Errors
    /// `Kv`.
    pub async fn with_code(&self, codes: &BTreeSet<Digest>) -> Result<Vec<SoulName>, SoulError> {
        let records = records::load_all(&self.here().host().kv).await?;
        let concerned = records
            .into_iter()
            .filter(|record| codes.contains(&record.manifest.component) && record.wanted != Wanted::Deleted);
        Ok(concerned.map(|record| record.manifest.name).collect())
    }
}

impl Users for Renewal {
    type User = SoulName;
    /// How often it had crashed.
    type Before = u64;

    async fn renew(&self, soul: &SoulName) -> Result<Option<u64>, String> {
        let crashes = self.fleet.get(soul).await.map_or(0, |view| view.crashes);
        match self.fleet.swap(soul, self.to, self.turn).await {
            Ok(swapped) => Ok(swapped.changed.then_some(crashes)),
            // It was deleted meanwhile: that is no failure of the code's.
            Err(SoulError::Unknown(_)) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn failure(&self, soul: &SoulName, crashes: &u64) -> Option<String> {
        let view = self.fleet.get(soul).await.ok()?;
        (view.crashes > *crashes).then(|| format!("its new code crashed: {}", view.reason))
    }

    /// With the present state where the old code takes it up, otherwise with the one in which that code was left.
    async fn take_back(&self, soul: &SoulName, _: &u64) -> Result<(), String> {
        if self.fleet.roll_back(soul, false, self.turn).await.is_ok() {
            return Ok(());
        }
        self.fleet.roll_back(soul, true, self.turn).await.map(drop).map_err(|error| error.to_string())
    }
}
