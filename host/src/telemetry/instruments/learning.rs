//! What is counted of Souls that learn.

use opentelemetry::metrics::Meter;

use crate::telemetry::metrics::TotalBy;

/// What `learning` counts.
#[derive(Debug, Clone)]
pub struct LearningMetrics {
    /// `matrix_experiences_total{source}`: experiences added, by `user`, `api`, `conversation` or `matrix`.
    pub experiences: TotalBy,
}

impl LearningMetrics {
    pub(super) fn new(meter: &Meter) -> Self {
        let experiences = "What Souls were given to learn from.";
        Self { experiences: TotalBy::new(meter, "matrix_experiences", "source", experiences) }
    }
}
