//! A key of the state. Most are short, and lie where the map has them: whoever searches does not jump to memory that no
//! cache has, and nothing else is kept alive, such as the proposal that a key came in.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::sync::Arc;

/// The longest key that lies in the map: with its length, and what says that it does, four words.
const HERE_MAX: usize = 30;

/// A key, ordered as its bytes are.
#[derive(Clone)]
pub(super) struct Key(Place);

#[derive(Clone)]
enum Place {
    Here { len: u8, bytes: [u8; HERE_MAX] },
    Elsewhere(Arc<[u8]>),
}

impl Key {
    pub(super) fn new(key: &[u8]) -> Key {
        match u8::try_from(key.len()) {
            Ok(len) if key.len() <= HERE_MAX => {
                let mut bytes = [0; HERE_MAX];
                bytes[..key.len()].copy_from_slice(key);
                Key(Place::Here { len, bytes })
            }
            _ => Key(Place::Elsewhere(key.into())),
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match &self.0 {
            Place::Here { len, bytes } => &bytes[..usize::from(*len)],
            Place::Elsewhere(bytes) => bytes,
        }
    }
}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        self.bytes()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Key {}

impl Ord for Key {
    fn cmp(&self, other: &Key) -> Ordering {
        self.bytes().cmp(other.bytes())
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Key) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_takes_four_words() {
        assert_eq!(size_of::<Key>(), 32);
        let longest = [7; HERE_MAX + 1];
        assert!(matches!(Key::new(&longest[..HERE_MAX]).0, Place::Here { .. }));
        assert!(matches!(Key::new(&longest).0, Place::Elsewhere(_)));
    }

    proptest! {
        #[test]
        fn keys_are_ordered_as_their_bytes(
            a in prop::collection::vec(0u8..3, 0..40),
            b in prop::collection::vec(0u8..3, 0..40),
        ) {
            let (left, right) = (Key::new(&a), Key::new(&b));
            prop_assert_eq!(left.bytes(), &a[..]);
            prop_assert_eq!(left.cmp(&right), a.cmp(&b));
            prop_assert_eq!(left == right, a == b);
        }
    }
}
