//! When Souls of this node are trained: after so many experiences, after so long, or because somebody asks. It follows the
//! indexes of all logs in the KV, so that it does not matter which node was taught.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt as _;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::MissedTickBehavior;

use super::lesson::{self, Delay};
use super::lessons::{self, Lesson, Verdict};
use super::log::Index;
use super::{Host, Learning, log, restore};
use crate::ids::SoulName;
use crate::kv::{ChangeKind, Consistency, KvError};
use crate::souls::status::State;
use crate::souls::taught::LOGS_BUCKET;
use crate::souls::training::Training;
use crate::transport::bus::Source;

/// How often those are looked at who have something to learn.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long after a lesson could not be given it is tried again.
const AGAIN: Duration = Duration::from_secs(2);
/// The same, where the Soul's code does not learn, or its state changed each time.
const MUCH_LATER: Duration = Duration::from_secs(30);
/// Indexes that are read at once.
const PAGE: usize = 1_000;

/// A Soul that may have something to learn, here or on another node.
#[derive(Debug)]
struct Waiting {
    /// The id of its newest experience, and up to which it is asked to learn at once.
    last: u64,
    asked: u64,
    /// The last state that it was to be given back.
    wish: u64,
    /// Up to which it has learnt, and which wish was seen to; none: it has to be read, once it lives here.
    seen: Option<(u64, u64)>,
    since: Instant,
    /// A lesson was put off until then, unless more is asked for than this.
    again: Option<(Instant, u64)>,
    is_taught: bool,
}

/// What a lesson came to.
struct Ended {
    soul: SoulName,
    asked: u64,
    /// For how long the next is put off; none: it is not.
    put_off: Option<Duration>,
}

type All = BTreeMap<SoulName, Waiting>;

/// Trains Souls of this node until the node stops.
pub(super) async fn train(learning: Learning) {
    let (ended, mut endings) = mpsc::channel::<Ended>(64);
    let places = Arc::new(Semaphore::new(learning.0.host.config.trainings_max.max(1)));
    let mut waiting = All::new();
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watch = None;
    loop {
        let kv = &learning.0.host.kv;
        if watch.is_none() {
            // Watched before it is read: nothing is missed in between.
            watch = kv.watch(LOGS_BUCKET, b"", None).ok();
            if all(&learning, &mut waiting).await.is_err() {
                watch = None;
            }
        }
        let changed = async {
            match &mut watch {
                Some(watch) => watch.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = changed => match changed {
                Some(Ok(change)) => match &change.kind {
                    ChangeKind::Put(entry) => note(&mut waiting, &change.key(), &entry.value),
                    ChangeKind::Deleted => forget(&learning, &mut waiting, &change.key()),
                },
                // It missed some.
                Some(Err(_)) => watch = None,
                None => return,
            },
            Some(end) = endings.recv() => {
                if let Some(waiting) = waiting.get_mut(&end.soul) {
                    (waiting.is_taught, waiting.seen, waiting.since) = (false, None, Instant::now());
                    waiting.again = end.put_off.map(|put_off| (Instant::now() + put_off, end.asked));
                }
                consider(&learning, &mut waiting, &places, &ended).await;
            }
            _ = look.tick() => consider(&learning, &mut waiting, &places, &ended).await,
        }
    }
}

/// The Soul whose log is under a key.
fn whose(key: &[u8]) -> Option<SoulName> {
    std::str::from_utf8(key).ok()?.parse().ok()
}

/// A log is gone, and its Soul with it.
fn forget(learning: &Learning, all: &mut All, key: &[u8]) {
    if let Some(soul) = whose(key) {
        all.remove(&soul);
        learning.0.host.metrics.judged.forget(&soul);
    }
}

/// A log has grown, or somebody asks.
fn note(all: &mut All, key: &[u8], value: &[u8]) {
    let (Some(soul), Ok(index)) = (whose(key), serde_json::from_slice::<Index>(value)) else { return };
    let new = || Waiting {
        last: 0,
        asked: 0,
        wish: 0,
        seen: None,
        since: Instant::now(),
        again: None,
        is_taught: false,
    };
    let waiting = all.entry(soul).or_insert_with(new);
    let wish = index.wish.map_or(0, |wish| wish.number);
    (waiting.last, waiting.asked, waiting.wish) = (index.last, index.asked, wish);
}

async fn all(learning: &Learning, all: &mut All) -> Result<(), KvError> {
    let mut start = Bytes::new();
    loop {
        let page =
            learning.0.host.kv.range(LOGS_BUCKET, &start, None, PAGE, Consistency::Linearizable).await?;
        page.entries.iter().for_each(|(key, entry)| note(all, key, &entry.value));
        match page.next {
            Some(next) => start = next,
            None => return Ok(()),
        }
    }
}

/// Begins the lessons that are due, as far as there are places, those first who have waited longest; and forgets who has
/// learnt all.
async fn consider(learning: &Learning, all: &mut All, places: &Arc<Semaphore>, ended: &mpsc::Sender<Ended>) {
    let (mut learnt, mut due) = (Vec::new(), Vec::new());
    for (soul, waiting) in all.iter_mut().filter(|(_, waiting)| !waiting.is_taught) {
        let Some(view) = learning.0.host.souls.here().get(soul).ok() else { continue };
        if !matches!(view.state, State::Running | State::Passive | State::Starting) {
            continue;
        }
        let (seen, granted) = match waiting.seen {
            Some(seen) => seen,
            None => {
                let read = lessons::load(&learning.0.host.kv, soul, Consistency::Local).await;
                let Ok((lessons, _)) = read else { continue };
                *waiting.seen.insert((lessons.seen, lessons.granted))
            }
        };
        let (wishes, training) = (waiting.wish > granted, &view.manifest.learning);
        if waiting.last <= seen && !wishes {
            learnt.push(soul.clone());
            continue;
        }
        let learns = is_due(waiting, seen, training);
        if learns || (wishes && !is_put_off(waiting)) {
            due.push((waiting.since, soul.clone(), learns, training.clone()));
        }
    }
    learnt.iter().for_each(|soul| _ = all.remove(soul));
    due.sort_by_key(|(since, ..)| *since);
    for (_, soul, learns, training) in due {
        let Ok(place) = places.clone().try_acquire_owned() else { return };
        let Some(waiting) = all.get_mut(&soul) else { continue };
        waiting.is_taught = true;
        let (learning, ended, asked) = (learning.clone(), ended.clone(), waiting.asked);
        let (tasks, stopping) = (learning.0.host.tasks.clone(), learning.0.host.tasks.stopping());
        tasks.spawn("learning.lesson", async move {
            let put_off = stopping.run_until_cancelled(teach(&learning, &soul, &training, learns)).await;
            drop(place);
            // The trainer may be gone, with the node.
            let _ = ended.send(Ended { soul, asked, put_off: put_off.flatten() }).await;
        });
    }
}

fn is_put_off(waiting: &Waiting) -> bool {
    waiting.again.is_some_and(|(again, asked)| Instant::now() < again && waiting.asked <= asked)
}

/// Whether a Soul that has learnt up to `seen` is to be trained now.
fn is_due(waiting: &Waiting, seen: u64, training: &Training) -> bool {
    let new = waiting.last.saturating_sub(seen);
    let by_itself = !training.manual
        && (new >= training.every_experiences()
            || waiting.since.elapsed() >= Duration::from_secs(training.every_seconds()));
    new > 0 && !is_put_off(waiting) && (waiting.asked > seen || by_itself)
}

/// Gives back what is asked for, or, if the Soul is to learn, the next lesson.
async fn next(
    host: &Host,
    soul: &SoulName,
    training: &Training,
    learns: bool,
) -> Result<Option<Lesson>, Delay> {
    let (index, _) = log::load(&host.kv, soul).await?;
    match restore::give_back(host, soul, &index).await? {
        Some(restored) => Ok(Some(restored)),
        None if learns => lesson::give(host, soul, training).await,
        None => Ok(None),
    }
}

/// Gives a lesson, and tells of it. Returns for how long the next is put off; none: it is not.
async fn teach(learning: &Learning, soul: &SoulName, training: &Training, learns: bool) -> Option<Duration> {
    let host = &learning.0.host;
    let begun = Instant::now();
    let given = next(host, soul, training, learns).await;
    let lesson = match given {
        Ok(Some(lesson)) => lesson,
        Ok(None) => return None,
        Err(delay) => {
            let reason = delay.to_string();
            host.metrics.lessons.add("delayed", 1);
            tracing::warn!(%soul, reason, "a Soul could not be trained: it is tried again");
            report(learning, "soul.training-delayed", soul, &serde_json::json!({ "reason": reason }));
            learning.put_off(soul, &reason).await;
            return Some(if matches!(delay, Delay::Later(_)) { AGAIN } else { MUCH_LATER });
        }
    };
    let verdict = lesson.verdict.name();
    host.metrics.lessons.add(verdict, 1);
    host.metrics.seconds.record(verdict, begun.elapsed());
    host.metrics.learnt_from.add(verdict, lesson.trained.into());
    let measured = [("before", &lesson.before), ("after", &lesson.after)].into_iter();
    let judged = measured.filter_map(|(when, figures)| {
        let (_, value) = figures.iter().find(|(name, _)| name == training.metric())?;
        Some((when, *value))
    });
    host.metrics.judged.record(soul, judged.collect());
    let (kind, reason) = match lesson.verdict {
        Verdict::Kept => ("soul.trained", ""),
        Verdict::Restored => ("soul.restored", ""),
        Verdict::Rejected | Verdict::Failed => ("soul.training-rejected", lesson.reason.as_str()),
    };
    if matches!(lesson.verdict, Verdict::Rejected | Verdict::Failed) {
        tracing::warn!(%soul, lesson = lesson.number, reason, "what a Soul learnt was not kept");
    }
    report(learning, kind, soul, &serde_json::json!(&lesson));
    None
}

fn report(learning: &Learning, kind: &'static str, soul: &SoulName, detail: &serde_json::Value) {
    learning.0.host.bus.report(kind, Source::Soul(soul.clone()), detail);
}
