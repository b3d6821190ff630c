//! A live stage of the transport: the world `transport`, typed.

use std::sync::Arc;

use wasmtime::component::{ComponentExportIndex, TypedFunc};

use super::bindings::exports::matrix::node::interceptor::Verdict as WitVerdict;
use super::bindings::matrix::node::types::Message;
use super::component::Component;
use super::guest::{Crash, Exports, Guest, reason};
use super::limits::LIFTED_BYTES_MAX;
use super::state::{GuestState, Moment};
use super::usage::Usage;
use crate::capabilities::types;
use crate::transport::envelope::Content;
use crate::transport::stages::{Passing, Way};

type Judge = TypedFunc<(Message,), (WitVerdict,)>;

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It goes on as it is.
    Pass,
    /// It goes on with this content.
    Rewrite(Content),
    /// It goes no further.
    Reject(String),
}

/// Where a stage's functions are, found once for each component.
pub(crate) struct StageExports {
    outbound: ComponentExportIndex,
    inbound: ComponentExportIndex,
}

impl StageExports {
    pub(crate) fn of(component: &wasmtime::component::Component) -> Result<Self, Crash> {
        let missing = Crash::Contract { function: "interceptor", reason: "it is not exported".into() };
        let interceptor = Exports::of(component, "interceptor").ok_or(missing)?;
        Ok(Self { outbound: interceptor.function("outbound")?, inbound: interceptor.function("inbound")? })
    }
}

/// A stage in memory. After a [`Crash`] it must be dropped.
pub(crate) struct StageInstance {
    guest: Guest,
    outbound: Judge,
    inbound: Judge,
    body_bytes_max: usize,
    /// What it used since it passed that on.
    own: Arc<Usage>,
}

impl StageInstance {
    /// Instantiates a component that imports nothing that waits, on the caller's stack.
    pub(crate) fn new(component: &Component, state: GuestState) -> Result<Self, Crash> {
        let body_bytes_max = state.body_bytes_max;
        Self::join(component, Guest::new_here(component, state)?, body_bytes_max)
    }

    /// Checks that the component's functions have the types of `wit/`.
    pub(crate) async fn check(component: &Component, state: GuestState) -> Result<(), Crash> {
        Self::join(component, Guest::new(component, state).await?, 0).map(drop)
    }

    fn join(component: &Component, mut guest: Guest, body_bytes_max: usize) -> Result<Self, Crash> {
        let exports = component.stage()?;
        let outbound = guest.function(&exports.outbound, "interceptor.outbound")?;
        let inbound = guest.function(&exports.inbound, "interceptor.inbound")?;
        let own = guest.state().usage.clone();
        Ok(Self { guest, outbound, inbound, body_bytes_max, own })
    }

    /// Adds what it has used to the figures of all instances of its stage.
    pub(crate) fn pass_on(&mut self, usage: &Usage) {
        usage.absorb(&self.own);
    }

    /// Judges a message, on the caller's stack.
    pub(crate) fn judge(
        &mut self,
        way: Way,
        message: &Passing<'_>,
        content: &Content,
    ) -> Result<Verdict, Crash> {
        let judge = match way {
            Way::Outbound => &self.outbound,
            Way::Inbound => &self.inbound,
        };
        let moment = Moment { now_ms: message.sent_at_ms, hops: 0, trace: message.trace, deadline: None };
        self.guest.received(1);
        // A rewritten message that is a little too long is refused by name, one that is far too long is a crash.
        let lifted = LIFTED_BYTES_MAX + self.body_bytes_max;
        let (verdict,) = self.guest.call_here(judge, (lowered(message, content),), moment, lifted)?;
        Ok(match verdict {
            WitVerdict::Pass => Verdict::Pass,
            WitVerdict::Rewrite(Message { content_type, body, .. }) => {
                Verdict::Rewrite(Content { content_type: content_type.into(), body: body.into() })
            }
            WitVerdict::Reject(why) => Verdict::Reject(reason(why)),
        })
    }
}

fn lowered(message: &Passing<'_>, content: &Content) -> Message {
    Message {
        id: types::message_id(message.id),
        sender: types::address(message.sender),
        recipient: types::address(message.recipient),
        in_reply_to: message.in_reply_to.map(types::message_id),
        content_type: content.content_type.to_string(),
        body: content.body.to_vec(),
        sent_at: message.sent_at_ms,
    }
}
