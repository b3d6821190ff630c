//! Where a message goes, and what happens on the node.
//!
//! A [`Draft`](router::Draft) enters by [`Router`](router::Router), which gives it an id and asks the
//! pure [`decide`](decide::decide) what becomes of it; a local recipient's
//! [`Mailbox`](mailbox::Mailbox) takes the [`Envelope`](envelope::Envelope) as it is, and that of another node is
//! reached by its [`Outpost`](remote::Outpost); [`topics`] reach the subscribers of all nodes. Whatever passes goes
//! through the [`Stages`](stages::Stages), if there are any; who is a stranger to this node is looked for
//! ([`finding`]). The
//! [`Bus`](bus::Bus) is the other half of the room: what happened, for whoever watches.

mod arriving;
pub mod bus;
mod config;
pub mod decide;
pub mod directory;
pub mod draft;
pub mod envelope;
pub mod finding;
pub mod handled;
mod limbo;
mod line;
mod lines;
pub mod mailbox;
pub mod media;
pub mod receipts;
pub mod remote;
pub mod room;
pub mod router;
pub(crate) mod shown;
pub mod stages;
pub mod topics;
pub mod wire;

#[cfg(test)]
pub(crate) mod testing {
    //! Messages for tests.

    use super::envelope::{Content, Envelope};
    use crate::ids::MessageId;

    pub(crate) fn content(text: &str) -> Content {
        Content { content_type: "text/plain".into(), body: text.to_owned().into() }
    }

    pub(crate) fn envelope(text: &str) -> Envelope {
        let [sender, recipient] =
            ["client:test", "soul:neo"].map(|address| address.parse().expect("an address"));
        Envelope::plain(MessageId(1), sender, recipient, content(text))
    }
}
