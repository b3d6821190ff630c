//! Goes on writing as the model expects that its author would.

use crate::chance::Chance;
use crate::contexts::{SIX_BYTES, THREE_WORDS, TWO_WORDS, is_letter};
use crate::cursor::Cursor;
use crate::logistic::{ONE, cost};
use crate::model::Model;
use crate::predictor::Thought;
use crate::text;

/// Bytes that are less probable than one in 2^7 come only where nothing else may, in 2^-16 bits.
const LIKELY: u64 = 7 << 16;

/// Bytes that are less probable than one in 2^9 come only where nothing else can.
const POSSIBLE: u64 = 9 << 16;

/// Of so many words in a hundred the author wrote the same two words before; of the others at least the same one. A model
/// that is wrong in one byte of twenty says something that is nearly a word in every line: what it may choose from is
/// therefore what was written in such a place, and the model says which of it.
const THREE_PERCENT: u64 = 90;

/// What is to be written.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// What comes before it. It goes on from there; an empty one begins a paragraph.
    pub prompt: &'a str,
    /// The most bytes. It ends with a sentence, or else with a word, where there is one.
    pub bytes: usize,
    /// The most sentences.
    pub sentences: usize,
    /// How far to leave the most probable, in hundredths: 100 is how the author chose, less is plainer, 0 always takes what is
    /// most probable.
    pub temperature: u32,
    /// The same seed gives the same text.
    pub seed: u64,
}

impl Model {
    /// Writes on. The model does not learn from it. What it writes is UTF-8, of whole characters, without control
    /// characters but line ends.
    #[must_use]
    pub fn generate(&self, wish: &Wish<'_>) -> String {
        let mut writer = Writer {
            model: self,
            cursor: self.cursor.clone(),
            thought: Thought::new(),
            chance: Chance::new(wish.seed),
            out: Vec::new(),
            whole: 0,
            words: THREE_WORDS,
        };
        let prompt = if wish.prompt.is_empty() { "\n\n" } else { wish.prompt };
        for byte in prompt.bytes() {
            writer.read(byte);
        }
        let (mut sentences, mut last_end) = (0, 0);
        while writer.out.len() < wish.bytes {
            let byte = writer.choose(wish.temperature, prompt);
            if byte.is_ascii_whitespace() && text::ends_sentence(&writer.out) && last_end < writer.out.len() {
                sentences += 1;
                last_end = writer.out.len();
                if sentences >= wish.sentences || last_end >= wish.bytes - wish.bytes / 4 {
                    break;
                }
            }
            writer.write(byte);
        }
        let space = || writer.out.iter().rposition(u8::is_ascii_whitespace).unwrap_or(writer.whole);
        let end = if last_end > 0 { last_end } else { space() };
        writer.out.truncate(end);
        String::from_utf8(writer.out).unwrap_or_default()
    }
}

struct Writer<'a> {
    model: &'a Model,
    cursor: Cursor,
    thought: Thought,
    chance: Chance,
    out: Vec<u8>,
    /// Where the last whole character ends.
    whole: usize,
    /// The context in which the word under way is to have come before.
    words: usize,
}

impl Writer<'_> {
    fn read(&mut self, byte: u8) {
        for place in (0..8).rev() {
            self.cursor.read(u32::from(byte >> place & 1), &self.model.knowledge, &self.model.text);
        }
    }

    fn write(&mut self, byte: u8) {
        self.out.push(byte);
        if std::str::from_utf8(&self.out[self.whole..]).is_ok() {
            self.whole = self.out.len();
        }
        self.read(byte);
    }

    fn choose(&mut self, temperature: u32, prompt: &str) -> u8 {
        if self.cursor.past.letters == 0 {
            let three = self.chance.choose(&[100 - THREE_PERCENT, THREE_PERCENT]) == 1;
            self.words = if three { THREE_WORDS } else { TWO_WORDS };
        }
        let narrow_to_wide = [
            (Some(self.words), LIKELY),
            (Some(TWO_WORDS), LIKELY),
            (Some(self.words), POSSIBLE),
            (Some(TWO_WORDS), POSSIBLE),
            (Some(SIX_BYTES), POSSIBLE),
            (None, POSSIBLE),
            (None, u64::MAX),
        ];
        let mut candidates = Vec::new();
        for (known, cost_max) in narrow_to_wide {
            candidates = self.candidates(cost_max, known);
            candidates.retain(|&(byte, _)| self.allows(byte, prompt));
            if !candidates.is_empty() {
                break;
            }
        }
        let least = candidates.iter().map(|&(_, cost)| cost).min().unwrap_or_default();
        let weigh = |&(_, cost): &(u8, u64)| match temperature {
            0 => u64::from(cost == least),
            _ => half_to((cost - least).saturating_mul(100) / u64::from(temperature)),
        };
        let weights: Vec<u64> = candidates.iter().map(weigh).collect();
        candidates.get(self.chance.choose(&weights)).map_or(b'\n', |&(byte, _)| byte)
    }

    /// Whether a byte can come next: it goes on with a character, and is neither a control character, nor more of
    /// the same where there is enough, nor the mark that begins a line which somebody else wrote.
    fn allows(&self, byte: u8, prompt: &str) -> bool {
        let mut before = self.out.iter().rev().copied().chain(prompt.bytes().rev());
        let last = [before.next(), before.next(), before.next(), before.next()];
        let begun = !self.out.is_empty() || !prompt.ends_with(char::is_whitespace);
        // Within quotation marks that open here there is first a word.
        let opens = last[0] == Some(b'"') && last[1].is_none_or(|byte| byte.is_ascii_whitespace());
        let allowed = match byte {
            b'\n' | b' ' if opens => false,
            b'>' => last[0] != Some(b'\n'),
            b'\n' => begun && last[..2] != [Some(b'\n'); 2],
            b' ' => begun && last[0] != Some(b' '),
            _ => !byte.is_ascii_control() && (is_letter(byte) || last != [Some(byte); 4]),
        };
        if !allowed {
            return false;
        }
        let open = self.out.len() - self.whole;
        let mut character = [0; 4];
        character[..open].copy_from_slice(&self.out[self.whole..]);
        character[open] = byte;
        match std::str::from_utf8(&character[..=open]) {
            Ok(_) => true,
            Err(error) => error.error_len().is_none(),
        }
    }

    /// The bytes that cost no more, with what they cost; only those that came in a context before, if one is given.
    fn candidates(&mut self, cost_max: u64, known: Option<usize>) -> Vec<(u8, u64)> {
        let Model { knowledge, text, .. } = self.model;
        let mut candidates = Vec::new();
        let mut open = vec![(self.cursor.clone(), 0_u64)];
        while let Some((cursor, spent)) = open.pop() {
            let p = knowledge.predict(&cursor, text, &mut self.thought);
            for (bit, p) in [(0, ONE - p), (1, p)] {
                let spent = spent + cost(p);
                let came = known.is_none_or(|context| cursor.came(context, bit, knowledge));
                if spent > cost_max || !came {
                    continue;
                }
                if cursor.bits == 7 {
                    candidates.push(((cursor.partial << 1 | bit) as u8, spent));
                } else {
                    let mut next = cursor.clone();
                    next.read(bit, knowledge, text);
                    open.push((next, spent));
                }
            }
        }
        candidates
    }
}

/// 2^-`exponent`, of 2^40 parts; the exponent in 2^-16ths.
fn half_to(exponent: u64) -> u64 {
    let (whole, mut part) = (exponent >> 16, exponent & 0xffff);
    if whole >= 40 {
        return 0;
    }
    // 2^-(1/2), 2^-(1/4), …: each the square root of the one before.
    let (mut root, mut power) = (1_u128 << 61, 1_u128 << 62);
    while part != 0 {
        root = (root << 62).isqrt();
        part <<= 1;
        if part & 0x1_0000 != 0 {
            power = (power * root) >> 62;
            part &= 0xffff;
        }
    }
    (power >> (22 + whole)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_a_half() {
        assert_eq!(half_to(0), 1 << 40);
        assert_eq!(half_to(3 << 16), 1 << 37);
        for exponent in [1_u64, 777, 40_000, 65_535, 100_000, 1_000_000] {
            let exact = (-(exponent as f64) / 65_536.0).exp2() * (1_u64 << 40) as f64;
            assert!((half_to(exponent) as f64 / exact - 1.0).abs() < 1e-3, "{exponent}");
        }
        assert_eq!(half_to(u64::MAX), 0);
    }
}
