//! Whether what a step saw is what it expected. Pure.

use matrix_proto::v1::{Content, Matrix, MatrixState};
use serde_json::Value;

use super::scenario::{Answer, Outcome};
use crate::commands::matrices;
use crate::{content, text};

/// How far a signal may be from what is expected, as a part of it: what is written with fewer digits than a double has
/// must be met too.
const SIGNAL_TOLERANCE: f64 = 1e-9;

/// What came of something that was said.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    /// An answer.
    Reply(Content),
    /// It was handled, and not answered.
    Silence,
    /// It failed.
    Failure(String),
}

/// Something that is not as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Miss {
    /// What was expected, on one line.
    pub(crate) expected: String,
    /// What was seen, on one line.
    pub(crate) seen: String,
}

/// What is wrong with an answer; none: nothing is.
pub(crate) fn of_answer(expected: &Answer, seen: &Seen) -> Option<Miss> {
    let text = match seen {
        Seen::Reply(reply) => std::str::from_utf8(&reply.body).ok(),
        Seen::Silence | Seen::Failure(_) => None,
    };
    let met = match (expected, seen) {
        (Answer::Any, Seen::Reply(_) | Seen::Silence) | (Answer::Silence, Seen::Silence) => true,
        (Answer::Text(wanted), _) => text == Some(wanted),
        (Answer::Contains(wanted), _) => {
            text.is_some_and(|text| wanted.iter().all(|part| text.contains(part)))
        }
        (Answer::Json(wanted), Seen::Reply(reply)) => {
            serde_json::from_slice(&reply.body).is_ok_and(|found| says(wanted, &found))
        }
        (Answer::Failure(wanted), Seen::Failure(why)) => why.contains(wanted),
        _ => false,
    };
    (!met).then(|| Miss { expected: wanted(expected), seen: shown(seen) })
}

/// What is wrong with how a Matrix ended.
pub(crate) fn of_run(expected: &Outcome, matrix: &Matrix) -> Vec<Miss> {
    let mut misses = Vec::new();
    let mut hold = |met: bool, expected: String, seen: String| {
        if !met {
            misses.push(Miss { expected, seen });
        }
    };
    let finished = matrix.state() == MatrixState::Finished;
    hold(finished, "it finishes".to_owned(), matrices::summary(matrix));
    if let Some(ticks) = expected.ticks {
        hold(matrix.tick == ticks, format!("{ticks} ticks"), format!("{} ticks", matrix.tick));
    }
    if let Some(missed) = expected.missed {
        let found = matrix.missed_actions;
        hold(found == missed, format!("{missed} actions missed"), format!("{found} actions missed"));
    }
    for (name, wanted) in &expected.signals {
        let found = matrix.signals.iter().find(|signal| signal.name == *name).map(|signal| signal.value);
        let near = |found: f64| (found - wanted).abs() <= SIGNAL_TOLERANCE * wanted.abs().max(1.0);
        let seen = found.map_or_else(|| "there is none".to_owned(), |found| found.to_string());
        hold(found.is_some_and(near), format!("{name} {wanted}"), format!("{name} {seen}"));
    }
    if let Some(wanted) = &expected.result {
        let found = matrix.result.as_ref().and_then(content::as_json);
        let seen = matrix.result.as_ref().map_or_else(|| "none".to_owned(), content::line);
        let met = found.is_some_and(|found| says(wanted, &found));
        hold(met, format!("result {wanted}"), format!("result {seen}"));
    }
    if let Some(wanted) = &expected.state_hash {
        hold(matrix.state_hash == *wanted, wanted.clone(), text::one_line(&matrix.state_hash));
    }
    misses
}

/// Whether all that is wanted is found. Objects may say more than that; numbers are what they are, whether written as `1`
/// or as `1.0`.
fn says(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::Number(wanted), Value::Number(found)) => wanted == found || wanted.as_f64() == found.as_f64(),
        (Value::Array(wanted), Value::Array(found)) => {
            wanted.len() == found.len() && wanted.iter().zip(found).all(|(wanted, found)| says(wanted, found))
        }
        (Value::Object(wanted), Value::Object(found)) => {
            wanted.iter().all(|(name, wanted)| found.get(name).is_some_and(|found| says(wanted, found)))
        }
        _ => wanted == found,
    }
}

fn wanted(expected: &Answer) -> String {
    match expected {
        Answer::Any => "an answer, or none".to_owned(),
        Answer::Silence => "no answer".to_owned(),
        Answer::Text(wanted) => text::one_line(wanted),
        Answer::Contains(wanted) => {
            let parts: Vec<_> = wanted.iter().map(|part| format!("`{}`", text::one_line(part))).collect();
            format!("a text with {}", parts.join(" and "))
        }
        Answer::Json(wanted) => wanted.to_string(),
        Answer::Failure(wanted) => format!("a failure: …{}…", text::one_line(wanted)),
    }
}

fn shown(seen: &Seen) -> String {
    match seen {
        Seen::Reply(reply) => content::line(reply),
        Seen::Silence => "no answer".to_owned(),
        Seen::Failure(why) => format!("a failure: {}", text::one_line(why)),
    }
}

#[cfg(test)]
mod tests {
    use matrix_proto::v1::Metric;
    use serde_json::json;

    use super::*;

    fn reply(text: &str) -> Seen {
        Seen::Reply(Content { content_type: "text/plain".to_owned(), body: text.to_owned().into() })
    }

    #[test]
    fn answers_are_met_or_told() {
        let texts = |texts: &[&str]| Answer::Contains(texts.iter().map(|text| (*text).to_owned()).collect());
        let met = [
            (Answer::Any, reply("x")),
            (Answer::Any, Seen::Silence),
            (Answer::Silence, Seen::Silence),
            (Answer::Text("x".to_owned()), reply("x")),
            (texts(&["b", "a"]), reply("ab")),
            (Answer::Json(json!({ "a": 1, "b": [2.0] })), reply("{\"b\": [2], \"a\": 1.0, \"c\": 3}")),
            (Answer::Failure("no".to_owned()), Seen::Failure("say no more".to_owned())),
        ];
        for (expected, seen) in met {
            assert_eq!(of_answer(&expected, &seen), None, "{expected:?} {seen:?}");
        }
        let not = [
            (Answer::Any, Seen::Failure("x".to_owned())),
            (Answer::Silence, reply("")),
            (Answer::Text("x".to_owned()), reply("x\n")),
            (Answer::Text(String::new()), Seen::Silence),
            (texts(&["a", "c"]), reply("ab")),
            (Answer::Json(json!({ "a": 1, "b": 2 })), reply("{\"a\": 1}")),
            (Answer::Json(json!([1])), reply("[1, 2]")),
            (Answer::Json(json!([1])), reply("1]")),
            (Answer::Failure("no".to_owned()), reply("no")),
        ];
        for (expected, seen) in not {
            assert!(of_answer(&expected, &seen).is_some(), "{expected:?} {seen:?}");
        }
        let miss = of_answer(&Answer::Text("a".to_owned()), &reply("b\n")).expect("they differ");
        assert_eq!((miss.expected.as_str(), miss.seen.as_str()), ("a", "b\\n"));
    }

    #[test]
    fn runs_are_judged_by_all_that_is_expected() {
        let metric = |name: &str, value| Metric { name: name.to_owned(), value };
        let matrix = Matrix {
            state: MatrixState::Finished.into(),
            tick: 10,
            missed_actions: 1,
            signals: vec![metric("rate", 2.0 / 3.0), metric("heads", 5.0)],
            state_hash: "blake3:aa".to_owned(),
            result: Some(Content {
                content_type: "application/json".to_owned(),
                body: "[{\"points\": 5}]".into(),
            }),
            ..Matrix::default()
        };
        let signals =
            |all: &[(&str, f64)]| all.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        let right = Outcome {
            ticks: Some(10),
            missed: Some(1),
            signals: signals(&[("rate", 0.666_666_666_7), ("heads", 5.0)]),
            result: Some(json!([{ "points": 5.0 }])),
            state_hash: Some("blake3:aa".to_owned()),
        };
        assert_eq!(of_run(&right, &matrix), []);
        let wrong = Outcome {
            ticks: Some(9),
            missed: Some(0),
            signals: signals(&[("rate", 0.67), ("tails", 5.0)]),
            result: Some(json!([])),
            state_hash: Some("blake3:bb".to_owned()),
        };
        assert_eq!(of_run(&wrong, &matrix).len(), 6);
        let failed = Matrix { state: MatrixState::Failed.into(), ..Matrix::default() };
        assert_eq!(of_run(&Outcome::default(), &failed).len(), 1);
    }
}
