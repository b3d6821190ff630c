//! One lesson: a copy of the Soul is measured, trained and measured again, and what it learnt is taken up or dropped.

use std::time::Instant;

use super::experience::{self, is_held_out};
use super::judge::judge;
use super::lessons::{self, Lesson, Lessons, Verdict};
use super::log::{self, Index};
use super::{Host, LearningError, states};
use crate::clock;
use crate::ids::{Digest, SoulName};
use crate::kv::{Consistency, Expect, Txn, TxnOutcome};
use crate::runtime::learner::{Experience, Figures};
use crate::souls::placed::Placed;
use crate::souls::pupil::{LearnError, Pupil};
use crate::souls::training::{Training, TrainingMode};

/// How often a lesson is begun anew where the Soul's state changed meanwhile.
const TRIES: u32 = 3;
/// The most that is measured by: the newest of what is held out.
const HELD_OUT_MAX: usize = 256;
/// So many of earlier experience are enough to judge by. What came with the batch itself is left out then: whoever
/// misleads a Soul would mislead its judge too.
const HELD_OUT_ENOUGH: usize = 16;

/// Why there was no lesson.
#[derive(Debug, thiserror::Error)]
pub(super) enum Delay {
    /// The Soul's code does not learn.
    #[error("{0}")]
    Cannot(LearnError),
    /// Its state changes all the time.
    #[error("{error}, {TRIES} times{advice}", error = LearnError::Changed)]
    Changed {
        /// What helps.
        advice: &'static str,
    },
    /// It is to be tried again.
    #[error("{0}")]
    Later(String),
}

impl From<LearningError> for Delay {
    fn from(error: LearningError) -> Self {
        Self::Later(error.to_string())
    }
}

/// What a lesson is about.
struct Material {
    lessons: Lessons,
    expect: Expect,
    /// Of the oldest experience that is kept.
    oldest: u64,
    /// Ids of the first and the last experience.
    range: (u64, u64),
    /// What is trained on.
    learn: Vec<Experience>,
    /// What is measured by.
    held_out: Vec<Experience>,
}

/// What a copy came to.
struct Learned {
    before: Figures,
    after: Figures,
    figures: Figures,
    /// What keeps it from being kept, and why.
    fault: Option<(Verdict, String)>,
}

/// Gives a Soul of this node its next lesson. None: nothing waits.
pub(super) async fn give(host: &Host, soul: &SoulName, training: &Training) -> Result<Option<Lesson>, Delay> {
    for _ in 0..TRIES {
        let Some(material) = material(host, soul, training).await? else { return Ok(None) };
        if let Some(lesson) = attempt(host, soul, training, material).await? {
            return Ok(Some(lesson));
        }
    }
    let advice = match training.mode {
        TrainingMode::Beside => ": set `learning.mode = \"in-place\"` in its manifest",
        TrainingMode::InPlace => "",
    };
    Err(Delay::Changed { advice })
}

/// The next batch, and what it is measured by.
async fn material(host: &Host, soul: &SoulName, training: &Training) -> Result<Option<Material>, Delay> {
    let (lessons, expect) = lessons::load(&host.kv, soul, Consistency::Linearizable).await?;
    let (index, _) = log::load(&host.kv, soul).await?;
    let batch = log::read(&host.kv, soul, &index, lessons.seen, training.batch()).await?;
    let (Some(first), Some(last)) = (batch.first(), batch.last()) else { return Ok(None) };
    let range = (first.id, last.id);
    let percent = training.held_out_percent();
    let (own, learn): (Vec<_>, Vec<_>) = batch.into_iter().partition(|it| is_held_out(it, percent));
    let mut held_out = held_out_before(host, soul, &index, &lessons, (range.0, percent)).await?;
    if held_out.len() < HELD_OUT_ENOUGH {
        held_out.extend(own);
        held_out.truncate(HELD_OUT_MAX);
    }
    Ok(Some(Material { lessons, expect, oldest: index.first(), range, learn, held_out }))
}

/// The newest of what is held out of a Soul's experience before the id `before`, in order: nothing that was rejected.
pub(super) async fn held_out_before(
    host: &Host,
    soul: &SoulName,
    index: &Index,
    lessons: &Lessons,
    (before, percent): (u64, u8),
) -> Result<Vec<Experience>, LearningError> {
    let mut found: Vec<Vec<Experience>> = Vec::new();
    let (mut count, mut bytes) = (0, 0);
    for segment in index.segments.iter().rev().filter(|segment| segment.first < before) {
        let some = log::read(&host.kv, soul, index, segment.first - 1, segment.count as usize).await?;
        let held =
            |it: &Experience| it.id < before && is_held_out(it, percent) && !lessons.has_rejected(it.id);
        let some: Vec<_> = some.into_iter().filter(held).collect();
        count += some.len();
        bytes += some.iter().map(experience::size).sum::<usize>();
        found.push(some);
        if count >= HELD_OUT_MAX || bytes >= log::READ_BYTES {
            break;
        }
    }
    let all: Vec<_> = found.into_iter().rev().flatten().collect();
    let surplus = all.len().saturating_sub(HELD_OUT_MAX);
    Ok(all.into_iter().skip(surplus).collect())
}

/// One attempt at a lesson. None: the Soul's state changed meanwhile, or somebody else wrote the record.
async fn attempt(
    host: &Host,
    soul: &SoulName,
    training: &Training,
    material: Material,
) -> Result<Option<Lesson>, Delay> {
    let begun = Instant::now();
    let holds = training.mode == TrainingMode::InPlace;
    let limits = host.config.lesson_limits();
    let pupil = host.souls.here().pupil(soul, &limits, holds).await;
    let mut pupil = match pupil {
        Ok(pupil) => pupil,
        Err(LearnError::Changed) => return Ok(None),
        Err(error @ LearnError::Cannot(_)) => return Err(Delay::Cannot(error)),
        // It is no fault of the experience that the Soul cannot come to life in so little.
        Err(error) => return Err(Delay::Later(error.to_string())),
    };
    let learned = learn(&mut pupil, training, &material).await?;
    let Material { lessons, expect, oldest, range, learn, held_out } = material;
    let lesson = Lesson {
        number: lessons.count + 1,
        verdict: Verdict::Kept,
        reason: if held_out.is_empty() {
            "nothing is held out yet to judge it by".into()
        } else {
            String::new()
        },
        first: range.0,
        last: range.1,
        trained: learn.len() as u32,
        held_out: held_out.len() as u32,
        data: digest(&learn),
        metric: training.metric().to_owned(),
        before: learned.before,
        after: learned.after,
        figures: learned.figures,
        component: pupil.manifest().component,
        parent: pupil.base(),
        state: None,
        at_ms: clock::now_ms(),
        took_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    let written = (lessons, expect, oldest);
    match learned.fault {
        None => keep(host, soul, pupil, lesson, written).await,
        Some((verdict, reason)) => {
            write(host, soul, pupil.placed(), Lesson { verdict, reason, ..lesson }, written).await
        }
    }
}

/// Measures, trains and measures again.
async fn learn(pupil: &mut Pupil, training: &Training, material: &Material) -> Result<Learned, Delay> {
    let Material { learn, held_out, .. } = material;
    let now_ms = learn.iter().map(|experience| experience.at_ms).max().unwrap_or_default();
    let mut learned =
        Learned { before: Figures::new(), after: Figures::new(), figures: Figures::new(), fault: None };
    if learn.is_empty() {
        return Ok(learned);
    }
    let told = async {
        if !held_out.is_empty() {
            learned.before = pupil.evaluate(held_out, now_ms).await?;
        }
        learned.figures = pupil.train(learn, now_ms).await?;
        if !held_out.is_empty() {
            learned.after = pupil.evaluate(held_out, now_ms).await?;
        }
        Ok::<_, LearnError>(())
    };
    let told = told.await;
    match told {
        Ok(()) => {}
        Err(LearnError::Guest(reason)) => {
            learned.fault = Some((Verdict::Failed, reason));
            return Ok(learned);
        }
        Err(error @ LearnError::Cannot(_)) => return Err(Delay::Cannot(error)),
        Err(error) => return Err(Delay::Later(error.to_string())),
    }
    if !held_out.is_empty()
        && let Err(reason) = judge(training, &learned.before, &learned.after)
    {
        learned.fault = Some((Verdict::Rejected, reason));
    }
    Ok(learned)
}

/// What the copy learnt becomes the Soul's, and the record says so, in one write.
async fn keep(
    host: &Host,
    soul: &SoulName,
    mut pupil: Pupil,
    mut lesson: Lesson,
    (lessons, expect, oldest): (Lessons, Expect, u64),
) -> Result<Option<Lesson>, Delay> {
    let placed = pupil.placed();
    let learnt = match pupil.learnt().await {
        Ok(learnt) => learnt,
        Err(LearnError::Guest(reason)) => {
            let lesson = Lesson { verdict: Verdict::Failed, reason, ..lesson };
            return write(host, soul, placed, lesson, (lessons, expect, oldest)).await;
        }
        Err(error) => return Err(Delay::Later(error.to_string())),
    };
    let state = Digest::of(&learnt.bytes);
    if Some(state) == pupil.base() || lesson.trained == 0 {
        // Nothing is to be taken up: only that it was seen is written.
        return write(host, soul, placed, lesson, (lessons, expect, oldest)).await;
    }
    lesson.state = Some(state);
    let mut after = lessons.clone();
    after.add(lesson.clone(), oldest);
    let lives = placed.condition(&host.kv, soul).map_err(LearningError::from)?;
    let (to, number) = ((&host.kv, host.souls.state_bytes_max()), lesson.number);
    let kept = states::keep(to, soul, &mut after.states, number, &learnt, &lives).await;
    let mut with = kept.map_err(LearningError::from)?;
    let exchange = lessons::exchange(&host.kv, soul, expect.clone(), &after);
    let (require, put) = exchange.map_err(LearningError::from)?;
    with.require.push(require);
    with.then.push(put);
    match host.souls.here().take_up(pupil, learnt, with).await {
        Ok(_) => Ok(Some(lesson)),
        Err(LearnError::Changed) => Ok(None),
        Err(LearnError::Guest(reason)) => {
            let reason = format!("the Soul could not take it up within its own limits: {reason}");
            let lesson = Lesson { verdict: Verdict::Failed, reason, state: None, ..lesson };
            write(host, soul, placed, lesson, (lessons, expect, oldest)).await
        }
        Err(error) => Err(Delay::Later(error.to_string())),
    }
}

/// Writes only that there was a lesson. None: somebody else wrote the record.
async fn write(
    host: &Host,
    soul: &SoulName,
    placed: Placed,
    lesson: Lesson,
    (mut lessons, expect, oldest): (Lessons, Expect, u64),
) -> Result<Option<Lesson>, Delay> {
    lessons.add(lesson.clone(), oldest);
    let kv = &host.kv;
    let (require, put) = lessons::exchange(kv, soul, expect, &lessons).map_err(LearningError::from)?;
    let lives = placed.condition(kv, soul).map_err(LearningError::from)?;
    let txn = Txn { require: vec![require, lives], then: vec![put] };
    let written = kv.batch(txn, None).await.map_err(LearningError::from)?.value;
    Ok((written == TxnOutcome::Committed).then_some(lesson))
}

/// Digest of what is trained on.
fn digest(learn: &[Experience]) -> Digest {
    let mut bytes = Vec::new();
    for Experience { id, input, output, reward, .. } in learn {
        for part in
            [&id.to_be_bytes()[..], input, output, &reward.unwrap_or(f64::NAN).to_bits().to_be_bytes()]
        {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
    }
    Digest::of(&bytes)
}
