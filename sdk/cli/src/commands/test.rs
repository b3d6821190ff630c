//! `matrix test`.

mod stage;

use std::path::{Path, PathBuf};

use serde_json::json;

use self::stage::{Played, Stage};
use super::components::LocalComponent;
use crate::author::build::{self, Whom};
use crate::author::home::Home;
use crate::author::project::Project;
use crate::author::scenario::Scenario;
use crate::author::verdict::Miss;
use crate::content::read_file;
use crate::errors::{Error, Report};
use crate::output::Style;
use crate::session::Session;

/// The most bytes in a scenario.
const SCENARIO_BYTES_MAX: u64 = 1 << 20;

/// Where the scenarios of a folder are.
const SCENARIOS: &str = "scenarios";

/// What to test, and by what.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// A folder with its matrix.toml, which is built first, or the file of a component
    #[arg(value_name = "FOLDER|COMPONENT", default_value = ".")]
    subject: PathBuf,
    /// Scenarios [default: scenarios/*.toml of the folder]
    #[arg(value_name = "SCENARIO")]
    scenarios: Vec<PathBuf>,
}

/// What is tested.
struct Subject {
    name: String,
    component: LocalComponent,
}

/// How many steps there were, and how many of them went wrong.
#[derive(Default)]
struct Tally {
    scenarios: usize,
    steps: usize,
    failed: usize,
}

/// Plays scenarios against a component, on a node of their own.
pub(crate) async fn run(args: Args, session: &Session<'_>) -> Result<(), Error> {
    let Args { subject, scenarios } = args;
    if session.names_a_node() {
        let what = "scenarios are played on a node of their own";
        return Err(Error::usage(what, "leave --node and --data-dir out"));
    }
    let project = if subject.is_dir() { Some(Project::read(&subject)?) } else { None };
    let files = match (&project, scenarios.is_empty()) {
        (_, false) => scenarios,
        // Without `./` before it, where it is the folder that one is in.
        (Some(_), true) => found_in(&subject.strip_prefix(".").unwrap_or(&subject).join(SCENARIOS))?,
        (None, true) => {
            let what = format!("nothing says how to test `{}`", subject.display());
            return Err(Error::usage(what, "name scenarios after it"));
        }
    };
    let read = files.into_iter().map(|file| Ok((read(&file)?, file)));
    let all = read.collect::<Result<Vec<_>, Error>>()?;
    let subject = match &project {
        Some(project) => {
            build::prepare(project).await?;
            let built = build::build(project, Whom::Tests, session.output).await?;
            Subject { name: project.name.clone(), component: built.component }
        }
        None => {
            Subject { name: super::components::name_of(&subject), component: LocalComponent::read(&subject)? }
        }
    };
    let home = Home::start(session.environment().functions.as_deref()).await?;
    let tally = play(&home, &subject, &all, session).await;
    home.end().await;
    end(tally?, &subject.name, session)
}

/// Plays all, each in a world of its own.
async fn play(
    home: &Home,
    subject: &Subject,
    all: &[(Scenario, PathBuf)],
    session: &Session<'_>,
) -> Result<Tally, Error> {
    let quiet = session.output.quiet();
    let mut stage = Stage::open(home.node(), &quiet, &subject.name, &subject.component).await?;
    let mut tally = Tally::default();
    for (scenario, file) in all {
        tally.scenarios += 1;
        tally.steps += scenario.steps.len();
        let shown = file.display().to_string();
        session.output.show(&json!({ "scenario": shown }), |style| format!("{}\n", style.bold(&shown)))?;
        let set = match stage.set(scenario, file).await {
            Ok(()) => true,
            // What cannot be set up fails alone: the others may be right.
            Err(error) => {
                tally.failed += scenario.steps.len();
                error.within(&shown).print(session.output);
                false
            }
        };
        for (number, step) in (1..).zip(&scenario.steps).filter(|_| set) {
            let played = stage.play(step, scenario).await?;
            tally.failed += usize::from(!played.misses.is_empty());
            let json = json_of(&shown, number, step.line, &played);
            session.output.show(&json, |style| human(style, number, step.line, &played))?;
        }
        stage.clear().await?;
    }
    Ok(tally)
}

/// The scenarios of a folder, in the order of their names.
fn found_in(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries.map(|entry| entry.path()).collect();
    found.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    found.sort();
    if found.is_empty() {
        let what = format!("there is no scenario in `{}`", folder.display());
        return Err(Error::usage(what, "write one, or name one"));
    }
    Ok(found)
}

/// Reads a scenario. One that is wrong is no failure of what is tested, but of what was given.
fn read(file: &Path) -> Result<Scenario, Error> {
    let bytes = read_file(file, SCENARIO_BYTES_MAX)
        .map_err(|error| Error::usage(format!("{}: {error}", file.display()), "name a scenario"))?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Error::usage(format!("{}: it is not UTF-8", file.display()), "write it as UTF-8"))?;
    Scenario::parse(text, &file.display().to_string()).map_err(|error| {
        let change = error.change.unwrap_or_else(|| "mend it there".to_owned());
        Error::usage(format!("{}: {}", error.place, error.what), change)
    })
}

/// Tells how it went as a whole.
fn end(tally: Tally, name: &str, session: &Session<'_>) -> Result<(), Error> {
    let Tally { scenarios, steps, failed } = tally;
    let json = json!({ "scenarios": scenarios, "steps": steps, "failed": failed });
    session.output.show(&json, |style| {
        let word = if failed == 0 { style.green("passed") } else { style.red("failed") };
        format!(
            "{word} {} of {steps} steps in {scenarios} scenarios\n",
            if failed == 0 { steps } else { failed }
        )
    })?;
    if failed == 0 {
        return Ok(());
    }
    Err(Error::Failed {
        what: format!("{failed} of {steps} steps failed"),
        place: format!("component {name}"),
        change: "mend the component, or what is expected of it".to_owned(),
    })
}

fn json_of(scenario: &str, number: usize, line: usize, played: &Played) -> serde_json::Value {
    let miss = |Miss { expected, seen }: &Miss| json!({ "expected": expected, "seen": seen });
    json!({
        "scenario": scenario,
        "step": number,
        "line": line,
        "what": played.what,
        "passed": played.misses.is_empty(),
        "misses": played.misses.iter().map(miss).collect::<Vec<_>>(),
        "ms": played.took.as_millis() as u64,
    })
}

fn human(style: &Style, number: usize, line: usize, played: &Played) -> String {
    let word = if played.misses.is_empty() { style.green("  ok  ") } else { style.red("  FAIL") };
    let mut told = format!("{word} {number:3}  {}\n", played.what);
    for Miss { expected, seen } in &played.misses {
        told += &format!("            line {line}, expected  {expected}\n");
        told +=
            &format!("            {:width$}  seen      {seen}\n", "", width = format!("line {line}").len());
    }
    told
}

/// What an error says, on one line, for a step that it befell.
fn told(error: &Error) -> String {
    let report = Report::of(error);
    crate::text::one_line(&report.what)
}
