//! A model of how somebody writes.

use std::fmt;

use crate::coder::{Coder, Decoder};
use crate::cursor::Cursor;
use crate::logistic::{ONE, cost};
use crate::predictor::{Knowledge, Thought};

/// The longest code that a model keeps, in bytes: a node keeps a state up to 768 KiB in one value.
pub const CODE_BYTES_MAX: usize = 640 * 1024;

/// What [`Model::save`] begins with: the version of the model, as another one reads the same code as another text.
const VERSION: u8 = 1;

/// Bytes before the code: version, size, length of the text, its checksum.
const HEADER: usize = 1 + 1 + 4 + 8;

/// How much a model keeps, and with it how much memory it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u8);

impl Size {
    /// The largest: 512 KiB of text, in about 42 MiB of memory.
    pub const MAX: Self = Self(19);
    /// The smallest: 16 KiB of text.
    pub const MIN: Self = Self(14);

    /// The smallest size that keeps as many bytes of text, or else [`Size::MAX`].
    #[must_use]
    pub fn of_text(bytes: usize) -> Self {
        let exponent = bytes.max(1).next_power_of_two().trailing_zeros();
        Self(u8::try_from(exponent).unwrap_or(u8::MAX)).clamp(Self::MIN, Self::MAX)
    }

    /// The most bytes of text that are kept.
    #[must_use]
    pub fn text_bytes(self) -> usize {
        1 << self.0
    }
}

/// Why a saved model cannot be taken up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadError {
    /// It is too short, or too long, to be one.
    Length(usize),
    /// Another version of this code saved it.
    Version(u8),
    /// It claims a size that there is not, or more text than its size keeps.
    Size,
    /// Its code is not what comes of the text that it is read as.
    Damaged,
}

impl fmt::Display for LoadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(bytes) => write!(out, "{bytes} bytes are no model of writing"),
            Self::Version(version) => {
                write!(out, "a model of writing of version {version}; this code reads version {VERSION}")
            }
            Self::Size => out.write_str("a model of writing that claims a size which there is not"),
            Self::Damaged => out.write_str("a model of writing that is damaged"),
        }
    }
}

impl std::error::Error for LoadError {}

/// Learns how somebody writes from what they wrote, byte by byte, and says how probable each next byte is.
///
/// All that it knows follows from the text that it was taught, in this order, with nothing known beforehand: so the
/// text is what is saved, coded by the model itself as it learns. The same text makes the same model, to the bit, on
/// every machine.
#[derive(Debug, Clone)]
pub struct Model {
    size: Size,
    pub(crate) knowledge: Knowledge,
    pub(crate) cursor: Cursor,
    thought: Thought,
    pub(crate) text: Vec<u8>,
    coder: Coder,
    forgot: bool,
}

impl Model {
    /// A model that has read nothing.
    #[must_use]
    pub fn new(size: Size) -> Self {
        Self {
            size,
            knowledge: Knowledge::new(u32::from(size.0) + 1),
            cursor: Cursor::new(),
            thought: Thought::new(),
            text: Vec::new(),
            coder: Coder::new(),
            forgot: false,
        }
    }

    /// Reads a text and learns from it; returns how many bits it took to be told it, which is how much of it was new.
    ///
    /// A text for which there is no room makes the model forget the oldest quarter, and learn the rest anew: this takes
    /// as long as everything that is kept did. Of a text that is longer than what is kept, the end is learnt.
    pub fn learn(&mut self, text: &[u8]) -> f64 {
        let room = self.size.text_bytes();
        if self.text.len() + text.len() > room {
            let kept = (room - room / 4).saturating_sub(text.len());
            self.forget(kept);
        }
        let text = &text[text.len() - text.len().min(room)..];
        let bits = self.take_in(text);
        while self.coder.len() > CODE_BYTES_MAX {
            self.forget(self.text.len() / 2);
        }
        bits
    }

    /// Forgets all but the youngest bytes, from where a paragraph, a line or at least a character begins.
    fn forget(&mut self, kept: usize) {
        let from = self.text.len() - kept.min(self.text.len());
        let rest = &self.text[from..];
        let near = &rest[..rest.len().min(4096)];
        let paragraph = near.windows(2).position(|pair| pair == b"\n\n").map(|at| at + 2);
        let line = || near.iter().position(|&byte| byte == b'\n').map(|at| at + 1);
        let character = || near.iter().take(4).position(|&byte| byte & 0xc0 != 0x80);
        let skipped = paragraph.or_else(line).or_else(character).unwrap_or(0);
        let rest = rest[skipped..].to_vec();
        // In place: there may be no memory for another.
        self.knowledge.forget();
        (self.cursor, self.coder, self.forgot) = (Cursor::new(), Coder::new(), true);
        self.text.clear();
        self.take_in(&rest);
    }

    fn take_in(&mut self, text: &[u8]) -> f64 {
        let mut bits = 0;
        for &byte in text {
            for place in (0..8).rev() {
                bits += self.step(|_, _| u32::from(byte >> place & 1), true);
            }
        }
        in_bits(bits)
    }

    /// Goes on by the bit that is chosen, knowing its probability; returns its cost.
    fn step(&mut self, choose: impl FnOnce(&Coder, i32) -> u32, coded: bool) -> u64 {
        let p = self.knowledge.predict(&self.cursor, &self.text, &mut self.thought);
        let bit = choose(&self.coder, p);
        if coded {
            self.coder.encode(p, bit);
        }
        self.knowledge.learn(&self.cursor, &self.thought, bit);
        self.cursor.learn(bit, &mut self.knowledge, &mut self.text);
        cost(if bit == 1 { p } else { ONE - p })
    }

    /// How many bits it takes to be told a text after another one, learning from both on the way. The model is what it
    /// was afterwards. (What it changes it puts back: this takes less memory than a copy.)
    pub fn cost(&mut self, before: &[u8], text: &[u8]) -> f64 {
        let (cursor, skill, length) = (self.cursor.clone(), self.knowledge.skill.clone(), self.text.len());
        self.knowledge.table.keep();
        let mut bits = 0;
        for (at, &byte) in before.iter().chain(text).enumerate() {
            for place in (0..8).rev() {
                let one = self.step(|_, _| u32::from(byte >> place & 1), false);
                bits += if at < before.len() { 0 } else { one };
            }
        }
        self.knowledge.table.roll_back();
        self.text.truncate(length);
        (self.cursor, self.knowledge.skill) = (cursor, skill);
        in_bits(bits)
    }

    /// The text that is kept.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// How much it keeps.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// How long [`save`](Self::save) is, in bytes.
    #[must_use]
    pub fn saved_bytes(&self) -> usize {
        HEADER + self.coder.len()
    }

    /// Whether it had to forget since it came to life.
    #[must_use]
    pub fn forgot(&self) -> bool {
        self.forgot
    }

    /// The same with another size: what there is room for is learnt anew.
    #[must_use]
    pub fn resized(self, size: Size) -> Self {
        if size == self.size {
            return self;
        }
        // What is known is let go before there is another: there may be no memory for both.
        let text = { self }.text;
        let mut model = Self::new(size);
        model.learn(&text);
        model
    }

    /// All that it is, in about a quarter of the length of the text, and never more than [`CODE_BYTES_MAX`] and some
    /// bytes. Takes no time: the code was made as the text was learnt.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.saved_bytes());
        bytes.extend([VERSION, self.size.0]);
        bytes.extend((self.text.len() as u32).to_le_bytes());
        bytes.extend(checksum(&self.text).to_le_bytes());
        bytes.extend(self.coder.code());
        bytes
    }

    /// Takes up what [`save`](Self::save) gave. This learns the text again, and takes as long.
    ///
    /// # Errors
    /// Where the bytes are not what `save` gives: whatever they are, they are refused and nothing worse.
    pub fn load(bytes: &[u8]) -> Result<Self, LoadError> {
        if bytes.len() > HEADER + CODE_BYTES_MAX {
            return Err(LoadError::Length(bytes.len()));
        }
        let (head, code) = bytes.split_at_checked(HEADER).ok_or(LoadError::Length(bytes.len()))?;
        if head[0] != VERSION {
            return Err(LoadError::Version(head[0]));
        }
        let size = Size(head[1]);
        let length = head[2..6].iter().rev().fold(0, |sum, &byte| sum << 8 | usize::from(byte));
        if size < Size::MIN || size > Size::MAX || length > size.text_bytes() {
            return Err(LoadError::Size);
        }
        let mut model = Self::new(size);
        let mut decoder = Decoder::new(code);
        for _ in 0..length * 8 {
            let before = model.coder.len();
            model.step(|coder, p| decoder.bit(coder, p), true);
            decoder.shift(model.coder.len() - before);
            // What codes to something else than what was read, or is longer, is found out before it is read whole.
            if model.coder.len() > code.len() {
                return Err(LoadError::Damaged);
            }
        }
        if model.save() == bytes { Ok(model) } else { Err(LoadError::Damaged) }
    }
}

fn in_bits(cost: u64) -> f64 {
    cost as f64 / 65_536.0
}

/// FNV-1a of 64 bits.
fn checksum(text: &[u8]) -> u64 {
    text.iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
