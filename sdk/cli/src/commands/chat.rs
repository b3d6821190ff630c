//! `matrix chat`.

mod opinion;

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use bytes::Bytes;
use matrix_proto::v1::{Address, AskRequest, AskResponse, Content};
use opinion::{Answered, Line};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Stdin};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::ask;
use crate::address;
use crate::connection::Node;
use crate::errors::Error;
use crate::session::Session;

/// How long a reply may take where the user says nothing: people wait longer than scripts.
const REPLY_DEADLINE: Duration = Duration::from_secs(60);

/// The longest line that is sent.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// Whom to talk with.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// soul:NAME, matrix:NAME, or NAME for a Soul
    #[arg(value_name = "WITH", value_parser = address::parse)]
    recipient: Address,
}

/// A conversation that is open on the node.
struct Conversation {
    questions: mpsc::Sender<AskRequest>,
    answers: Streaming<AskResponse>,
}

/// Talks, a line at a time, until stdin ends. Some lines judge the answer before them.
pub(crate) async fn run(args: Args, session: &Session<'_>) -> Result<(), Error> {
    let node = session.node().await?;
    let place = address::text(&args.recipient);
    let is_person = std::io::stdin().is_terminal() && session.output.stderr_is_terminal();
    if is_person {
        session.output.note(&format!("Talking with {place}. A line is a message; Ctrl-D ends."));
        session.output.note(
            "👍, 👎 or /correct TEXT say what you think of an answer: a Soul that learns, learns from it.",
        );
    }
    let mut stdin = BufReader::new(tokio::io::stdin());
    let (mut conversation, mut answered) = (None, None);
    while let Some(line) = read_line(&mut stdin, is_person.then_some(&place)).await? {
        if line.trim().is_empty() {
            continue;
        }
        let body = match opinion::read(&line) {
            Line::Message(text) => Bytes::from(text),
            Line::Opinion(opinion) => {
                match opinion::teach(&node, &args.recipient, answered.as_ref(), opinion, session).await {
                    Err(error) if is_person => {
                        error.print(session.output);
                    }
                    done => done?,
                }
                continue;
            }
        };
        let content = Content { content_type: "text/plain".to_owned(), body: body.clone() };
        let question = AskRequest {
            recipient: Some(args.recipient.clone()),
            content: Some(content),
            timeout_ms: ask::timeout_ms(node.deadline(REPLY_DEADLINE)),
            request_id: String::new(),
        };
        match exchange(&node, &mut conversation, question).await {
            Ok(answer) => {
                ask::show(session.output, &answer)?;
                answered = answer.reply.map(|reply| Answered { question: body, answer: reply.body });
            }
            Err(status) => {
                // The node has closed the conversation: a person may try again, a script ends here.
                conversation = None;
                let error = Error::node(status, &place);
                if !is_person {
                    return Err(error);
                }
                error.print(session.output);
            }
        }
    }
    Ok(())
}

/// Asks one question and waits for its answer; opens the conversation with the first.
async fn exchange(
    node: &Node,
    conversation: &mut Option<Conversation>,
    question: AskRequest,
) -> Result<AskResponse, Status> {
    let gone = || Status::unavailable("the node closed the conversation");
    let open = match conversation {
        Some(open) => {
            open.questions.send(question).await.map_err(|_| gone())?;
            open
        }
        None => {
            // A node may wait for the first question before it answers at all, so it is sent ahead.
            let (questions, rest) = mpsc::channel(1);
            questions.send(question).await.map_err(|_| gone())?;
            let answers = node.souls().converse(ReceiverStream::new(rest)).await?.into_inner();
            conversation.insert(Conversation { questions, answers })
        }
    };
    open.answers.message().await?.ok_or_else(gone)
}

/// The next line, without its end; none: there are no more. A person is prompted with `prompt`.
async fn read_line(stdin: &mut BufReader<Stdin>, prompt: Option<&String>) -> Result<Option<String>, Error> {
    let failed = |error| Error::local("cannot read", "stdin", error);
    if let Some(prompt) = prompt {
        let mut stderr = std::io::stderr().lock();
        write!(stderr, "{prompt}> ").and_then(|()| stderr.flush()).map_err(failed)?;
    }
    let mut line = Vec::new();
    stdin.take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await.map_err(failed)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.len() as u64 == LINE_BYTES_MAX && line.last() != Some(&b'\n') {
        return Err(failed(std::io::Error::other("a line is longer than 1 MiB")));
    }
    let line = String::from_utf8(line).map_err(|_| failed(std::io::Error::other("a line is not UTF-8")))?;
    Ok(Some(line.trim_end_matches(['\n', '\r']).to_owned()))
}
