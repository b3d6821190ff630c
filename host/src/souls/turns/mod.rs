//! Souls that keep every turn: the state, what was said and which messages were handled are one write to the KV, and
//! nobody hears of a turn before it is kept. What was said waits in an [`outbox`] until it has arrived for good; what was
//! handled stands in a [`window`], so that a message that comes again is answered, and not handled twice. A turn that
//! changes nothing and says nothing is not written: whoever hears of it hears of a state that is kept.

mod kept;
mod outbox;
mod window;

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Sleep;

use self::kept::Kept;
use self::outbox::Event as Sent;
use self::window::{Answer, Key, reply_id};
use super::Saved;
use super::actor::Actor;
use super::checkpoint::CheckpointError;
use super::committing::{self, NoRoom, Uncommitted};
use super::life::SaveError;
use crate::ids::SoulName;
use crate::kv::{Kv, KvError, Txn};
use crate::memory::Changes;
use crate::runtime::guest::Crash;
use crate::transport::envelope::{Address, Envelope, Reply, ReplyTo, SendError};
use crate::transport::handled::Handled;
use crate::transport::router::{Draft, Stamp};

pub(crate) use self::kept::BUCKET;
pub(crate) use self::window::bucket as window_bucket;

/// How many times as many messages as usual enter at once: a write costs much more than an entry.
pub(crate) const BATCHES: usize = 4;
/// How long a Soul that ends waits for receipts that are under way.
const RECEIPTS: Duration = Duration::from_millis(500);

/// What an actor knows of its Soul's turns.
#[derive(Default)]
pub(crate) struct Turns {
    /// None: it has to be read.
    kept: Option<Kept>,
    /// When reading is tried again.
    again: Option<Pin<Box<Sleep>>>,
}

/// [`Actor::instead_of_a_turn`], for a Soul that lives nowhere.
pub(super) async fn instead_of_a_turn(kv: &Kv, soul: &SoulName) -> Result<Txn, CheckpointError> {
    Ok(Kept::read(kv, soul).await?.instead_of_a_turn(kv, soul)?)
}

/// What makes an actor go on with what its Soul has said.
pub(crate) enum Event {
    /// What is kept has to be read.
    Read,
    /// The outbox goes on.
    Sent(Sent),
}

/// What happens next; it never comes while nothing waits. Cancelling it loses nothing.
pub(crate) async fn event(turns: &mut Option<Box<Turns>>) -> Event {
    poll_fn(|context| {
        let Some(turns) = turns else { return Poll::Pending };
        if let Some(kept) = &mut turns.kept {
            return kept.outbox.poll(context).map(Event::Sent);
        }
        match &mut turns.again {
            Some(again) => again.as_mut().poll(context).map(|()| Event::Read),
            None => Poll::Ready(Event::Read),
        }
    })
    .await
}

/// Why a turn was not kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotKept {
    /// It is the guest's fault.
    #[error(transparent)]
    Crashed(#[from] Crash),
    /// Whether it was kept will show when what is kept is read.
    #[error("whether the turn was kept is not known: {0}")]
    Open(CheckpointError),
}

impl Actor {
    /// Goes on with what the Soul has said.
    pub(crate) async fn go_on(&mut self, event: Event) {
        match event {
            Event::Read => drop(self.recalls().await),
            Event::Sent(sent) => {
                let router = self.host.router.clone();
                let Some(kept) = self.kept() else { return };
                match sent {
                    Sent::Receipt(receipt) => kept.outbox.receive(receipt),
                    Sent::Again => kept.outbox.send(&router),
                }
            }
        }
    }

    fn kept(&mut self) -> Option<&mut Kept> {
        self.turns.as_mut()?.kept.as_mut()
    }

    /// Reads what is kept, if it has to be read, and sends again what has not arrived. False: it cannot be read now.
    pub(crate) async fn recalls(&mut self) -> bool {
        if self.turns.as_ref().is_none_or(|turns| turns.kept.is_some()) {
            return true;
        }
        let read = Kept::read(&self.host.kv, &self.manifest.name).await;
        let router = self.host.router.clone();
        let Some(turns) = &mut self.turns else { return true };
        match read {
            Ok(kept) => {
                turns.kept.insert(kept).outbox.send(&router);
                turns.again = None;
                true
            }
            Err(error) => {
                tracing::warn!(soul = %self.manifest.name, %error, "what is kept of a Soul cannot be read");
                turns.again = Some(Box::pin(tokio::time::sleep(Duration::from_secs(1))));
                self.postpone(&error.to_string());
                false
            }
        }
    }

    /// Lets the guest handle a batch, keeps the turn, and only then lets anybody hear of it.
    pub(crate) async fn keep_turn(&mut self, envelopes: Vec<Envelope>) {
        let (fresh, again) = self.sort_out(envelopes);
        if fresh.is_empty() {
            return;
        }
        self.make_room();
        let result = match self.enter(&fresh).await {
            None => return,
            Some(Err(crash)) => Err(NotKept::Crashed(crash)),
            Some(Ok(replies)) => {
                self.recording.messages(&fresh);
                self.ended_well().await;
                let limit = self.limits.body_bytes as usize;
                let bounded = replies.into_iter().map(|reply| match reply {
                    Ok(Some(content)) if content.body.len() > limit => {
                        Err(SendError::TooLarge { limit: limit as u64 })
                    }
                    reply => reply.map_err(SendError::Failed),
                });
                let replies: Vec<Reply> = bounded.collect();
                self.keep(&fresh, &replies).await.map(|_| replies)
            }
        };
        match result {
            Ok(replies) => {
                for (envelope, reply) in fresh.into_iter().zip(replies) {
                    if let Some(capturing) = &self.capturing {
                        capturing.message(&envelope, &reply);
                    }
                    self.answer(envelope, reply);
                }
            }
            Err(NotKept::Crashed(crash)) => self.fell(fresh, &crash),
            Err(NotKept::Open(error)) => {
                tracing::warn!(soul = %self.manifest.name, %error, "a turn may not have been kept");
                self.postpone(&error.to_string());
                fresh.into_iter().for_each(|envelope| self.answer(envelope, Err(SendError::Unreachable)));
            }
        }
        for envelope in again {
            let key = Key::of(&envelope);
            let told = self.kept().and_then(|kept| kept.window.find(key)).map(Answer::reply);
            self.answer(envelope, told.unwrap_or(Err(SendError::Unreachable)));
        }
    }

    /// Answers messages that were handled before. Returns those that were not, and those among them that came twice.
    fn sort_out(&mut self, envelopes: Vec<Envelope>) -> (Vec<Envelope>, Vec<Envelope>) {
        let (mut fresh, mut again) = (Vec::with_capacity(envelopes.len()), Vec::new());
        let mut keys = std::collections::HashSet::with_capacity(envelopes.len());
        for envelope in envelopes {
            let key = Key::of(&envelope);
            let told = self.kept().and_then(|kept| kept.window.find(key)).map(Answer::reply);
            match told {
                Some(told) => self.answer(envelope, told),
                None if keys.insert(key) => fresh.push(envelope),
                None => again.push(envelope),
            }
        }
        (fresh, again)
    }

    /// Tells whoever waits for a message; to anybody else the reply goes as a letter, if it does.
    fn answer(&self, envelope: Envelope, reply: Reply) {
        let receipt = envelope.receipt;
        if matches!(envelope.reply_to, ReplyTo::Sender) {
            return;
        }
        let reply = if receipt { reply.map(|_| None) } else { reply };
        self.host.router.reply(Handled::of(envelope).0, reply);
    }

    /// What the guest says and remembers from now on waits until its turn is kept, as far as there is room.
    pub(crate) fn make_room(&mut self) {
        let Some(room) = self.kept().map(|kept| kept.outbox.room()) else { return };
        let Some(instance) = self.life.instance() else { return };
        let capabilities = &mut instance.state().capabilities;
        if let Some(messaging) = &mut capabilities.messaging {
            messaging.hold(room);
        }
        if let Some(memory) = &mut capabilities.memory {
            memory.hold();
        }
    }

    /// The reply to a message whose sender does not wait for it, as a letter.
    fn letter(&self, envelope: &Envelope, reply: &Reply) -> Option<Envelope> {
        let Ok(Some(content)) = reply else { return None };
        let waits = !envelope.receipt && !matches!(envelope.reply_to, ReplyTo::Sender);
        // Clients have no mailbox.
        if waits || matches!(envelope.sender, Address::Client(_)) {
            return None;
        }
        let draft = Draft {
            sender: envelope.recipient.clone(),
            recipient: envelope.sender.clone(),
            content: content.clone(),
            in_reply_to: Some(envelope.id),
            hops: envelope.hops,
            trace: envelope.trace,
        };
        let stamp = Stamp::named(reply_id(&self.manifest.name, envelope.id));
        self.host.router.letter(draft, stamp).ok()
    }

    /// Keeps a turn: the state, what was said in it, and that these messages were handled, with these replies. What was
    /// said leaves with that. Returns the state that was saved, if the Soul is in memory.
    ///
    /// # Errors
    /// [`NotKept`]; the Soul has left memory, and comes back as it was kept last.
    pub(crate) async fn keep(
        &mut self,
        handled: &[Envelope],
        replies: &[Reply],
    ) -> Result<Option<Saved>, NotKept> {
        let result = self.try_keep(handled, replies).await;
        if result.is_err() {
            self.life.sleep();
        }
        result
    }

    async fn try_keep(&mut self, handled: &[Envelope], replies: &[Reply]) -> Result<Option<Saved>, NotKept> {
        let (kv, soul) = (self.host.kv.clone(), self.manifest.name.clone());
        let awake = self.life.is_awake();
        let begun = match awake {
            true => Some(self.life.begin_save(&self.host, &soul).await.map_err(not_saved)?),
            false => None,
        };
        let (begun, state) = begun.unzip();
        let wrong = |error: KvError| NotKept::Open(error.into());
        let state = match state.flatten() {
            Some(state) => Some(self.lay(&state).await?),
            None => None,
        };
        let (mut letters, remembered) = self.take_held().map_err(wrong)?;
        let mut room = self.kept().map(|kept| kept.outbox.room()).unwrap_or_default();
        for (envelope, reply) in handled.iter().zip(replies) {
            let letter = self.letter(envelope, reply);
            let Some(kept) = self.kept() else { continue };
            kept.window.note(Key::of(envelope), Answer::of(reply));
            // Replies of which there are too many are lost, as those to a full mailbox are.
            if let Some(letter) = letter.filter(|letter| room.takes(letter.content.body.len())) {
                letters.push(letter);
            }
        }
        let placed = self.placed;
        let Some(kept) = self.kept() else { return Err(NotKept::Open(KvError::Closed.into())) };
        let changed = state.is_some() || !letters.is_empty() || !remembered.then.is_empty();
        if changed || kept.outbox.has_changed() {
            let mut then = kept.mutations(&kv, &soul, &letters).map_err(wrong)?;
            let state = state.unwrap_or_default();
            then.splice(..0, state.then.into_iter().chain(remembered.then));
            let mut require = kept.conditions(&kv, &soul, placed).map_err(wrong)?;
            require.extend(state.require.into_iter().chain(remembered.require));
            let (txn, waits) = (Txn { require, then }, self.life.waits());
            let committed = committing::commit(&self.host, &soul, txn, waits, NoRoom::Wait).await;
            let router = self.host.router.clone();
            let Some(turns) = &mut self.turns else { return Ok(None) };
            let revision = committed.map_err(|error| not_committed(error, &soul));
            let revision = revision.inspect_err(|_| turns.kept = None)?;
            if let Some(kept) = &mut turns.kept {
                kept.is_kept(revision, letters);
                kept.outbox.send(&router);
            }
            self.report_room(&remembered.room);
        }
        Ok(begun.map(|begun| self.saved(begun)))
    }

    /// What the guest said and remembered in this turn.
    fn take_held(&mut self) -> Result<(Vec<Envelope>, Changes), KvError> {
        let Some(instance) = self.life.instance() else { return Ok(Default::default()) };
        let capabilities = &mut instance.state().capabilities;
        let letters = capabilities.messaging.as_mut().map(|messaging| messaging.take_held());
        let remembered = capabilities.memory.as_mut().map(|memory| memory.take_held()).transpose()?;
        Ok((letters.unwrap_or_default(), remembered.flatten().unwrap_or_default()))
    }

    /// What has to be written, and so, for another write to take the place of the next turn: a turn that was given up,
    /// and comes late, is refused after it. Nothing for a Soul that does not keep its turns.
    pub(super) fn instead_of_a_turn(&mut self) -> Result<Txn, KvError> {
        let (kv, soul) = (self.host.kv.clone(), self.manifest.name.clone());
        self.kept().map_or(Ok(Txn::default()), |kept| kept.instead_of_a_turn(&kv, &soul))
    }

    /// That was written, as of this revision; none: it may have been.
    pub(super) fn was_no_turn(&mut self, revision: Option<u64>) {
        let Some(turns) = &mut self.turns else { return };
        match (&mut turns.kept, revision) {
            (Some(kept), Some(revision)) => kept.is_kept(revision, Vec::new()),
            (kept, _) => *kept = None,
        }
    }

    /// Saves the state as a turn of no messages.
    pub(crate) async fn save_turn(&mut self) -> Result<Saved, String> {
        if !self.recalls().await {
            return Err("what is kept of the Soul cannot be read now".to_owned());
        }
        match self.keep(&[], &[]).await {
            Ok(Some(saved)) => Ok(saved),
            Ok(None) => Err("the Soul is asleep".to_owned()),
            Err(error) => {
                self.host.metrics.souls.checkpoints.add("failed", 1);
                if let NotKept::Crashed(crash) = &error {
                    self.crashed(crash);
                }
                Err(error.to_string())
            }
        }
    }

    /// Tells the KV what has arrived, so that it is not sent again.
    pub(crate) async fn tend_outbox(&mut self) {
        if self.kept().is_some_and(|kept| kept.outbox.has_changed())
            && let Err(error) = self.keep(&[], &[]).await
        {
            tracing::warn!(soul = %self.manifest.name, %error, "what has arrived may be sent again");
        }
    }

    /// Before the Soul ends: waits a moment for receipts that are under way.
    pub(crate) async fn close_outbox(&mut self) {
        let waiting = async {
            while self.kept().is_some_and(|kept| kept.outbox.is_waiting()) {
                let next = event(&mut self.turns).await;
                self.go_on(next).await;
            }
        };
        // Who does not answer in time is sent to again.
        let _ = tokio::time::timeout(RECEIPTS, waiting).await;
        self.tend_outbox().await;
    }
}

fn not_committed(error: Uncommitted, soul: &SoulName) -> NotKept {
    match error {
        // Or a turn was kept that this node gave up: it shows when what is kept is read.
        Uncommitted::Refused => NotKept::Open(CheckpointError::Elsewhere(soul.clone())),
        Uncommitted::Never(error) => not_saved(CheckpointError::Kv(error).into()),
        Uncommitted::Open(error) => NotKept::Open(error.into()),
    }
}

/// A state that cannot be kept is the guest's fault: the next turn would not fare better.
fn not_saved(error: SaveError) -> NotKept {
    match error {
        SaveError::Crashed(crash) => NotKept::Crashed(crash),
        error => {
            NotKept::Crashed(Crash::Contract { function: "stateful.snapshot", reason: error.to_string() })
        }
    }
}
