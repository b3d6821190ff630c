//! Episodes that are alike become one where there is no room.

use super::*;
use crate::memory::Merge;

fn merges(pairs: &[(u64, u64)]) -> MadeRoom {
    let merged = pairs.iter().map(|(id, into)| Merge { id: *id, into: *into }).collect();
    MadeRoom { forgotten: Vec::new(), merged }
}

fn span(at_hour: u64, last_hour: u64, times: u32) -> Span {
    Span { at_ms: at_hour * HOUR, last_at_ms: last_hour * HOUR, times }
}

#[tokio::test]
async fn what_is_alike_is_taken_up_with_its_tags_and_its_times_and_nothing_else_is_lost() {
    let (_folder, kv) = store().await;
    let quota = Quota { episodes: 4, bytes: 4_000 };
    let mut one = weighed(&kv, quota, Weights::default());
    let bark = |importance, tag: &str| Impression {
        tags: vec!["noise".into(), tag.into()],
        ..impression("the dog barked at the postman again today", importance)
    };
    for (hour, said) in
        [bark(0.2, "monday"), impression("a storm", 0.3), bark(0.6, "tuesday"), impression("home", 0.4)]
            .iter()
            .enumerate()
    {
        let made = one.remember(said, hour as u64 * HOUR, &[]).await.expect("room");
        assert_eq!(made.room, MadeRoom::default(), "as long as there is room all stay distinct");
    }
    let made = one.remember(&impression("rain", 0.9), 4 * HOUR, &[]).await.expect("room is made");
    assert_eq!((made.id, made.room), (5, merges(&[(1, 3)])), "the least valuable is taken up");
    let mut other = weighed(&kv, quota, Weights::default());
    for memory in [&mut one, &mut other] {
        let found = memory.recall(&cue("postman"), 5 * HOUR, 1).await.expect("readable").remove(0).episode;
        assert_eq!((found.id, found.span), (3, span(0, 2, 2)));
        assert_eq!(
            (found.impression.importance, found.impression.tags),
            (0.6, tags(&["noise", "tuesday", "monday"]))
        );
    }
    // Now it is the storm's turn, which is like nothing else.
    let made = other.remember(&impression("snow", 0.9), 6 * HOUR, &[]).await.expect("room is made");
    assert_eq!((made.room.forgotten, made.room.merged.len()), (vec![2], 0));
    let usage = other.usage().await.expect("readable");
    let listed = list(&kv, &neo(), None, 9).await.expect("readable");
    let ids: Vec<_> = listed.iter().map(|it| it.id).collect();
    assert_eq!((ids, usage.episodes), (vec![3, 4, 5, 6], 4));
    assert_eq!((listed[0].span, listed[1].span), (span(0, 2, 2), Span::once(3 * HOUR)));
    assert_eq!(weighed(&kv, quota, Weights::default()).usage().await.expect("readable"), usage);
    kv.close().await;
}

fn tags(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[tokio::test]
async fn one_takes_up_many_and_is_as_fresh_as_the_freshest_of_them() {
    let (_folder, kv) = store().await;
    let quota = Quota { episodes: 320, bytes: 1 << 20 };
    let mut one = weighed(&kv, quota, Weights::default());
    for hour in 0..320 {
        one.remember(&impression("nothing happened", 0.1), hour * HOUR, &[]).await.expect("room");
    }
    // The oldest are recalled: that makes them fresh, and the next ones the least valuable.
    one.recall(&cue(""), 1_000 * HOUR, 1).await.expect("readable");
    one.tell().await.expect("it may be written");
    let made =
        one.remember(&impression("something happened", 0.9), 1_000 * HOUR, &[]).await.expect("room is made");
    let into = made.room.merged[0].into;
    assert_eq!(
        made.room,
        merges(&[1, 2, 3, 4, 5, 6].map(|id| (id, into))),
        "a part of the quota is free again"
    );
    assert_eq!(into, 320, "who was recalled last is the most valuable");
    let mut other = weighed(&kv, quota, Weights::default());
    let found = other.recall(&cue("nothing"), 1_001 * HOUR, 1).await.expect("readable").remove(0).episode;
    assert_eq!((found.id, found.recalled_at_ms, found.span), (320, 1_000 * HOUR, span(0, 319, 7)));
    kv.close().await;
}

#[tokio::test]
async fn who_was_recalled_and_is_taken_up_leaves_its_freshness() {
    let (_folder, kv) = store().await;
    let quota = Quota { episodes: 2, bytes: 4_000 };
    let weights = Weights { recency: 0.1, ..Weights::default() };
    let mut one = weighed(&kv, quota, weights);
    one.remember(&impression("it rained", 0.9), 0, &[]).await.expect("room");
    one.remember(&impression("it rained", 0.1), HOUR, &[]).await.expect("room");
    // Only the second is recalled: of those alike the newest is first.
    assert_eq!(one.recall(&cue(""), 9 * HOUR, 2).await.expect("readable").len(), 2);
    one.forget(&[1]).await.expect("there");
    one.remember(&impression("it rained", 0.9), HOUR, &[]).await.expect("room");
    let made = one.remember(&impression("snow", 0.5), 10 * HOUR, &[]).await.expect("room is made");
    assert_eq!(made.room, merges(&[(2, 3)]));
    one.tell().await.expect("it may be written");
    let mut other = weighed(&kv, quota, weights);
    let found = other.recall(&cue("rained"), 11 * HOUR, 1).await.expect("readable").remove(0).episode;
    assert_eq!((found.id, found.recalled_at_ms, found.span), (3, 9 * HOUR, span(1, 1, 2)));
    kv.close().await;
}

#[tokio::test]
async fn what_waits_for_a_turn_is_merged_with_it() {
    let (_folder, kv) = store().await;
    let quota = Quota { episodes: 2, bytes: 4_000 };
    let mut one = weighed(&kv, quota, Weights::default());
    for hour in [0, 1] {
        one.remember(&impression("a bell rang", 0.1), hour * HOUR, &[]).await.expect("room");
    }
    one.keeping = Keeping::WithTurn;
    for (hour, id) in [(2, 3), (3, 4)] {
        let made =
            one.remember(&impression("a bell rang", 0.1), hour * HOUR, &[]).await.expect("room is made");
        assert_eq!(made.id, id);
    }
    let told = list(&kv, &neo(), None, 9).await.expect("readable");
    assert_eq!(told.iter().map(|it| it.span.times).sum::<u32>(), 2, "others see nothing of it yet");
    let Changes { require, then, room } = one.take_held().expect("sound paths").expect("something waits");
    assert_eq!(room, merges(&[(1, 3), (2, 4)]), "of several that are alike the newest takes it up");
    let txn = Txn { require, then };
    assert_eq!(kv.batch(txn, None).await.expect("room").value, TxnOutcome::Committed);
    let told = list(&kv, &neo(), None, 9).await.expect("readable");
    assert_eq!(
        told.iter().map(|it| (it.id, it.span)).collect::<Vec<_>>(),
        [(3, span(0, 2, 2)), (4, span(1, 3, 2))]
    );
    kv.close().await;
}

#[tokio::test]
async fn what_takes_up_others_in_a_turn_is_one_write() {
    let (_folder, kv) = store().await;
    let quota = Quota { episodes: 3, bytes: 4_000 };
    let mut one = weighed(&kv, quota, Weights::default());
    for (hour, text) in [(0, "a bell rang"), (1, "the moon rose"), (2, "a bell rang")] {
        one.remember(&impression(text, 0.1), hour * HOUR, &[]).await.expect("room");
    }
    one.keeping = Keeping::WithTurn;
    for (hour, text) in [(3, "the moon rose"), (4, "snow")] {
        one.remember(&impression(text, 0.9), hour * HOUR, &[]).await.expect("room is made");
    }
    let Changes { require, then, room } = one.take_held().expect("sound paths").expect("something waits");
    assert_eq!(room, merges(&[(1, 3), (2, 4)]));
    assert_eq!(
        require.len(),
        2,
        "the next name, and the bell as it was; the moon of this turn is in no store yet"
    );
    let txn = Txn { require, then };
    assert_eq!(kv.batch(txn, None).await.expect("room").value, TxnOutcome::Committed);
    let told = list(&kv, &neo(), None, 9).await.expect("readable");
    let told: Vec<_> = told.iter().map(|it| (it.id, it.span)).collect();
    assert_eq!(told, [(3, span(0, 2, 2)), (4, span(1, 3, 2)), (5, Span::once(4 * HOUR))]);
    kv.close().await;
}

#[tokio::test]
async fn what_was_forgotten_meanwhile_does_not_come_back() {
    let (_folder, kv) = store().await;
    let quota = Quota { episodes: 2, bytes: 4_000 };
    let (mut one, mut late) =
        (weighed(&kv, quota, Weights::default()), weighed(&kv, quota, Weights::default()));
    for hour in [0, 1] {
        one.remember(&impression("a bell rang", 0.1), hour * HOUR, &[]).await.expect("room");
    }
    late.usage().await.expect("readable");
    // What was given up before comes late, and `one` has not seen it.
    late.forget(&[2]).await.expect("there");
    let made = one.remember(&impression("snow", 0.5), 2 * HOUR, &[]).await.expect("room");
    assert_eq!((made.id, made.room), (3, MadeRoom::default()), "it looks again, and has room");
    let told = list(&kv, &neo(), None, 9).await.expect("readable");
    assert_eq!(told.iter().map(|it| it.id).collect::<Vec<_>>(), [1, 3]);
    kv.close().await;
}

#[tokio::test]
async fn the_largest_has_room_also_where_all_others_are_alike() {
    let (_folder, kv) = store().await;
    let mut one = weighed(&kv, Quota { episodes: 1_000, bytes: 14_500 }, Weights::default());
    let mut merged = 0;
    for hour in 0..120 {
        merged +=
            one.remember(&impression("s", 0.0), hour * HOUR, &[]).await.expect("room").room.merged.len();
    }
    assert!(merged > 10, "{merged}");
    let largest = Impression {
        text: "z".repeat(TEXT_BYTES_MAX),
        importance: 1.0,
        tags: vec!["t".repeat(TAG_BYTES_MAX); TAGS_MAX],
        embedding: vec![1.0; EMBEDDING_MAX],
    };
    let made = one.remember(&largest, 200 * HOUR, &[]).await.expect("room is made");
    let usage = one.usage().await.expect("readable");
    assert!(usage.bytes <= usage.quota.bytes, "{usage:?}");
    // Where one that takes up all others would be one too many for a change, they are forgotten.
    assert!(made.room.merged.len().max(made.room.forgotten.len()) > 50, "{:?}", made.room);
    kv.close().await;
}

/// What becomes of the second oldest, which is like the newest, where no two others share a word of so many.
fn twin(words: u64) -> MadeRoom {
    let quota = Quota { episodes: 700, bytes: 64 << 20 };
    let mut index = crate::memory::index::Index::default();
    let mut made = MadeRoom::default();
    for number in 0..=700 {
        let number = if number == 699 { 1 } else { number };
        let said: Vec<_> = (0..words).map(|word| (number * 1_000 + word).to_string()).collect();
        let now = index.next() * HOUR;
        let said = impression(&said.join(" "), 0.5);
        let change = index.remembering(&said, (Span::once(now), now), &[], quota, &Weights::default());
        let change = change.expect("within the bounds");
        index.apply(&change);
        made = change.room;
    }
    made
}

#[test]
fn what_is_compared_is_bounded_and_the_rest_is_forgotten() {
    let small = twin(5);
    assert_eq!((&small.merged[..], small.forgotten.len()), (&merges(&[(2, 700)]).merged[..], 10));
    let large = twin(800);
    assert_eq!((large.merged.len(), large.forgotten.len()), (0, 11));
}
