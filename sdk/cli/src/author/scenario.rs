//! What `matrix test` plays: a world, as `matrix apply` reads it, and what is said and run in it, step by step. Pure.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;
use matrix_proto::v1::{Address, Content, WantedStage};
use serde::Deserialize;
use serde_json::Value;
use toml::Spanned;

use crate::address;
use crate::manifest::form::{self, to_json};
use crate::manifest::{self, Manifest, ManifestError};

/// How long an answer may take where the step says nothing.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// How long a Matrix may run where the step says nothing.
const RUN_DEADLINE: Duration = Duration::from_secs(60);

/// A scenario.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// Who lives in it.
    pub(crate) world: Manifest,
    /// What messages pass. `component` is a name or a digest.
    pub(crate) chain: Vec<WantedStage>,
    /// What happens, in order; at least one step.
    pub(crate) steps: Vec<Step>,
}

/// One step.
#[derive(Debug)]
pub(crate) struct Step {
    /// Where it stands in the file: its line, from 1.
    pub(crate) line: usize,
    /// How long it may take.
    pub(crate) within: Duration,
    /// What is done, and what must come of it.
    pub(crate) act: Act,
}

/// What is done in a step.
#[derive(Debug)]
pub(crate) enum Act {
    /// Something is said.
    Say {
        /// To whom; none: the first Soul.
        to: Option<Address>,
        /// What.
        content: Content,
        /// What must be answered.
        expected: Answer,
    },
    /// A Matrix runs until it is over.
    Run {
        /// Which.
        matrix: String,
        /// How it must end.
        expected: Outcome,
    },
}

/// What an answer must be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// Anything, also none, but no failure.
    Any,
    /// None.
    Silence,
    /// This text.
    Text(String),
    /// A text in which each of these is found.
    Contains(Vec<String>),
    /// JSON that says this; its objects may say more.
    Json(Value),
    /// A failure in whose text this is found.
    Failure(String),
}

/// How a Matrix must end. What is none may be anything.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Outcome {
    /// Ticks done.
    pub(crate) ticks: Option<u64>,
    /// Answers that did not come.
    pub(crate) missed: Option<u64>,
    /// Signals, by name.
    pub(crate) signals: BTreeMap<String, f64>,
    /// What the result must say, as JSON; its objects may say more.
    pub(crate) result: Option<Value>,
    /// The hash of the last state.
    pub(crate) state_hash: Option<String>,
}

/// The file, as TOML has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    #[serde(default)]
    components: BTreeMap<Spanned<String>, String>,
    #[serde(default)]
    interceptor: Vec<StageForm>,
    #[serde(default)]
    soul: Vec<form::Soul>,
    #[serde(default)]
    matrix: Vec<form::Matrix>,
    step: Vec<Spanned<StepForm>>,
}

/// An `[[interceptor]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StageForm {
    component: String,
    #[serde(default)]
    config: HashMap<String, String>,
}

/// A `[[step]]`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct StepForm {
    within_ms: Option<u32>,
    send: Option<toml::Value>,
    to: Option<String>,
    r#type: Option<String>,
    expect: Option<String>,
    matches: Option<Texts>,
    json: Option<toml::Value>,
    fails: Option<String>,
    silent: bool,
    run: Option<String>,
    ticks: Option<u64>,
    missed: Option<u64>,
    signals: BTreeMap<String, f64>,
    result: Option<toml::Value>,
    state_hash: Option<String>,
}

/// One text, or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Many(Vec<String>),
}

impl Scenario {
    /// Reads a scenario. `file` is how errors call it.
    ///
    /// # Errors
    /// Says what is wrong, and in which line.
    pub(crate) fn parse(text: &str, file: &str) -> Result<Self, ManifestError> {
        let form: Form = toml::from_str(text).map_err(|error| ManifestError {
            what: error.message().to_owned(),
            place: manifest::place(text, file, error.span()),
            change: None,
        })?;
        let Form { components, interceptor, soul, matrix, step } = form;
        let world = Manifest::checked(form::Form { components, soul, matrix }, text, file)?;
        let stage = |StageForm { component, config }| WantedStage { component, config };
        let chain: Vec<_> = interceptor.into_iter().map(stage).collect();
        let mut steps = Vec::new();
        for step in step {
            let span = step.span();
            let line = text.get(..span.start).unwrap_or_default().matches('\n').count() + 1;
            steps.push(step.into_inner().step(line).map_err(|(what, change)| ManifestError {
                what,
                place: manifest::place(text, file, Some(span)),
                change: Some(change.to_owned()),
            })?);
        }
        if steps.is_empty() {
            let what = "nothing happens in it".to_owned();
            return Err(ManifestError {
                what,
                place: file.to_owned(),
                change: Some("write a [[step]]".to_owned()),
            });
        }
        Ok(Self { world, chain, steps })
    }
}

/// What is wrong with a step, and what to change.
type Fault = (String, &'static str);

impl StepForm {
    fn step(self, line: usize) -> Result<Step, Fault> {
        let within = self.within_ms.map(|ms| Duration::from_millis(ms.max(1).into()));
        let says = self.says();
        let judges = self.judges();
        match (&self.send, &self.run) {
            (Some(_), None) if !judges => {
                Ok(Step { line, within: within.unwrap_or(ANSWER_DEADLINE), act: self.say()? })
            }
            (None, Some(_)) if !says => {
                Ok(Step { line, within: within.unwrap_or(RUN_DEADLINE), act: self.run()? })
            }
            (Some(_), None) => {
                Err(("this belongs to a step that has `run`".to_owned(), "expect an answer of what is sent"))
            }
            (None, Some(_)) => {
                Err(("this belongs to a step that has `send`".to_owned(), "expect `ticks`, `signals`, …"))
            }
            _ => Err(("a step has `send` or `run`".to_owned(), "give it one of the two")),
        }
    }

    /// Whether there is something that belongs to `send` alone.
    fn says(&self) -> bool {
        let Self { to, r#type, expect, matches, json, fails, silent, .. } = self;
        let texts = [to, r#type, expect, fails];
        texts.iter().any(|text| text.is_some()) || matches.is_some() || json.is_some() || *silent
    }

    /// Whether there is something that belongs to `run` alone.
    fn judges(&self) -> bool {
        let Self { ticks, missed, signals, result, state_hash, .. } = self;
        let (counts, others) = (ticks.or(*missed), result.is_some() || state_hash.is_some());
        counts.is_some() || others || !signals.is_empty()
    }

    fn say(self) -> Result<Act, Fault> {
        let to = self.to.as_deref().map(address::parse).transpose();
        let to =
            to.map_err(|why| (format!("`to` is no address: {why}"), "name who lives in the scenario"))?;
        let json = |value| to_json(value).map_err(|why| (why, "write what JSON can hold"));
        let (content_type, body) = match self.send.unwrap_or(toml::Value::Boolean(true)) {
            toml::Value::String(text) => ("text/plain", text),
            other => ("application/json", json(other)?.to_string()),
        };
        let content_type = self.r#type.unwrap_or_else(|| content_type.to_owned());
        let texts = self.matches.map(|texts| match texts {
            Texts::One(text) => vec![text],
            Texts::Many(texts) => texts,
        });
        let mut wanted = Vec::new();
        wanted.extend(self.expect.map(Answer::Text));
        wanted.extend(texts.map(Answer::Contains));
        wanted.extend(self.json.map(json).transpose()?.map(Answer::Json));
        wanted.extend(self.fails.map(Answer::Failure));
        wanted.extend(self.silent.then_some(Answer::Silence));
        let expected = wanted.pop().unwrap_or(Answer::Any);
        if !wanted.is_empty() {
            let what = "`expect`, `matches`, `json`, `fails` and `silent` exclude each other";
            return Err((what.to_owned(), "keep one"));
        }
        Ok(Act::Say { to, content: Content { content_type, body: Bytes::from(body) }, expected })
    }

    fn run(self) -> Result<Act, Fault> {
        let Self { ticks, missed, signals, state_hash, .. } = self;
        let result = self.result.map(to_json).transpose();
        let result = result.map_err(|why| (why, "write what JSON can hold"))?;
        let matrix = self.run.unwrap_or_default();
        Ok(Act::Run { matrix, expected: Outcome { ticks, missed, signals, result, state_hash } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"
[components]
example = "../out/example.wasm"

[[interceptor]]
component = "redact"
config = { mask = "email" }

[[soul]]
name = "ada"
component = "example"

[[matrix]]
name = "game"
rules = "mine"
seed = 7

[[step]]
send = "hello"
expect = "hello"

[[step]]
send = { op = "add", n = 2 }
to = "matrix:game"
json = { sum = 2 }
within_ms = 5

[[step]]
run = "game"
ticks = 10
signals = { heads = 5, rate = 0.5 }
result = [1, 2]
"#;

    #[test]
    fn a_whole_scenario_is_read() {
        let Scenario { world, chain, steps } = Scenario::parse(WHOLE, "s.toml").expect("it is right");
        assert_eq!((world.souls.len(), world.matrices[0].manifest.seed), (1, 7));
        assert_eq!((chain[0].component.as_str(), chain[0].config["mask"].as_str()), ("redact", "email"));
        let lines: Vec<_> = steps.iter().map(|step| step.line).collect();
        assert_eq!(lines, [18, 22, 28]);
        let Act::Say { to: None, content, expected } = &steps[0].act else { panic!("{:?}", steps[0]) };
        assert_eq!((&content.content_type[..], &content.body[..]), ("text/plain", &b"hello"[..]));
        assert_eq!((expected, steps[0].within), (&Answer::Text("hello".to_owned()), ANSWER_DEADLINE));
        let Act::Say { to: Some(to), content, expected } = &steps[1].act else { panic!("{:?}", steps[1]) };
        assert_eq!(
            (address::text(to).as_str(), &content.body[..]),
            ("matrix:game", &br#"{"n":2,"op":"add"}"#[..])
        );
        assert_eq!(expected, &Answer::Json(serde_json::json!({ "sum": 2 })));
        assert_eq!(steps[1].within, Duration::from_millis(5));
        let Act::Run { matrix, expected } = &steps[2].act else { panic!("{:?}", steps[2]) };
        assert_eq!((matrix.as_str(), expected.ticks, expected.signals["heads"]), ("game", Some(10), 5.0));
        assert_eq!(expected.result, Some(serde_json::json!([1, 2])));
    }

    #[test]
    fn answers_are_judged_in_one_way_each() {
        let step = |rest: &str| {
            let text = format!("[[step]]\nsend = \"x\"\n{rest}\n");
            let scenario = Scenario::parse(&text, "s.toml").map_err(|error| error.what)?;
            let Act::Say { expected, .. } = scenario.steps.into_iter().next().expect("one").act else {
                panic!("it says something")
            };
            Ok::<_, String>(expected)
        };
        assert_eq!(step(""), Ok(Answer::Any));
        assert_eq!(step("silent = true"), Ok(Answer::Silence));
        assert_eq!(step("matches = \"a\""), Ok(Answer::Contains(vec!["a".to_owned()])));
        assert_eq!(
            step("matches = [\"a\", \"b\"]"),
            Ok(Answer::Contains(vec!["a".to_owned(), "b".to_owned()]))
        );
        assert_eq!(step("fails = \"no\""), Ok(Answer::Failure("no".to_owned())));
        assert!(step("expect = \"a\"\nfails = \"b\"").is_err_and(|what| what.contains("exclude")));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let cases = [
            ("", "missing field `step`", "s.toml:1:1"),
            ("step = []\n", "nothing happens", "s.toml"),
            ("\n[[step]]\nsent = \"x\"\n", "`sent`", "s.toml:3:1"),
            ("\n[[step]]\nto = \"ada\"\n", "`send` or `run`", "s.toml:2:1"),
            ("[[step]]\nsend = \"x\"\nrun = \"y\"\n", "`send` or `run`", "s.toml:1:1"),
            ("[[step]]\nsend = \"x\"\nticks = 3\n", "has `run`", "s.toml:1:1"),
            ("[[step]]\nrun = \"x\"\nexpect = \"y\"\n", "has `send`", "s.toml:1:1"),
            ("[[step]]\nsend = \"x\"\nto = \"ghost:y\"\n", "no address", "s.toml:1:1"),
            ("[[soul]]\nname = \"A\"\ncomponent = \"b\"\n[[step]]\nsend = \"x\"\n", "no name", "s.toml:2:8"),
        ];
        for (text, what, place) in cases {
            let refused = Scenario::parse(text, "s.toml").expect_err(what);
            assert!(refused.what.contains(what), "{what}: {refused}");
            assert_eq!(refused.place, place, "{refused}");
        }
    }
}
