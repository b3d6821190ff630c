//! Somebody's mirror: learns how they write and what they said, and speaks like them.

use crate::generator::Wish;
use crate::model::{Model, Size};
use crate::passages::{self, Passage};
use crate::text;

/// The longest text whose cost is measured at once, in bytes: what measuring changes is put aside in memory.
pub const MEASURED_BYTES_MAX: usize = 16 * 1024;

/// The most bytes of pairs that are evaluated at once: it takes time.
pub const EVALUATED_BYTES_MAX: usize = 256 * 1024;

/// How much of a question a passage must have, in hundredths, to be an answer.
const SHARE_MIN: u32 = 60;

/// How much of it what only comes to mind must have.
const SHARE_REMINDED: u32 = 25;

/// How many answers are thought of before one is given.
const TRIES: u64 = 4;

/// How far a mirror leaves what is most probable, in hundredths, unless told.
pub const TEMPERATURE: u32 = 80;

/// A mirror. Everything that it says follows from what it was taught and asked, and from a seed.
#[derive(Debug, Clone)]
pub struct Mirror {
    model: Model,
}

/// What learning a text was like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lesson {
    /// How many bytes it has.
    pub bytes: usize,
    /// How many bits it took to be told them: the more, the newer.
    pub bits: f64,
}

/// What somebody said, to what, and how good it was.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    /// What was said to them; empty: nothing.
    pub input: &'a str,
    /// What they said.
    pub output: &'a str,
}

impl Mirror {
    /// One that knows nothing.
    #[must_use]
    pub fn new(size: Size) -> Self {
        Self { model: Model::new(size) }
    }

    /// One that knows what a model does.
    #[must_use]
    pub fn of(model: Model) -> Self {
        Self { model }
    }

    /// The model of how its person writes.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The same with another size.
    #[must_use]
    pub fn resized(self, size: Size) -> Self {
        Self { model: self.model.resized(size) }
    }

    /// Learns what its person wrote. A text is a paragraph, or several: what is sent in pieces is cut between
    /// paragraphs.
    pub fn teach(&mut self, text: &str) -> Lesson {
        self.learn(text.trim_matches('\n'))
    }

    /// Learns what its person said to something. What was not good, of a reward below 0, is not learnt.
    pub fn learn_pair(&mut self, pair: Pair<'_>, reward: f64) -> Lesson {
        if reward < 0.0 {
            return Lesson { bytes: 0, bits: 0.0 };
        }
        self.learn(&format!("{}{}", quoted(pair.input), one_paragraph(pair.output)))
    }

    fn learn(&mut self, text: &str) -> Lesson {
        if text.is_empty() {
            return Lesson { bytes: 0, bits: 0.0 };
        }
        let bits = self.model.learn(format!("{text}\n\n").as_bytes());
        Lesson { bytes: text.len(), bits }
    }

    /// How many bits a character its person's answers take, each told after what it answers, none of them learnt.
    /// Pairs longer than [`MEASURED_BYTES_MAX`] are left out, and so is what comes after [`EVALUATED_BYTES_MAX`]. 0 where
    /// there is nothing to measure.
    pub fn evaluate(&mut self, pairs: &[Pair<'_>]) -> f64 {
        let (mut bits, mut characters, mut measured) = (0.0, 0, 0);
        for pair in pairs {
            let (before, output) = (quoted(pair.input), one_paragraph(pair.output));
            let bytes = before.len() + output.len();
            if bytes > MEASURED_BYTES_MAX || measured + bytes > EVALUATED_BYTES_MAX {
                continue;
            }
            measured += bytes;
            bits += self.model.cost(before.as_bytes(), output.as_bytes());
            characters += output.chars().count();
        }
        if characters == 0 { 0.0 } else { bits / characters as f64 }
    }

    /// How many bits a character a text takes: the fewer, the more it is like what was taught.
    ///
    /// # Errors
    /// Where the text is empty, or longer than [`MEASURED_BYTES_MAX`].
    pub fn cost(&mut self, text: &str) -> Result<f64, String> {
        match text.len() {
            0 => Err("there is no text to measure".to_owned()),
            1..=MEASURED_BYTES_MAX => Ok(self.model.cost(b"", text.as_bytes()) / text.chars().count() as f64),
            bytes => Err(format!("{bytes} bytes are too much at once: measure at most {MEASURED_BYTES_MAX}")),
        }
    }

    /// What was taught that answers a question.
    #[must_use]
    pub fn recall(&self, question: &str) -> Option<Passage> {
        self.passage(question).filter(|passage| passage.share >= SHARE_MIN)
    }

    fn passage(&self, question: &str) -> Option<Passage> {
        passages::find(&String::from_utf8_lossy(self.model.text()), question)
    }

    /// Answers: by what was taught, where something fits, and then in the style of what was taught. Where nothing
    /// fits, what comes nearest gives the first words.
    #[must_use]
    pub fn reply(&self, message: &str, temperature: u32, seed: u64) -> String {
        let near = self.passage(message);
        match near {
            Some(fact) if fact.share >= SHARE_MIN => {
                let more = self.think(&format!("\n\n{}\n\n", fact.text), "", 1, message, temperature, seed);
                if more.is_empty() || more == fact.text { fact.text } else { format!("{} {more}", fact.text) }
            }
            Some(near) if near.share >= SHARE_REMINDED => {
                let first: Vec<&str> = near.text.split_inclusive(' ').take(3).collect();
                self.think("\n\n", &first.concat(), 2, message, temperature, seed)
            }
            _ => self.think(&format!("\n\n{}", quoted(message)), "", 2, message, temperature, seed),
        }
    }

    /// Of some things that come to mind, the one that has most to do with what was said.
    fn think(
        &self,
        before: &str,
        first: &str,
        sentences: usize,
        of: &str,
        temperature: u32,
        seed: u64,
    ) -> String {
        let prompt = format!("{before}{first}");
        let tried = (0..TRIES).map(|attempt| {
            let seed = seed.wrapping_add(attempt);
            let wish = Wish { prompt: &prompt, bytes: 400, sentences, temperature, seed };
            let said = text::in_one_line(&format!("{first}{}", self.model.generate(&wish)));
            let fit = passages::find(&said, of).map_or(0, |passage| passage.share);
            (fit, TRIES - attempt, said)
        });
        tried.max().map(|(_, _, said)| text::closed(said)).unwrap_or_default()
    }

    /// Goes on where a text ends.
    #[must_use]
    pub fn go_on(&self, prompt: &str, temperature: u32, seed: u64) -> String {
        self.model.generate(&Wish { prompt, bytes: 600, sentences: 4, temperature, seed })
    }

    /// Writes a page.
    #[must_use]
    pub fn page(&self, temperature: u32, seed: u64) -> String {
        let wish = Wish { prompt: "", bytes: 1_800, sentences: usize::MAX, temperature, seed };
        let written = self.model.generate(&wish);
        text::paragraphs(&written).map(text::in_one_line).collect::<Vec<_>>().join("\n\n")
    }
}

/// What somebody else said, as it stands in front of an answer.
fn quoted(said: &str) -> String {
    let said = text::in_one_line(said);
    if said.is_empty() { said } else { format!("> {said}\n") }
}

/// A text without blank lines.
fn one_paragraph(said: &str) -> String {
    let lines: Vec<&str> = said.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines.join("\n")
}
