//! One running Matrix: it owns the rules, asks the players tick by tick, and writes the run log. Commands and
//! messages come in between two ticks.

mod swap;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::asking::Table;
use super::checkpoint::{self, Keeper};
use super::copies::Copies;
use super::course::{Course, Next};
use super::error::{MatrixError, refused};
use super::host::report;
use super::lines::{Command, End, Lines, Reply};
use super::prompts::group;
use super::replay;
use super::runlog::RunLog;
use super::runlog::record::{Message, encode_actions};
use super::status::MatrixState;
use super::telling::{Clocks, Done, tell_all};
use super::world::{Rules, World};
use crate::clock;
use crate::ids::{Digest, MatrixName};
use crate::runtime::stateful::Snapshot;
use crate::telemetry::instruments::MatrixMetrics;
use crate::transport::envelope::{Content, Envelope, ReplyTo, SendError};
use crate::transport::handled::Handled;
pub(crate) use swap::detail;

/// The most messages that are handled between two ticks: a Matrix that is written to still goes on.
const MESSAGES_MAX: usize = 16;
/// The largest view, in bytes: what one answer of the API carries.
const VIEW_BYTES_MAX: usize = 3 << 20;

/// How long a Matrix may keep its thread, and its ticks to itself, where nobody makes it wait: as long as a batch
/// of messages does.
const YIELD_AFTER: Duration = Duration::from_millis(1);

/// A running Matrix.
#[derive(Debug)]
pub(crate) struct Runner<W: World> {
    pub(crate) table: Table<W>,
    pub(crate) rules: W::Rules,
    /// The component of the rules with which the run began.
    pub(crate) first: Digest,
    /// What the rules want next.
    pub(crate) next: Next,
    pub(crate) course: Course,
    pub(crate) log: RunLog,
    /// The shortest time between the beginnings of two ticks.
    pub(crate) interval: Duration,
    /// The largest body of a reply, in bytes.
    pub(crate) body_bytes_max: usize,
    pub(crate) running: bool,
    /// The run is over, and its players have been told.
    pub(crate) ended: bool,
    /// Ticks that are left to do, and who waits for them.
    pub(crate) steps: Option<(u64, Reply<()>)>,
    pub(crate) keeper: Keeper,
    pub(crate) copies: Copies,
    /// Ticks that were done, and that nobody knows of yet.
    pub(crate) untold: Vec<Done>,
    pub(crate) clocks: Clocks,
    pub(crate) metrics: MatrixMetrics,
    pub(crate) lines: Lines,
}

impl<W: World> Runner<W> {
    /// Runs until the end. The run log is on disk when this returns.
    pub(crate) async fn run(mut self) -> End {
        self.show();
        let lines = &self.lines;
        let (stop, stopping) = (lines.stop.clone(), lines.stopping.clone());
        // A tick that is cut off here has left nothing in the log: it is done again, or never was.
        let end = tokio::select! {
            biased;
            () = stopping.cancelled() => End::Stopping,
            () = stop.cancelled() => End::Stopped,
            ended = self.work() => ended.map_or_else(End::of, |()| End::Finished),
        };
        if matches!(end, End::Stopping) {
            self.write_down();
        }
        let told = self.publish().await;
        self.show_switches();
        let kept = self.log.sync().await;
        self.keeper.finish().await;
        let end = match (end, told.and(kept.map_err(MatrixError::from))) {
            (end @ (End::Failed(_) | End::Moved), _) => end,
            (_, Err(error)) => End::of(error),
            (end, Ok(())) => end,
        };
        self.lines.close(&end);
        end
    }

    /// Works until the run is over, fails, or moves. A move cuts ticks off, but no message that has left the mailbox:
    /// it is in the log, and nobody else will answer it.
    async fn work(&mut self) -> Result<(), MatrixError> {
        let moved = Moved { matrix: self.table.matrix.clone(), token: self.lines.moved.clone() };
        moved.cuts(self.copies.settle(self.log.end_offset())).await?;
        let mut due = Instant::now();
        let mut yielded = due;
        let mut heard = false;
        while !self.next.finished {
            let goes = self.running || self.steps.is_some();
            // Whoever writes without end may not keep a tick from being done.
            let listens = !(goes && heard && due <= Instant::now());
            let sync_due = self.log.sync_due().map(Instant::from_std);
            tokio::select! {
                biased;
                () = moved.token.cancelled() => return moved.error(),
                Some(command) = self.lines.commands.recv() => self.obey(command).await?,
                () = self.lines.inbox.ready(), if listens => {
                    heard = true;
                    self.receive().await?;
                }
                () = until(due), if goes => {
                    heard = false;
                    due = Instant::now() + self.interval;
                    moved.cuts(self.ticks()).await?;
                    if yielded.elapsed() >= YIELD_AFTER {
                        // Rules that ask nobody must not keep their thread from other tasks.
                        tokio::task::yield_now().await;
                        yielded = Instant::now();
                    }
                }
                () = until(sync_due.unwrap_or(due)), if sync_due.is_some() => self.log.sync().await?,
            }
        }
        moved.cuts(self.finish()).await
    }

    async fn obey(&mut self, command: Command) -> Result<(), MatrixError> {
        // Whoever waits for an answer may be gone: answering nobody is no error.
        match command {
            Command::Start(reply) => {
                self.end_steps();
                if !std::mem::replace(&mut self.running, true) {
                    self.show();
                    self.report("matrix.started");
                }
                let _ = reply.send(Ok(()));
            }
            Command::Pause(reply) => {
                self.end_steps();
                if std::mem::replace(&mut self.running, false) {
                    self.log.sync().await?;
                    self.show();
                    self.report("matrix.paused");
                }
                let _ = reply.send(Ok(()));
            }
            Command::Step(ticks, reply) => {
                if self.running || self.steps.is_some() {
                    let matrix = self.table.matrix.clone();
                    let advice = "pause it before it is told to step";
                    let _ =
                        reply.send(Err(MatrixError::State { matrix, state: MatrixState::Running, advice }));
                } else if ticks == 0 {
                    let _ = reply.send(Ok(()));
                } else {
                    self.steps = Some((ticks, reply));
                }
            }
            Command::Swap(rules, reply) => {
                let swapped = self.swap(rules).await?;
                let _ = reply.send(swapped);
            }
            Command::View(reply) => {
                let view = view(&mut self.rules).await;
                let crashed =
                    if let Err(MatrixError::Crashed(crash)) = &view { Err(crash.clone()) } else { Ok(()) };
                let _ = reply.send(view.map(|content| (self.course.figures.tick, content)));
                crashed?;
            }
        }
        Ok(())
    }

    /// Does what is due: one tick, or, as long as no player is asked and nobody wants anything, as many as fit into
    /// [`YIELD_AFTER`], which are then written and told together.
    async fn ticks(&mut self) -> Result<(), MatrixError> {
        let enough = Instant::now() + YIELD_AFTER;
        loop {
            self.tick().await?;
            let stepped = self.steps.as_mut().is_some_and(|(left, _)| {
                *left -= 1;
                *left == 0
            });
            let alone = self.next.prompts.is_empty() && self.interval.is_zero();
            let wanted = !self.lines.commands.is_empty() || !self.lines.inbox.is_empty();
            if stepped || self.next.finished || !alone || wanted || Instant::now() >= enough {
                self.publish().await?;
                self.log.sync_if_due().await?;
                // The last tick of a run is answered when the run is over.
                if stepped && !self.next.finished {
                    self.end_steps();
                }
                return Ok(());
            }
        }
    }

    /// Asks the players, takes a step, and appends it to the run log.
    async fn tick(&mut self) -> Result<(), MatrixError> {
        let (tick, now_ms) = (self.course.figures.tick, clock::now_ms());
        let mut asked = group(std::mem::take(&mut self.next.prompts), false);
        let began = Instant::now();
        self.table.ask(&mut asked, &mut self.course, tick, now_ms, self.log.path()).await?;
        let failed = asked.failed;
        let (actions, missed) = asked.into_actions();
        let given = actions.len() as u64 - missed;
        let answered = Instant::now();
        let encoded = encode_actions(&actions);
        let outcome = self.rules.step(actions).await?.map_err(refused)?;
        let (next, news) = self.course.absorb(outcome)?;
        let (snapshot, state) = replay::state(&mut self.rules).await?;
        let work = answered.elapsed();
        let record = self.log.end_offset();
        self.log.tick(tick + 1, now_ms, state, &encoded);
        self.next = next;
        self.clocks.ask.record(answered - began);
        self.clocks.step.record(work);
        let figures = &mut self.course.figures;
        figures.tick = tick + 1;
        figures.state_hash = state;
        figures.missed_actions += missed;
        self.untold.push(Done { tick: tick + 1, state, given, missed, failed, news });
        self.keeper.worked(work);
        if self.keeper.is_due() {
            self.keep(record, &snapshot).await?;
        }
        Ok(())
    }

    /// Keeps the run as it stands; the record of its last tick starts at `record` in the log.
    async fn keep(&mut self, record: u64, state: &Snapshot) -> Result<(), MatrixError> {
        self.publish().await?;
        let chance = self.rules.chance();
        let kept = checkpoint::encode(&self.table.run, record, &self.course, &self.next, &chance, state);
        self.keeper.keep(kept, self.log.file()).await;
        Ok(())
    }

    /// Hands what was appended to the operating system, and to the copies in sync.
    async fn secure(&mut self) -> Result<(), MatrixError> {
        self.log.flush()?;
        self.copies.settle(self.log.end_offset()).await
    }

    /// Secures the ticks that were done, and only then tells of them.
    async fn publish(&mut self) -> Result<(), MatrixError> {
        let began = Instant::now();
        self.secure().await?;
        let ticks = std::mem::take(&mut self.untold);
        if ticks.is_empty() {
            return Ok(());
        }
        self.clocks.log.record(began.elapsed());
        self.clocks.flush();
        self.show();
        tell_all(&self.lines.bus, &self.table.matrix, &self.metrics, ticks);
        Ok(())
    }

    /// Tells the players that it is over, and makes sure that they are told only once.
    async fn finish(&mut self) -> Result<(), MatrixError> {
        if self.ended {
            return Ok(());
        }
        let (tick, now_ms) = (self.course.figures.tick, clock::now_ms());
        let mut asked = group(std::mem::take(&mut self.next.prompts), true);
        self.table.ask(&mut asked, &mut self.course, tick, now_ms, self.log.path()).await?;
        self.log.end();
        self.log.sync().await?;
        self.copies.settle(self.log.end_offset()).await
    }

    /// Lets the rules handle messages. These change their state, so they are written down first.
    async fn receive(&mut self) -> Result<(), MatrixError> {
        let mut envelopes = Vec::new();
        self.lines.inbox.drain(&mut envelopes, MESSAGES_MAX);
        let (messages, handled): (Vec<_>, Vec<_>) = envelopes.into_iter().map(split).unzip();
        messages.iter().for_each(|message| self.log.message(message));
        self.secure().await?;
        for (message, handled) in messages.iter().zip(handled) {
            let reply = match self.rules.receive(message).await {
                Ok(Ok(Some(content))) if content.body.len() > self.body_bytes_max => {
                    Err(SendError::TooLarge { limit: self.body_bytes_max as u64 })
                }
                Ok(Ok(reply)) => Ok(reply),
                Ok(Err(reason)) => Err(SendError::Failed(refused(reason).to_string())),
                Err(crash) => {
                    let reason = format!("the rules of {} crashed: {crash}", self.table.matrix);
                    self.lines.router.reply(handled, Err(SendError::Failed(reason)));
                    return Err(crash.into());
                }
            };
            self.lines.router.reply(handled, reply);
        }
        Ok(())
    }

    /// Writes down what waits where the node stops: the rules get it where the run goes on. Whoever waits for an answer
    /// hears that there is none, and may ask again: that is not written down.
    fn write_down(&mut self) {
        self.lines.inbox.close();
        let mut envelopes = Vec::new();
        while self.lines.inbox.drain(&mut envelopes, MESSAGES_MAX) > 0 {}
        for envelope in envelopes.into_iter().filter(|envelope| matches!(envelope.reply_to, ReplyTo::Sender))
        {
            self.log.message(&split(envelope).0);
        }
    }

    fn end_steps(&mut self) {
        if let Some((_, reply)) = self.steps.take() {
            let _ = reply.send(Ok(()));
        }
    }

    /// Lets everyone see how far the run is.
    fn show(&self) {
        let state = if self.running { MatrixState::Running } else { MatrixState::Paused };
        self.show_switches();
        self.lines.progress.send_modify(|progress| {
            progress.state = state;
            progress.reason.clear();
            progress.figures.clone_from(&self.course.figures);
        });
    }

    fn report(&self, kind: &'static str) {
        let tick = self.course.figures.tick;
        report(&self.lines.bus, kind, &self.table.matrix, &json!({ "tick": tick }));
    }
}

/// That another node is to go on.
struct Moved {
    matrix: MatrixName,
    token: CancellationToken,
}

impl Moved {
    /// Does a part of the run, unless the Matrix moves meanwhile.
    async fn cuts(&self, part: impl Future<Output = Result<(), MatrixError>>) -> Result<(), MatrixError> {
        self.token.run_until_cancelled(part).await.unwrap_or_else(|| self.error())
    }

    fn error(&self) -> Result<(), MatrixError> {
        Err(MatrixError::Moved(self.matrix.clone()))
    }
}

/// The rules' view, if it is not too large to be shown.
pub(crate) async fn view<R: Rules>(rules: &mut R) -> Result<Content, MatrixError> {
    let content = rules.view().await?;
    let length = content.body.len();
    if length > VIEW_BYTES_MAX {
        let reason = format!("a view of {length} bytes; the most are {VIEW_BYTES_MAX}");
        return Err(MatrixError::Contract(reason));
    }
    Ok(content)
}

/// Splits a message into what rules see, which is kept, and what its sender waits for.
fn split(envelope: Envelope) -> (Message, Handled) {
    let (in_reply_to, sent_at_ms) = (envelope.in_reply_to, envelope.sent_at_ms);
    let (handled, content) = Handled::of(envelope);
    let message = Message {
        id: handled.id,
        sender: handled.sender.clone(),
        recipient: handled.recipient.clone(),
        in_reply_to,
        content,
        sent_at_ms,
    };
    (message, handled)
}

/// Waits until `due`; what is due already does not wait for the timer's next millisecond.
async fn until(due: Instant) {
    if due > Instant::now() {
        tokio::time::sleep_until(due).await;
    }
}
