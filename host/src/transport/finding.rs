//! Finding whom this node has not heard of yet: nodes learn one after another who lives where, and a message may come
//! from somebody, or be for somebody, of whom the news is still on its way.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Instant;

use futures::future::BoxFuture;

use super::directory::Route;
use super::envelope::{Address, SendError};
use super::router::Router;

/// Knows where everybody lives by now. Who does is not known here: the rooms above bring it.
pub trait Homes: Debug + Send + Sync {
    /// The other node where an address is at home; none: it has no home, or this one. Whoever lives on this node can be
    /// reached by the time that this is told.
    ///
    /// # Errors
    /// That cannot be known now, and why.
    fn home<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, Result<Option<u64>, String>>;
}

impl Router {
    /// The way to an address, looked for where this node has not heard of it; none: nobody has it. An error counts as a
    /// message that nobody got.
    ///
    /// # Errors
    /// `Unreachable`: that cannot be known now; `DeadlineExceeded`.
    pub(super) async fn found_by(
        &self,
        address: &Address,
        deadline: Instant,
    ) -> Result<Option<Route>, SendError> {
        if let Some(route) = self.directory().route(address) {
            return Ok(Some(route));
        }
        let found = tokio::time::timeout_at(deadline.into(), self.find(address)).await;
        found.unwrap_or(Err(SendError::DeadlineExceeded)).inspect_err(|error| self.undelivered(error))
    }

    /// Looks for somebody of whom this node has not heard.
    ///
    /// # Errors
    /// `Unreachable`: where that is cannot be known now.
    pub(super) async fn find(&self, address: &Address) -> Result<Option<Route>, SendError> {
        let Some(homes) = self.homes().filter(|_| has_home(address)) else { return Ok(None) };
        let mut noted = None;
        loop {
            let home = homes.home(address).await.map_err(|why| {
                tracing::debug!(%address, why, "where somebody lives is not known at the moment");
                SendError::Unreachable
            })?;
            // It still held after it was noted: news of what changes later are noted later.
            if home == noted {
                return Ok(self.directory().route(address));
            }
            match home {
                Some(node) => self.place(address.clone(), node),
                None => self.directory().remove_remote(address),
            }
            noted = home;
        }
    }

    /// Whether this node has not heard of somebody whom it can look for.
    pub(super) fn is_stranger(&self, address: &Address) -> bool {
        self.can_look_for(address) && self.directory().route(address).is_none()
    }

    /// Whether an address is of somebody who has a home, and there is somebody who knows it.
    pub(super) fn can_look_for(&self, address: &Address) -> bool {
        has_home(address) && self.0.homes.get().is_some()
    }

    /// Looks for strangers by `homes` from now on, as long as there is one. Done once.
    pub fn set_homes(&self, homes: &Arc<dyn Homes>) {
        // A second one is not needed.
        let _ = self.0.homes.set(Arc::downgrade(homes));
    }

    fn homes(&self) -> Option<Arc<dyn Homes>> {
        self.0.homes.get()?.upgrade()
    }
}

fn has_home(address: &Address) -> bool {
    matches!(address, Address::Soul(_) | Address::Matrix(_))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::{Mutex, PoisonError};

    use super::super::router::TransportConfig;
    use super::*;
    use crate::kv::Roster;
    use crate::telemetry::{Telemetry, TelemetryConfig};

    /// Tells one answer after another, and at last that nobody has a home.
    #[derive(Debug)]
    struct Told(Mutex<VecDeque<Result<Option<u64>, String>>>);

    impl Homes for Told {
        fn home<'a>(&'a self, _: &'a Address) -> BoxFuture<'a, Result<Option<u64>, String>> {
            let next = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            Box::pin(async move { next.unwrap_or(Ok(None)) })
        }
    }

    /// What is found of Neo where these are the answers, and how many of them are left.
    async fn found(answers: &[Result<Option<u64>, &str>]) -> (Result<Option<u64>, SendError>, usize) {
        let telemetry = Telemetry::new(TelemetryConfig::default(), "test").expect("the default works");
        let metrics = telemetry.metrics().transport.clone();
        let router = Router::new(&TransportConfig::default(), 1, Roster::default(), metrics);
        let answers = answers.iter().map(|answer| answer.map_err(str::to_owned)).collect();
        let told = Arc::new(Told(Mutex::new(answers)));
        router.set_homes(&(told.clone() as Arc<dyn Homes>));
        let neo = "soul:neo".parse().expect("an address");
        assert!(router.is_stranger(&neo) && !router.is_stranger(&"client:neo".parse().expect("an address")));
        let found = router.find(&neo).await.map(|route| match route? {
            Route::There(outpost) => Some(outpost.node()),
            Route::Here(_) => None,
        });
        assert_eq!(router.is_stranger(&neo), !matches!(found, Ok(Some(_))), "{found:?}");
        let left = told.0.lock().unwrap_or_else(PoisonError::into_inner).len();
        (found, left)
    }

    #[tokio::test]
    async fn what_is_noted_still_holds_afterwards() {
        assert_eq!(found(&[Ok(None), Ok(Some(9))]).await, (Ok(None), 1));
        assert_eq!(found(&[Ok(Some(2)), Ok(Some(2)), Ok(Some(9))]).await, (Ok(Some(2)), 1));
        // It moves, or goes, while it is noted.
        assert_eq!(found(&[Ok(Some(2)), Ok(Some(3)), Ok(Some(3))]).await, (Ok(Some(3)), 0));
        assert_eq!(found(&[Ok(Some(2)), Ok(None), Ok(None)]).await, (Ok(None), 0));
        assert_eq!(found(&[Err("no quorum")]).await, (Err(SendError::Unreachable), 0));
    }
}
