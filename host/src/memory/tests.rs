//! A memory on a KV of its own, and what holds of all memories.

mod merging;

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::score::{Document, Query, Trace, scores};
use super::*;
use crate::ids::SoulName;
use crate::kv::{Condition, Consistency, Expect, Kv, KvConfig, Txn, TxnOutcome};
use crate::tasks::Tasks;

const QUOTA: Quota = Quota { episodes: 1_000, bytes: 1 << 20 };
/// A time such as messages have.
const NOW: u64 = 1_700_000_000_000;
const HOUR: u64 = 3_600_000;

async fn store() -> (tempfile::TempDir, Kv) {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().to_owned();
    let config = KvConfig { dir, disk_reserve_bytes: 0, range_page_max: 10, ..KvConfig::default() };
    (folder, Kv::open(config, &Tasks::new()).await.expect("an empty folder"))
}

fn neo() -> SoulName {
    "neo".parse().expect("a name")
}

/// A memory that may be written as long as the key `fence` is not there, and that makes room by forgetting alone.
fn memory(kv: &Kv, quota: Quota) -> Memory {
    weighed(kv, quota, Weights { relevance: 5.0, alike: 0.0, ..Weights::default() })
}

fn weighed(kv: &Kv, quota: Quota, weights: Weights) -> Memory {
    let fence = Condition { path: kv.path("tests", b"fence").expect("a path"), expect: Expect::Absent };
    Memory::new(Place::new(kv.clone(), &neo(), fence), quota, weights)
}

fn impression(text: &str, importance: f32) -> Impression {
    Impression { text: text.into(), importance, ..Impression::default() }
}

fn cue(text: &str) -> Cue {
    Cue { text: text.into(), ..Cue::default() }
}

async fn ids(memory: &mut Memory, text: &str, now_ms: u64) -> Vec<u64> {
    let found = memory.recall(&cue(text), now_ms, 64).await.expect("readable");
    found.iter().map(|found| found.episode.id).collect()
}

#[tokio::test]
async fn what_is_remembered_is_recalled_also_by_who_reads_it_anew() {
    let (_folder, kv) = store().await;
    let mut one = memory(&kv, QUOTA);
    for (hour, text) in ["the harbour at dawn", "a cat", "the harbour at dawn", "rain"].iter().enumerate() {
        let remembered = one.remember(&impression(text, 0.5), hour as u64 * HOUR, &[]).await.expect("room");
        assert_eq!((remembered.id, remembered.room), (hour as u64 + 1, MadeRoom::default()));
    }
    assert_eq!(ids(&mut one, "Harbour", 4 * HOUR).await[..2], [3, 1], "identical texts are distinct");
    let mut other = memory(&kv, QUOTA);
    assert_eq!(ids(&mut other, "harbour", 4 * HOUR).await[..2], [3, 1]);
    let listed = list(&kv, &neo(), Some(1), 2).await.expect("readable");
    assert_eq!(listed.iter().map(|episode| episode.id).collect::<Vec<_>>(), [2, 3]);
    assert_eq!((listed[0].span, &*listed[0].impression.text), (Span::once(HOUR), "a cat"));
    // A name is never given twice, also after the last one is forgotten.
    assert_eq!(one.forget(&[4, 99, 4]).await.expect("there"), [4]);
    let mut third = memory(&kv, QUOTA);
    assert_eq!(third.remember(&impression("snow", 0.5), 0, &[]).await.expect("room").id, 5);
    kv.close().await;
}

#[tokio::test]
async fn what_is_recalled_is_fresh_again_and_that_is_kept() {
    let (_folder, kv) = store().await;
    let mut one = memory(&kv, QUOTA);
    for text in ["apple", "pear"] {
        one.remember(&impression(text, 0.5), 0, &[]).await.expect("room");
    }
    assert_eq!(ids(&mut one, "", 100 * HOUR).await, [2, 1], "of those alike the newest is first");
    let found = one.recall(&cue("apple"), 200 * HOUR, 1).await.expect("readable");
    assert_eq!((found[0].episode.id, found[0].episode.recalled_at_ms), (1, 100 * HOUR));
    assert_eq!(ids(&mut one, "", 300 * HOUR).await, [1, 2]);
    one.recall(&cue("apple"), 400 * HOUR, 1).await.expect("readable");
    one.tell().await.expect("it may be written");
    let mut other = memory(&kv, QUOTA);
    assert_eq!(ids(&mut other, "", 400 * HOUR).await, [1, 2]);
    let listed = list(&kv, &neo(), None, 9).await.expect("readable");
    assert_eq!(listed.iter().map(|it| it.recalled_at_ms).collect::<Vec<_>>(), [400 * HOUR, 300 * HOUR]);
    // What is forgotten leaves nothing behind.
    assert_eq!(other.forget(&[1, 2]).await.expect("there"), [1, 2]);
    let left = kv.range(&bucket(&neo()), b"", None, 9, Consistency::Local).await.expect("readable");
    assert_eq!(left.entries.len(), 1, "the next name");
    kv.close().await;
}

#[tokio::test]
async fn the_least_valuable_go_where_there_is_no_room() {
    let (_folder, kv) = store().await;
    let mut one = memory(&kv, Quota { episodes: 3, bytes: 4_000 });
    for (hour, importance) in [0.9, 0.1, 0.5].into_iter().enumerate() {
        one.remember(&impression("x", importance), hour as u64 * HOUR, &[]).await.expect("room");
    }
    let full = one.remember(&impression("trivial", 0.0), 3 * HOUR, &[]).await.expect("room is made");
    assert_eq!(full.room.forgotten, [2], "it is the least important, and not the newest");
    // Many become one: nothing else has to go.
    let one_of_many = one.remember(&impression("both", 0.5), 4 * HOUR, &[1, 3, 77]).await.expect("room");
    assert_eq!((one_of_many.id, one_of_many.room.forgotten.len()), (5, 0));
    assert_eq!(one.usage().await.expect("readable").episodes, 2);
    // One large episode takes the room of several.
    let large =
        one.remember(&impression(&"y".repeat(3_800), 1.0), 5 * HOUR, &[]).await.expect("room is made");
    assert_eq!(large.room.forgotten, [4, 5]);
    let refused = one.remember(&impression(&"y".repeat(4_000), 1.0), 5 * HOUR, &[]).await;
    assert!(matches!(refused, Err(MemoryError::Invalid(why)) if why.contains("limits.episodes_bytes")));
    kv.close().await;
}

#[tokio::test]
async fn the_largest_has_room_where_all_others_are_the_smallest() {
    let (_folder, kv) = store().await;
    let tags = || vec!["t".repeat(TAG_BYTES_MAX); TAGS_MAX];
    let largest = Impression {
        text: "z".repeat(TEXT_BYTES_MAX),
        importance: 1.0,
        tags: tags(),
        embedding: vec![1.0; EMBEDDING_MAX],
    };
    let mut one = memory(&kv, Quota { episodes: 1_000, bytes: 14_500 });
    loop {
        let small = one.remember(&impression("s", 0.0), NOW, &[]).await.expect("room");
        if !small.room.forgotten.is_empty() {
            break;
        }
    }
    let made = one.remember(&largest, NOW + HOUR, &[]).await.expect("room is made");
    assert!((90..TURN_MAX).contains(&made.room.forgotten.len()), "{}", made.room.forgotten.len());
    let usage = one.usage().await.expect("readable");
    assert!(usage.bytes <= usage.quota.bytes, "{usage:?}");
    // Where the quota was lowered it is reached step by step.
    let mut lowered = memory(&kv, Quota { episodes: 2, bytes: 14_500 });
    lowered.remember(&impression("s", 1.0), NOW + HOUR, &[]).await.expect("room is made");
    assert!(lowered.usage().await.expect("readable").episodes <= 2);
    kv.close().await;
}

#[tokio::test]
async fn what_comes_late_takes_no_name_and_who_left_writes_nothing() {
    let (_folder, kv) = store().await;
    let (mut one, mut other) = (memory(&kv, QUOTA), memory(&kv, QUOTA));
    for memory in [&mut one, &mut other] {
        memory.usage().await.expect("readable");
    }
    assert_eq!(one.remember(&impression("first", 0.5), 0, &[]).await.expect("room").id, 1);
    // The other one's index is old by now: it finds that out, and gives another name.
    assert_eq!(other.remember(&impression("second", 0.5), 0, &[]).await.expect("room").id, 2);
    assert_eq!(list(&kv, &neo(), None, 9).await.expect("readable").len(), 2);
    kv.put("tests", b"fence", "x".into(), None, None).await.expect("room");
    let late = one.remember(&impression("late", 0.5), 0, &[]).await;
    assert!(matches!(late, Err(MemoryError::Elsewhere)), "{late:?}");
    assert!(matches!(one.forget(&[1]).await, Err(MemoryError::Elsewhere)));
    one.recall(&cue(""), HOUR, 9).await.expect("it may read");
    assert!(matches!(one.tell().await, Err(MemoryError::Elsewhere)));
    assert_eq!(list(&kv, &neo(), None, 9).await.expect("readable").len(), 2);
    kv.close().await;
}

#[tokio::test]
async fn what_waits_for_a_turn_is_kept_with_it_or_not_at_all() {
    let (_folder, kv) = store().await;
    let mut one = memory(&kv, QUOTA);
    one.remember(&impression("before", 0.5), 0, &[]).await.expect("room");
    one.keeping = Keeping::WithTurn;
    for text in ["one", "two"] {
        one.remember(&impression(text, 0.5), HOUR, &[]).await.expect("room");
    }
    one.forget(&[1, 2]).await.expect("there");
    assert_eq!(ids(&mut one, "two", HOUR).await, [3], "it sees what it changed");
    assert_eq!(list(&kv, &neo(), None, 9).await.expect("readable").len(), 1, "others do not");
    let Changes { require, then, room } = one.take_held().expect("sound paths").expect("something waits");
    assert_eq!(
        kv.batch(Txn { require: require.clone(), then }, None).await.expect("room").value,
        TxnOutcome::Committed
    );
    assert_eq!((list(&kv, &neo(), None, 9).await.expect("readable")[0].id, room), (3, MadeRoom::default()));
    assert!(one.take_held().expect("sound paths").is_none());
    // The same turn again is refused: its names are given.
    let again = kv.batch(Txn { require, then: Vec::new() }, None).await.expect("an answer").value;
    assert_eq!(again, TxnOutcome::Refused { condition: 0 });
    // A turn has its bounds.
    for _ in 0..TURN_MAX {
        one.remember(&impression("more", 0.5), HOUR, &[]).await.expect("room");
    }
    let refused = one.remember(&impression("more", 0.5), HOUR, &[]).await;
    assert!(matches!(refused, Err(MemoryError::Invalid(why)) if why.contains("100 episodes")));
    let Changes { require, then, .. } = one.take_held().expect("sound paths").expect("something waits");
    assert_eq!(kv.batch(Txn { require, then }, None).await.expect("room").value, TxnOutcome::Committed);
    kv.close().await;
}

#[test]
fn what_is_out_of_its_bounds_is_refused_by_name() {
    let refused = |change: fn(&mut Impression)| {
        let mut it = impression("text", 0.5);
        change(&mut it);
        it.check().expect_err("out of bounds").to_string()
    };
    for (change, field) in [
        ((|it| it.importance = f32::NAN) as fn(&mut Impression), "`importance`"),
        (|it| it.importance = -0.1, "`importance`"),
        (|it| it.importance = f32::INFINITY, "`importance`"),
        (|it| it.text = String::new(), "`text`"),
        (|it| it.text = "x".repeat(TEXT_BYTES_MAX + 1), "`text`"),
        (|it| it.tags = vec!["x".into(); TAGS_MAX + 1], "`tags`"),
        (|it| it.tags = vec!["x".repeat(TAG_BYTES_MAX + 1)], "`tags`"),
        (|it| it.embedding = vec![0.0; EMBEDDING_MAX + 1], "`embedding`"),
        (|it| it.embedding = vec![f32::NAN], "`embedding`"),
    ] {
        let why = refused(change);
        assert!(why.contains(field), "{why}");
    }
    let long = Cue { text: "x".repeat(TEXT_BYTES_MAX + 1), ..Cue::default() };
    assert!(long.check().is_err() && Cue { embedding: vec![f32::NAN], ..Cue::default() }.check().is_err());
}

#[test]
fn damage_is_no_memory() {
    let mut index = super::index::Index::default();
    for (key, value) in
        [(&b"x"[..], &b""[..]), (b"e", b""), (b"n", b"short"), (b"e\0\0\0\0\0\0\0\x01", b"\x0a\x05")]
    {
        let read = index.read(key, bytes::Bytes::from_static(value));
        assert!(matches!(read, Err(MemoryError::Damaged(_))), "{key:?}");
    }
}

fn traces() -> impl Strategy<Value = Vec<Trace>> {
    let word = prop::sample::select(vec!["sea", "cat", "rain", "dog"]);
    let trace = (prop::collection::vec(word, 0..6), 0..1_000 * HOUR, 0.0..=1.0_f32);
    let trace = trace.prop_map(|(words, fresh_at_ms, importance)| Trace {
        fresh_at_ms,
        importance,
        document: Document::of(words),
        embedding: Box::default(),
    });
    prop::collection::vec(trace, 1..12)
}

fn all(traces: &[Trace], text: &str) -> Vec<f32> {
    let query = Query::of(&cue(text));
    scores(&traces.iter().collect::<Vec<_>>(), Some(&query), 1_000 * HOUR, &Weights::default())
}

proptest! {
    #[test]
    fn scores_are_from_0_to_1_and_the_same_again(traces in traces()) {
        let once = all(&traces, "sea cat");
        prop_assert!(once.iter().all(|score| (0.0..=1.0).contains(score)), "{once:?}");
        prop_assert_eq!(&once, &all(&traces, "cat SEA, sea"));
    }

    #[test]
    fn what_is_more_important_or_fresher_fits_no_worse(
        traces in traces(), place in any::<prop::sample::Index>(), more in 0.0..=1.0_f32, later in 0..1_000 * HOUR,
    ) {
        let place = place.index(traces.len());
        let before = all(&traces, "sea");
        let rank = |scores: &[f32]| scores.iter().filter(|score| **score > scores[place]).count();
        let mut changed = traces;
        changed[place].importance = changed[place].importance.max(more);
        let important = all(&changed, "sea");
        prop_assert!(important[place] >= before[place] && rank(&important) <= rank(&before));
        changed[place].fresh_at_ms = changed[place].fresh_at_ms.max(later);
        let fresh = all(&changed, "sea");
        prop_assert!(fresh[place] >= important[place] && rank(&fresh) <= rank(&important));
    }

    #[test]
    fn no_quota_is_ever_exceeded_and_nothing_is_named_twice(
        sizes in prop::collection::vec((1..2_000_usize, 0.0..=1.0_f32), 1..60), episodes in 1..20_u32,
    ) {
        let quota = Quota { episodes, bytes: 4_000 };
        let (mut index, mut seen) = (super::index::Index::default(), BTreeSet::new());
        for (now, (size, importance)) in sizes.into_iter().enumerate() {
            let it = impression(&"x".repeat(size), importance);
            let now = now as u64;
            let change = index.remembering(&it, (Span::once(now), now), &[], quota, &Weights::default());
            let change = change.expect("within the bounds");
            let id = change.new.as_ref().expect("an episode").id;
            prop_assert!(seen.insert(id) && change.gone.iter().all(|(gone, _)| *gone != id));
            index.apply(&change);
            let extent = index.extent(quota);
            prop_assert!(extent.episodes <= episodes && extent.bytes <= quota.bytes, "{extent:?}");
            prop_assert_eq!(extent.bytes, index.episodes.values().map(|kept| kept.bytes()).sum::<u64>());
        }
    }
}
