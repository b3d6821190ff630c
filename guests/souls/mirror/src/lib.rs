//! A mirror: learns how somebody writes from what it is taught, and speaks like them.
//!
//! | said to it | what it does |
//! |---|---|
//! | `teach TEXT` | learns the text, and says how new it was |
//! | `ask QUESTION` | says what it was taught that answers this |
//! | `continue TEXT` | goes on where the text ends |
//! | `page`, `page N` | writes a page; each number gives another |
//! | `cost TEXT` | says how many bits a character the text takes: the fewer, the more it is like what was taught |
//! | `about` | says how much it knows |
//! | anything else | answers |
//!
//! It is also trained by the node (`learner`): on what its person answered to what. Answers with a reward below 0 are not
//! learnt. Its `loss` is how many bits a character of such answers takes it.
//!
//! The text may follow in the next line. What it says follows from what it was taught, what is said to it, and its
//! seed: the same question is answered alike until it learns more.
//!
//! | setting | meaning |
//! |---|---|
//! | `text_bytes` | how much text is kept, 16384 to 524288, rounded up to a power of two; 524288 unless told. What is oldest goes first |
//! | `temperature` | how far it leaves what is most probable, in hundredths, up to 200; 80 unless told |
//! | `listen` | `true`: what is said to it in conversation is learnt too, after it has answered; `false` unless told |
//!
//! What limits it needs: see the README beside this crate.

mod commands;

use std::cell::RefCell;

use commands::Command;
use matrix_sdk::prelude::*;
use serde::de::Error as _;
use serde::{Deserializer, Serializer};
use writing::{Mirror, Model, Pair, Size, TEMPERATURE};

/// The hottest temperature that may be set.
const TEMPERATURE_MAX: u32 = 200;

/// One mirror.
pub struct Reflection {
    /// Not before it is needed: whoever is given a state has no use for an empty one beside it, and no memory. In a cell,
    /// because measuring changes it for a while.
    mirror: RefCell<Option<Mirror>>,
    /// What the manifest says: no part of the state.
    settings: Settings,
}

/// What a manifest says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Settings {
    size: Size,
    temperature: u32,
    listen: bool,
    seed: u64,
}

impl Settings {
    fn read(birth: &Birth) -> Result<Self, String> {
        let number = |name: &str, default: usize, least: usize, most: usize| {
            let Some(text) = birth.setting(name) else { return Ok(default) };
            let number = text.parse().ok().filter(|number| (least..=most).contains(number));
            number.ok_or_else(|| {
                format!("`{name} = {text}` in the config: give a number from {least} to {most}")
            })
        };
        let (least, most) = (Size::MIN.text_bytes(), Size::MAX.text_bytes());
        let listen = match birth.setting("listen") {
            None | Some("false") => false,
            Some("true") => true,
            Some(text) => return Err(format!("`listen = {text}` in the config: give `true` or `false`")),
        };
        let temperature = number("temperature", TEMPERATURE as usize, 0, TEMPERATURE_MAX as usize)?;
        Ok(Self {
            size: Size::of_text(number("text_bytes", most, least, most)?),
            temperature: u32::try_from(temperature).unwrap_or(TEMPERATURE),
            listen,
            seed: birth.seed,
        })
    }

    /// The chance of one answer.
    fn seed(&self, message: &str) -> u64 {
        message.bytes().fold(self.seed ^ 0xcbf2_9ce4_8422_2325, |sum, byte| {
            (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }
}

impl Reflection {
    /// Does what a message wants, and says what comes of it.
    fn answer(&mut self, message: &str) -> Result<String, String> {
        let Settings { temperature, .. } = self.settings;
        let seed = self.settings.seed(message);
        let mirror = known(self.mirror.get_mut(), self.settings.size);
        let unsaid = |said: String| if said.is_empty() { Err(KNOWS_NOTHING.to_owned()) } else { Ok(said) };
        match Command::read(message)? {
            Command::Teach(text) => {
                let lesson = mirror.teach(text);
                let each = lesson.bits / text.chars().count().max(1) as f64;
                Ok(format!("learnt {} bytes, at {each:.2} bits a character", lesson.bytes))
            }
            Command::Ask(question) => match mirror.recall(question) {
                Some(passage) => Ok(passage.text),
                None => Err("nothing that was taught answers this".to_owned()),
            },
            Command::Continue(text) => unsaid(mirror.go_on(text, temperature, seed)),
            Command::Page(number) => {
                unsaid(mirror.page(temperature, self.settings.seed.wrapping_add(number)))
            }
            Command::Cost(text) => Ok(format!("{:.3}", mirror.cost(text)?)),
            Command::About => Ok(about(mirror.model())),
            Command::Chat(text) => {
                let said = mirror.reply(text, temperature, seed);
                if self.settings.listen {
                    mirror.teach(text);
                }
                unsaid(said)
            }
        }
    }
}

/// What is known, or the beginning of it.
fn known(mirror: &mut Option<Mirror>, size: Size) -> &mut Mirror {
    mirror.get_or_insert_with(|| Mirror::new(size))
}

/// How much is known.
fn about(model: &Model) -> String {
    format!(
        "knows {} bytes of text, of {} that it keeps; they take {} bytes",
        model.text().len(),
        model.size().text_bytes(),
        model.saved_bytes()
    )
}

/// What one answers who was taught nothing.
const KNOWS_NOTHING: &str = "it was taught nothing yet: say `teach` and some text";

impl Soul for Reflection {
    fn init(birth: Birth) -> Result<Self, String> {
        let settings = Settings::read(&birth)?;
        Ok(Self { mirror: RefCell::default(), settings })
    }

    fn receive(&mut self, message: Message<'_>) -> Reply {
        self.answer(message.text()?).map(|said| Some(Content::text(said)))
    }
}

impl Learner for Reflection {
    fn train(&mut self, batch: &[Experience]) -> Result<Vec<Metric>, String> {
        let mirror = known(self.mirror.get_mut(), self.settings.size);
        let (mut bits, mut bytes) = (0.0, 0);
        for experience in batch {
            if let Some(pair) = pair(experience) {
                let lesson = mirror.learn_pair(pair, experience.weight());
                bits += lesson.bits;
                bytes += lesson.bytes;
            }
        }
        let loss = if bytes == 0 { 0.0 } else { bits / bytes as f64 };
        Ok(vec![Metric::new("loss", loss), Metric::new("bytes", bytes as f64)])
    }

    fn evaluate(&self, batch: &[Experience]) -> Result<Vec<Metric>, String> {
        let mut mirror = self.mirror.borrow_mut();
        let good = batch.iter().filter(|experience| experience.weight() >= 0.0);
        let pairs: Vec<Pair<'_>> = good.filter_map(pair).collect();
        Ok(vec![Metric::new("loss", known(&mut mirror, self.settings.size).evaluate(&pairs))])
    }
}

/// What was said and answered, if it is text: turns of a Matrix often are none.
fn pair(experience: &Experience) -> Option<Pair<'_>> {
    Some(Pair { input: experience.input_text().ok()?, output: experience.output_text().ok()? })
}

impl Default for Reflection {
    fn default() -> Self {
        let settings = Settings { size: Size::MAX, temperature: TEMPERATURE, listen: false, seed: 0 };
        Self { mirror: RefCell::default(), settings }
    }
}

impl Serialize for Reflection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Nothing at all is the state of one that was taught nothing.
        let mirror = self.mirror.borrow();
        let model = mirror.as_ref().map(Mirror::model).filter(|model| !model.text().is_empty());
        let saved = model.map(Model::save);
        serializer.serialize_bytes(&saved.unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for Reflection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let saved = <&[u8]>::deserialize(deserializer)?;
        let model = (!saved.is_empty()).then(|| Model::load(saved)).transpose().map_err(D::Error::custom)?;
        Ok(Self { mirror: RefCell::new(model.map(Mirror::of)), ..Self::default() })
    }
}

impl Stateful for Reflection {
    const SCHEMA: &'static str = "mirror/1";

    fn adopt(&mut self, state: Self) {
        let size = self.settings.size;
        self.mirror = RefCell::new(state.mirror.into_inner().map(|mirror| mirror.resized(size)));
    }
}

matrix_sdk::soul!(Reflection: stateful, learner);

#[cfg(test)]
mod tests;
