//! Souls that come to this node and leave it.

use std::sync::PoisonError;

use serde_json::json;

use super::error::SoulError;
use super::handle::Handle;
use super::placed::{self, Placed};
use super::records;
use super::registry::Souls;
use crate::ids::SoulName;
use crate::transport::envelope::Address;
use crate::transport::mailbox::Inbox;

impl Souls {
    /// Takes up a Soul that lives here from now on, from its last checkpoint.
    pub(super) async fn adopt(&self, soul: &SoulName, placed: Placed) -> Result<(), SoulError> {
        let lock = self.lock(soul);
        let _only = lock.lock().await;
        if self.handle(soul).is_some_and(|handle| handle.placed.generation >= placed.generation) {
            return Ok(());
        }
        let Some(record) = records::load(&self.0.host.kv, soul).await? else { return Ok(()) };
        self.bring_back(record, placed).await?;
        self.0.host.report(
            "soul.came",
            soul,
            &json!({ "node": placed.node, "generation": placed.generation }),
        );
        Ok(())
    }

    /// Takes up a Soul that lives here although this node has not heard of it yet: whoever asks for it has.
    pub(super) async fn expect(&self, soul: &SoulName) -> Result<(), SoulError> {
        if self.handle(soul).is_some() {
            return Ok(());
        }
        match placed::load(&self.0.host.kv, soul).await? {
            Some(placed) if placed.node == self.0.host.node => self.adopt(soul, placed).await,
            _ => Ok(()),
        }
    }

    /// Lets a Soul go that lives elsewhere by now: what it did since its last checkpoint is not its any more. What
    /// waits in its mailbox is handed on.
    pub(super) async fn evict(&self, soul: &SoulName, placed: Placed) {
        let lock = self.lock(soul);
        let _only = lock.lock().await;
        let old = self.handle(soul).filter(|handle| handle.placed.generation < placed.generation);
        if let Some(handle) = old {
            let left = handle.leave(false).await;
            self.depart(soul, placed, left.map(|(inbox, _)| inbox));
        }
    }

    /// Moves a Soul of this node to another, which has been told to expect it.
    ///
    /// # Errors
    /// `Unknown`, `Save`, `Kv`, `Moved`: it stays where it is.
    pub(super) async fn hand_over(&self, soul: &SoulName, to: u64) -> Result<Placed, SoulError> {
        let lock = self.lock(soul);
        let _only = lock.lock().await;
        let handle = self.handle(soul).ok_or_else(|| SoulError::Unknown(soul.clone()))?;
        let next = Placed::after(Some(handle.placed), to);
        if next == handle.placed {
            return Ok(next);
        }
        let left = handle.leave(true).await;
        let (inbox, saved) = left.map_or((None, Ok(())), |(inbox, saved)| (Some(inbox), saved));
        let moved = match saved {
            Ok(()) => placed::exchange(&self.0.host.kv, soul, Some(handle.placed), Some(next)).await,
            Err(reason) => Err(SoulError::Save(soul.clone(), reason)),
        };
        if let Err(error) = moved {
            self.stay(&handle, inbox)?;
            return Err(error);
        }
        self.depart(soul, next, inbox);
        Ok(next)
    }

    /// Goes on with a Soul whose move failed.
    fn stay(&self, handle: &Handle, inbox: Option<Inbox>) -> Result<(), SoulError> {
        let Some(inbox) = inbox else { return Ok(()) };
        let again = self.launch(&handle.manifest, handle.placed)?;
        if let Some(mailbox) = again.mailbox.clone() {
            // A mailbox of the same size takes what waited in the old one.
            inbox.redirect(|envelope| drop(mailbox.push(envelope)), || {});
        }
        self.insert(handle.manifest.name.clone(), again);
        Ok(())
    }

    /// Forgets a Soul that lives elsewhere, and hands on what waits for it.
    fn depart(&self, soul: &SoulName, placed: Placed, inbox: Option<Inbox>) {
        let (router, address) = (&self.0.host.router, Address::Soul(soul.clone()));
        self.0.table.write().unwrap_or_else(PoisonError::into_inner).remove(soul);
        let outpost = router.outpost(placed.node);
        router.directory().note_left(&address, placed.generation);
        let leave = || {
            router.directory().remove(&address);
            router.place(address.clone(), placed.node);
        };
        match inbox {
            Some(inbox) => inbox.redirect(|envelope| router.hand_on(&outpost, envelope), leave),
            None => leave(),
        }
        self.0.host.report(
            "soul.left",
            soul,
            &json!({ "node": placed.node, "generation": placed.generation }),
        );
    }
}
