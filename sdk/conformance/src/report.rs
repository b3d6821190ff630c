//! What came of the checks.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// A promise that is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What the interfaces promise.
    pub expected: String,
    /// What the component did.
    pub seen: String,
    /// What to change.
    pub mend: String,
}

/// What came of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// As it should be.
    Right,
    /// It works; its author may want to know.
    Noted(Finding),
    /// A promise is broken.
    Wrong(Finding),
    /// It was not carried out.
    LeftOut {
        /// Why not.
        reason: String,
    },
}

/// One check, carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Its name, such as `soul.batch`.
    pub id: &'static str,
    /// What it looks at.
    pub title: &'static str,
    /// The checks that it builds on.
    #[serde(skip)]
    pub needs: &'static [&'static str],
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// How long it took, in milliseconds.
    #[serde(rename = "ms", serialize_with = "millis")]
    pub took: Duration,
}

/// All that came of a component's checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The component, as it was named.
    pub component: String,
    /// What it is: `soul`, `rules` or `transport`; none: a node would not take it up.
    pub kind: Option<String>,
    /// The seed: with it the same is seen again.
    pub seed: u64,
    /// In the order in which they were carried out.
    pub checks: Vec<Checked>,
}

fn millis<S: serde::Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(took.as_millis().try_into().unwrap_or(u64::MAX))
}

impl Report {
    /// The checks that found something wrong.
    pub fn wrong(&self) -> impl Iterator<Item = (&'static str, &Finding)> {
        self.checks.iter().filter_map(|checked| match &checked.outcome {
            Outcome::Wrong(finding) => Some((checked.id, finding)),
            _ => None,
        })
    }

    /// The checks that have something to say which is not wrong.
    pub fn noted(&self) -> impl Iterator<Item = (&'static str, &Finding)> {
        self.checks.iter().filter_map(|checked| match &checked.outcome {
            Outcome::Noted(finding) => Some((checked.id, finding)),
            _ => None,
        })
    }

    /// Whether nothing is wrong.
    pub fn is_right(&self) -> bool {
        self.wrong().next().is_none()
    }

    /// How many checks came to each end, in words.
    pub fn summary(&self) -> String {
        let count = |is: fn(&Outcome) -> bool| self.checks.iter().filter(|one| is(&one.outcome)).count();
        let right = count(|outcome| matches!(outcome, Outcome::Right | Outcome::Noted(_)));
        let left_out = count(|outcome| matches!(outcome, Outcome::LeftOut { .. }));
        let (wrong, verdict) = (self.wrong().count(), if self.is_right() { "right" } else { "wrong" });
        let took: Duration = self.checks.iter().map(|checked| checked.took).sum();
        format!(
            "{verdict}: {right} right, {wrong} wrong, {left_out} left out, in {:.1} s (seed {})",
            took.as_secs_f64(),
            self.seed
        )
    }
}

impl fmt::Display for Report {
    /// For people: a line a check, what is wrong below it, and the summary last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.as_deref().unwrap_or("no component that a node takes up");
        writeln!(f, "{}: {kind}", self.component)?;
        for Checked { id, title, outcome, .. } in &self.checks {
            let (word, finding) = match outcome {
                Outcome::Right => ("right", None),
                Outcome::Noted(finding) => ("note", Some(finding)),
                Outcome::Wrong(finding) => ("WRONG", Some(finding)),
                Outcome::LeftOut { reason } => {
                    writeln!(f, "{:<9} {id:<20} {reason}", "left out")?;
                    continue;
                }
            };
            writeln!(f, "{word:<9} {id:<20} {title}")?;
            if let Some(Finding { expected, seen, mend }) = finding {
                writeln!(
                    f,
                    "{:<10}expected: {expected}\n{:<10}seen:     {seen}\n{:<10}mend:     {mend}",
                    "", "", ""
                )?;
            }
        }
        write!(f, "{}", self.summary())
    }
}
