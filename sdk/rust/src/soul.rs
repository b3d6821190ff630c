//! What makes a type a Soul.

pub use crate::bindings::agent::exports::matrix::node::agent::{Birth, Persona, Value};
use crate::types::{Message, Reply};

/// A Soul: it is born, and it receives. One message at a time; nothing interrupts it.
pub trait Soul: Default + 'static {
    /// Called once for each instance, before anything else: makes the Soul from its manifest. A saved
    /// state is given afterwards, to [`Stateful::adopt`](crate::Stateful::adopt). By default the birth
    /// is ignored.
    ///
    /// # Errors
    /// Says which part of the manifest is wrong; the Soul then does not start.
    fn init(birth: Birth) -> Result<Self, String> {
        drop(birth);
        Ok(Self::default())
    }

    /// Handles one message. `Ok(None)` answers nothing.
    ///
    /// # Errors
    /// The text goes back to the sender, as the failure of its message.
    fn receive(&mut self, message: Message<'_>) -> Reply;
}

/// What one seat sees at one tick.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Turn<'a> {
    /// The seat in the Matrix that this turn is for: a player may hold many.
    pub seat: u32,
    /// What there is to see, in the rules' observation type.
    pub observation: &'a [u8],
    /// What the last action in this seat earned.
    pub reward: f64,
    /// No action will follow: the seat's game is over.
    pub final_: bool,
}

/// A Soul that can take part in a Matrix.
pub trait Player: Soul {
    /// Decides one turn of one tick, in the rules' action type. What is returned for a turn that
    /// [`is_final`](Turn::is_final) is dropped.
    ///
    /// # Errors
    /// An error costs the player all turns of the tick.
    fn act(&mut self, matrix: &str, tick: u64, turn: &Turn<'_>) -> Result<Vec<u8>, String>;

    /// Decides all turns of one tick at once: one action a turn, in the same order. By default each
    /// turn on its own; a Soul that thinks in batches does better.
    ///
    /// # Errors
    /// As for [`act`](Self::act).
    fn act_all(&mut self, matrix: &str, tick: u64, turns: &[Turn<'_>]) -> Result<Vec<Vec<u8>>, String> {
        turns.iter().map(|turn| self.act(matrix, tick, turn)).collect()
    }
}

impl Birth {
    /// The Soul's setting of this name, from its manifest.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.config.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl Persona {
    /// Somebody of whom only this is known, in a sentence or two.
    pub fn new(description: impl Into<String>) -> Self {
        Self { description: description.into(), traits: Vec::new(), values: Vec::new() }
    }

    /// One more word that describes it.
    #[must_use]
    pub fn with_trait(mut self, word: impl Into<String>) -> Self {
        self.traits.push(word.into());
        self
    }

    /// What it seeks (up to 1) or shuns (down to -1) as well.
    #[must_use]
    pub fn with_value(mut self, name: impl Into<String>, weight: f32) -> Self {
        self.values.push(Value { name: name.into(), weight });
        self
    }

    /// Whether this word describes it.
    #[must_use]
    pub fn is(&self, word: &str) -> bool {
        self.traits.iter().any(|described| described == word)
    }
}

/// What a Soul values, by name.
pub trait Values {
    /// How much a value weighs, from -1 (shuns) to 1 (seeks); none: it is no matter to the Soul. Of two with one name the
    /// last one counts.
    fn weight(&self, name: &str) -> Option<f32>;
}

impl Values for [Value] {
    fn weight(&self, name: &str) -> Option<f32> {
        self.iter().rev().find(|value| value.name == name).map(|value| value.weight)
    }
}

impl Turn<'_> {
    /// Whether the seat's game is over: no action will follow, and the answer is dropped.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.final_
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_looked_up_by_name() {
        let persona = Persona::new("kind").with_trait("patient").with_value("honesty", 0.5);
        let persona = persona.with_value("gold", -1.0).with_value("honesty", 1.0);
        assert_eq!(persona.values.weight("honesty"), Some(1.0));
        assert_eq!((persona.values.weight("gold"), persona.values.weight("fame")), (Some(-1.0), None));
        assert!(persona.is("patient") && !persona.is("kind"));
    }
}
