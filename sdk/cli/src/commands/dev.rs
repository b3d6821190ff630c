//! `matrix dev`.

mod place;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use matrix_proto::v1::{DeleteComponentRequest, LogLevel, LogLine, TailRequest};
use serde_json::json;
use tonic::Streaming;

use self::place::{Place, PlaceArgs, Served};
use super::check::{Checked, checked};
use super::{build as shown, components, logs};
use crate::author::build::{self, Built, Whom};
use crate::author::project::Project;
use crate::author::watch::{Debounce, LOOK_EVERY, REST, Snapshot};
use crate::connection::Node;
use crate::errors::Error;
use crate::output::Output;
use crate::session::Session;
use crate::{request, text};

/// How long to wait before logs are asked for again, when the node broke them off.
const TAIL_AGAIN: Duration = Duration::from_secs(1);

/// How many builds are left on the node: the one that runs, and the one to go back to.
const BUILDS_KEPT: usize = 2;

/// What to work on, and who is to have it.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// The folder with its matrix.toml
    #[arg(default_value = ".")]
    folder: PathBuf,
    #[command(flatten)]
    place: PlaceArgs,
    /// Does not check what was built before it is served
    #[arg(long)]
    no_check: bool,
}

/// What is worked on, for whom, and where.
struct Work<'a> {
    project: &'a Project,
    place: &'a Place,
    node: &'a Node,
    output: &'a Output,
    checks: bool,
    /// Where the check keeps compiled functions.
    functions: Option<&'a Path>,
}

/// Builds, checks, deploys, and does it again whenever something changes, until the user presses Ctrl-C.
pub(crate) async fn run(args: Args, session: &Session<'_>) -> Result<(), Error> {
    let project = Project::read(&args.folder)?;
    let place = args.place.place(project.kind)?;
    build::prepare(&project).await?;
    let node = session.node().await?;
    let output = session.output;
    // Before anything runs, so that nothing that it logs is missed.
    let lines = follow(&place, &node).await?;
    let (checks, functions) = (!args.no_check, session.environment().functions.as_deref());
    let work = Work { project: &project, place: &place, node: &node, output, checks, functions };
    tokio::select! {
        biased;
        // To be interrupted is how this ends.
        _ = tokio::signal::ctrl_c() => Ok(()),
        end = work.go_on() => end,
        end = tail(lines, &place, &node, output) => end,
    }
}

impl Work<'_> {
    /// Builds and deploys, again and again. What fails is told, and tried anew after the next change.
    async fn go_on(&self) -> Result<(), Error> {
        let Self { project, place, output, .. } = self;
        let mut brought = Vec::new();
        let look = || Snapshot::of(&project.folder, &project.unwatched());
        loop {
            // Before the build: what changes in the midst of it is built next.
            let built_from = look();
            match build::build(project, Whom::Author, output).await {
                Ok(built) => {
                    output
                        .show(&shown::json(project, &built), |style| shown::human(style, project, &built))?;
                    match self.deploy(&built, &mut brought).await {
                        Ok(served) => tell(place, &served, output)?,
                        Err(error) => drop(error.print(output)),
                    }
                }
                Err(error) => drop(error.print(output)),
            }
            output.note("waiting for changes; Ctrl-C ends");
            changed(built_from, look).await;
        }
    }

    /// Uploads a component and checks it, gives it to whom it is for, and asks the node whether it serves it.
    async fn deploy(&self, built: &Built, brought: &mut Vec<String>) -> Result<Served, Error> {
        let Self { project, place, node, output, .. } = self;
        let start = Instant::now();
        let (digest, quiet) = (&built.component.digest, output.quiet());
        let upload = components::upload(node, &quiet, &built.component, &project.name);
        let (uploaded, checked) = match node.folder() {
            // The check takes up what the node has compiled.
            Some(folder) => (upload.await?, self.check(built, Some(folder)).await),
            // Both compile it, each on its own machine.
            None => {
                let (uploaded, checked) = tokio::join!(upload, self.check(built, None));
                (uploaded?, checked)
            }
        };
        if !uploaded.existed {
            brought.push(digest.clone());
        }
        checked?;
        let change = place.serve(node, digest).await?;
        let serves = place.serves(node).await?;
        if serves != *digest {
            return Err(Error::Conflict {
                what: format!("the node serves {}, not {digest}", text::one_line(&serves)),
                place: place.to_string(),
                change: "see who else swaps it: `history`".to_owned(),
            });
        }
        let served = Served { change, digest: serves, took: start.elapsed() };
        forget(node, brought).await;
        Ok(served)
    }

    /// Checks a component, which the node of the folder `compiled` may have compiled, with what it will find where it goes. What cannot be checked is told, and no reason to stop.
    async fn check(&self, built: &Built, compiled: Option<&Path>) -> Result<(), Error> {
        let Self { project, place, node, output, checks, functions } = self;
        if !checks {
            return Ok(());
        }
        let around = place.around(node).await?;
        let report = match checked(&built.path, project.kind, around, compiled, *functions).await? {
            Checked::Done(report) => report,
            Checked::Not(why) => {
                output.note(&format!("not checked: {why}"));
                return Ok(());
            }
        };
        output.show(&report.json(), |style| report.human(style))?;
        match report.wrong() {
            0 => Ok(()),
            wrong => Err(Error::Failed {
                what: format!("{wrong} checks found something wrong: the old code goes on"),
                place: format!("component {}", project.name),
                change: "mend it, or leave the checks out: --no-check".to_owned(),
            }),
        }
    }
}

/// Waits until something differs from what was built, and changes no more.
async fn changed(built_from: Snapshot, look: impl Fn() -> Snapshot) {
    let mut debounce = Debounce::new(built_from);
    let mut before = Instant::now();
    loop {
        let now = Instant::now();
        let seen = look();
        let took = now.elapsed();
        if debounce.see(seen, now - before) {
            return;
        }
        before = now;
        tokio::time::sleep(LOOK_EVERY.max(took * REST)).await;
    }
}

/// Deletes what was brought before the last builds; the node keeps what somebody uses.
async fn forget(node: &Node, brought: &mut Vec<String>) {
    let old = brought.len().saturating_sub(BUILDS_KEPT);
    for digest in brought.drain(..old) {
        let Ok(request_id) = request::id() else { return };
        let place = format!("component {digest}");
        let message = DeleteComponentRequest { reference: digest, request_id };
        // One that is in use stays, and is no business of whoever waits for their build.
        drop(node.call(place, message, async |request| node.components().delete(request).await).await);
    }
}

fn tell(place: &Place, served: &Served, output: &Output) -> Result<(), Error> {
    let Served { change, digest, took } = served;
    let took = took.as_millis() as u64;
    let json =
        json!({ "served": digest, "by": place.to_string(), "change": change.word(), "deploy_ms": took });
    output.show(&json, |style| {
        let word = style.green(change.word());
        format!("{word} {place} serves {} after {}\n", text::short_digest(digest), text::duration(took))
    })
}

/// Asks for what the component logs from now on.
async fn follow(place: &Place, node: &Node) -> Result<Streaming<LogLine>, Error> {
    let level = LogLevel::Debug.into();
    let request = TailRequest { source: place.log_source(), level, lines: 0, follow: true };
    node.stream("logs", request, async |request| node.logs().tail(request).await).await
}

/// Shows what the component logs.
async fn tail(
    mut lines: Streaming<LogLine>,
    place: &Place,
    node: &Node,
    output: &Output,
) -> Result<(), Error> {
    loop {
        while let Ok(Some(line)) = lines.message().await {
            output.show(&logs::json(&line), |style| logs::human(style, &line))?;
        }
        // The node restarts, or drops who reads too slowly.
        lines = loop {
            tokio::time::sleep(TAIL_AGAIN).await;
            if let Ok(lines) = follow(place, node).await {
                break lines;
            }
        };
    }
}
