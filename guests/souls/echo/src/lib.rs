//! Replies with what it received. The body is moved from message to reply, never copied.

use matrix_sdk::prelude::*;

/// Has no state, no settings, and needs no grant.
#[derive(Default)]
pub struct Echo;

impl Soul for Echo {
    fn receive(&mut self, message: Message) -> Reply {
        Ok(Some(message.into_content()))
    }
}

matrix_sdk::soul!(Echo);
