//! What becomes of a message: the whole of routing as one pure function.

use super::envelope::{Address, SendError};

/// What routing needs to know of a message.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// Whom it is for.
    pub recipient: &'a Address,
    /// How many messages led here, this one counted.
    pub hops: u16,
    /// Length of its body, in bytes.
    pub body_bytes: usize,
    /// Length of its media type, in bytes.
    pub content_type_bytes: usize,
}

/// What routing needs to know of the node.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The longest body, in bytes.
    pub body_bytes_max: usize,
    /// The longest chain of messages, each caused by the one before.
    pub hops_max: u16,
}

/// Where the recipient is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On this node.
    Here,
    /// On another node.
    There,
    /// Not known to anybody.
    Nowhere,
}

/// What to do with the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Push it to the recipient's mailbox.
    Deliver,
    /// Hand it to the link to the recipient's node.
    Forward,
    /// Push a copy to every subscriber of the topic.
    FanOut,
    /// Tell the sender why not.
    Refuse(SendError),
}

/// Decides. Bounds are checked before anything else, so that a refusal costs next to nothing.
pub fn decide(head: Head<'_>, bounds: Bounds, place: Place) -> Decision {
    use super::envelope::CONTENT_TYPE_BYTES_MAX;

    if head.body_bytes > bounds.body_bytes_max {
        return Decision::Refuse(SendError::TooLarge { limit: bounds.body_bytes_max as u64 });
    }
    if head.content_type_bytes > CONTENT_TYPE_BYTES_MAX {
        return Decision::Refuse(SendError::TooLarge { limit: CONTENT_TYPE_BYTES_MAX as u64 });
    }
    if head.hops > bounds.hops_max {
        return Decision::Refuse(SendError::TooManyHops { limit: bounds.hops_max });
    }
    match (head.recipient, place) {
        (Address::Topic(_), _) => Decision::FanOut,
        (_, Place::Here) => Decision::Deliver,
        (_, Place::There) => Decision::Forward,
        (recipient, Place::Nowhere) => Decision::Refuse(SendError::UnknownRecipient(recipient.clone())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Bounds = Bounds { body_bytes_max: 100, hops_max: 8 };

    fn head(recipient: &Address) -> Head<'_> {
        Head { recipient, hops: 1, body_bytes: 100, content_type_bytes: 10 }
    }

    #[test]
    fn delivers_fans_out_and_refuses() {
        let soul = "soul:neo".parse().expect("an address");
        let topic = "topic:news".parse().expect("an address");
        assert_eq!(decide(head(&soul), BOUNDS, Place::Here), Decision::Deliver);
        assert_eq!(decide(head(&soul), BOUNDS, Place::There), Decision::Forward);
        assert_eq!(decide(head(&topic), BOUNDS, Place::Nowhere), Decision::FanOut);
        assert_eq!(
            decide(head(&soul), BOUNDS, Place::Nowhere),
            Decision::Refuse(SendError::UnknownRecipient(soul))
        );
    }

    proptest! {
        #[test]
        fn nothing_over_a_bound_passes(hops in 0u16..20, body in 0usize..200, media in 0usize..200) {
            let soul: Address = "soul:neo".parse().expect("an address");
            let head = Head { hops, body_bytes: body, content_type_bytes: media, ..head(&soul) };
            let fits = hops <= 8 && body <= 100 && media <= 128;
            prop_assert_eq!(decide(head, BOUNDS, Place::Here) == Decision::Deliver, fits);
        }
    }
}
