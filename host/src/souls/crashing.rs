//! What an actor does when its guest crashes, does not come to life, or has done so too often.

use std::time::Instant;

use super::actor::Actor;
use super::life::StartError;
use super::restart::Next;
use super::status::State;
use crate::runtime::guest::Crash;

impl Actor {
    pub(crate) fn crashed(&mut self, crash: &Crash) {
        self.crashed_over(crash, false);
    }

    /// The guest crashed: `again` over a message that it had crashed over before, which counts once.
    pub(super) fn crashed_over(&mut self, crash: &Crash, again: bool) {
        self.life.crashed();
        self.observe();
        let now = Instant::now();
        let next = if again { self.restarts.after_retry(now) } else { self.restarts.after_crash(now) };
        self.fell_back(next, crash.kind(), &crash.to_string());
    }

    pub(super) fn not_started(&mut self, error: &StartError) {
        if error.is_of_the_node() {
            return self.postpone(&error.to_string());
        }
        let next = self.restarts.after_crash(Instant::now());
        self.fell_back(next, error.kind(), &error.to_string());
    }

    /// Pauses for what is not the Soul's fault.
    pub(super) fn postpone(&mut self, reason: &str) {
        let pause = self.restarts.postpone(Instant::now());
        self.status.note_pause(pause);
        self.status.set(State::BackingOff, reason);
    }

    /// Shows that the Soul crashed, and when it comes back.
    fn fell_back(&mut self, next: Next, kind: &'static str, reason: &str) {
        self.status.note_crash(next, self.restarts.recent(), self.host.config.restart.window_seconds);
        self.status.set(State::BackingOff, reason);
        self.host.report_crash(&self.manifest.name, kind, reason, next);
    }

    pub(super) async fn fail(mut self) {
        self.inbox.close();
        self.refuse_suspects();
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
