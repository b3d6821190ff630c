//! Experience as JSON Lines, in two forms: plain, `{"input": ..., "output": ..., "reward": ...}`; and that of tools which
//! fine-tune models, `{"messages": [{"role": "system|user|assistant", "content": ...}, ...]}`.

use bytes::Bytes;
use data_encoding::BASE64;
use matrix_proto::v1::{Experience, ExperienceSource};
use serde::Deserialize;
use serde_json::{Value, json};

/// How experience is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Form {
    /// `{"input": ..., "output": ...}`
    Plain,
    /// `{"messages": [...]}`, as tools read it that fine-tune models
    Chat,
}

/// A line of either form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    input: Option<Value>,
    input_base64: Option<String>,
    output: Option<Value>,
    output_base64: Option<String>,
    reward: Option<f64>,
    messages: Option<Vec<Said>>,
    /// What an export says besides, and an import does not need.
    #[serde(default, rename = "id")]
    _id: Option<u64>,
    #[serde(default, rename = "source")]
    _source: Option<String>,
    #[serde(default, rename = "by")]
    _by: Option<String>,
    #[serde(default, rename = "about")]
    _about: Option<String>,
    at_ms: Option<u64>,
}

/// A part of a conversation.
#[derive(Debug, Deserialize)]
struct Said {
    role: String,
    content: Option<Value>,
    /// Whether it is to be learnt, where a tool's data says so: 0 or 1.
    weight: Option<f64>,
}

/// What a line teaches: of a conversation, each of the assistant's answers, with all that was said before it. The error
/// says what is wrong with the line.
pub(crate) fn read(line: &str) -> Result<Vec<Experience>, String> {
    let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let (at_ms, reward) = (line.at_ms.unwrap_or_default(), line.reward);
    if let Some(messages) = line.messages {
        return conversation(&messages, reward, at_ms);
    }
    let input = bytes("input", line.input, line.input_base64)?;
    let output = bytes("output", line.output, line.output_base64)?;
    Ok(vec![experience(input, output, reward, at_ms)])
}

fn experience(input: Bytes, output: Bytes, reward: Option<f64>, at_ms: u64) -> Experience {
    let source = ExperienceSource::User.into();
    Experience { source, input, output, reward, at_ms, ..Experience::default() }
}

fn bytes(name: &str, value: Option<Value>, base64: Option<String>) -> Result<Bytes, String> {
    match (value, base64) {
        (Some(value), None) => Ok(text(value).into()),
        (None, Some(base64)) => {
            let decoded = BASE64.decode(base64.as_bytes());
            Ok(decoded.map_err(|error| format!("`{name}_base64` is no base64: {error}"))?.into())
        }
        _ => Err(format!("it has neither `messages` nor `{name}`, or `{name}` twice")),
    }
}

/// A text as it is, other JSON as it is written.
fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

fn conversation(messages: &[Said], reward: Option<f64>, at_ms: u64) -> Result<Vec<Experience>, String> {
    let mut before: Vec<(&str, String)> = Vec::new();
    let mut found = Vec::new();
    for said in messages {
        let content = content(said.content.as_ref())?;
        if said.role == "assistant" {
            // A single question is all that the answer follows; of more, who said what belongs to it.
            let input = match &before[..] {
                [] => return Err("an assistant's message is the first: nothing comes before it".to_owned()),
                [(_, only)] => only.clone(),
                all => {
                    all.iter().map(|(role, said)| format!("{role}: {said}")).collect::<Vec<_>>().join("\n")
                }
            };
            found.push(experience(input.into(), content.clone().into(), said.weight.or(reward), at_ms));
        }
        before.push((&said.role, content));
    }
    if found.is_empty() { Err("no message of it is an assistant's".to_owned()) } else { Ok(found) }
}

/// What was said: a text, or the texts of a list of parts.
fn content(value: Option<&Value>) -> Result<String, String> {
    match value {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Array(parts)) => {
            let texts =
                parts.iter().map(|part| part["text"].as_str().ok_or("a part of a message is no text"));
            Ok(texts.collect::<Result<Vec<_>, _>>()?.join("\n"))
        }
        None | Some(Value::Null) => Ok(String::new()),
        Some(_) => Err("the content of a message is neither a text nor a list of parts".to_owned()),
    }
}

/// An experience as a line, without its end. None: this form has no place for it, as it is no text, or its answer is
/// one to be avoided, which a tool that imitates would learn.
pub(crate) fn write(experience: &Experience, form: Form) -> Option<String> {
    let (input, output) = (std::str::from_utf8(&experience.input), std::str::from_utf8(&experience.output));
    match form {
        Form::Chat => {
            let (input, output) = (input.ok()?, output.ok()?);
            if experience.reward.is_some_and(|reward| reward <= 0.0) {
                return None;
            }
            let messages = json!([
                { "role": "user", "content": input },
                { "role": "assistant", "content": output },
            ]);
            Some(json!({ "messages": messages }).to_string())
        }
        Form::Plain => {
            let source = match experience.source() {
                ExperienceSource::User => "user",
                ExperienceSource::Conversation => "conversation",
                ExperienceSource::Matrix => "matrix",
                ExperienceSource::Api | ExperienceSource::Unspecified => "api",
            };
            let mut line = json!({
                "id": experience.id, "source": source, "by": experience.by, "at_ms": experience.at_ms,
            });
            for (name, text, bytes) in
                [("input", input, &experience.input), ("output", output, &experience.output)]
            {
                match text {
                    Ok(text) => line[name] = json!(text),
                    Err(_) => line[format!("{name}_base64")] = json!(BASE64.encode(bytes)),
                }
            }
            if !experience.about.is_empty() {
                line["about"] = json!(experience.about);
            }
            if let Some(reward) = experience.reward {
                line["reward"] = json!(reward);
            }
            Some(line.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(line: &str) -> Vec<(String, String, Option<f64>)> {
        let text = |bytes: Bytes| String::from_utf8(bytes.into()).expect("text");
        let read = read(line).expect("a sound line");
        read.into_iter().map(|it| (text(it.input), text(it.output), it.reward)).collect()
    }

    #[test]
    fn plain_lines_are_read() {
        assert_eq!(pairs(r#"{"input":"red","output":"1"}"#), [("red".into(), "1".into(), None)]);
        let structured = pairs(r#"{"input":{"x":1},"output":2,"reward":-0.5}"#);
        assert_eq!(structured, [(r#"{"x":1}"#.into(), "2".into(), Some(-0.5))]);
        assert_eq!(pairs(r#"{"input_base64":"aGk=","output":""}"#), [("hi".into(), String::new(), None)]);
    }

    #[test]
    fn each_answer_of_an_assistant_is_one_experience() {
        let line = r#"{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"hello"},
            {"role":"user","content":[{"type":"text","text":"bye"}]},
            {"role":"assistant","content":"so long","weight":0}]}"#;
        let expected = [
            ("hi".to_owned(), "hello".to_owned(), None),
            ("user: hi\nassistant: hello\nuser: bye".to_owned(), "so long".to_owned(), Some(0.0)),
        ];
        assert_eq!(pairs(line), expected);
    }

    #[test]
    fn what_is_neither_is_refused_with_the_reason() {
        for (line, reason) in [
            ("{}", "neither"),
            ("x", "expected value"),
            (r#"{"input":"x"}"#, "`output`"),
            (r#"{"input":"x","output":"y","rewrad":1}"#, "rewrad"),
            (r#"{"messages":[]}"#, "assistant"),
            (r#"{"messages":[{"role":"assistant","content":"x"}]}"#, "first"),
            (r#"{"messages":[{"role":"user","content":7}]}"#, "neither a text"),
            (r#"{"input_base64":"?","output":"y"}"#, "base64"),
        ] {
            let error = read(line).expect_err("it is neither");
            assert!(error.contains(reason), "{line}: {error}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let one = Experience { id: 7, input: "a".into(), output: vec![0xFF].into(), ..Experience::default() };
        let plain = write(&one, Form::Plain).expect("any bytes");
        let again = read(&plain).expect("its own form").remove(0);
        assert_eq!((again.input, again.output), (one.input.clone(), one.output.clone()));
        assert_eq!(write(&one, Form::Chat), None, "it is no text");
        let good = Experience { output: "b".into(), reward: Some(1.0), ..one.clone() };
        assert_eq!(pairs(&write(&good, Form::Chat).expect("text")), [("a".into(), "b".into(), None)]);
        assert_eq!(write(&Experience { reward: Some(-1.0), ..good }, Form::Chat), None, "not to be imitated");
    }
}
