//! Replies with what it received.

use matrix_sdk::prelude::*;

/// Has no state, no settings, and needs no grant.
#[derive(Default)]
pub struct Echo;

impl Soul for Echo {
    fn receive(&mut self, message: Message<'_>) -> Reply {
        Ok(Some(message.content()))
    }
}

matrix_sdk::soul!(Echo);
