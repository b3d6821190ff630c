//! What judges messages: each where it leaves, on its sender's node, and where it arrives, on its recipient's; one that
//! stays on this node both times here, so that it does not matter where somebody lives.
//!
//! Who judges is not known here: the rooms above bring a body for [`Stages`]. As long as there is none, all that is
//! asked of a message on its way is one look at one number.

use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::envelope::{Address, Content, Envelope, Reply, SendError, TraceContext};
use super::router::Router;
use crate::clock;
use crate::ids::MessageId;

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It leaves its sender.
    Outbound,
    /// It arrives where its recipient lives.
    Inbound,
}

impl Way {
    /// The name of the function in `wit/interceptor.wit`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Outbound => "outbound",
            Self::Inbound => "inbound",
        }
    }
}

/// What stages see of a message beside its content. The reply to a question has no id of its own: it carries that of
/// the question, in both fields.
#[derive(Debug, Clone, Copy)]
pub struct Passing<'a> {
    /// Names the message.
    pub id: MessageId,
    /// Who sent it.
    pub sender: &'a Address,
    /// Whom it is for.
    pub recipient: &'a Address,
    /// The message that it answers.
    pub in_reply_to: Option<MessageId>,
    /// Milliseconds since the Unix epoch, on the sending node's clock.
    pub sent_at_ms: u64,
    /// The trace that it belongs to.
    pub trace: Option<TraceContext>,
}

/// A chain of stages.
pub trait Stages: Debug + Send + Sync {
    /// Judges a message, on this thread and without waiting for anything but the stages' own work, and puts what they
    /// make of it into `content`. After an error the message goes no further.
    ///
    /// # Errors
    /// Why not: for whoever sent it.
    fn judge(&self, way: Way, message: &Passing<'_>, content: &mut Content) -> Result<(), SendError>;
}

/// Lets nothing pass.
#[derive(Debug)]
struct Closed(String);

impl Stages for Closed {
    fn judge(&self, _: Way, _: &Passing<'_>, _: &mut Content) -> Result<(), SendError> {
        Err(SendError::Denied(format!("no message passes: {}", self.0)))
    }
}

/// The way of all messages of this node: open, or through stages. Open at first.
#[derive(Debug, Default)]
pub struct Passage {
    /// Messages that came in and are not judged yet, and one more while there are stages. 0: all may pass.
    held: AtomicUsize,
    stages: RwLock<Option<Arc<dyn Stages>>>,
}

impl Passage {
    /// Lets everything pass from now on.
    pub fn open(&self) {
        self.set(None);
    }

    /// Lets nothing pass from now on, and tells senders why.
    pub fn close(&self, why: String) {
        self.set(Some(Arc::new(Closed(why))));
    }

    /// Has everything judged from now on. A message that is being judged meanwhile is judged by the stages before.
    pub fn guard(&self, stages: Arc<dyn Stages>) {
        self.set(Some(stages));
    }

    /// Judges a message on these ways, all of them by the same stages, if there are any.
    ///
    /// # Errors
    /// Those of [`Stages::judge`].
    pub(super) fn judge(&self, ways: &[Way], envelope: &mut Envelope) -> Result<(), SendError> {
        let Some(stages) = self.stages() else { return Ok(()) };
        let Envelope { id, in_reply_to, sent_at_ms, trace, .. } = *envelope;
        let (sender, recipient) = (&envelope.sender, &envelope.recipient);
        let passing = Passing { id, sender, recipient, in_reply_to, sent_at_ms, trace };
        ways.iter().try_for_each(|way| stages.judge(*way, &passing, &mut envelope.content))
    }

    /// Whether a message is to be judged; one that comes in stands in line also while others are still before it.
    pub(crate) fn is_held(&self) -> bool {
        self.held.load(Ordering::Acquire) > 0
    }

    /// A message that came in waits to be judged, until what this returns is dropped.
    pub(super) fn hold(self: &Arc<Self>) -> Held {
        self.held.fetch_add(1, Ordering::Relaxed);
        Held(Arc::clone(self))
    }

    fn set(&self, stages: Option<Arc<dyn Stages>>) {
        let mut now = self.stages.write().unwrap_or_else(PoisonError::into_inner);
        match (now.is_some(), stages.is_some()) {
            (false, true) => drop(self.held.fetch_add(1, Ordering::Release)),
            (true, false) => drop(self.held.fetch_sub(1, Ordering::Release)),
            _ => {}
        }
        let before = std::mem::replace(&mut *now, stages);
        drop(now);
        // Outside the lock: instances may end with it.
        drop(before);
    }

    fn stages(&self) -> Option<Arc<dyn Stages>> {
        if !self.is_held() {
            return None;
        }
        self.stages.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Router {
    /// What judges messages.
    pub fn passage(&self) -> &Arc<Passage> {
        self.remotes().passage()
    }

    /// Judges a message that is sent: on its way out, and where it stays on this node, on its way in.
    pub(super) fn judge_sent(&self, envelope: &mut Envelope, stays: bool) -> Result<(), SendError> {
        let ways = [Way::Outbound, Way::Inbound];
        self.passage().judge(if stays { &ways } else { &ways[..1] }, envelope)
    }

    /// The reply to a question of `asker` to `asked`, as stages let it pass. Errors are the nodes' own words, and pass.
    pub(super) fn judge_reply(
        &self,
        way: Way,
        id: MessageId,
        (asker, asked): (&Address, &Address),
        reply: Reply,
    ) -> Reply {
        let Some(stages) = self.passage().stages() else { return reply };
        let mut reply = reply?;
        if let Some(content) = &mut reply {
            let (in_reply_to, sent_at_ms) = (Some(id), clock::now_ms());
            let passing =
                Passing { id, sender: asked, recipient: asker, in_reply_to, sent_at_ms, trace: None };
            stages.judge(way, &passing, content)?;
        }
        Ok(reply)
    }
}

/// Keeps a [`Passage`] held.
#[derive(Debug)]
pub(super) struct Held(Arc<Passage>);

impl Drop for Held {
    fn drop(&mut self) {
        // Whoever sees that none is held any more sees all that was done with them.
        self.0.held.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::envelope;
    use super::*;

    /// Puts a word before each text, and refuses what holds another.
    #[derive(Debug)]
    struct Marks(&'static str, &'static str);

    impl Stages for Marks {
        fn judge(&self, way: Way, message: &Passing<'_>, content: &mut Content) -> Result<(), SendError> {
            let text = String::from_utf8_lossy(&content.body).into_owned();
            if text.contains(self.1) {
                return Err(SendError::Denied(format!("{} says {}", message.sender, self.1)));
            }
            content.body = format!("{} {} {text}", self.0, way.name()).into();
            Ok(())
        }
    }

    #[test]
    fn what_stands_judges_and_what_is_closed_refuses() {
        let passage = Passage::default();
        let judge = |text: &str| {
            let mut message = envelope(text);
            let judged = passage.judge(&[Way::Outbound], &mut message);
            judged.map(|()| String::from_utf8_lossy(&message.content.body).into_owned())
        };
        assert!(!passage.is_held());
        assert_eq!(judge("a").as_deref(), Ok("a"));
        passage.guard(Arc::new(Marks("one", "bad")));
        assert!(passage.is_held());
        assert_eq!(judge("a").as_deref(), Ok("one outbound a"));
        assert_eq!(judge("bad"), Err(SendError::Denied("client:test says bad".into())));
        passage.guard(Arc::new(Marks("two", "none")));
        assert_eq!(judge("bad").as_deref(), Ok("two outbound bad"));
        passage.close("it is not known".into());
        let refused = judge("a").expect_err("it is closed").to_string();
        assert_eq!(refused, "no message passes: it is not known");
        passage.open();
        assert_eq!((judge("a").as_deref(), passage.is_held()), (Ok("a"), false));
    }

    #[test]
    fn who_waits_holds_the_passage_also_when_it_is_open_again() {
        let passage = Arc::new(Passage::default());
        passage.guard(Arc::new(Marks("one", "bad")));
        let (first, second) = (passage.hold(), passage.hold());
        passage.open();
        drop(first);
        assert!(passage.is_held(), "one message still waits, and those behind it wait too");
        drop(second);
        assert!(!passage.is_held());
    }
}
