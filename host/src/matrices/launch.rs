//! From a manifest, or from a run log, to a running Matrix; and from its end to what is kept of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{join_all, try_join_all};
use serde_json::json;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::asking::Table;
use super::checkpoint::Keeper;
use super::copies::Copies;
use super::copies::recover::recover;
use super::course::{Course, News, Next};
use super::deed::Deed;
use super::error::{MatrixError, refused};
use super::host::{MatrixHost, report};
use super::lines::{End, Lines};
use super::manifest::MatrixManifest;
use super::records::Wanted;
use super::replay::{Replay, state_hash};
use super::runlog::RunLog;
use super::runlog::reader::Reader;
use super::runlog::record::{FORMAT, Header, Player, encode_actions};
use super::runner::{Runner, detail};
use super::status::{Figures, MatrixState, Progress};
use super::telling::{Clocks, tell};
use super::world::{Rules, Stage, World, setup};
use crate::clock;
use crate::ids::{Digest, SoulName};
use crate::p2p::rpc::Rpc;
use crate::runtime::limits::Limits;
use crate::runtime::rules::RulesInstance;
use crate::transport::envelope::Address;

/// How long players may take to hear that a run is over: only so that they may forget it.
const FORGET_MAX: Duration = Duration::from_secs(1);

/// A run that can go on.
#[derive(Debug)]
pub(crate) struct Ready {
    world: Stage,
    rules: RulesInstance,
    /// The component with which the run began.
    first: Digest,
    next: Next,
    course: Course,
    log: RunLog,
    /// What its start told, if that has not been published.
    news: News,
    /// It is over, and its players have been told.
    ended: bool,
}

impl Ready {
    /// What has come of it so far.
    pub(crate) fn figures(&self) -> &Figures {
        &self.course.figures
    }
}

/// A Matrix about to run.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) host: Arc<MatrixHost>,
    pub(crate) manifest: Arc<MatrixManifest>,
    pub(crate) run: Arc<str>,
    /// Whether it runs, or waits to be told.
    pub(crate) running: bool,
    pub(crate) lines: Lines,
    pub(crate) deed: Arc<Deed>,
    pub(crate) copies: Copies,
    /// The way to those that hold copies.
    pub(crate) rpc: Rpc,
    /// Allows run logs to be gone through.
    pub(crate) replays: Arc<Semaphore>,
}

/// Sets up a new run: the rules are started with the manifest's players, who must exist, and its log holds
/// their first state.
pub(crate) async fn set_up(
    host: &Arc<MatrixHost>,
    manifest: &MatrixManifest,
    limits: &Limits,
    run: &str,
) -> Result<Ready, MatrixError> {
    let header = header(host, manifest, limits, run).await?;
    let world = Stage::open(host.clone(), &header)?;
    let mut rules = world.rules(header.rules).await?;
    world.hear(&mut rules);
    let description = Rules::describe(&mut rules).await?;
    let (given, min, max) = (manifest.players.len(), description.players_min, description.players_max);
    if !(min as usize..=max as usize).contains(&given) {
        return Err(MatrixError::Players { given, min, max });
    }
    let mut course = Course::new(given);
    let outcome = Rules::start(&mut rules, setup(&header)).await?.map_err(refused)?;
    let (next, news) = course.absorb(outcome)?;
    course.figures.state_hash = state_hash(&mut rules).await?;
    let mut log = RunLog::create(host.run_log(run), &header, host.config.run_log_bytes_max).await?;
    log.tick(0, clock::now_ms(), course.figures.state_hash, &encode_actions(&[]));
    log.sync().await?;
    Ok(Ready { world, rules, first: header.rules, next, course, log, news, ended: false })
}

async fn header(
    host: &MatrixHost,
    manifest: &MatrixManifest,
    limits: &Limits,
    run: &str,
) -> Result<Header, MatrixError> {
    let player = |name: SoulName| async {
        match host.souls.component_of(&name).await {
            Ok(component) => Ok(Player { name, component }),
            Err(_) => Err(MatrixError::MissingPlayer(name)),
        }
    };
    let players = try_join_all(manifest.players.iter().cloned().map(player)).await?;
    Ok(Header {
        format: FORMAT,
        run: run.to_owned(),
        matrix: manifest.name.clone(),
        rules: manifest.rules,
        config: manifest.config.clone(),
        seed: manifest.seed,
        players,
        memory_bytes: limits.memory_bytes,
        call_fuel: limits.call_fuel,
    })
}

/// The world of a run, and what its log says that it began with.
pub(crate) fn stage(host: &Arc<MatrixHost>, log: &Path) -> Result<(Stage, Header), MatrixError> {
    let (header, _) = Reader::open(log)?;
    Ok((Stage::open(host.clone(), &header)?, header))
}

impl Launch {
    /// Runs the Matrix until it ends, and keeps how it ended. `fresh` is what was just set up; without it the
    /// run is brought back from its log. `ended` is cancelled when everything is done.
    pub(crate) async fn live(self, fresh: Option<Ready>, ended: CancellationToken) {
        let _ended = ended.drop_guard();
        let lines = &self.lines;
        let (stop, moved, stopping) = (lines.stop.clone(), lines.moved.clone(), lines.stopping.clone());
        let prepared = tokio::select! {
            biased;
            () = stopping.cancelled() => Err(End::Stopping),
            () = moved.cancelled() => Err(End::Moved),
            () = stop.cancelled() => Err(End::Stopped),
            ready = self.ready(fresh) => ready.map_err(End::Failed),
        };
        let Self { host, manifest, run, running, lines, deed, copies, .. } = self;
        let progress = lines.progress.clone();
        let end = match prepared {
            Ok(mut ready) => {
                let tick = ready.course.figures.tick;
                tell(&lines.bus, &manifest.name, tick, std::mem::take(&mut ready.news));
                if running && !ready.ended {
                    report(&lines.bus, "matrix.started", &manifest.name, &json!({ "tick": tick }));
                }
                runner(&host, &manifest, &run, running, ready, lines, copies).run().await
            }
            Err(end) => {
                lines.close(&end);
                end
            }
        };
        conclude(&host, &manifest, &run, &progress, &deed, end).await;
    }

    async fn ready(&self, fresh: Option<Ready>) -> Result<Ready, MatrixError> {
        let ready = match fresh {
            Some(ready) => ready,
            None => {
                let _turn = self.replays.acquire().await.map_err(|_| MatrixError::Stopping)?;
                let Self { host, rpc, copies, deed, run, .. } = self;
                let (log, bytes_max) = (host.run_log(run), host.config.run_log_bytes_max);
                recover(&host.realm, rpc, copies, deed, run, &log, bytes_max).await?;
                bring_back(&self.host, &self.run).await?
            }
        };
        // A node may have been killed after the log had a switch, and before the record had it: the log is the truth.
        let filed = self.deed.record().await.switches.len();
        let (world, switches) = (ready.world.owned(self.deed.clone()), &ready.course.switches);
        world.file(switches).await?;
        for switch in switches.iter().skip(filed) {
            report(&self.host.bus, "matrix.swapped", &self.manifest.name, &detail(switch));
        }
        Ok(Ready { world, ..ready })
    }
}

/// Goes to the end of a run log, and opens it there. What the rules tell is heard from that point on.
async fn bring_back(host: &Arc<MatrixHost>, run: &str) -> Result<Ready, MatrixError> {
    let log = host.run_log(run);
    let (world, header) = stage(host, &log)?;
    let (replay, course, next) = Replay::to_end(&world, &log).await?;
    let (length, mut rules, ended) = (replay.offset(), replay.rules, replay.ended);
    world.hear(&mut rules);
    let log = RunLog::resume(log, length, host.config.run_log_bytes_max).await?;
    let (first, news) = (header.rules, News::default());
    Ok(Ready { world, rules, first, next, course, log, news, ended })
}

fn runner(
    host: &MatrixHost,
    manifest: &MatrixManifest,
    run: &Arc<str>,
    running: bool,
    ready: Ready,
    lines: Lines,
    copies: Copies,
) -> Runner<Stage> {
    let deadline_ms = match manifest.tick_deadline_ms {
        0 => host.config.tick_deadline_ms,
        deadline_ms => deadline_ms,
    };
    let every = Duration::from_millis(host.config.checkpoint_work_ms);
    Runner {
        table: Table {
            world: Arc::new(ready.world),
            matrix: manifest.name.clone(),
            run: run.clone(),
            players: manifest.players.clone().into(),
            deadline: Duration::from_millis(deadline_ms.into()),
            catch_up: Duration::from_millis(host.config.catch_up_ms),
        },
        rules: ready.rules,
        first: ready.first,
        next: ready.next,
        course: ready.course,
        keeper: Keeper::new(ready.log.path(), every, copies.checkpoints()),
        copies,
        log: ready.log,
        untold: Vec::new(),
        clocks: Clocks::new(&host.metrics.matrices),
        interval: Duration::from_millis(manifest.tick_interval_ms.into()),
        body_bytes_max: host.limits.default.body_bytes as usize,
        running,
        ended: ready.ended,
        steps: None,
        metrics: host.metrics.matrices.clone(),
        lines,
    }
}

/// Keeps how a Matrix ended, and tells the world. What an operator stopped is kept by whoever was told to.
async fn conclude(
    host: &MatrixHost,
    manifest: &MatrixManifest,
    run: &Arc<str>,
    progress: &watch::Sender<Progress>,
    deed: &Deed,
    end: End,
) {
    let matrix = &manifest.name;
    if !matches!(end, End::Stopping | End::Moved) {
        host.router.directory().remove(&Address::Matrix(matrix.clone()));
    }
    if matches!(end, End::Stopped | End::Finished) {
        let forgetting = manifest.players.iter().map(|soul| host.souls.forget_run(soul, run.clone()));
        // Who does not hear it forgets the run when it has played some others.
        let _ = tokio::time::timeout(FORGET_MAX, join_all(forgetting)).await;
    }
    let (kind, state, reason) = match end {
        End::Finished => ("matrix.finished", MatrixState::Finished, String::new()),
        End::Failed(error) => ("matrix.failed", MatrixState::Failed, error.to_string()),
        End::Stopped | End::Stopping | End::Moved => return,
    };
    let ended = Progress { state, reason, ..progress.borrow().clone() };
    let wanted = Wanted::of(&ended);
    if let Err(error) = deed.change(None, |record| record.keep(&wanted, &ended)).await {
        tracing::error!(%matrix, %error, "how a Matrix ended could not be saved");
    }
    if state == MatrixState::Failed {
        tracing::warn!(%matrix, tick = ended.figures.tick, reason = ended.reason, "a Matrix failed");
    }
    report(&host.bus, kind, matrix, &ended.detail());
    progress.send_replace(ended);
}
