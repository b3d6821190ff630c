//! How a Soul learns: the part `learning` of its manifest.

use serde::{Deserialize, Serialize};

use super::capture::Capture;
use super::manifest::ManifestError;
use crate::runtime::learner::FIGURE_NAME_BYTES_MAX;

/// After so many experiences a Soul is trained, where its manifest says nothing.
const EVERY_EXPERIENCES: u32 = 64;
/// After so many seconds, if any wait.
const EVERY_SECONDS: u32 = 60;
/// So many are trained on at once.
const BATCH: u32 = 256;
/// The most that may be.
pub const BATCH_MAX: u32 = 4_096;
/// So many in a hundred are held out.
const HELD_OUT_PERCENT: u8 = 10;
/// The most that may be.
pub const HELD_OUT_PERCENT_MAX: u8 = 50;
/// The figure by which it is judged whether a Soul got worse.
const METRIC: &str = "loss";
/// By how much of itself that figure may get worse.
const TOLERANCE: f64 = 0.05;

/// Where a Soul is trained.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrainingMode {
    /// Beside the Soul, which goes on: for Souls whose state changes by training only. What they learnt is taken up if
    /// the state is still the one that learning began with.
    #[default]
    Beside,
    /// The Soul waits meanwhile, between two messages.
    InPlace,
}

/// How a Soul learns. 0, and an empty text, mean the default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Training {
    /// It is trained when somebody asks for it, and never by itself.
    pub manual: bool,
    /// It is trained when so many experiences wait: 64 unless told.
    pub every_experiences: u32,
    /// It is trained after so many seconds, if any wait: 60 unless told.
    pub every_seconds: u32,
    /// The most that it is trained on at once: 256 unless told.
    pub batch: u32,
    /// Where it is trained.
    pub mode: TrainingMode,
    /// So many in a hundred are held out, never trained on, and measured by: 10 unless told.
    pub held_out_percent: Option<u8>,
    /// The figure of `evaluate` by which it is judged: `loss` unless told.
    pub metric: String,
    /// Of this figure, more is better.
    pub more_is_better: bool,
    /// By how much of itself the figure may get worse, and what was learnt is still kept: 0.05 unless told.
    pub tolerance: Option<f64>,
    /// What of all that it does is added to its experience.
    pub capture: Vec<Capture>,
}

impl Training {
    /// Whether it says nothing.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// After how many experiences.
    pub fn every_experiences(&self) -> u64 {
        or(self.every_experiences, EVERY_EXPERIENCES).into()
    }

    /// After how many seconds.
    pub fn every_seconds(&self) -> u64 {
        or(self.every_seconds, EVERY_SECONDS).into()
    }

    /// How many at once.
    pub fn batch(&self) -> usize {
        or(self.batch, BATCH) as usize
    }

    /// How many in a hundred are held out.
    pub fn held_out_percent(&self) -> u8 {
        self.held_out_percent.unwrap_or(HELD_OUT_PERCENT)
    }

    /// The figure that counts.
    pub fn metric(&self) -> &str {
        if self.metric.is_empty() { METRIC } else { &self.metric }
    }

    /// By how much of itself it may get worse.
    pub fn tolerance(&self) -> f64 {
        self.tolerance.unwrap_or(TOLERANCE)
    }

    /// Checks every bound.
    pub(super) fn check(&self) -> Result<(), ManifestError> {
        let wrong = |field, problem: String| Err(ManifestError::Field { field, problem });
        if self.batch > BATCH_MAX {
            return wrong("learning.batch", format!("is {}: use at most {BATCH_MAX}", self.batch));
        }
        let percent = self.held_out_percent();
        if percent > HELD_OUT_PERCENT_MAX {
            let problem = format!("is {percent}: use at most {HELD_OUT_PERCENT_MAX}");
            return wrong("learning.held_out_percent", problem);
        }
        if self.capture.len() > 2 {
            return wrong("learning.capture", format!("has {} entries: name each once", self.capture.len()));
        }
        if self.metric.len() > FIGURE_NAME_BYTES_MAX {
            let problem = format!("has {} bytes: use at most {FIGURE_NAME_BYTES_MAX}", self.metric.len());
            return wrong("learning.metric", problem);
        }
        if !(0.0..=f64::MAX).contains(&self.tolerance()) {
            return wrong("learning.tolerance", "is no number of 0 or more".to_owned());
        }
        Ok(())
    }
}

fn or(said: u32, default: u32) -> u32 {
    if said == 0 { default } else { said }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_bounds_is_refused_by_name() {
        assert_eq!(Training::default().check(), Ok(()));
        let refused = |training: Training| training.check().expect_err("out of bounds").to_string();
        assert!(refused(Training { batch: 4_097, ..Training::default() }).contains("`learning.batch`"));
        let training = Training { held_out_percent: Some(51), ..Training::default() };
        assert!(refused(training).contains("`learning.held_out_percent`"));
        let training = Training { metric: "x".repeat(65), ..Training::default() };
        assert!(refused(training).contains("`learning.metric`"));
        for tolerance in [-0.1, f64::NAN, f64::INFINITY] {
            let training = Training { tolerance: Some(tolerance), ..Training::default() };
            assert!(refused(training).contains("`learning.tolerance`"));
        }
    }
}
