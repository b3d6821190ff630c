//! Whether what was learnt is kept: by one figure, before and after, on experience that was never trained on.

use crate::runtime::learner::Figures;
use crate::souls::training::Training;

/// What is less than this is no difference.
const NOTHING: f64 = 1e-9;

/// Refuses what got worse beyond the tolerance. The error says how.
pub(super) fn judge(training: &Training, before: &Figures, after: &Figures) -> Result<(), String> {
    let metric = training.metric();
    let figure = |figures: &Figures, when: &str| {
        let found = figures.iter().find(|(name, _)| name == metric).map(|(_, value)| *value);
        found.ok_or_else(|| format!("`evaluate` returned no figure `{metric}` {when} training"))
    };
    let (before, after) = (figure(before, "before")?, figure(after, "after")?);
    let worse = if training.more_is_better { before - after } else { after - before };
    let allowed = training.tolerance() * before.abs() + NOTHING;
    if worse <= allowed {
        return Ok(());
    }
    Err(format!("`{metric}` on what was held out went from {before:.6} to {after:.6}, which is worse"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(training: &Training, before: f64, after: f64) -> Result<(), String> {
        judge(training, &vec![("loss".into(), before)], &vec![("loss".into(), after)])
    }

    #[test]
    fn what_is_no_worse_than_the_tolerance_is_kept() {
        let training = Training { tolerance: Some(0.1), ..Training::default() };
        for (before, after, kept) in [
            (1.0, 0.5, true),
            (1.0, 1.0, true),
            (1.0, 1.1, true),
            (1.0, 1.2, false),
            (0.0, 0.0, true),
            (0.0, 0.1, false),
            (-1.0, -0.95, true),
            (-1.0, -0.5, false),
        ] {
            assert_eq!(judged(&training, before, after).is_ok(), kept, "{before} to {after}");
        }
        let more = Training { more_is_better: true, ..training };
        assert!(judged(&more, 0.9, 0.95).is_ok() && judged(&more, 0.9, 0.5).is_err());
    }

    #[test]
    fn a_figure_that_is_missing_is_named() {
        let training = Training { metric: "accuracy".into(), ..Training::default() };
        assert!(judged(&training, 1.0, 1.0).expect_err("no such figure").contains("`accuracy` before"));
    }
}
