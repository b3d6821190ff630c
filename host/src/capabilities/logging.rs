//! `wasi:logging/logging`, and the log of one guest that stdio writes to as well.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use wasmtime::component::{HasData, Linker};

use super::quota::Quota;
use crate::runtime::bindings::wasi::logging::logging;
use crate::runtime::state::GuestState;
use crate::runtime::usage::Usage;
use crate::telemetry::logs::{LogLevel, LogRing};
use crate::telemetry::metrics::TotalBy;

/// How often a guest's log tells how many lines were dropped.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// The lines of one guest: limited in number, with one line that counts what was dropped.
#[derive(Debug)]
pub struct GuestLog {
    ring: LogRing,
    source: Arc<str>,
    rate: Mutex<Rate>,
}

#[derive(Debug)]
struct Rate {
    quota: Quota,
    usage: Arc<Usage>,
    dropped: u64,
    /// When the count of dropped lines was last told.
    told: Option<Instant>,
}

impl GuestLog {
    /// A log whose lines carry `source`, such as `soul:neo`.
    pub fn new(ring: LogRing, source: &str, lines_per_second: u32, refused: &TotalBy) -> Self {
        let quota = Quota::new("log_lines_per_second", lines_per_second, refused);
        let rate = Mutex::new(Rate { quota, usage: Arc::default(), dropped: 0, told: None });
        Self { ring, source: source.into(), rate }
    }

    /// Lets so many lines a second be heard from now on; what was dropped before is not told.
    fn allow(&self, lines_per_second: u32) {
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        rate.quota.allow(lines_per_second);
        rate.dropped = 0;
    }

    /// Counts that its guest was refused something.
    pub(super) fn note_refusal(&self) {
        self.rate.lock().unwrap_or_else(PoisonError::into_inner).usage.refused();
    }

    /// Writes a line, or counts it as dropped. The ring escapes and cuts it.
    pub(crate) fn write(&self, level: LogLevel, text: &str) {
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        if !rate.quota.take() {
            rate.dropped += 1;
            rate.usage.dropped();
            return;
        }
        // Seldom, or a flood would get two lines for each that it may write.
        let due = rate.dropped > 0 && rate.told.is_none_or(|told| told.elapsed() >= TELL_EVERY);
        let dropped = if due { std::mem::take(&mut rate.dropped) } else { 0 };
        if due {
            rate.told = Some(Instant::now());
        }
        drop(rate);
        if dropped > 0 {
            let line = format!("{dropped} lines were dropped: `limits.log_lines_per_second` was reached");
            self.ring.push(LogLevel::Warn, self.source.clone(), &line);
        }
        self.ring.push(level, self.source.clone(), text);
    }
}

/// Where this guest logs.
#[derive(Debug, Clone)]
pub struct Ctx {
    log: Arc<GuestLog>,
}

impl Ctx {
    /// For a guest with this log.
    pub fn new(log: Arc<GuestLog>) -> Self {
        Self { log }
    }

    /// What is dropped is counted by `usage` from now on.
    pub(crate) fn count_by(&self, usage: &Arc<Usage>) {
        self.log.rate.lock().unwrap_or_else(PoisonError::into_inner).usage = usage.clone();
    }

    /// Lets so many lines a second be heard from now on, those of stdout and stderr too.
    pub(crate) fn allow(&self, lines_per_second: u32) {
        self.log.allow(lines_per_second);
    }
}

/// One call's view of the guest.
pub struct View<'a>(&'a Ctx);

struct Logging;

impl HasData for Logging {
    type Data<'a> = View<'a>;
}

/// Lets components import the interface.
pub(crate) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    logging::add_to_linker::<_, Logging>(linker, |state| View(&state.capabilities.logging))
}

impl logging::Host for View<'_> {
    fn log(&mut self, level: logging::Level, context: String, message: String) -> wasmtime::Result<()> {
        let level = match level {
            logging::Level::Trace => LogLevel::Trace,
            logging::Level::Debug => LogLevel::Debug,
            logging::Level::Info => LogLevel::Info,
            logging::Level::Warn => LogLevel::Warn,
            logging::Level::Error | logging::Level::Critical => LogLevel::Error,
        };
        if context.is_empty() {
            self.0.log.write(level, &message);
        } else {
            self.0.log.write(level, &format!("{context}: {message}"));
        }
        Ok(())
    }
}
