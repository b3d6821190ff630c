//! New code for all users of a component: a few first, who are watched, then batch by batch; taken back from all where
//! too many fail.
//!
//! What a user is, how it gets new code, and how one sees that it fails, is told by whoever has such users ([`Users`]):
//! this room knows only the order of things.

mod stages;
#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::mpsc;
use tokio::time::Instant;

use self::stages::{Stage, stages};

/// The most users that get new code at the same time.
pub const BATCH_MAX: usize = 1_024;
/// The longest that those that come first are watched.
pub const WATCH_MAX: Duration = Duration::from_secs(3_600);
/// How often those that are watched are looked at.
const LOOK: Duration = Duration::from_millis(250);

/// How new code is rolled out.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How many users in a hundred come first; at least one does.
    pub canary_percent: u32,
    /// How long those that came are watched before the next ones follow the first, and at the end.
    pub watch: Duration,
    /// How many get new code at the same time; at most [`BATCH_MAX`].
    pub batch: usize,
    /// How many may fail, when they get it or while they are watched, before all is taken back.
    pub failures_max: usize,
}

/// The users of a component.
pub trait Users: Send + Sync {
    /// One of them; it is written as an operator calls it.
    type User: Clone + Display + Send + Sync;
    /// What is to be known of one from before, so that one sees later whether it fails, and takes back.
    type Before: Send + Sync;

    /// Gives a user the new code; none: it is not concerned any more, because it is gone, or has that code already.
    ///
    /// # Errors
    /// Why it goes on with the code that it had.
    fn renew(&self, user: &Self::User) -> impl Future<Output = Result<Option<Self::Before>, String>> + Send;

    /// Why a user has failed since it got the new code; none: it has not, as far as one can see.
    fn failure(
        &self,
        user: &Self::User,
        before: &Self::Before,
    ) -> impl Future<Output = Option<String>> + Send;

    /// Gives a user its old code again.
    ///
    /// # Errors
    /// Why it goes on with the new one.
    fn take_back(
        &self,
        user: &Self::User,
        before: &Self::Before,
    ) -> impl Future<Output = Result<(), String>> + Send;

    /// All have the new code that are to have it: it stays.
    ///
    /// # Errors
    /// Why it does not.
    fn settle(&self) -> impl Future<Output = Result<(), String>> + Send {
        std::future::ready(Ok(()))
    }
}

/// How far it has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Users that are concerned.
    pub total: usize,
    /// Users that got the new code.
    pub swapped: usize,
    /// Users that failed.
    pub failed: usize,
    /// Users that have the old code again.
    pub rolled_back: usize,
}

/// What happens on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// So far it has come.
    Progress(Tally),
    /// A user failed: when it got the new code, or afterwards; or it could not be given its old code again.
    Failed(String, String),
    /// Too many failed: all is taken back.
    TakingBack(String),
    /// The end. True: all have the new code.
    Ended(bool, Tally),
}

/// Rolls new code out to these users, and tells how it goes. It stops before the next batch once nobody listens: each
/// user has the old code or the new, and the same again goes on from there.
pub async fn roll_out<U: Users>(users: &U, all: Vec<U::User>, plan: Plan, tell: mpsc::Sender<Step>) {
    let tally = Tally { total: all.len(), ..Tally::default() };
    Rollout { users, plan, tell, tally, renewed: Vec::new() }.run(&all).await;
}

/// A user that got new code.
struct Renewed<U: Users> {
    user: U::User,
    before: U::Before,
    failed: bool,
}

/// A rollout under way.
struct Rollout<'a, U: Users> {
    users: &'a U,
    plan: Plan,
    tell: mpsc::Sender<Step>,
    tally: Tally,
    renewed: Vec<Renewed<U>>,
}

impl<U: Users> Rollout<'_, U> {
    async fn run(mut self, all: &[U::User]) {
        if !self.say(Step::Progress(self.tally)).await {
            return;
        }
        for Stage { users, watched } in stages(&self.plan, all.len()) {
            let known = self.renewed.len();
            self.renew(&all[users]).await;
            if watched {
                self.watch().await;
            } else {
                self.look(known).await;
            }
            if self.has_failed() {
                return self.take_back().await;
            }
            if !self.say(Step::Progress(self.tally)).await {
                return;
            }
        }
        if let Err(why) = self.users.settle().await {
            self.say(Step::TakingBack(why)).await;
            return self.give_back().await;
        }
        self.say(Step::Ended(self.tally.failed == 0, self.tally)).await;
    }

    /// False: nobody listens any more.
    async fn say(&self, step: Step) -> bool {
        self.tell.send(step).await.is_ok()
    }

    fn has_failed(&self) -> bool {
        self.tally.failed > self.plan.failures_max
    }

    async fn fail(&mut self, user: &U::User, why: String) {
        self.tally.failed += 1;
        self.say(Step::Failed(user.to_string(), why)).await;
    }

    async fn renew(&mut self, batch: &[U::User]) {
        let users = self.users;
        let renewed = join_all(batch.iter().map(|user| users.renew(user))).await;
        for (user, renewed) in batch.iter().zip(renewed) {
            match renewed {
                Ok(Some(before)) => {
                    self.tally.swapped += 1;
                    self.renewed.push(Renewed { user: user.clone(), before, failed: false });
                }
                Ok(None) => self.tally.total -= 1,
                Err(why) => self.fail(user, why).await,
            }
        }
    }

    /// Watches all that got new code, until the time is over or too many have failed.
    async fn watch(&mut self) {
        let until = Instant::now() + self.plan.watch;
        loop {
            self.look(0).await;
            if self.has_failed() || Instant::now() >= until || self.tell.is_closed() {
                return;
            }
            tokio::time::sleep_until(until.min(Instant::now() + LOOK)).await;
        }
    }

    /// Looks who of those that came after the first `from` has failed.
    async fn look(&mut self, from: usize) {
        let users = self.users;
        let mut failed = Vec::new();
        for (number, some) in (0..).zip(self.renewed[from..].chunks(self.plan.size())) {
            let looks = some.iter().map(|renewed| async move {
                if renewed.failed { None } else { users.failure(&renewed.user, &renewed.before).await }
            });
            let found = join_all(looks).await.into_iter().enumerate();
            let first = from + number * self.plan.size();
            failed.extend(found.filter_map(|(at, why)| Some((first + at, why?))));
        }
        for (at, why) in failed {
            self.renewed[at].failed = true;
            let user = self.renewed[at].user.clone();
            self.fail(&user, why).await;
        }
    }

    async fn take_back(self) {
        let reason = format!("{} failed, and {} may", self.tally.failed, self.plan.failures_max);
        self.say(Step::TakingBack(reason)).await;
        self.give_back().await;
    }

    /// Gives all their old code again, those that came last first, as many at the same time as got the new.
    async fn give_back(mut self) {
        let (users, renewed) = (self.users, std::mem::take(&mut self.renewed));
        let mut batches = renewed.rchunks(self.plan.size()).peekable();
        while let Some(batch) = batches.next() {
            let given = batch.iter().rev().map(|Renewed { user, before, .. }| users.take_back(user, before));
            for (Renewed { user, .. }, given) in batch.iter().rev().zip(join_all(given).await) {
                match given {
                    Ok(()) => self.tally.rolled_back += 1,
                    Err(why) => drop(self.say(Step::Failed(user.to_string(), why)).await),
                }
            }
            if batches.peek().is_some() {
                self.say(Step::Progress(self.tally)).await;
            }
        }
        self.say(Step::Ended(false, self.tally)).await;
    }
}
