//! What is counted of Souls that learn.

use opentelemetry::metrics::Meter;

use crate::telemetry::metrics::{LastBy, SecondsBy, TotalBy};

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
    /// `matrix_lesson_metric{when}`: the figure that judged the last of them, `before` and `after`.
    pub judged: LastBy,
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
            judged: LastBy::new(
                meter,
                "matrix_lesson_metric",
                "when",
                "The figure that judged the last training.",
            ),
        }
    }
}
