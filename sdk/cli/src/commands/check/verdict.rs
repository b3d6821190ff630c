//! What the program that checks says of a component, for those who do not hand over to it.

use std::path::Path;
use std::process::Stdio;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{program, world};
use crate::author::language::Kind;
use crate::errors::Error;
use crate::output::Style;

/// What the program ends with where a check could not be carried out.
const CANNOT: i32 = 2;

/// What came of it.
#[derive(Debug)]
pub(in super::super) enum Checked {
    /// It was carried out.
    Done(Report),
    /// It could not be, for this reason: nothing is known.
    Not(String),
}

/// The report, of which this is read.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Report {
    checks: Vec<Check>,
}

#[derive(Debug, Deserialize)]
struct Check {
    id: String,
    title: String,
    outcome: String,
    #[serde(default)]
    expected: String,
    #[serde(default)]
    seen: String,
    #[serde(default)]
    mend: String,
}

/// Checks a component of a kind, with what is `around`. Where the node of the folder `compiled` has compiled it, it is not compiled
/// again; else the functions that are kept in the folder `functions` are not.
pub(in super::super) async fn checked(
    component: &Path,
    kind: Kind,
    around: Vec<String>,
    compiled: Option<&Path>,
    functions: Option<&Path>,
) -> Result<Checked, Error> {
    let mut command = tokio::process::Command::new(program());
    command.args(around).arg(format!("--world={}", world(kind))).arg("--json");
    for (flag, folder) in [("--compiled", compiled), ("--functions", functions)] {
        if let Some(folder) = folder {
            command.arg(flag).arg(folder);
        }
    }
    let told = command.arg("--").arg(component).stdin(Stdio::null()).kill_on_drop(true).output().await;
    let told = match told {
        Err(error) => return Ok(Checked::Not(format!("{}: {error}", super::PROGRAM))),
        Ok(told) if told.status.code() == Some(CANNOT) => {
            return Ok(Checked::Not(crate::text::one_line(String::from_utf8_lossy(&told.stderr).trim())));
        }
        Ok(told) => told,
    };
    let report = serde_json::from_slice(&told.stdout);
    report.map(Checked::Done).map_err(|error| Error::local("cannot read the report", super::PROGRAM, error))
}

impl Report {
    /// How many checks found something wrong.
    pub(in super::super) fn wrong(&self) -> usize {
        self.count("wrong")
    }

    fn count(&self, outcome: &str) -> usize {
        self.checks.iter().filter(|check| check.outcome == outcome).count()
    }

    /// For programs.
    pub(in super::super) fn json(&self) -> Value {
        let wrong = self.checks.iter().filter(|check| check.outcome == "wrong");
        let finding = |check: &Check| {
            let Check { id, title, expected, seen, mend, .. } = check;
            json!({ "id": id, "title": title, "expected": expected, "seen": seen, "mend": mend })
        };
        json!({
            "checked": self.wrong() == 0,
            "right": self.count("right") + self.count("noted"),
            "left_out": self.count("left-out"),
            "wrong": wrong.map(finding).collect::<Vec<_>>(),
        })
    }

    /// For people: what is wrong, or that nothing is.
    pub(in super::super) fn human(&self, style: &Style) -> String {
        let right = self.count("right") + self.count("noted");
        if self.wrong() == 0 {
            let left_out = self.count("left-out");
            return format!("{} {right} checks, {left_out} left out\n", style.green("passed"));
        }
        let wrong = self.checks.iter().filter(|check| check.outcome == "wrong");
        let told = wrong.map(|Check { id, title, expected, seen, mend, .. }| {
            let lines = [("expected", expected), ("seen", seen), ("mend", mend)];
            let lines = lines.map(|(what, text)| format!("      {what:9} {}\n", crate::text::one_line(text)));
            format!("{} {id}: {title}\n{}", style.red("WRONG"), lines.concat())
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_with_what_to_mend() {
        let report = r#"{"component": "a", "kind": "soul", "seed": 0, "checks": [
            {"id": "world.admit", "title": "it is taken up", "outcome": "right", "ms": 1},
            {"id": "world.metadata", "title": "it says what it is", "outcome": "noted", "expected": "e", "seen": "s", "mend": "m", "ms": 0},
            {"id": "soul.replies", "title": "replies are short", "outcome": "wrong", "expected": "few", "seen": "many\n", "mend": "less", "ms": 2},
            {"id": "soul.upgrade", "title": "it is new", "outcome": "left-out", "reason": "none", "ms": 0}]}"#;
        let report: Report = serde_json::from_str(report).expect("it is one");
        assert_eq!(report.wrong(), 1);
        let json = report.json();
        assert_eq!(
            (&json["checked"], &json["right"], &json["left_out"]),
            (&json!(false), &json!(2), &json!(1))
        );
        assert_eq!(
            (&json["wrong"][0]["id"], &json["wrong"][0]["mend"]),
            (&json!("soul.replies"), &json!("less"))
        );
        let told = report.human(&Style::PLAIN);
        assert!(
            told.starts_with("WRONG soul.replies: replies are short\n") && told.contains("mend      less"),
            "{told}"
        );
        let right =
            Report { checks: report.checks.into_iter().filter(|check| check.outcome != "wrong").collect() };
        assert_eq!(right.human(&Style::PLAIN), "passed 2 checks, 1 left out\n");
    }
}
