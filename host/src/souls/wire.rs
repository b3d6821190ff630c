//! Calls between nodes about Souls (`proto/matrix/wire/v1/souls.proto`): written, read, and answered.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use matrix_proto::wire;
use matrix_proto::wire::souls_answer::Kind as AnswerKind;
pub(super) use matrix_proto::wire::souls_question::Kind as Question;
use prost::Message as _;

use super::error::SoulError;
use super::jobs::{ActError, ActRequest};
use super::manifest::Manifest;
use super::placed::Placed;
use super::registry::Souls;
use super::remembering;
use super::status::State;
use super::swap::fleet;
use super::{Saved, SoulView};
use crate::ids::{Digest, SoulName};
use crate::p2p::Peer;
use crate::p2p::rpc::{Reply, Serve};
use crate::runtime::soul::Turn;
use crate::tasks::Tasks;

/// The most Souls of one answer.
const LIST_MAX: usize = 2_000;
/// What is kept of a tick's time for the way back.
const WAY_BACK: Duration = Duration::from_millis(5);

/// What a node answered.
pub(super) type Answer = AnswerKind;

pub(super) fn write(kind: Question) -> Bytes {
    wire::SoulsQuestion { kind: Some(kind) }.encode_to_vec().into()
}

pub(super) fn spawn(manifest: &Manifest) -> Result<Bytes, SoulError> {
    let json = serde_json::to_vec(manifest).map_err(|error| SoulError::Away(0, error.to_string()))?;
    Ok(write(Question::Spawn(json.into())))
}

pub(super) fn get(soul: &SoulName) -> Bytes {
    write(Question::Get(soul.to_string()))
}

pub(super) fn stop(soul: &SoulName) -> Bytes {
    write(Question::Stop(soul.to_string()))
}

pub(super) fn delete(soul: &SoulName) -> Bytes {
    write(Question::Delete(soul.to_string()))
}

pub(super) fn checkpoint(soul: &SoulName) -> Bytes {
    write(Question::Checkpoint(soul.to_string()))
}

pub(super) fn list(after: Option<&SoulName>, prefix: &str, limit: usize) -> Bytes {
    let after = after.map(ToString::to_string).unwrap_or_default();
    let limit = u32::try_from(limit.min(LIST_MAX)).unwrap_or(u32::MAX);
    write(Question::List(wire::SoulsRange { after, prefix: prefix.to_owned(), limit }))
}

pub(super) fn prepare(component: Digest) -> Bytes {
    write(Question::Prepare(component.to_string()))
}

pub(super) fn hand_over(soul: &SoulName, to: u64) -> Bytes {
    write(Question::Move(wire::SoulMove { soul: soul.to_string(), to }))
}

pub(super) fn forget(soul: &SoulName, run: &str) -> Bytes {
    write(Question::Forget(wire::SoulRun { soul: soul.to_string(), run: run.to_owned() }))
}

/// Many Souls' turns; `within` is how long there is to answer.
pub(super) fn turns<'a>(
    requests: impl Iterator<Item = (&'a SoulName, &'a ActRequest)>,
    within: Duration,
) -> Bytes {
    let turn = |(soul, request): (&SoulName, &ActRequest)| {
        let seat = |turn: &Turn| wire::SoulSeat {
            seat: turn.seat,
            observation: Bytes::copy_from_slice(&turn.observation),
            reward: turn.reward,
            last: turn.last,
        };
        wire::SoulTurn {
            soul: soul.to_string(),
            run: request.run.to_string(),
            matrix: request.matrix.to_string(),
            tick: request.tick,
            previous: request.previous,
            now_ms: request.now_ms,
            seats: request.turns.iter().map(seat).collect(),
        }
    };
    let within_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
    write(Question::Act(wire::SoulTurns { within_ms, turns: requests.map(turn).collect() }))
}

/// Reads an answer; a refusal is an error.
pub(super) fn answer(bytes: Bytes, node: u64) -> Result<Answer, SoulError> {
    let malformed = || SoulError::Away(node, "it gave an answer that makes no sense".into());
    let answer = wire::SoulsAnswer::decode(bytes).map_err(|_| malformed())?;
    match answer.kind.ok_or_else(malformed)? {
        AnswerKind::Refused(refusal) => Err(SoulError::Elsewhere(node, refusal.kind, refusal.text)),
        kind => Ok(kind),
    }
}

pub(super) fn unexpected(node: u64) -> SoulError {
    SoulError::Away(node, "it answered something else".into())
}

pub(super) fn view(answer: Answer, node: u64) -> Result<SoulView, SoulError> {
    match answer {
        AnswerKind::Soul(report) => read_report(report, node).ok_or_else(|| unexpected(node)),
        _ => Err(unexpected(node)),
    }
}

pub(super) fn views(answer: Answer, node: u64) -> Result<Vec<SoulView>, SoulError> {
    match answer {
        AnswerKind::Souls(reports) => {
            let views: Option<Vec<_>> =
                reports.souls.into_iter().map(|report| read_report(report, node)).collect();
            views.ok_or_else(|| unexpected(node))
        }
        _ => Err(unexpected(node)),
    }
}

pub(super) fn saved(answer: Answer) -> Result<Saved, SoulError> {
    let AnswerKind::Saved(wire::SoulSaved { schema, size, digest, at_ms }) = answer else {
        return Err(unexpected(0));
    };
    let digest = digest.parse().map_err(|_| unexpected(0))?;
    Ok(Saved { schema, size, digest, at_ms })
}

pub(super) fn done(answer: Answer) -> Result<(), SoulError> {
    if matches!(answer, AnswerKind::Done(_)) { Ok(()) } else { Err(unexpected(0)) }
}

/// What became of the turns of one batch, in their order.
pub(super) fn actions(answer: Answer) -> Option<Vec<Result<Vec<Vec<u8>>, ActError>>> {
    let AnswerKind::Acted(wire::SoulActions { actions }) = answer else { return None };
    let read = |action: wire::SoulAction| match action.failure {
        0 => Ok(action.choices.into_iter().map(Vec::from).collect()),
        1 => Err(ActError::Gone),
        2 => Err(ActError::CrashedAway(action.text)),
        3 => Err(ActError::NotStarted(action.text)),
        4 => Err(ActError::Refused(action.text)),
        5 => Err(ActError::Behind { last: action.heard }),
        _ => Err(ActError::Late),
    };
    Some(actions.into_iter().map(read).collect())
}

fn report(view: &SoulView) -> wire::SoulReport {
    let state = match view.state {
        State::Starting => 1,
        State::Running => 2,
        State::Passive => 3,
        State::BackingOff => 4,
        State::Stopped => 5,
        State::Failed => 6,
    };
    wire::SoulReport {
        manifest: serde_json::to_vec(&*view.manifest).unwrap_or_default().into(),
        state,
        reason: view.reason.clone(),
        waiting: view.mailbox_depth as u64,
        handled: view.handled,
        crashes: view.crashes,
        memory_bytes: view.memory_bytes,
        fuel_used: view.fuel_used,
        checkpoint_at_ms: view.checkpoint_at_ms,
        schema: view.schema.clone(),
        generation: view.placed.generation,
        again_at_ms: view.again_at_ms,
        crashes_recent: view.crashes_recent,
    }
}

fn read_report(report: wire::SoulReport, node: u64) -> Option<SoulView> {
    let state = match report.state {
        1 => State::Starting,
        2 => State::Running,
        3 => State::Passive,
        4 => State::BackingOff,
        5 => State::Stopped,
        6 => State::Failed,
        _ => return None,
    };
    Some(SoulView {
        manifest: Arc::new(serde_json::from_slice(&report.manifest).ok()?),
        state,
        reason: report.reason,
        mailbox_depth: usize::try_from(report.waiting).unwrap_or(usize::MAX),
        handled: report.handled,
        crashes: report.crashes,
        memory_bytes: report.memory_bytes,
        fuel_used: report.fuel_used,
        checkpoint_at_ms: report.checkpoint_at_ms,
        schema: report.schema,
        placed: Placed { node, generation: report.generation },
        again_at_ms: report.again_at_ms,
        crashes_recent: report.crashes_recent,
    })
}

/// Answers other nodes about the Souls of this one.
pub(super) struct Server {
    souls: Souls,
    tasks: Tasks,
}

impl Server {
    pub(super) fn new(souls: Souls, tasks: Tasks) -> Self {
        Self { souls, tasks }
    }
}

impl Serve for Server {
    fn serve(&self, _: Peer, question: Bytes, reply: Reply) {
        let Some(kind) = wire::SoulsQuestion::decode(question).ok().and_then(|question| question.kind) else {
            return reply.fail("it is malformed, or of a newer version");
        };
        let souls = self.souls.clone();
        self.tasks.spawn("souls.call", async move {
            let kind = carry_out(&souls, kind).await.unwrap_or_else(|error| {
                let (kind, text) = (error.kind().to_owned(), error.to_string());
                AnswerKind::Refused(wire::SoulRefusal { kind, text })
            });
            reply.answer(wire::SoulsAnswer { kind: Some(kind) }.encode_to_vec().into());
        });
    }
}

async fn carry_out(souls: &Souls, question: Question) -> Result<AnswerKind, SoulError> {
    let name = |text: &str| text.parse::<SoulName>().map_err(|error| SoulError::Away(0, error.to_string()));
    let here = async |text: &str| {
        let soul = name(text)?;
        souls.expect(&soul).await?;
        Ok::<_, SoulError>(soul)
    };
    let done = AnswerKind::Done(wire::Nothing {});
    Ok(match question {
        Question::Spawn(json) => {
            let manifest = serde_json::from_slice(&json);
            let manifest = manifest.map_err(|error| SoulError::Away(0, error.to_string()))?;
            AnswerKind::Soul(report(&souls.spawn(manifest, None).await?))
        }
        Question::Get(soul) => AnswerKind::Soul(report(&souls.get(&here(&soul).await?)?)),
        Question::Stop(soul) => AnswerKind::Soul(report(&souls.stop(&here(&soul).await?, None).await?)),
        Question::Delete(soul) => {
            souls.delete(&here(&soul).await?, None).await?;
            done
        }
        Question::Checkpoint(soul) => {
            let Saved { schema, size, digest, at_ms } = souls.checkpoint(&here(&soul).await?).await?;
            AnswerKind::Saved(wire::SoulSaved { schema, size, digest: digest.to_string(), at_ms })
        }
        Question::List(wire::SoulsRange { after, prefix, limit }) => {
            let after = if after.is_empty() { None } else { Some(name(&after)?) };
            let limit = usize::try_from(limit).unwrap_or(LIST_MAX).min(LIST_MAX);
            let found = souls.list(after.as_ref(), &prefix, limit);
            AnswerKind::Souls(wire::SoulReports { souls: found.iter().map(report).collect() })
        }
        Question::Prepare(digest) => {
            let digest = digest.parse().map_err(|_| SoulError::Away(0, "it is no digest".into()))?;
            souls.host().components.get(digest).await?;
            done
        }
        Question::Move(wire::SoulMove { soul, to }) => {
            souls.hand_over(&here(&soul).await?, to).await?;
            done
        }
        Question::Swap(swap) => fleet::swap(souls, here(&swap.soul).await?, &swap).await?,
        Question::Rehearse(swap) => fleet::rehearse(souls, here(&swap.soul).await?, &swap).await?,
        Question::RollBack(back) => fleet::roll_back(souls, here(&back.soul).await?, &back).await?,
        Question::SetPersona(asked) => fleet::set_persona(souls, here(&asked.soul).await?, &asked).await?,
        Question::Remember(edit) => remembering::edit(souls, here(&edit.soul).await?, edit).await?,
        Question::Act(turns) => AnswerKind::Acted(act_all(souls, turns).await),
        Question::Forget(wire::SoulRun { soul, run }) => {
            souls.forget_run(&name(&soul)?, run.into()).await;
            done
        }
    })
}

/// Lets all act at the same time; who is late is left out.
async fn act_all(souls: &Souls, turns: wire::SoulTurns) -> wire::SoulActions {
    let within = Duration::from_millis(turns.within_ms).saturating_sub(WAY_BACK);
    let acted = turns.turns.into_iter().map(|turn| async move {
        let acted = tokio::time::timeout(within, act(souls, turn)).await;
        write_action(acted.unwrap_or(Err(ActError::Late)))
    });
    wire::SoulActions { actions: join_all(acted).await }
}

async fn act(souls: &Souls, turn: wire::SoulTurn) -> Result<Vec<Vec<u8>>, ActError> {
    let soul: SoulName = turn.soul.parse().map_err(|_| ActError::Gone)?;
    let seat = |seat: wire::SoulSeat| Turn {
        seat: seat.seat,
        observation: seat.observation.into(),
        reward: seat.reward,
        last: seat.last,
    };
    let request = ActRequest {
        run: turn.run.into(),
        matrix: turn.matrix.parse().map_err(|_| ActError::Gone)?,
        tick: turn.tick,
        previous: turn.previous,
        turns: Arc::new(turn.seats.into_iter().map(seat).collect()),
        now_ms: turn.now_ms,
        deadline: None,
    };
    souls.expect(&soul).await?;
    souls.act(&soul, request).await
}

fn write_action(acted: Result<Vec<Vec<u8>>, ActError>) -> wire::SoulAction {
    let failed = |failure, text| wire::SoulAction { failure, text, ..wire::SoulAction::default() };
    match acted {
        Ok(choices) => {
            let choices = choices.into_iter().map(Bytes::from).collect();
            wire::SoulAction { choices, ..wire::SoulAction::default() }
        }
        Err(ActError::Gone | ActError::Away) => failed(1, String::new()),
        Err(ActError::Crashed(crash)) => failed(2, crash.to_string()),
        Err(ActError::CrashedAway(text)) => failed(2, text),
        Err(ActError::NotStarted(text)) => failed(3, text),
        Err(ActError::Refused(text)) => failed(4, text),
        Err(ActError::Behind { last }) => wire::SoulAction { heard: last, ..failed(5, String::new()) },
        Err(ActError::Late) => failed(6, String::new()),
    }
}
