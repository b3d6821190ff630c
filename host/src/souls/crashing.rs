//! What an actor does when its guest crashes, does not come to life, or has done so too often.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::actor::Actor;
use super::life::StartError;
use super::restart::Next;
use super::status::State;
use crate::runtime::guest::Crash;

impl Actor {
    pub(crate) fn crashed(&mut self, crash: &Crash) {
        self.life.crashed();
        self.observe();
        self.status.crashes.fetch_add(1, Ordering::Relaxed);
        let next = self.restarts.after_crash(Instant::now());
        self.status.set(State::BackingOff, &crash.to_string());
        self.host.report_crash(&self.manifest.name, crash.kind(), &crash.to_string(), next);
    }

    pub(super) fn not_started(&mut self, error: &StartError) {
        if error.is_of_the_node() {
            self.restarts.postpone(Instant::now());
            self.status.set(State::BackingOff, &error.to_string());
            return;
        }
        self.status.crashes.fetch_add(1, Ordering::Relaxed);
        let next = self.restarts.after_crash(Instant::now());
        self.status.set(State::BackingOff, &error.to_string());
        self.host.report_crash(&self.manifest.name, error.kind(), &error.to_string(), next);
    }

    pub(super) async fn fail(mut self) {
        self.inbox.close();
        let (_, reason) = self.status.get();
        // Who sees that it has failed may mend it: what is written here must not come after that.
        self.host.save_failed(&self.manifest, &reason).await;
        self.jobs.close();
        self.status.set(State::Failed, "");
        self.host.report_failed(&self.manifest, &reason);
    }
}

/// What comes after a crash, for events.
pub(crate) fn next_step(next: Next) -> String {
    match next {
        Next::Restart(pause) => format!("restarts in {} ms", pause.as_millis()),
        Next::GiveUp => "failed".to_owned(),
    }
}
