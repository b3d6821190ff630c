//! A stage of the transport on the bench.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::soul::Said;
use super::{Bench, config};
use crate::ids::MessageId;
use crate::runtime::component::Component;
use crate::runtime::guest::Crash;
use crate::runtime::interceptors::InterceptorsConfig;
use crate::runtime::limits::Limits;
use crate::runtime::stage::{StageInstance, Verdict};
use crate::runtime::state::GuestState;
use crate::transport::bus::Source;
use crate::transport::envelope::Content;
use crate::transport::stages::{Passing, Way};

/// What a stage makes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    /// It goes on as it is.
    Pass,
    /// It goes on with this content.
    Rewrite(Content),
    /// It goes no further: why.
    Reject(String),
}

/// A live stage. After a [`Crash`] it must be dropped.
pub struct StageOnBench {
    instance: StageInstance,
}

impl Bench {
    /// Makes an instance of a stage with these settings, which runs on the caller's thread.
    ///
    /// # Errors
    /// A crash.
    pub fn stage(
        &self,
        component: &Component,
        settings: BTreeMap<String, String>,
    ) -> Result<StageOnBench, Crash> {
        let InterceptorsConfig { call_ms, call_fuel, memory_bytes, .. } = InterceptorsConfig::default();
        let limits = Limits { call_ms, call_fuel, memory_bytes, ..self.limits.default.clone() };
        let settings = config::Ctx::new(Arc::new(settings));
        let may = self.plain(Source::Component(component.digest()), &limits, settings, 0);
        let mut state = GuestState::new(&limits, may);
        state.rehearse(false);
        Ok(StageOnBench { instance: StageInstance::new(component, state)? })
    }
}

impl StageOnBench {
    /// Judges a message that leaves its sender, or one that arrives.
    ///
    /// # Errors
    /// A crash.
    pub fn judge(&mut self, leaves: bool, said: &Said) -> Result<Judged, Crash> {
        let message = Passing {
            id: MessageId(said.id),
            sender: &said.sender,
            recipient: &said.recipient,
            in_reply_to: said.in_reply_to.map(MessageId),
            sent_at_ms: said.at_ms,
            trace: None,
        };
        let way = if leaves { Way::Outbound } else { Way::Inbound };
        Ok(match self.instance.judge(way, &message, &said.content)? {
            Verdict::Pass => Judged::Pass,
            Verdict::Rewrite(content) => Judged::Rewrite(content),
            Verdict::Reject(why) => Judged::Reject(why),
        })
    }
}

impl std::fmt::Debug for StageOnBench {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StageOnBench").finish_non_exhaustive()
    }
}
