//! How a Soul learns: the flags of `matrix souls spawn`, and what `matrix souls show` says of it.

use matrix_proto::v1::{Capture, Lesson, Training, TrainingMode};
use serde_json::{Value, json};

use crate::commands::train;

/// What the node takes where nothing is said, as the interface has it.
const EVERY_EXPERIENCES: u32 = 64;
const EVERY_SECONDS: u32 = 60;
const HELD_OUT_PERCENT: u32 = 10;
const METRIC: &str = "loss";

/// Where a Soul is trained.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum Mode {
    /// Beside the Soul, which goes on
    #[default]
    Beside,
    /// The Soul waits meanwhile
    InPlace,
}

/// What of all that a Soul does it learns from.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Captured {
    /// What it was told, and answered
    Conversation,
    /// What it did in Matrices, and what that earned
    Matrix,
}

/// The part `learning` of a manifest.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Learning")]
pub(crate) struct LearningArgs {
    /// Train it when somebody asks for it, and never by itself
    #[arg(long)]
    learning_manual: bool,
    /// Train it when so many experiences wait [default: 64]
    #[arg(long, value_name = "N")]
    learning_every_experiences: Option<u32>,
    /// Train it after so many seconds, if any experience waits [default: 60]
    #[arg(long, value_name = "N")]
    learning_every_seconds: Option<u32>,
    /// The most experiences that it is trained on at once [default: 256]
    #[arg(long, value_name = "N")]
    learning_batch: Option<u32>,
    /// Train it beside itself, or let it wait meanwhile
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    learning_mode: Mode,
    /// So many in a hundred are never trained on, and measured by [default: 10]
    #[arg(long, value_name = "N")]
    learning_held_out_percent: Option<u32>,
    /// The figure by which it is judged [default: loss]
    #[arg(long, value_name = "FIGURE")]
    learning_metric: Option<String>,
    /// Of this figure, more is better
    #[arg(long)]
    learning_more_is_better: bool,
    /// By how much of itself the figure may get worse [default: 0.05]
    #[arg(long, value_name = "NUMBER")]
    learning_tolerance: Option<f64>,
    /// Let it learn from what it does as well; may be given again
    #[arg(long, value_name = "WHAT", value_enum)]
    learning_capture: Vec<Captured>,
}

impl From<LearningArgs> for Training {
    fn from(args: LearningArgs) -> Self {
        let mode = match args.learning_mode {
            Mode::Beside => TrainingMode::Beside,
            Mode::InPlace => TrainingMode::InPlace,
        };
        let capture = args.learning_capture.iter().map(|captured| match captured {
            Captured::Conversation => Capture::Conversation.into(),
            Captured::Matrix => Capture::Matrix.into(),
        });
        Self {
            manual: args.learning_manual,
            every_experiences: args.learning_every_experiences.unwrap_or(0),
            every_seconds: args.learning_every_seconds.unwrap_or(0),
            batch: args.learning_batch.unwrap_or(0),
            mode: mode.into(),
            held_out_percent: args.learning_held_out_percent,
            metric: args.learning_metric.unwrap_or_default(),
            more_is_better: args.learning_more_is_better,
            tolerance: args.learning_tolerance,
            capture: capture.collect(),
        }
    }
}

fn captured(training: &Training) -> Vec<&'static str> {
    let name = |capture| match capture {
        Capture::Conversation => Some("conversation"),
        Capture::Matrix => Some("matrix"),
        Capture::Unspecified => None,
    };
    training.capture().filter_map(name).collect()
}

fn mode(training: &Training) -> &'static str {
    match training.mode() {
        TrainingMode::InPlace => "in-place",
        TrainingMode::Beside | TrainingMode::Unspecified => "beside",
    }
}

fn metric(training: &Training) -> &str {
    if training.metric.is_empty() { METRIC } else { &training.metric }
}

fn or(said: u32, default: u32) -> u32 {
    if said == 0 { default } else { said }
}

/// For programs: what holds, and the last lesson.
pub(super) fn json(training: &Training, last: Option<&Lesson>) -> Value {
    json!({
        "manual": training.manual,
        "every_experiences": or(training.every_experiences, EVERY_EXPERIENCES),
        "every_seconds": or(training.every_seconds, EVERY_SECONDS),
        "mode": mode(training),
        "held_out_percent": training.held_out_percent.unwrap_or(HELD_OUT_PERCENT),
        "metric": metric(training),
        "more_is_better": training.more_is_better,
        "capture": captured(training),
        "last_lesson": last.map(train::lesson_json),
    })
}

/// For people: lines that are empty where there is nothing to say.
pub(super) fn human(training: &Training, last: Option<&Lesson>) -> [(&'static str, String); 3] {
    if last.is_none() && *training == Training::default() {
        return ["learning", "judged by", "last lesson"].map(|name| (name, String::new()));
    }
    let when = if training.manual {
        "when told".to_owned()
    } else {
        let (count, seconds) =
            (or(training.every_experiences, EVERY_EXPERIENCES), or(training.every_seconds, EVERY_SECONDS));
        format!("after {count} experiences or {seconds} s")
    };
    let from = captured(training);
    let from = if from.is_empty() { String::new() } else { format!(", also from {}", from.join(", ")) };
    let better = if training.more_is_better { "more" } else { "less" };
    let percent = training.held_out_percent.unwrap_or(HELD_OUT_PERCENT);
    let judged = format!("{}, {better} is better, {percent} % held out", metric(training));
    [
        ("learning", format!("{}, {when}{from}", mode(training))),
        ("judged by", judged),
        ("last lesson", last.map(train::outcome).unwrap_or_default()),
    ]
}
