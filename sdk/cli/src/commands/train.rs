//! `matrix train`.

use matrix_proto::v1::{
    LearningProgress, Lesson, LessonVerdict, Metric, ProgressRequest, RestoreRequest, TrainRequest,
};
use serde_json::{Value, json};

use super::souls::parse_name;
use crate::connection::Node;
use crate::errors::Error;
use crate::output::Style;
use crate::session::Session;
use crate::table::Table;
use crate::{request, text};

/// The heights of a chart's columns.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Lessons that a chart shows.
const CHART: usize = 48;
/// Puts what follows at the top of an empty screen.
const CLEAR: &[u8] = b"\x1b[H\x1b[2J";

/// Which Soul, and what is wanted of it.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// The Soul
    #[arg(value_parser = parse_name)]
    name: String,
    /// Train it at once on all that waits, whatever its manifest says
    #[arg(long)]
    now: bool,
    /// Show lessons as they end, with a chart; with --now, until it has learnt from all
    #[arg(long)]
    watch: bool,
}

/// Trains, or shows how training goes.
pub(crate) async fn run(args: Args, session: &Session<'_>) -> Result<(), Error> {
    let node = session.node().await?;
    let place = format!("soul {}", args.name);
    if args.now {
        let message = TrainRequest { name: args.name.clone(), request_id: request::id()? };
        let train = async |request| node.learning().train(request).await;
        let asked = node.call(&place, message, train).await?;
        if !args.watch {
            let json = json!({ "soul": args.name, "waiting": asked.waiting });
            let said = |style: &Style| {
                let (done, waiting) = (style.green("asked"), asked.waiting);
                format!("{done} {} to learn from {waiting} experiences; see --watch\n", args.name)
            };
            return session.output.show(&json, said);
        }
    }
    let message = ProgressRequest { name: args.name.clone(), after: 0 };
    if args.watch {
        return watch(&node, &place, message, args.now, session).await;
    }
    let progress = async |request| node.learning().progress(request).await;
    let progress = node.call(place, message, progress).await?;
    session.output.show(&json(&progress), |style| human(style, &progress))
}

/// Shows lessons as they end: on a terminal a screen with all of them, elsewhere a line each.
async fn watch(
    node: &Node,
    place: &str,
    message: ProgressRequest,
    ends: bool,
    session: &Session<'_>,
) -> Result<(), Error> {
    let screen = !session.output.is_json() && session.output.stdout_is_terminal();
    let mut changes =
        node.stream(place, message, async |request| node.learning().watch(request).await).await?;
    let mut known: Vec<Lesson> = Vec::new();
    while let Some(mut progress) = changes.message().await.map_err(|status| Error::node(status, place))? {
        let (new, waiting) = (std::mem::take(&mut progress.lessons), progress.waiting);
        known.extend(new.iter().cloned());
        if screen {
            session.output.raw(CLEAR)?;
            let shown = LearningProgress { lessons: known.clone(), ..progress };
            session.output.show(&Value::Null, |style| human(style, &shown))?;
        } else {
            for lesson in &new {
                session.output.show(&lesson_json(lesson), |style| line(style, lesson, &known))?;
            }
        }
        if ends && waiting == 0 {
            break;
        }
    }
    Ok(())
}

/// A figure by its name.
pub(super) fn figure(figures: &[Metric], name: &str) -> Option<f64> {
    figures.iter().find(|figure| figure.name == name).map(|figure| figure.value)
}

/// What the Soul came to in each of the last lessons, by the figure that judges it: what was not kept left it as it was.
fn course(lessons: &[Lesson]) -> Vec<f64> {
    let kept = |lesson: &Lesson| match lesson.verdict() {
        LessonVerdict::Kept | LessonVerdict::Restored => figure(&lesson.after, &lesson.metric),
        _ => figure(&lesson.before, &lesson.metric),
    };
    let all: Vec<_> = lessons.iter().filter_map(kept).collect();
    all[all.len().saturating_sub(CHART)..].to_vec()
}

/// A column for each value, between the least and the greatest.
fn chart(values: &[f64]) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let span = values.iter().copied().fold(f64::NEG_INFINITY, f64::max) - least;
    let bar = |value: &f64| {
        let height = if span > 0.0 { (value - least) / span * (BARS.len() - 1) as f64 } else { 0.0 };
        BARS[(height.round() as usize).min(BARS.len() - 1)]
    };
    values.iter().map(bar).collect()
}

const fn verdict_name(verdict: LessonVerdict) -> &'static str {
    match verdict {
        LessonVerdict::Kept => "kept",
        LessonVerdict::Rejected => "rejected",
        LessonVerdict::Restored => "restored",
        LessonVerdict::Failed | LessonVerdict::Unspecified => "failed",
    }
}

fn verdict(style: &Style, lesson: &Lesson) -> String {
    match lesson.verdict() {
        LessonVerdict::Kept => style.green("kept"),
        LessonVerdict::Restored => style.yellow("restored"),
        LessonVerdict::Rejected => style.red("rejected"),
        LessonVerdict::Failed | LessonVerdict::Unspecified => style.red("failed"),
    }
}

/// What the judging figure was before and after.
fn change(lesson: &Lesson) -> String {
    let shown = |figures| figure(figures, &lesson.metric).map_or_else(|| "-".to_owned(), text::figure);
    format!("{} {} → {}", lesson.metric, shown(&lesson.before), shown(&lesson.after))
}

/// What a lesson came to, in a line.
pub(super) fn outcome(lesson: &Lesson) -> String {
    let Lesson { number, at_ms, .. } = lesson;
    format!("{number} {}, {}, {}", verdict_name(lesson.verdict()), change(lesson), text::moment(*at_ms))
}

fn line(style: &Style, lesson: &Lesson, known: &[Lesson]) -> String {
    let reason = text::one_line(&lesson.reason);
    let until: Vec<_> = known.iter().filter(|it| it.number <= lesson.number).cloned().collect();
    let chart = chart(&course(&until));
    let told = format!("{} {}  {}  {chart}  {reason}", lesson.number, verdict(style, lesson), change(lesson));
    format!("{}\n", told.trim_end())
}

fn human(style: &Style, progress: &LearningProgress) -> String {
    let LearningProgress { name, taught, kept, seen, waiting, delayed, lessons, .. } = progress;
    let mut told = format!(
        "{} was taught {taught} experiences, of which {kept} are kept; it has seen {seen}, and {waiting} wait\n",
        style.bold(name)
    );
    if !delayed.is_empty() {
        told += &format!("{} {}\n", style.yellow("delayed"), text::one_line(delayed));
    }
    let values = course(lessons);
    if let (Some(first), Some(last), Some(lesson)) = (values.first(), values.last(), lessons.last()) {
        let (first, last) = (text::figure(*first), text::figure(*last));
        told += &format!("{} {}  {first} → {last}\n", lesson.metric, style.green(&chart(&values)));
    }
    let mut table = Table::new([
        "LESSON",
        "VERDICT",
        "EXPERIENCES",
        "TRAINED",
        "HELD OUT",
        "JUDGED BY",
        "TOOK",
        "REASON",
    ]);
    for lesson in lessons {
        table.row([
            lesson.number.to_string(),
            verdict_name(lesson.verdict()).to_owned(),
            format!("{}-{}", lesson.first, lesson.last),
            lesson.trained.to_string(),
            lesson.held_out.to_string(),
            change(lesson),
            format!("{} ms", lesson.took_ms),
            lesson.reason.clone(),
        ]);
    }
    told + &table.render(style, "no lessons yet")
}

/// How a Soul came to its states by learning, for its history; empty: it has had no lesson.
pub(super) fn lineage(style: &Style, lessons: &[Lesson]) -> String {
    let mut table = Table::new(["LESSON", "AT", "VERDICT", "DATA", "FROM", "TO", "BY", "JUDGED BY", "KEPT"]);
    for lesson in lessons {
        table.row([
            lesson.number.to_string(),
            text::moment(lesson.at_ms),
            verdict_name(lesson.verdict()).to_owned(),
            format!("{}-{} {}", lesson.first, lesson.last, text::short_digest(&lesson.data)),
            text::short_digest(&lesson.parent),
            text::short_digest(&lesson.state),
            text::short_digest(&lesson.component),
            change(lesson),
            if lesson.is_kept { "yes" } else { "" }.to_owned(),
        ]);
    }
    if lessons.is_empty() { String::new() } else { table.render(style, "") }
}

/// Gives a Soul back the state of a lesson, and waits for it.
pub(super) async fn restore(soul: String, lesson: u64, session: &Session<'_>) -> Result<(), Error> {
    let (node, place) = (session.node().await?, format!("soul {soul}"));
    let progress = async |request| node.learning().progress(request).await;
    let message = ProgressRequest { name: soul.clone(), after: u64::MAX };
    let before = ProgressRequest { name: soul.clone(), after: 0 };
    let known = node.call(&place, before, progress).await?.lessons.last().map_or(0, |lesson| lesson.number);
    let message = ProgressRequest { after: known, ..message };
    let ask = RestoreRequest { name: soul.clone(), lesson, request_id: request::id()? };
    node.call(&place, ask, async |request| node.learning().restore(request).await).await?;
    let mut changes =
        node.stream(&place, message, async |request| node.learning().watch(request).await).await?;
    let about = format!("the state of lesson {lesson}");
    while let Some(progress) = changes.message().await.map_err(|status| Error::node(status, &place))? {
        let restored = progress.lessons.iter().find(|it| it.verdict() == LessonVerdict::Restored);
        if let Some(restored) = restored {
            return session.output.show(&lesson_json(restored), |style| {
                format!("{} {soul} to {about}\n", style.green("restored"))
            });
        }
        if let Some(failed) =
            progress.lessons.iter().find(|it| it.trained == 0 && it.verdict() == LessonVerdict::Failed)
        {
            return Err(Error::Conflict {
                what: format!("{about} was not taken up: {}", text::one_line(&failed.reason)),
                place,
                change: "see what is kept: matrix souls history".to_owned(),
            });
        }
    }
    Err(Error::Answer("end of the restoring"))
}

pub(super) fn figures(figures: &[Metric]) -> Value {
    figures
        .iter()
        .map(|figure| (figure.name.clone(), json!(figure.value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

pub(super) fn lesson_json(lesson: &Lesson) -> Value {
    json!({
        "lesson": lesson.number,
        "verdict": verdict_name(lesson.verdict()),
        "reason": lesson.reason,
        "first_id": lesson.first,
        "last_id": lesson.last,
        "trained": lesson.trained,
        "held_out": lesson.held_out,
        "data": lesson.data,
        "metric": lesson.metric,
        "before": figures(&lesson.before),
        "after": figures(&lesson.after),
        "training": figures(&lesson.figures),
        "component": lesson.component,
        "parent": lesson.parent,
        "state": lesson.state,
        "at_ms": lesson.at_ms,
        "took_ms": lesson.took_ms,
        "is_kept": lesson.is_kept,
    })
}

fn json(progress: &LearningProgress) -> Value {
    json!({
        "soul": progress.name,
        "taught": progress.taught,
        "kept": progress.kept,
        "seen": progress.seen,
        "waiting": progress.waiting,
        "delayed": progress.delayed,
        "lessons": progress.lessons.iter().map(lesson_json).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lesson(verdict: LessonVerdict, before: f64, after: f64) -> Lesson {
        let metric = |value| vec![Metric { name: "loss".to_owned(), value }];
        Lesson {
            verdict: verdict.into(),
            metric: "loss".to_owned(),
            before: metric(before),
            after: metric(after),
            ..Lesson::default()
        }
    }

    #[test]
    fn a_chart_shows_what_the_soul_came_to() {
        let lessons = [
            lesson(LessonVerdict::Kept, 8.0, 7.0),
            lesson(LessonVerdict::Rejected, 7.0, 99.0),
            lesson(LessonVerdict::Kept, 7.0, 0.0),
        ];
        assert_eq!(course(&lessons), [7.0, 7.0, 0.0]);
        assert_eq!(chart(&course(&lessons)), "██▁");
        assert_eq!((chart(&[1.0, 1.0]), chart(&[])), ("▁▁".to_owned(), String::new()));
    }
}
