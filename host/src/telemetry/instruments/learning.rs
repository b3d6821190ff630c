//! What is counted of Souls that learn.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};

use crate::ids::SoulName;
use crate::telemetry::metrics::{SecondsBy, TotalBy};

/// Of how many Souls it is told what their last lessons came to.
const SOULS_MAX: usize = 64;

/// What `learning` counts.
#[derive(Debug, Clone)]
pub struct LearningMetrics {
    /// `matrix_experiences_total{source}`: experiences added, by `user`, `api`, `conversation` or `matrix`.
    pub experiences: TotalBy,
    /// `matrix_lessons_total{verdict}`: trainings of Souls, by `kept`, `rejected`, `failed`, or `delayed`: put off.
    pub lessons: TotalBy,
    /// `matrix_lesson_experiences_total{verdict}`: experiences that they were trained on.
    pub learnt_from: TotalBy,
    /// `matrix_lesson_seconds{verdict}`: how long they took.
    pub seconds: SecondsBy,
    /// `matrix_lesson_metric{soul,when}`: the figure that judged the last of each Soul, `before` and `after`.
    pub judged: Judged,
}

/// A Soul, and the figure that judged its last lesson, by when it was measured.
type Curve = (SoulName, Vec<(&'static str, f64)>);

/// What the last lessons came to, of the Souls that were trained last: only what is looked at costs anything, so that names of
/// Souls may be labels here. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Judged(Arc<Mutex<VecDeque<Curve>>>);

impl Judged {
    fn new(meter: &Meter) -> Self {
        let this = Self::default();
        let told = this.clone();
        let gauge = meter.f64_observable_gauge("matrix_lesson_metric");
        let gauge = gauge.with_description("The figure that judged a Soul's last training.");
        let look = move |observer: &dyn AsyncInstrument<f64>| {
            for (soul, figures) in told.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                for (when, value) in figures {
                    let labels = [KeyValue::new("soul", soul.to_string()), KeyValue::new("when", *when)];
                    observer.observe(*value, &labels);
                }
            }
        };
        gauge.with_callback(look).build();
        this
    }

    /// A Soul was trained, and measured by these figures.
    pub fn record(&self, soul: &SoulName, figures: Vec<(&'static str, f64)>) {
        let mut curves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        curves.retain(|(known, _)| known != soul);
        curves.push_back((soul.clone(), figures));
        if curves.len() > SOULS_MAX {
            curves.pop_front();
        }
    }

    /// There is no such Soul any more.
    pub fn forget(&self, soul: &SoulName) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|(known, _)| known != soul);
    }
}

impl LearningMetrics {
    pub(super) fn new(meter: &Meter) -> Self {
        let experiences = "What Souls were given to learn from.";
        let trained = "Experiences that Souls were trained on.";
        Self {
            experiences: TotalBy::new(meter, "matrix_experiences", "source", experiences),
            lessons: TotalBy::new(meter, "matrix_lessons", "verdict", "Trainings of Souls."),
            learnt_from: TotalBy::new(meter, "matrix_lesson_experiences", "verdict", trained),
            seconds: SecondsBy::new(meter, "matrix_lesson_seconds", "verdict", "How long trainings took."),
            judged: Judged::new(meter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Telemetry, TelemetryConfig};

    #[test]
    fn the_last_lessons_of_the_souls_that_were_trained_last_are_told() {
        let telemetry = Telemetry::new(TelemetryConfig::default(), "n1").expect("the default works");
        let judged = &telemetry.metrics().learning.judged;
        let soul = |number: usize| format!("soul-{number}").parse::<SoulName>().expect("a name");
        for number in 0..=SOULS_MAX {
            judged.record(&soul(number), vec![("before", 2.0), ("after", 1.5)]);
        }
        judged.record(&soul(1), vec![("before", 1.5), ("after", 1.25)]);
        judged.forget(&soul(2));
        let text = telemetry.render().expect("every metric is sound");
        let shown = |line: &str| text.lines().any(|shown| shown == line);
        assert!(shown("# TYPE matrix_lesson_metric gauge"), "{text}");
        assert!(shown(r#"matrix_lesson_metric{soul="soul-1",when="before"} 1.5"#), "{text}");
        assert!(shown(r#"matrix_lesson_metric{soul="soul-1",when="after"} 1.25"#), "{text}");
        assert!(!text.contains(r#"soul="soul-0""#) && !text.contains(r#"soul="soul-2""#), "{text}");
        assert_eq!(text.matches("matrix_lesson_metric{").count(), 2 * (SOULS_MAX - 1), "{text}");
    }
}
