//! Souls that learn.

pub use crate::bindings::learner::exports::matrix::node::learner::{Experience, Source};
use crate::soul::Soul;
use crate::types::Metric;

/// A Soul that learns from experience. The node keeps the experience, and decides when it is learnt from.
///
/// `train` is called on a copy of the Soul: another instance, born as every one is and given the Soul's state, which
/// answers nobody. So all that is learnt belongs to the state ([`Stateful`](crate::Stateful)), and training may take
/// its time. Some experience is held out, and never trained on; by it `evaluate` is asked before and after, and the new
/// state is kept only if it is no worse. Where the Soul's state also changes by what it receives, say
/// `learning.mode = "in-place"` in its manifest: it then waits while its copy learns.
pub trait Learner: Soul {
    /// Learns from a batch, in order. The metrics say how it went, for whoever watches.
    ///
    /// # Errors
    /// Says why the batch is of no use; nothing of it is kept, and it is not tried again.
    fn train(&mut self, batch: &[Experience]) -> Result<Vec<Metric>, String>;

    /// Measures what has been learnt, on experience that is never trained on: at least the metric that the manifest
    /// judges by, `loss` unless it says otherwise.
    ///
    /// # Errors
    /// Says why it cannot be measured; nothing that was learnt is then kept.
    fn evaluate(&self, batch: &[Experience]) -> Result<Vec<Metric>, String>;
}

impl Experience {
    /// What was said or seen, as text.
    ///
    /// # Errors
    /// Where it is not UTF-8.
    pub fn input_text(&self) -> Result<&str, String> {
        text(&self.input, "input")
    }

    /// What was, or should have been, the answer, as text.
    ///
    /// # Errors
    /// Where it is not UTF-8.
    pub fn output_text(&self) -> Result<&str, String> {
        text(&self.output, "output")
    }

    /// How much the answer counts: its reward, 1 where none is known.
    #[must_use]
    pub fn weight(&self) -> f64 {
        self.reward.unwrap_or(1.0)
    }
}

impl Metric {
    /// A figure of this name.
    pub fn new(name: impl Into<String>, value: f64) -> Self {
        Self { name: name.into(), value }
    }
}

fn text<'a>(bytes: &'a [u8], which: &str) -> Result<&'a str, String> {
    std::str::from_utf8(bytes).map_err(|error| format!("the {which} is not text in UTF-8: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn experience_is_read_as_text() {
        let experience = Experience {
            id: 1,
            source: Source::User,
            input: b"red".to_vec(),
            output: vec![0xFF],
            reward: None,
            at: 0,
        };
        assert_eq!(experience.input_text(), Ok("red"));
        assert!(experience.output_text().unwrap_err().starts_with("the output"));
        assert_eq!(experience.weight(), 1.0);
        assert_eq!(Experience { reward: Some(-1.0), ..experience }.weight(), -1.0);
    }
}
