//! `matrix:node/messaging`: send, ask, subscribe.
//!
//! [`sending`] is what a Soul does most, and reads the guest's memory in place.

mod sending;
mod waits;

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{HasData, Linker};

use super::grants::Grants;
use super::quota::Quota;
use super::rehearsal::Deed;
use super::types;
use crate::ids::{IdBlock, SoulName, TopicName};
use crate::runtime::bindings::matrix::node::messaging::{self, SendError as WitError};
use crate::runtime::bindings::matrix::node::types::{Address, Content, MessageId};
use crate::runtime::limits::Limits;
use crate::runtime::state::GuestState;
use crate::telemetry::metrics::TotalBy;
use crate::transport::envelope::{self, SendError};
use crate::transport::router::{Draft, Router};
use sending::Known;
pub use waits::Waits;

/// The longest that a guest may wait for a reply.
pub const ASK_TIMEOUT_MAX: Duration = Duration::from_secs(300);

/// What this guest may send, and to whom.
#[derive(Debug)]
pub struct Ctx {
    me: envelope::Address,
    soul: SoulName,
    router: Router,
    grants: Arc<Grants>,
    body_bytes_max: usize,
    quota: Quota,
    known: Known,
    ids: IdBlock,
    waits: Waits,
}

impl Ctx {
    /// For a Soul that is about to be born, and waits for answers as long as `waits` lets it.
    pub fn new(
        soul: SoulName,
        router: Router,
        grants: Arc<Grants>,
        limits: &Limits,
        refused: &TotalBy,
        waits: Waits,
    ) -> Self {
        Self {
            me: envelope::Address::Soul(soul.clone()),
            soul,
            router,
            grants,
            body_bytes_max: limits.body_bytes as usize,
            quota: Quota::new("messages_per_second", limits.messages_per_second, refused),
            known: Known::default(),
            ids: IdBlock::default(),
            waits,
        }
    }

    /// Counts a message of so many bytes, if it may be sent.
    fn charge(&mut self, body_bytes: usize) -> Result<(), SendError> {
        if !self.quota.take() {
            return Err(SendError::QuotaExceeded);
        }
        if body_bytes > self.body_bytes_max {
            return Err(SendError::TooLarge { limit: self.body_bytes_max as u64 });
        }
        Ok(())
    }

    fn draft(&self, guest: GuestMoment, to: envelope::Address, content: envelope::Content) -> Draft {
        Draft {
            sender: self.me.clone(),
            recipient: to,
            content,
            in_reply_to: None,
            hops: guest.hops,
            trace: guest.trace,
        }
    }
}

type GuestMoment = crate::runtime::state::Moment;

/// One call's view of the guest.
pub struct View<'a>(&'a mut GuestState);

struct Messaging;

impl HasData for Messaging {
    type Data<'a> = View<'a>;
}

/// Lets components import the interface.
pub(crate) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    messaging::add_to_linker::<_, Messaging>(linker, |state| View(state))?;
    sending::add_to_linker(linker)
}

impl View<'_> {
    /// The guest's messaging, and what it knows of the moment.
    fn ctx(&mut self) -> wasmtime::Result<(&mut Ctx, GuestMoment)> {
        let moment = self.0.moment;
        Ok((ctx(self.0)?, moment))
    }

    /// Why a question is not asked; none: it is.
    fn rehearsed(&mut self, draft: &Draft) -> Option<SendError> {
        if self.0.rehearsal.as_ref().is_none_or(|rehearsal| rehearsal.asks) {
            return None;
        }
        let noted = self.0.noted(|| Deed::Ask(draft.recipient.clone(), draft.content.clone()));
        let failed = || SendError::Failed("this is a rehearsal, in which nobody is asked".into());
        Some(if noted == Some(true) { failed() } else { SendError::QuotaExceeded })
    }
}

/// The guest's messaging; rules and interceptors have none.
fn ctx(state: &mut GuestState) -> wasmtime::Result<&mut Ctx> {
    state.capabilities.messaging.as_mut().ok_or_else(|| wasmtime::Error::msg("messaging is for Souls only"))
}

impl messaging::Host for View<'_> {
    /// Never called: the linker has [`sending`]'s in its place, which the generated trait cannot express.
    fn send(&mut self, _: Address, _: Content) -> wasmtime::Result<Result<MessageId, WitError>> {
        Err(wasmtime::Error::msg("`sending` takes the place of this"))
    }

    async fn ask(
        &mut self,
        to: Address,
        content: Content,
        timeout_ms: u32,
    ) -> wasmtime::Result<Result<Option<Content>, WitError>> {
        let (ctx, moment) = self.ctx()?;
        let prepared = address(to).and_then(|to| {
            ctx.grants.may_ask(&to).map_err(SendError::Denied)?;
            ctx.charge(content.body.len())?;
            Ok(ctx.draft(moment, to, types::content_from_guest(content)))
        });
        let timeout = Duration::from_millis(timeout_ms.into()).min(ASK_TIMEOUT_MAX);
        // Nobody waits for its answer longer than for the guest's own.
        let timeout = moment.at_most(timeout).map_err(|_| SendError::DeadlineExceeded);
        let (draft, timeout) = match prepared.and_then(|draft| Ok((draft, timeout?))) {
            Ok(ready) => ready,
            Err(error) => {
                self.0.usage.said(Some(&error));
                return Ok(Err(types::send_error(error)));
            }
        };
        let (router, waits) = (ctx.router.clone(), ctx.waits.clone());
        if let Some(error) = self.rehearsed(&draft) {
            return Ok(Err(types::send_error(error)));
        }
        let asked = async {
            tokio::select! {
                answer = router.ask(draft, timeout) => answer,
                why = waits.ended() => Err(SendError::Failed(why.into())),
            }
        };
        let answer = self.0.wait(asked).await;
        self.0.usage.said(answer.as_ref().err());
        let reply = answer.map(|answer| answer.content.map(types::content));
        Ok(reply.map_err(types::send_error))
    }

    fn subscribe(&mut self, topic: String) -> wasmtime::Result<Result<(), WitError>> {
        let (ctx, _) = self.ctx()?;
        if !ctx.quota.take() {
            self.0.usage.refused();
            return Ok(Err(WitError::QuotaExceeded));
        }
        let granted = topic_name(&topic).and_then(|topic| {
            ctx.grants.may_subscribe(&topic).map_err(SendError::Denied)?;
            Ok((topic, ctx.router.clone(), ctx.soul.clone()))
        });
        let subscribed =
            granted.and_then(|(topic, router, soul)| match self.0.noted(|| Deed::Subscribe(topic.clone())) {
                Some(noted) => noted.then_some(()).ok_or(SendError::QuotaExceeded),
                None => router.directory().subscribe(topic, soul),
            });
        if subscribed.is_err() {
            self.0.usage.refused();
        }
        Ok(subscribed.map_err(types::send_error))
    }

    fn unsubscribe(&mut self, topic: String) -> wasmtime::Result<Result<(), WitError>> {
        let (ctx, _) = self.ctx()?;
        if !ctx.quota.take() {
            return Ok(Err(WitError::QuotaExceeded));
        }
        let (router, soul) = (ctx.router.clone(), ctx.soul.clone());
        let ended =
            topic_name(&topic).and_then(|topic| match self.0.noted(|| Deed::Unsubscribe(topic.clone())) {
                Some(noted) => noted.then_some(()).ok_or(SendError::QuotaExceeded),
                None => {
                    router.directory().unsubscribe(&topic, &soul);
                    Ok(())
                }
            });
        Ok(ended.map_err(types::send_error))
    }
}

fn address(to: Address) -> Result<envelope::Address, SendError> {
    types::address_from_guest(to).map_err(|error| SendError::Denied(error.to_string()))
}

fn topic_name(topic: &str) -> Result<TopicName, SendError> {
    topic.parse().map_err(|error: crate::ids::IdError| SendError::Denied(error.to_string()))
}
