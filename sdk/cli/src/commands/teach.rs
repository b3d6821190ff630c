//! `matrix teach`.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use matrix_proto::v1::{Experience, ExperienceSource, FeedbackRequest, FeedbackVerdict, TeachRequest};
use serde_json::json;

use super::souls::parse_name;
use crate::connection::Node;
use crate::errors::Error;
use crate::progress::{Progress, Unit};
use crate::session::Session;
use crate::{jsonl, request};

/// How many experiences go to the node at once, and about how many bytes: fewer than it takes.
const BATCH: usize = 500;
const BATCH_BYTES: usize = 128 << 10;
/// The longest line that is read: more than any experience may have.
const LINE_BYTES_MAX: u64 = 4 << 20;

/// Whom to teach what.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// The Soul
    #[arg(value_parser = parse_name)]
    name: String,
    /// What is said or seen
    #[arg(long, value_name = "TEXT", required_unless_present_any = ["file", "feedback"], allow_hyphen_values = true)]
    input: Option<String>,
    /// What the answer should be
    #[arg(
        long,
        value_name = "TEXT",
        requires = "input",
        required_unless_present_any = ["file", "feedback"],
        allow_hyphen_values = true
    )]
    answer: Option<String>,
    /// How good this answer is, such as -1 or 1 [default: to be learnt]
    #[arg(long, value_name = "NUMBER", requires = "input", allow_hyphen_values = true)]
    reward: Option<f64>,
    /// Experience as JSON Lines: {"input", "output", "reward"}, or {"messages": [{"role", "content"}]}; `-` reads stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["input", "answer", "reward"])]
    file: Option<PathBuf>,
    /// Judge an answer: the id of the message that it answered, or the number of an experience; good, bad, or correct and
    /// what it should have been
    #[arg(long, num_args = 2..=3, value_names = ["ID", "good|bad|correct", "TEXT"], conflicts_with_all = ["input", "answer", "reward", "file"])]
    feedback: Option<Vec<String>>,
}

/// Teaches.
pub(crate) async fn run(args: Args, session: &Session<'_>) -> Result<(), Error> {
    let node = session.node().await?;
    if let Some(feedback) = &args.feedback {
        return judge(&node, &args.name, feedback, session).await;
    }
    let mut pupil = Pupil { node, name: args.name.clone(), batch: Vec::new(), bytes: 0, taught: 0, last: 0 };
    match &args.file {
        Some(path) if path.as_os_str() == "-" => {
            let stdin = std::io::stdin().lock();
            read(stdin, "stdin", None, &mut pupil, session).await?;
        }
        Some(path) => {
            let failed = |error| Error::file("cannot read the file", path, error);
            let file = std::fs::File::open(path).map_err(failed)?;
            let length = file.metadata().map_err(failed)?.len();
            read(BufReader::new(file), &shown(path), Some(length), &mut pupil, session).await?;
        }
        None => {
            let (input, output) = (args.input.unwrap_or_default(), args.answer.unwrap_or_default());
            let source = ExperienceSource::User.into();
            let (input, output, reward) = (input.into(), output.into(), args.reward);
            pupil.add(Experience { source, input, output, reward, ..Experience::default() }).await?;
            pupil.send().await?;
        }
    }
    let json = json!({ "soul": args.name, "taught": pupil.taught, "last_id": pupil.last });
    session.output.show(&json, |style| {
        let (taught, last) = (pupil.taught, pupil.last);
        format!("{} {} {taught} experiences, the last is {last}\n", style.green("taught"), args.name)
    })
}

/// Says how an answer was.
async fn judge(node: &Node, name: &str, feedback: &[String], session: &Session<'_>) -> Result<(), Error> {
    let (id, verdict, correction) = match feedback {
        [id, verdict] if verdict == "good" => (id, FeedbackVerdict::Good, ""),
        [id, verdict] if verdict == "bad" => (id, FeedbackVerdict::Bad, ""),
        [id, verdict, text] if verdict == "correct" => (id, FeedbackVerdict::Correct, text.as_str()),
        _ => {
            let change = "write --feedback ID good, --feedback ID bad, or --feedback ID correct TEXT";
            return Err(Error::usage("that is no feedback", change));
        }
    };
    let message = FeedbackRequest {
        name: name.to_owned(),
        id: id.clone(),
        verdict: verdict.into(),
        correction: correction.to_owned().into(),
        request_id: request::id()?,
    };
    let feedback = async |request| node.learning().feedback(request).await;
    let taught = node.call(format!("soul {name}"), message, feedback).await?;
    let json = json!({ "soul": name, "taught": taught.count, "last_id": taught.first_id });
    session.output.show(&json, |style| format!("{} {name} what you think of it\n", style.green("taught")))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Reads lines, and teaches what they say, some at a time.
async fn read(
    mut lines: impl BufRead,
    place: &str,
    length: Option<u64>,
    pupil: &mut Pupil,
    session: &Session<'_>,
) -> Result<(), Error> {
    let progress = Progress::start(session.output, format!("teaching {}", pupil.name), Unit::Bytes, length);
    let (mut done, mut line) = (0, Vec::new());
    for number in 1_u64.. {
        line.clear();
        let failed = |error| Error::local("cannot read", place, error);
        let count = std::io::Read::take(&mut lines, LINE_BYTES_MAX).read_until(b'\n', &mut line);
        let count = count.map_err(failed)? as u64;
        if count == 0 {
            break;
        }
        done += count;
        let wrong = |reason: String| {
            let what = format!("line {number} of {place} teaches nothing: {reason}");
            let change = match pupil.taught {
                0 => "nothing was taught: correct the line".to_owned(),
                taught => format!("{taught} before it were taught: correct it, and go on from there"),
            };
            Error::usage(what, change)
        };
        if count == LINE_BYTES_MAX && !line.ends_with(b"\n") {
            return Err(wrong(format!("it has more than {LINE_BYTES_MAX} bytes")));
        }
        let text = std::str::from_utf8(&line).map_err(|error| wrong(error.to_string()))?;
        if text.trim().is_empty() {
            continue;
        }
        for experience in jsonl::read(text).map_err(wrong)? {
            pupil.add(experience).await?;
        }
        progress.set(done, length);
    }
    pupil.send().await?;
    progress.finish(done);
    Ok(())
}

/// Who is taught, and what waits to be sent.
struct Pupil {
    node: Node,
    name: String,
    batch: Vec<Experience>,
    bytes: usize,
    taught: u64,
    last: u64,
}

impl Pupil {
    async fn add(&mut self, experience: Experience) -> Result<(), Error> {
        let bytes = experience.input.len() + experience.output.len();
        if self.batch.len() >= BATCH || (self.bytes + bytes > BATCH_BYTES && !self.batch.is_empty()) {
            self.send().await?;
        }
        self.bytes += bytes;
        self.batch.push(experience);
        Ok(())
    }

    async fn send(&mut self) -> Result<(), Error> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let experiences = std::mem::take(&mut self.batch);
        self.bytes = 0;
        let message = TeachRequest { name: self.name.clone(), experiences, request_id: request::id()? };
        let teach = async |request| self.node.learning().teach(request).await;
        let taught = self.node.call(format!("soul {}", self.name), message, teach).await?;
        self.taught += u64::from(taught.count);
        self.last = (taught.first_id + u64::from(taught.count)).saturating_sub(1);
        Ok(())
    }
}
