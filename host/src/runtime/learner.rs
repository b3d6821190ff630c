//! The interface `learner`, which Souls may export.

use wasmtime::component::{ComponentExportIndex, TypedFunc};

use super::bindings::exports::matrix::node::learner as wit;
use super::bindings::matrix::node::types::Metric;
use super::guest::{Crash, Exports, Guest, reason};
use super::state::Moment;

/// The most figures that one call may return.
pub const FIGURES_MAX: usize = 16;
/// The most bytes in the name of a figure.
pub const FIGURE_NAME_BYTES_MAX: usize = 64;

/// Named figures, as `train` and `evaluate` return them: finite, each name once.
pub type Figures = Vec<(String, f64)>;

/// Where an experience comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// A person.
    User,
    /// A program, through the API.
    Api,
    /// A conversation that the Soul had.
    Conversation,
    /// A turn that it played in a Matrix.
    Matrix,
}

/// Something to learn from.
#[derive(Debug, Clone, PartialEq)]
pub struct Experience {
    /// Its place in the Soul's log, from 1.
    pub id: u64,
    /// Where it comes from.
    pub source: Source,
    /// Who it comes from, as the node knows it, such as `client:local`; the guest is not told.
    pub by: String,
    /// What it is about: the message that was answered, or the experience that was judged; empty: nothing else.
    pub about: String,
    /// What was said or seen.
    pub input: Vec<u8>,
    /// What was, or should have been, the answer.
    pub output: Vec<u8>,
    /// How good the answer was, where that is known; finite.
    pub reward: Option<f64>,
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
}

pub(crate) struct LearnerExports {
    train: ComponentExportIndex,
    evaluate: ComponentExportIndex,
}

impl LearnerExports {
    pub(crate) fn of(component: &wasmtime::component::Component) -> Result<Option<Self>, Crash> {
        let Some(learner) = Exports::of(component, "learner") else { return Ok(None) };
        Ok(Some(Self { train: learner.function("train")?, evaluate: learner.function("evaluate")? }))
    }
}

type Learn = TypedFunc<(Vec<wit::Experience>,), (Result<Vec<Metric>, String>,)>;

/// The functions of one instance.
pub(crate) struct Learner {
    train: Learn,
    evaluate: Learn,
}

impl Learner {
    pub(crate) fn new(guest: &mut Guest, exports: &LearnerExports) -> Result<Self, Crash> {
        Ok(Self {
            train: guest.function(&exports.train, "learner.train")?,
            evaluate: guest.function(&exports.evaluate, "learner.evaluate")?,
        })
    }

    pub(crate) async fn train(
        &self,
        guest: &mut Guest,
        batch: &[Experience],
        moment: Moment,
    ) -> Result<Result<Figures, String>, Crash> {
        let (told,) = guest.call(&self.train, (lowered(batch),), moment).await?;
        Ok(figures("train", told))
    }

    pub(crate) async fn evaluate(
        &self,
        guest: &mut Guest,
        batch: &[Experience],
        moment: Moment,
    ) -> Result<Result<Figures, String>, Crash> {
        let (told,) = guest.call(&self.evaluate, (lowered(batch),), moment).await?;
        Ok(figures("evaluate", told))
    }
}

fn lowered(batch: &[Experience]) -> Vec<wit::Experience> {
    let lower = |experience: &Experience| wit::Experience {
        id: experience.id,
        source: match experience.source {
            Source::User => wit::Source::User,
            Source::Api => wit::Source::Api,
            Source::Conversation => wit::Source::Conversation,
            Source::Matrix => wit::Source::Matrix,
        },
        input: experience.input.clone(),
        output: experience.output.clone(),
        reward: experience.reward,
        at: experience.at_ms,
    };
    batch.iter().map(lower).collect()
}

/// Figures as they are of use. The error is the guest's own, or says what is wrong with them: a Soul whose training
/// diverged tells so by figures that are no numbers, which is no crash.
fn figures(function: &str, told: Result<Vec<Metric>, String>) -> Result<Figures, String> {
    let told = told.map_err(reason)?;
    if told.len() > FIGURES_MAX {
        return Err(format!("`{function}` returned {} figures, and {FIGURES_MAX} are allowed", told.len()));
    }
    let mut figures = Figures::with_capacity(told.len());
    for Metric { name, value } in told {
        if name.is_empty() || name.len() > FIGURE_NAME_BYTES_MAX {
            let length = name.len();
            return Err(format!(
                "`{function}` named a figure in {length} bytes: 1 to {FIGURE_NAME_BYTES_MAX} are allowed"
            ));
        }
        let name = reason(name);
        if !value.is_finite() {
            return Err(format!("`{function}` returned the figure `{name}`, which is not a number"));
        }
        if figures.iter().any(|(known, _)| *known == name) {
            return Err(format!("`{function}` returned the figure `{name}` twice"));
        }
        figures.push((name, value));
    }
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_that_are_of_no_use_are_refused_by_name() {
        let told = |figures: &[(&str, f64)]| {
            let metric = |(name, value): &(&str, f64)| Metric { name: (*name).to_owned(), value: *value };
            super::figures("train", Ok(figures.iter().map(metric).collect()))
        };
        assert_eq!(told(&[("loss", 0.5)]), Ok(vec![("loss".to_owned(), 0.5)]));
        let refused = |figures: &[(&str, f64)]| told(figures).expect_err("of no use");
        assert!(refused(&[("loss", f64::NAN)]).contains("`loss`, which is not a number"));
        assert!(refused(&[("loss", f64::INFINITY)]).contains("`loss`"));
        assert!(refused(&[("loss", 1.0), ("loss", 2.0)]).contains("twice"));
        assert!(refused(&[("", 1.0)]).contains("0 bytes"));
        assert!(refused(&[("x".repeat(65).as_str(), 1.0)]).contains("65 bytes"));
        let many: Vec<_> = (0..17).map(|number| number.to_string()).collect();
        let many: Vec<_> = many.iter().map(|name| (name.as_str(), 1.0)).collect();
        assert!(refused(&many).contains("17 figures"));
    }
}
