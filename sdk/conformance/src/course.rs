//! The course of a component: everything that came of a fixed list of messages or steps, a line each. Two courses with
//! one seed are the same, whichever process they are gone through in.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use matrixd::runtime::inspect::Kind;
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::checks::Stop;
use crate::kit::{Kit, bench_of};
use crate::options::Options;
use crate::play;
use crate::script;
use crate::subject::{Subject, difference, state, tell};

/// The hidden command of `matrix-check` that goes through a course.
const COURSE_COMMAND: &str = "course";

/// The component, in the kit's folder.
const COMPONENT_FILE: &str = "component.wasm";

/// What another process is told.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    component: PathBuf,
    /// Where the component was compiled.
    compiled: PathBuf,
    options: Options,
}

/// Goes through the course that `order` names, JSON that only the kit writes. Returns the lines as JSON.
///
/// # Errors
/// Why that could not be done.
pub async fn course(kit: &Kit, order: &str) -> Result<String, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let Order { component, compiled, options } = serde_json::from_str(order).map_err(|error| text(&error))?;
    let bytes = tokio::fs::read(component).await.map_err(|error| text(&error))?;
    let folder = tempfile::tempdir().map_err(|error| text(&error))?;
    let subject = kit.subject(&folder, Some(&compiled), bytes.into(), options).await;
    let subject = subject.map_err(|error| text(&error))?;
    let lines = lines(&subject).await;
    subject.bench.close().await;
    let lines = lines.map_err(|stop| format!("{stop:?}"))?;
    serde_json::to_string(&lines).map_err(|error| text(&error))
}

/// Goes through the course of a component in this process.
pub(crate) async fn lines(subject: &Subject) -> Result<Vec<String>, Stop> {
    match subject.component()?.info().kind {
        Kind::Soul => {
            let mut soul = subject.born().await?;
            let mut lines = tell(&mut soul, &script::plain(&subject.options.say)).await?;
            if subject.exports("stateful") {
                lines.push(format!("its state is {:?}", state(&mut soul).await?));
            }
            Ok(lines)
        }
        Kind::Rules => play::lines(subject).await,
        Kind::Transport => play::verdicts(subject),
    }
}

/// Goes through the course here and in another process, and compares.
pub(crate) async fn twice(subject: &Subject, mend: &str) -> Result<(), Stop> {
    let here = lines(subject).await?;
    let there = elsewhere(subject).await.map_err(Stop::Cannot)?;
    match difference(&here, &there, ["in one process", "in another"]) {
        None => Ok(()),
        Some(seen) => {
            Err(Stop::wrong("the same seed and the same input give the same, byte for byte", seen, mend))
        }
    }
}

async fn elsewhere(subject: &Subject) -> Result<Vec<String>, String> {
    let component = subject.folder.join(COMPONENT_FILE);
    let text = |error: &dyn std::fmt::Display| format!("another process: {error}");
    tokio::fs::write(&component, &subject.bytes).await.map_err(|error| text(&error))?;
    let order = Order { component, compiled: bench_of(&subject.folder), options: subject.options.clone() };
    let order = serde_json::to_string(&order).map_err(|error| text(&error))?;
    let output = run(&subject.program, &order).await.map_err(|error| text(&error))?;
    if !output.status.success() {
        return Err(text(&String::from_utf8_lossy(&output.stderr).trim()));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| text(&error))
}

async fn run(program: &Path, order: &str) -> std::io::Result<std::process::Output> {
    let mut command = Command::new(program);
    command.arg(COURSE_COMMAND).arg(order).stdin(Stdio::null()).kill_on_drop(true);
    command.output().await
}
