//! A Soul is given back a state that it came to by learning. It is asked for in the index of its log, so that it does not
//! matter where the Soul lives, and done by its node's trainer.

use super::lesson::Delay;
use super::lessons::{self, Lesson, Verdict};
use super::log::{Index, Wish};
use super::{Host, LearningError};
use crate::clock;
use crate::ids::{Digest, SoulName};
use crate::kv::{Consistency, Txn, TxnOutcome};
use crate::runtime::learner::Figures;
use crate::souls::pupil::LearnError;
use crate::souls::{placed, taught};

/// How often it is tried, where somebody else writes the same record.
const TRIES: usize = 3;

/// Gives a Soul of this node the state that its log's index asks for, if it has not been given it yet.
pub(super) async fn give_back(host: &Host, soul: &SoulName, index: &Index) -> Result<Option<Lesson>, Delay> {
    let Some(wish) = index.wish else { return Ok(None) };
    for _ in 0..TRIES {
        let (mut lessons, expect) = lessons::load(&host.kv, soul, Consistency::Linearizable).await?;
        if lessons.granted >= wish.number {
            return Ok(None);
        }
        lessons.granted = wish.number;
        let of = lessons.list.iter().find(|lesson| lesson.number == wish.lesson);
        let state = taught::state(&host.kv, soul, wish.lesson).await.map_err(LearningError::from)?;
        let lesson = begun(host, soul, wish, of, lessons.count + 1, lessons.seen);
        let Some(state) = state else {
            let reason = format!("the state of lesson {} is not kept", wish.lesson);
            let lesson = Lesson { reason, ..lesson };
            if failed(host, soul, lesson.clone(), (lessons, expect)).await? {
                return Ok(Some(lesson));
            }
            continue;
        };
        let given =
            Lesson { verdict: Verdict::Restored, state: Some(Digest::of(&state.bytes)), ..lesson.clone() };
        let mut after = lessons.clone();
        after.add(given.clone(), index.first());
        let exchange = lessons::exchange(&host.kv, soul, expect.clone(), &after);
        let (require, put) = exchange.map_err(LearningError::from)?;
        let with = Txn { require: vec![require], then: vec![put] };
        match host.souls.here().put_back(soul, state, with).await {
            Ok(_) => return Ok(Some(given)),
            Err(LearnError::Changed) => {}
            Err(LearnError::Guest(reason)) => {
                let lesson = Lesson { reason, ..lesson };
                if failed(host, soul, lesson.clone(), (lessons, expect)).await? {
                    return Ok(Some(lesson));
                }
            }
            Err(error) => return Err(Delay::Later(error.to_string())),
        }
    }
    Err(Delay::Later("others write down its lessons at the same time".to_owned()))
}

/// What is written down of it, as long as it has not come about.
fn begun(host: &Host, soul: &SoulName, wish: Wish, of: Option<&Lesson>, number: u64, seen: u64) -> Lesson {
    let view = host.souls.here().get(soul);
    Lesson {
        number,
        verdict: Verdict::Failed,
        reason: format!("the state of lesson {}", wish.lesson),
        first: seen,
        last: seen,
        trained: 0,
        held_out: 0,
        data: of.map_or_else(|| Digest::of(b""), |of| of.data),
        metric: of.map(|of| of.metric.clone()).unwrap_or_default(),
        before: of.map(|of| of.after.clone()).unwrap_or_default(),
        after: of.map(|of| of.after.clone()).unwrap_or_default(),
        figures: Figures::new(),
        component: view.map_or_else(|_| Digest::of(b""), |view| view.manifest.component),
        parent: None,
        state: None,
        at_ms: clock::now_ms(),
        took_ms: 0,
    }
}

/// Writes down that it failed. False: somebody else wrote the record.
async fn failed(
    host: &Host,
    soul: &SoulName,
    lesson: Lesson,
    (mut lessons, expect): (lessons::Lessons, crate::kv::Expect),
) -> Result<bool, Delay> {
    let kv = &host.kv;
    lessons.add(lesson, 0);
    let (require, put) = lessons::exchange(kv, soul, expect, &lessons).map_err(LearningError::from)?;
    let Some(lives) = placed::load(kv, soul).await.map_err(LearningError::from)? else { return Ok(true) };
    let lives = lives.condition(kv, soul).map_err(LearningError::from)?;
    let written = kv.batch(Txn { require: vec![require, lives], then: vec![put] }, None).await;
    Ok(written.map_err(LearningError::from)?.value == TxnOutcome::Committed)
}
