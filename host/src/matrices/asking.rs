//! Asking players for their actions: all at once, each once, until the tick's deadline. A player who came
//! back from an older state is first told again what it missed.

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use tokio::time::{Instant, timeout_at};

use super::course::{Course, Next};
use super::error::MatrixError;
use super::prompts::{Asked, PlayerTurns, group};
use super::replay::Replay;
use super::world::World;
use crate::ids::{MatrixName, SoulName};
use crate::souls::jobs::{ActError, ActRequest};

/// The most players who are asked at the same time: enough to keep every core busy, few enough for the
/// queues.
const IN_FLIGHT_MAX: usize = 256;

/// What all questions of a run have in common.
#[derive(Debug)]
pub(crate) struct Table<W> {
    pub(crate) world: Arc<W>,
    pub(crate) matrix: MatrixName,
    pub(crate) run: Arc<str>,
    pub(crate) players: Arc<[SoulName]>,
    /// How long players have to answer a tick.
    pub(crate) deadline: Duration,
    /// How long those who are behind have to be told again what they missed, and to answer.
    pub(crate) catch_up: Duration,
}

/// What became of one question.
type Answered = (usize, Result<Vec<Vec<u8>>, ActError>);

/// A player who has to be told again what it missed.
#[derive(Debug)]
struct Behind {
    /// Its place among those who are asked.
    at: usize,
    /// The first tick that it has to be told.
    from: u64,
    /// What it has played, as it says itself.
    heard: Option<u64>,
    /// It could not be told.
    lost: bool,
}

impl<W: World> Table<W> {
    /// Asks everyone whom `asked` names for the actions of `tick`, and notes in `course` who has been told.
    /// `log` holds all ticks before. Errors are the run log's, or the rules' when they are run again from it.
    pub(crate) async fn ask(
        &self,
        asked: &mut Asked,
        course: &mut Course,
        tick: u64,
        now_ms: u64,
        log: &Path,
    ) -> Result<(), MatrixError> {
        if asked.players.is_empty() {
            return Ok(());
        }
        let requests = asked.players.iter().enumerate().map(|(at, turns)| {
            (at, turns.player, self.request(turns, tick, course.told(turns.player).previous, now_ms))
        });
        let answers = self.gather(requests.collect(), Instant::now() + self.deadline).await;
        let mut behind = Vec::new();
        let mut heard: Vec<bool> = vec![true; asked.players.len()];
        for (at, answer) in answers {
            match answer {
                Ok(answers) => asked.answer(at, answers),
                // It knows of no such turn, and will be asked the next one as if there had been none.
                Err(ActError::Refused(_)) => {
                    heard[at] = false;
                    asked.fail(at);
                }
                Err(ActError::Behind { last }) => {
                    let told = course.told(asked.players[at].player);
                    let from = last.map_or(told.first.unwrap_or(tick), |last| last + 1);
                    behind.push(Behind { at, from, heard: last, lost: false });
                    heard[at] = false;
                }
                Err(error) => {
                    asked.fail(at);
                    self.missed(asked.players[at].player, tick, &error);
                }
            }
        }
        for (turns, _) in asked.players.iter().zip(heard).filter(|(_, heard)| *heard) {
            course.tell(turns.player, tick, turns.is_last());
        }
        if behind.is_empty() {
            return Ok(());
        }
        self.ask_again(asked, course, behind, tick, now_ms, log).await
    }

    /// Tells those who are behind what they missed, and asks them for this tick once more.
    async fn ask_again(
        &self,
        asked: &mut Asked,
        course: &mut Course,
        mut behind: Vec<Behind>,
        tick: u64,
        now_ms: u64,
        log: &Path,
    ) -> Result<(), MatrixError> {
        let deadline = Instant::now() + self.catch_up;
        for late in behind.iter_mut().filter(|late| late.heard.is_some_and(|last| last >= tick)) {
            // The run lost its last ticks to a power cut, and the Soul did not. It goes on from where it is.
            let soul = self.soul(asked.players[late.at].player);
            tracing::warn!(matrix = %self.matrix, %soul, tick, "a player is ahead of its Matrix");
            self.world.forget(soul, self.run.clone()).await;
            (late.heard, late.from) = (None, tick);
        }
        if behind.iter().any(|late| late.from < tick) {
            let telling = self.tell_again(asked, &mut behind, tick, log, deadline);
            match timeout_at(deadline, telling).await {
                Ok(told) => told?,
                // Who heard only a part must not go on as if it had heard all.
                Err(_) => behind.iter_mut().for_each(|late| late.lost |= late.from < tick),
            }
        }
        let requests = behind.iter().filter(|late| !late.lost).map(|late| {
            let turns = &asked.players[late.at];
            (late.at, turns.player, self.request(turns, tick, late.heard, now_ms))
        });
        let mut answers: BTreeMap<_, _> =
            self.gather(requests.collect(), deadline).await.into_iter().collect();
        for late in behind {
            let (player, last) = (asked.players[late.at].player, asked.players[late.at].is_last());
            match answers.remove(&late.at) {
                Some(Ok(answers)) => {
                    asked.answer(late.at, answers);
                    course.tell(player, tick, last);
                }
                Some(Err(ActError::Refused(_))) => {
                    asked.fail(late.at);
                    course.heard(player, late.heard);
                }
                // It is told again at the next tick.
                Some(Err(error)) => {
                    asked.fail(late.at);
                    self.missed(player, tick, &error);
                    course.tell(player, tick, last);
                }
                None => course.tell(player, tick, last),
            }
        }
        Ok(())
    }

    /// Runs the rules again from the log up to `tick`, and gives those who are behind the turns that they
    /// missed. What they answer has been answered before, or came too late.
    async fn tell_again(
        &self,
        asked: &Asked,
        behind: &mut [Behind],
        tick: u64,
        log: &Path,
        deadline: Instant,
    ) -> Result<(), MatrixError> {
        let players: BTreeMap<u32, usize> =
            behind.iter().enumerate().map(|(place, late)| (asked.players[late.at].player, place)).collect();
        let first = behind.iter().map(|late| late.from).min().unwrap_or(tick);
        let (mut replay, mut course, mut next) = Replay::open_before(&*self.world, log, first).await?;
        while let Some(played) = replay.next(&mut course).await? {
            let Some(number) = played.tick.checked_sub(1) else { continue };
            if number >= tick {
                break;
            }
            let Next { mut prompts, finished } = next;
            prompts.retain(|prompt| {
                let late = players.get(&prompt.player).map(|place| &behind[*place]);
                late.is_some_and(|late| !late.lost && number >= late.from)
            });
            let missed = group(prompts, finished);
            let requests = missed.players.iter().enumerate().map(|(key, turns)| {
                let heard = behind[players[&turns.player]].heard;
                (key, turns.player, self.request(turns, number, heard, played.asked_at_ms))
            });
            for (key, answer) in self.gather(requests.collect(), deadline).await {
                let turns = &missed.players[key];
                let late = &mut behind[players[&turns.player]];
                match answer {
                    Ok(_) => late.heard = (!turns.is_last()).then_some(number),
                    Err(ActError::Refused(_)) => {}
                    Err(error) => {
                        late.lost = true;
                        self.missed(turns.player, number, &error);
                    }
                }
            }
            (next, _) = course.absorb(replay.step(played).await?)?;
        }
        Ok(())
    }

    /// Asks many at once, until the deadline; who is not in the result did not answer in time.
    async fn gather(&self, requests: Vec<(usize, u32, ActRequest)>, deadline: Instant) -> Vec<Answered> {
        let mut answers = Vec::with_capacity(requests.len());
        let questions = requests.into_iter().map(|(key, player, request)| {
            self.question(key, player, ActRequest { deadline: Some(deadline), ..request })
        });
        let questions: Vec<_> = questions.collect();
        let mut open = pin!(stream::iter(questions).buffer_unordered(IN_FLIGHT_MAX));
        while let Ok(Some(answer)) = timeout_at(deadline, open.next()).await {
            answers.push(answer);
        }
        answers
    }

    async fn question(&self, key: usize, player: u32, request: ActRequest) -> Answered {
        (key, self.world.act(self.soul(player), request).await)
    }

    fn request(&self, turns: &PlayerTurns, tick: u64, previous: Option<u64>, now_ms: u64) -> ActRequest {
        ActRequest {
            run: self.run.clone(),
            matrix: self.matrix.clone(),
            tick,
            previous,
            turns: turns.turns.clone(),
            now_ms,
            deadline: None,
        }
    }

    /// The name behind a place in the list of players, which has been checked.
    fn soul(&self, player: u32) -> &SoulName {
        &self.players[player as usize]
    }

    fn missed(&self, player: u32, tick: u64, error: &ActError) {
        let (matrix, soul) = (&self.matrix, self.soul(player));
        tracing::debug!(%matrix, %soul, tick, %error, "a player did not act");
    }
}
