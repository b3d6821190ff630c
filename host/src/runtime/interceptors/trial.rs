//! New code tried beside that of a place in the chain, on what came there last: what would differ.
//!
//! Both sides are born anew, and judge the same messages, one at a time. Nothing that they do is done.

use std::sync::Arc;

use super::record::Stage;
use super::{InterceptorError, Interceptors};
use crate::capabilities::logging::GuestLog;
use crate::capabilities::rehearsal::Deed;
use crate::ids::Digest;
use crate::runtime::chain::{Ground, Said, capabilities, out_of_bounds};
use crate::runtime::component::Component;
use crate::runtime::guest::Crash;
use crate::runtime::stage::{StageInstance, Verdict};
use crate::runtime::state::GuestState;
use crate::transport::shown;

/// The most differences that are told one by one.
const DIFFERENCES_MAX: usize = 100;

/// Something in which two codes differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// At which message, from 1.
    pub message: u32,
    /// Which way it went, from whom, to whom, and what it said.
    pub said: String,
    /// `verdict` or `event`.
    pub what: &'static str,
    /// What the old code did.
    pub old: String,
    /// What the new code did.
    pub new: String,
}

/// What a trial showed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trial {
    /// Why a swap would be refused: the new code fails where the old one judges; empty: it would be done.
    pub refusal: String,
    /// How many messages both judged.
    pub messages: u32,
    /// What differs, in order: the first ones.
    pub differences: Vec<Difference>,
    /// How many more differ.
    pub more: u32,
}

impl Interceptors {
    /// Tries a component on what came to a place of the chain (from 0) on this node last.
    ///
    /// # Errors
    /// `Changed` if there is no such place any more; `Start` if it does not come to life; `WrongWorld`, `Waits`,
    /// `Component`, `Kv`.
    pub async fn rehearse(&self, place: usize, component: Digest) -> Result<Trial, InterceptorError> {
        let (stages, _) = self.load().await?;
        let stage = stages.into_iter().nth(place).ok_or(InterceptorError::Changed)?;
        let new = self.component(&component.to_string(), component).await?;
        let old = self.component(&stage.name, stage.component).await?;
        let ground = self.0.ground.clone();
        let said = ground.recorded[place].look();
        // Guests run for as long as they may: not on a thread that others wait for.
        let tried = tokio::task::spawn_blocking(move || {
            let settings = Arc::new(stage.config.clone());
            let side = |component| Side { component, ground: &ground, settings: &settings, instance: None };
            run(&said, &stage, side(old), side(new))
        });
        tried.await.map_err(|_| InterceptorError::Changed)?
    }
}

/// One code.
struct Side<'a> {
    component: Arc<Component>,
    ground: &'a Ground,
    settings: &'a Arc<std::collections::BTreeMap<String, String>>,
    /// None: it is not born yet, or its last one crashed.
    instance: Option<StageInstance>,
}

/// What a side did with one message.
struct Did {
    verdict: String,
    events: Vec<String>,
    failed: bool,
}

impl Side<'_> {
    fn instance(&mut self) -> Result<&mut StageInstance, Crash> {
        if self.instance.is_none() {
            let Ground { logs, limits, metrics, .. } = self.ground;
            // What it logs is for nobody.
            let log = Arc::new(GuestLog::new(logs.clone(), "interceptor", 0, &metrics.refusals));
            let asks = capabilities(self.ground, self.component.digest(), self.settings, &log);
            let mut state = GuestState::new(limits, asks);
            state.rehearse(false);
            self.instance = Some(StageInstance::new(&self.component, state)?);
        }
        self.instance.as_mut().ok_or_else(|| Crash::NoRoom("it ended".to_owned()))
    }

    fn judge(&mut self, said: &Said) -> Did {
        let judged = self.instance().and_then(|instance| {
            let verdict = instance.judge(said.way, &said.passing(), &said.content)?;
            let deeds = instance.state().rehearsal.as_ref().map(|rehearsal| rehearsal.take());
            Ok((verdict, deeds.unwrap_or_default()))
        });
        match judged {
            Ok((verdict, deeds)) => {
                let out = out_of_bounds(&verdict, &self.ground.limits);
                let failed = out.is_some();
                let verdict = out.map_or_else(|| shown_verdict(verdict), |why| format!("fails: it {why}"));
                Did { verdict, events: deeds.iter().filter_map(event).collect(), failed }
            }
            Err(crash) => {
                self.instance = None;
                Did { verdict: format!("fails: it {crash}"), events: Vec::new(), failed: true }
            }
        }
    }
}

fn run(
    said: &[Said],
    stage: &Stage,
    mut old: Side<'_>,
    mut new: Side<'_>,
) -> Result<Trial, InterceptorError> {
    let component = new.component.digest().to_string();
    new.instance().map(drop).map_err(|crash| InterceptorError::Start { component, crash })?;
    let mut trial = Trial::default();
    for (number, said) in (1_u32..).zip(said) {
        trial.messages = number;
        let (did, would) = (old.judge(said), new.judge(said));
        if would.failed && !did.failed && trial.refusal.is_empty() {
            let why = would.verdict.trim_start_matches("fails: ");
            trial.refusal =
                format!("of what `{}` judged last, it fails over {}: {why}", stage.name, about(said));
        }
        trial.compare(number, said, "verdict", did.verdict, would.verdict);
        for place in 0..did.events.len().max(would.events.len()) {
            let event = |events: &[String]| events.get(place).cloned().unwrap_or_default();
            trial.compare(number, said, "event", event(&did.events), event(&would.events));
        }
    }
    Ok(trial)
}

impl Trial {
    fn compare(&mut self, message: u32, said: &Said, what: &'static str, old: String, new: String) {
        if old == new {
            return;
        }
        if self.differences.len() >= DIFFERENCES_MAX {
            self.more += 1;
            return;
        }
        self.differences.push(Difference { message, said: about(said), what, old, new });
    }
}

fn about(said: &Said) -> String {
    let message = said.passing();
    let (way, content) = (said.way.name(), shown::content(&said.content));
    format!("{way}, {} to {}: {content}", message.sender, message.recipient)
}

fn shown_verdict(verdict: Verdict) -> String {
    match verdict {
        Verdict::Pass => "passes".to_owned(),
        Verdict::Rewrite(content) => format!("rewrites: {}", shown::content(&content)),
        Verdict::Reject(why) => format!("rejects: {why}"),
    }
}

fn event(deed: &Deed) -> Option<String> {
    match deed {
        Deed::Emit(kind, said) => Some(format!("emits {kind}: {}", shown::content(said))),
        _ => None,
    }
}
