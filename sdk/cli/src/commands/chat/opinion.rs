//! What people say of answers while they talk: it is added to what the Soul learns from.

use bytes::Bytes;
use matrix_proto::v1::address::To;
use matrix_proto::v1::{Address, Experience, ExperienceSource, TeachRequest};
use serde_json::json;

use crate::connection::Node;
use crate::errors::Error;
use crate::session::Session;
use crate::{address, request};

/// What was said last, and what was answered.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) question: Bytes,
    pub(super) answer: Bytes,
}

/// A line that was typed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// To be sent.
    Message(String),
    /// About the answer before it.
    Opinion(Opinion),
}

/// What somebody thinks of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opinion {
    Good,
    Bad,
    /// It should have been this.
    Correct(String),
}

/// Reads a line. One that begins with two slashes is a message that begins with one.
pub(super) fn read(line: &str) -> Line {
    // A thumb may have a colour of skin, or the sign that it is to be a picture.
    let tone = |part: char| matches!(part, '\u{1f3fb}'..='\u{1f3ff}' | '\u{fe0f}');
    match line.trim().trim_end_matches(tone) {
        "👍" | "/good" => Line::Opinion(Opinion::Good),
        "👎" | "/bad" => Line::Opinion(Opinion::Bad),
        text => match text.strip_prefix("/correct") {
            Some(right) if right.is_empty() || right.starts_with(' ') => {
                Line::Opinion(Opinion::Correct(right.trim().to_owned()))
            }
            _ => {
                let escaped = line.strip_prefix('/').filter(|rest| rest.starts_with('/'));
                Line::Message(escaped.unwrap_or(line).to_owned())
            }
        },
    }
}

/// Adds an opinion to the experience of the Soul that answered.
pub(super) async fn teach(
    node: &Node,
    recipient: &Address,
    answered: Option<&Answered>,
    opinion: Opinion,
    session: &Session<'_>,
) -> Result<(), Error> {
    let Some(To::Soul(name)) = &recipient.to else {
        let what = format!("{} does not learn from what is thought of its answers", address::text(recipient));
        return Err(Error::usage(what, "judge answers of Souls"));
    };
    let answered =
        answered.ok_or_else(|| Error::usage("there is no answer to judge yet", "say something first"))?;
    let (output, reward) = match opinion {
        Opinion::Good => (answered.answer.clone(), 1.0),
        Opinion::Bad => (answered.answer.clone(), -1.0),
        Opinion::Correct(right) if right.is_empty() => {
            return Err(Error::usage(
                "what is right is missing",
                "write /correct and what the answer should have been",
            ));
        }
        Opinion::Correct(right) => (right.into(), 1.0),
    };
    let experience = Experience {
        source: ExperienceSource::User.into(),
        input: answered.question.clone(),
        output,
        reward: Some(reward),
        ..Experience::default()
    };
    let message =
        TeachRequest { name: name.clone(), experiences: vec![experience], request_id: request::id()? };
    let teach = async |request| node.learning().teach(request).await;
    let taught = node.call(format!("soul {name}"), message, teach).await?;
    let json = json!({ "soul": name, "taught": taught.count, "last_id": taught.first_id });
    session.output.show(&json, |style| format!("{} {name} what you think of it\n", style.green("taught")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(line: &str) -> Option<String> {
        match read(line) {
            Line::Message(text) => Some(text),
            Line::Opinion(_) => None,
        }
    }

    #[test]
    fn what_is_no_opinion_is_sent_as_it_is() {
        for line in ["hello", " 👍 indeed", "/help", "/goodbye", "/corrections", "well, /good", "👍👎"]
        {
            assert_eq!(message(line).as_deref(), Some(line));
        }
        assert_eq!(message("//good").as_deref(), Some("/good"));
    }

    #[test]
    fn opinions_are_read_in_any_colour() {
        let opinion = |line: &str, expected: Opinion| {
            assert_eq!(read(line), Line::Opinion(expected), "{line}");
        };
        for line in ["👍", " 👍 ", "👍🏽", "👍\u{fe0f}", "/good"] {
            opinion(line, Opinion::Good);
        }
        for line in ["👎", "👎🏿", "/bad"] {
            opinion(line, Opinion::Bad);
        }
        opinion("/correct  It is 3. ", Opinion::Correct("It is 3.".to_owned()));
        opinion("/correct", Opinion::Correct(String::new()));
    }
}
