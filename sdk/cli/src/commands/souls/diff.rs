//! `matrix souls diff`.

use matrix_proto::v1::{CompareRequest, CompareResponse, ComparedLesson};
use serde_json::{Value, json};

use super::super::train;
use super::parse_name;
use crate::connection::Node;
use crate::errors::Error;
use crate::output::Style;
use crate::session::Session;
use crate::table::Table;
use crate::{request, text};

/// Which Soul, and which lessons.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// The Soul's name
    #[arg(value_parser = parse_name)]
    name: String,
    /// The number of a lesson whose state is kept: `matrix souls history` tells which are
    #[arg(value_name = "LESSON", value_parser = clap::value_parser!(u64).range(1..))]
    first: u64,
    /// The number of another
    #[arg(value_name = "LESSON", value_parser = clap::value_parser!(u64).range(1..))]
    second: u64,
}

/// Shows how a Soul does with the states of two lessons.
pub(crate) async fn run(node: &Node, args: Args, session: &Session<'_>) -> Result<(), Error> {
    let Args { name, first, second } = args;
    let message = CompareRequest { name: name.clone(), first, second };
    // Two copies are born, and measure themselves.
    let deadline = node.deadline(super::super::components::UPLOAD_DEADLINE);
    let compare = async |request| node.learning().compare(request).await;
    let compared = request::retried(message, deadline, compare).await;
    let compared = compared.map_err(|status| Error::node(status, format!("soul {name}")))?;
    session.output.show(&json(&name, &compared), |style| human(style, &name, &compared))
}

/// A figure of both, where either has it.
type Row<'a> = (&'a str, Option<f64>, Option<f64>);

fn rows<'a>(first: &'a ComparedLesson, second: &'a ComparedLesson) -> Vec<Row<'a>> {
    let mut names: Vec<&str> =
        first.figures.iter().chain(&second.figures).map(|figure| figure.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let row = |name| (name, train::figure(&first.figures, name), train::figure(&second.figures, name));
    names.into_iter().map(row).collect()
}

/// The lesson that did better by the figure that counts; none: neither, or nobody can tell.
fn better(of: &CompareResponse) -> Option<u64> {
    let (first, second) = (of.first.as_ref()?, of.second.as_ref()?);
    let [one, other] = [first, second].map(|side| train::figure(&side.figures, &of.metric));
    let change = other? - one?;
    let gain = if of.more_is_better { change } else { -change };
    match gain.partial_cmp(&0.0)? {
        std::cmp::Ordering::Greater => Some(second.lesson),
        std::cmp::Ordering::Less => Some(first.lesson),
        std::cmp::Ordering::Equal => None,
    }
}

fn json(name: &str, of: &CompareResponse) -> Value {
    let side = |side: &Option<ComparedLesson>| {
        let side = side.clone().unwrap_or_default();
        json!({ "lesson": side.lesson, "state": side.state, "figures": train::figures(&side.figures) })
    };
    json!({
        "soul": name,
        "component": of.component,
        "held_out": of.held_out,
        "metric": of.metric,
        "more_is_better": of.more_is_better,
        "better": better(of),
        "lessons": [side(&of.first), side(&of.second)],
    })
}

fn human(style: &Style, name: &str, of: &CompareResponse) -> String {
    let (first, second) = (of.first.clone().unwrap_or_default(), of.second.clone().unwrap_or_default());
    let heading = |side: &ComparedLesson| format!("LESSON {}", side.lesson);
    let mut table = Table::new(["FIGURE".to_owned(), heading(&first), heading(&second), "CHANGE".to_owned()]);
    let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), text::figure);
    for (figure, one, other) in rows(&first, &second) {
        let change = one.zip(other).map(|(one, other)| other - one);
        table.row([figure.to_owned(), shown(one), shown(other), shown(change)]);
    }
    let verdict = match better(of) {
        Some(lesson) => format!("lesson {lesson} is better by {}", of.metric),
        None => format!("neither is better by {}", of.metric),
    };
    format!(
        "{} measured by {} experiences that are held out, with {}\n{}{}\n",
        style.bold(name),
        of.held_out,
        text::short_digest(&of.component),
        table.render(style, "the Soul tells no figures"),
        style.green(&text::one_line(&verdict))
    )
}

#[cfg(test)]
mod tests {
    use matrix_proto::v1::Metric;

    use super::*;

    fn side(lesson: u64, loss: f64) -> Option<ComparedLesson> {
        let figures = vec![Metric { name: "loss".to_owned(), value: loss }];
        Some(ComparedLesson { lesson, state: String::new(), figures })
    }

    #[test]
    fn the_better_lesson_is_named_by_the_figure_that_counts() {
        let metric = "loss".to_owned();
        let mut of =
            CompareResponse { metric, first: side(1, 9.0), second: side(3, 0.25), ..Default::default() };
        assert_eq!(better(&of), Some(3));
        let shown = human(&Style::PLAIN, "neo", &of);
        assert!(shown.contains("loss           9      0.25   -8.75\n"), "{shown}");
        of.more_is_better = true;
        assert_eq!(better(&of), Some(1));
        of.second = side(3, 9.0);
        assert_eq!(better(&of), None);
        of.metric = "accuracy".to_owned();
        assert_eq!(better(&of), None);
    }
}
