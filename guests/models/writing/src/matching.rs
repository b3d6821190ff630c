//! Where the text was before what it is now, the byte that followed then is expected.

/// The shortest match that counts.
const SHORTEST: u32 = 5;

/// Longer matches than this are told from each other no more.
pub(crate) const LENGTH_MAX: u32 = 40;

/// How many times a match may have been wrong before that is counted no further.
pub(crate) const MISSED_MAX: u32 = 7;

/// Remembers where each few bytes came last.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    heads: Vec<u32>,
    order: usize,
}

/// A place in the text that goes on as the text might go on now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Match {
    /// Of the byte that is expected; 0: none is.
    pub(crate) at: u32,
    /// How many bytes before it are the same.
    pub(crate) length: u32,
    /// How often what was expected did not come, since there was a long match.
    pub(crate) missed: u32,
}

impl Places {
    /// 2^`bits` places, each found by the `order` bytes before it.
    pub(crate) fn new(bits: u32, order: usize) -> Self {
        Self { heads: vec![0; 1 << bits], order }
    }

    fn head(&self, tail: &[u8]) -> Option<usize> {
        let from = tail.len().checked_sub(self.order)?;
        let hash = tail[from..].iter().fold(0_u64, |hash, &byte| {
            (hash ^ u64::from(byte)).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15)
        });
        Some((hash >> (64 - self.heads.len().ilog2())) as usize)
    }

    /// Remembers that a text that ends in `tail` goes on at `at`.
    pub(crate) fn remember(&mut self, tail: &[u8], at: usize) {
        if let Some(head) = self.head(tail) {
            self.heads[head] = at as u32;
        }
    }

    /// Goes on behind a byte, with which `tail` now ends, or looks for another place in the text.
    pub(crate) fn follow(&self, before: Match, byte: u8, text: &[u8], tail: &[u8]) -> Match {
        let mut now = before;
        if now.at > 0 {
            if text.get(now.at as usize) == Some(&byte) {
                now = Match { at: now.at + 1, length: now.length.saturating_add(1), ..now };
            } else {
                now = Match { missed: (now.missed + 1).min(MISSED_MAX), ..Match::default() };
            }
        }
        if now.at == 0 || now.at as usize >= text.len() {
            now = Match { missed: now.missed, ..self.seek(text, tail) };
        }
        if now.length > 16 {
            now.missed = 0;
        }
        now
    }

    fn seek(&self, text: &[u8], tail: &[u8]) -> Match {
        let Some(head) = self.head(tail) else { return Match::default() };
        let at = self.heads[head];
        let same = text[..(at as usize).min(text.len())].iter().rev().zip(tail.iter().rev());
        let same = same.take(LENGTH_MAX as usize).take_while(|(then, now)| then == now);
        let length = same.count() as u32;
        let found = (at as usize) < text.len() && length >= SHORTEST;
        if found { Match { at, length, missed: 0 } } else { Match::default() }
    }
}
