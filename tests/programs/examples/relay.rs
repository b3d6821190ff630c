//! Passes every message on to the Soul that its setting `next` names. The first four bytes count the hops
//! that are left, little-endian; a message with none left goes to the Soul `goal`.

use matrix_sdk::messaging;
use matrix_sdk::prelude::*;

/// Who is next, and what was passed on last, whose memory serves again.
struct Relay {
    next: Address,
    goal: Address,
    passed: Content,
}

impl Default for Relay {
    fn default() -> Self {
        Self { next: Address::soul("goal"), goal: Address::soul("goal"), passed: Content::text("") }
    }
}

impl Soul for Relay {
    fn init(birth: Birth) -> Result<Self, String> {
        let next = birth.setting("next").ok_or("set `next` to the name of a Soul")?;
        Ok(Self { next: Address::soul(next), ..Self::default() })
    }

    fn receive(&mut self, message: Message<'_>) -> Reply {
        self.passed.refill(message.content_type, message.body);
        let count = self.passed.body.first_chunk_mut::<4>().ok_or("the message counts no hops")?;
        let left = u32::from_le_bytes(*count).checked_sub(1);
        *count = left.unwrap_or(0).to_le_bytes();
        let to = if left.is_some() { &self.next } else { &self.goal };
        messaging::send(to, &self.passed).map_err(|error| format!("{error:?}"))?;
        Ok(None)
    }
}

matrix_sdk::soul!(Relay);
