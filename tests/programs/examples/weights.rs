//! Keeps a state of as many bytes as it is told, as the weights of a model are kept: of which little changes at a time.
//! `grow N` makes it that long, and all of it another, as the setting `bytes` does at its birth; `add N` adds to a number and
//! notes that at one place, `note PLACE` notes something there; `get` tells the number, and `sum` what all of it comes to. A
//! lesson adds as many as it is taught.

use matrix_sdk::prelude::*;
use programs::{command, say};

/// Bytes before the weights.
const TOTAL_BYTES: usize = 8;
/// How far the places are from each other at which additions are noted: a prime.
const STEP: u64 = 655_373;

/// A number, and the weights.
#[derive(Default, Serialize, Deserialize)]
struct Weights {
    total: u64,
    weights: Vec<u8>,
}

impl Weights {
    fn grow(&mut self, bytes: usize) {
        self.weights = Vec::new();
        let weight = |place: usize| (place % 251) as u8 ^ (place >> 16) as u8 ^ self.total as u8;
        self.weights = (0..bytes.saturating_sub(TOTAL_BYTES)).map(weight).collect();
    }

    fn add(&mut self, number: u64) {
        self.total = self.total.wrapping_add(number);
        self.note(self.total.wrapping_mul(STEP));
    }

    fn note(&mut self, place: u64) {
        let length = self.weights.len().max(1) as u64;
        if let Some(weight) = self.weights.get_mut((place % length) as usize) {
            *weight = weight.wrapping_add(1);
        }
    }

    /// FNV-1a of all of it, eight bytes at a time.
    fn sum(&self) -> u64 {
        let words =
            self.weights.chunks(8).map(|word| word.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)));
        let mix = |sum: u64, word: u64| (sum ^ word).wrapping_mul(0x0100_0000_01b3);
        words.chain([self.total]).fold(0xcbf2_9ce4_8422_2325, mix)
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|error| format!("`{text}` is no number: {error}"))
}

impl Soul for Weights {
    fn init(birth: Birth) -> Result<Self, String> {
        let mut born = Self::default();
        if let Some(bytes) = birth.setting("bytes") {
            born.grow(number(bytes)? as usize);
        }
        Ok(born)
    }

    fn receive(&mut self, message: Message<'_>) -> Reply {
        let (word, argument) = command(&message)?;
        match word.as_str() {
            "grow" => self.grow(number(&argument)? as usize),
            "add" => self.add(number(&argument)?),
            "note" => self.note(number(&argument)?),
            "get" => {}
            "sum" => return say(format!("{} {:016x}", self.weights.len() + TOTAL_BYTES, self.sum())),
            _ => return Err("say `grow N`, `add N`, `note PLACE`, `get` or `sum`".to_owned()),
        }
        say(self.total)
    }
}

impl Stateful for Weights {
    const SCHEMA: &'static str = "weights/1";

    fn snapshot(&self) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::with_capacity(TOTAL_BYTES + self.weights.len());
        bytes.extend_from_slice(&self.total.to_le_bytes());
        bytes.extend_from_slice(&self.weights);
        Ok(bytes)
    }

    fn decode(_schema: &str, bytes: &[u8]) -> Result<Self, String> {
        let (total, weights) = bytes.split_first_chunk().ok_or("a number comes first")?;
        Ok(Self { total: u64::from_le_bytes(*total), weights: weights.to_vec() })
    }
}

impl Learner for Weights {
    fn train(&mut self, batch: &[Experience]) -> Result<Vec<Metric>, String> {
        self.add(batch.len() as u64);
        self.evaluate(batch)
    }

    fn evaluate(&self, _batch: &[Experience]) -> Result<Vec<Metric>, String> {
        Ok(vec![Metric::new("loss", 0.0)])
    }
}

matrix_sdk::soul!(Weights: stateful, learner);
