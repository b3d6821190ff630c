//! New code for interceptors that judge: node by node, with the code before at its back, until it is made the realm's.
//!
//! Who does this for which nodes, and when it is enough, is not known here: each step is one change of the record,
//! which all nodes follow. A step that is never followed by another leaves the new code on trial where it is.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::json;

use super::record::{self, Cause, Change, Stage, parse};
use super::{BUCKET, HOLDING, Hold, InterceptorError, Interceptors, KEY, Standing};
use crate::ids::Digest;
use crate::kv::{Consistency, Expect, Swap};
use crate::transport::bus::Source;

/// How often a change is tried that others come before.
const TRIES_MAX: usize = 32;

impl Interceptors {
    /// The interceptor that is called so, and its place, from 0.
    ///
    /// # Errors
    /// `Unknown`, `Several`, `Damaged`, `Kv`.
    pub async fn stage(&self, name: &str) -> Result<(usize, Stage), InterceptorError> {
        let (mut stages, _) = self.load().await?;
        let place = record::place_of(&stages, name)?;
        Ok((place, stages.swap_remove(place)))
    }

    /// New code for the interceptor that is called so: by its name, or by its number in the chain, from 1. The inner
    /// error is that interceptor, where it has that code.
    ///
    /// # Errors
    /// `Unknown`, `Several`, `WrongWorld`, `Waits`, `Component`, `Damaged`, `Kv`.
    pub async fn change(&self, name: &str, to: Digest) -> Result<Result<Change, Stage>, InterceptorError> {
        let (place, stage) = self.stage(name).await?;
        self.component(&to.to_string(), to).await?;
        if stage.component == to {
            return Ok(Err(stage));
        }
        Ok(Ok(Change { places: vec![at(place, &stage)], to, cause: Cause::Swap }))
    }

    /// New code for all interceptors that have one of these codes; the places may be none.
    ///
    /// # Errors
    /// As [`Interceptors::change`].
    pub async fn change_all(&self, codes: &BTreeSet<Digest>, to: Digest) -> Result<Change, InterceptorError> {
        let (stages, _) = self.load().await?;
        self.component(&to.to_string(), to).await?;
        let places = stages.iter().enumerate().filter(|(_, stage)| codes.contains(&stage.component));
        Ok(Change { places: places.map(|(place, stage)| at(place, stage)).collect(), to, cause: Cause::Swap })
    }

    /// The code before the present one of an interceptor. Where other code is on trial there, nothing is to be done but
    /// to end that, which this does: none.
    ///
    /// # Errors
    /// `NoEarlier`, and those of [`Interceptors::change`].
    pub async fn change_back(&self, name: &str) -> Result<Option<Change>, InterceptorError> {
        let (place, stage) = self.stage(name).await?;
        if let Some(next) = &stage.next {
            let tried = Change { places: vec![at(place, &stage)], to: next.component, cause: next.cause };
            let revision = self
                .keep_trying(|stages| next.nodes.iter().try_for_each(|node| tried.retreat(stages, *node)));
            let revision = revision.await?;
            self.held(revision).await;
            return Ok(None);
        }
        let to = stage.earlier().ok_or_else(|| InterceptorError::NoEarlier(stage.name.clone()))?;
        self.component(&to.to_string(), to).await?;
        Ok(Some(Change { places: vec![at(place, &stage)], to, cause: Cause::Rollback }))
    }

    /// Lets new code judge on a node; the revision of the record that says so.
    ///
    /// # Errors
    /// `Changed`, `Damaged`, `Kv`: nothing has changed.
    pub async fn advance(&self, change: &Change, node: u64) -> Result<u64, InterceptorError> {
        self.keep_trying(|stages| change.advance(stages, node)).await
    }

    /// Lets the old code judge on a node.
    ///
    /// # Errors
    /// As [`Interceptors::advance`].
    pub async fn retreat(&self, change: &Change, node: u64) -> Result<u64, InterceptorError> {
        self.keep_trying(|stages| change.retreat(stages, node)).await
    }

    /// Makes new code that judges the realm's: nothing stands behind it any more.
    ///
    /// # Errors
    /// As [`Interceptors::advance`].
    pub async fn settle(&self, change: &Change) -> Result<u64, InterceptorError> {
        let revision = self.keep_trying(|stages| change.settle(stages)).await?;
        let kind = match change.cause {
            Cause::Rollback => "interceptor.rolled-back",
            Cause::Set | Cause::Swap => "interceptor.swapped",
        };
        for (place, name, before) in &change.places {
            let (before, after) = (before.to_string(), change.to.to_string());
            tracing::info!(interceptor = name, before, after, "new code judges");
            let detail =
                json!({ "interceptor": name, "place": place + 1, "before": before, "component": after });
            self.0.ground.bus.report(kind, Source::Component(change.to), &detail);
        }
        Ok(revision)
    }

    /// How the chain stands here once one of this revision, or a later one, holds, or has been waited for long enough.
    pub async fn held(&self, revision: u64) -> Standing {
        let mut standing = self.0.standing.subscribe();
        let holds = standing.wait_for(|now| now.revision >= revision && now.hold != Hold::Readying);
        // Where it takes longer, the answer says so.
        let _ = tokio::time::timeout(HOLDING, holds).await;
        self.standing()
    }

    /// The chain as it is kept, and its revision; read linearizably.
    pub(super) async fn load(&self) -> Result<(Vec<Stage>, u64), InterceptorError> {
        let entry = self.0.kv.get(BUCKET, KEY.as_bytes(), Consistency::Linearizable).await?;
        Ok(match &entry {
            Some(entry) => (parse(entry)?, entry.revision),
            None => (Vec::new(), 0),
        })
    }

    async fn keep_trying(
        &self,
        change: impl Fn(&mut [Stage]) -> Result<(), InterceptorError>,
    ) -> Result<u64, InterceptorError> {
        for _ in 0..TRIES_MAX {
            let (mut stages, revision) = self.load().await?;
            let before = stages.clone();
            change(&mut stages)?;
            if stages == before {
                return Ok(revision);
            }
            let value = serde_json::to_vec(&stages);
            let value = value.map_err(|error| InterceptorError::Damaged(error.to_string()))?;
            let (key, expect) = (KEY.as_bytes(), Expect::Revision(revision));
            let kv = &self.0.kv;
            let swapped = kv.compare_and_swap(BUCKET, key, expect, Some(Bytes::from(value)), None).await?;
            if swapped.value == Swap::Swapped {
                return Ok(swapped.revision);
            }
        }
        Err(InterceptorError::Changed)
    }
}

fn at(place: usize, stage: &Stage) -> (usize, String, Digest) {
    (place, stage.name.clone(), stage.component)
}
