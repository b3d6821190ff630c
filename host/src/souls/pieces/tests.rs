//! States in pieces: that they come back, what is written of them, and what is left when somebody is stopped on the way.

use proptest::prelude::*;

use super::*;
use crate::capabilities::random;
use crate::ids::Digest;
use crate::kv::{Condition, Consistency, Expect, Kv, KvConfig, Mutation, Txn};
use crate::runtime::stateful::Snapshot;
use crate::souls::checkpoint::{Checkpoint, CheckpointError, Header, load, load_from, save};
use crate::souls::committing::By;
use crate::souls::placed::Placed;
use crate::souls::{erase, taught};
use crate::tasks::Tasks;

const MAX: usize = 16 << 20;
const HOME: Placed = Placed { node: 1, generation: 1 };

/// So many bytes, of which each piece differs from the others, and from those of another `seed`.
fn state(bytes: usize, seed: u8) -> Vec<u8> {
    (0..bytes).map(|at| (at / PIECE_BYTES) as u8 ^ (at % 251) as u8 ^ seed).collect()
}

fn checkpoint(state: &[u8]) -> Checkpoint {
    let header = Header {
        schema: "weights/1".into(),
        component: Digest::of(b"code"),
        state: Digest::of(state),
        parent: None,
        at_ms: 7,
        random: random::Ctx::new(1),
        topics: Vec::new(),
        acted: Default::default(),
    };
    Checkpoint { header, state: state.to_vec().into() }
}

fn neo() -> SoulName {
    "neo".parse().expect("a name")
}

async fn store() -> (tempfile::TempDir, Kv) {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().to_owned();
    let config = KvConfig { dir, disk_reserve_bytes: 0, ..KvConfig::default() };
    let kv = Kv::open(config, &Tasks::new()).await.expect("an empty folder");
    lives(&kv, HOME).await;
    (folder, kv)
}

async fn lives(kv: &Kv, placed: Placed) {
    let then = vec![placed.mutation(kv, &neo()).expect("a key")];
    kv.batch(Txn { require: Vec::new(), then }, None).await.expect("room");
}

async fn keep(kv: &Kv, state: &[u8]) {
    save(kv, &neo(), HOME, &checkpoint(state), MAX).await.expect("it lives there");
}

/// The keys of its pieces.
async fn pieces(kv: &Kv) -> Vec<Bytes> {
    let (mut keys, mut start) = (Vec::new(), Some(Bytes::new()));
    while let Some(from) = start {
        let page = kv.range(&bucket(&neo()), &from, None, 500, Consistency::Linearizable).await;
        let page = page.expect("readable");
        keys.extend(page.entries.into_iter().map(|(key, _)| key));
        start = page.next;
    }
    keys
}

/// How many values were changed so far.
async fn revision(kv: &Kv) -> u64 {
    kv.range("none", b"", None, 1, Consistency::Linearizable).await.expect("readable").revision
}

async fn put(kv: &Kv, key: &[u8], value: &[u8]) {
    let value = Bytes::copy_from_slice(value);
    kv.put(&bucket(&neo()), key, value, None, None).await.expect("room");
}

#[tokio::test]
async fn states_of_any_length_come_back() {
    let (_folder, kv) = store().await;
    for (bytes, count) in [(0, 0), (WHOLE_BYTES_MAX, 0), (WHOLE_BYTES_MAX + 1, 2), (3 << 20, 6), (5, 0)] {
        let state = state(bytes, 1);
        keep(&kv, &state).await;
        let loaded = load(&kv, &neo()).await.expect("readable").expect("it is there");
        assert!(loaded == checkpoint(&state), "{bytes} bytes came back as others");
        assert_eq!(pieces(&kv).await.len(), count, "{bytes} bytes");
    }
    let refused = save(&kv, &neo(), HOME, &checkpoint(&state(MAX + 1, 1)), MAX).await;
    let refused = refused.expect_err("one byte more than may be").to_string();
    assert!(refused.contains("has 16777217 bytes, and 16777216 are allowed (`souls.state_bytes_max`)"));
    kv.close().await;
}

#[tokio::test]
async fn what_has_not_changed_is_not_written_again() {
    let (_folder, kv) = store().await;
    let mut state = state(4 << 20, 1);
    keep(&kv, &state).await;
    let before = revision(&kv).await;
    state[PIECE_BYTES * 3] ^= 1;
    keep(&kv, &state).await;
    // The piece, the checkpoint, and the piece that it takes the place of.
    assert_eq!(revision(&kv).await - before, 3);
    assert_eq!(pieces(&kv).await.len(), 8);
    assert!(load(&kv, &neo()).await.expect("readable") == Some(checkpoint(&state)));
    // The same piece many times is one value.
    keep(&kv, &vec![0; 4 << 20]).await;
    assert_eq!(pieces(&kv).await.len(), 1);
    assert!(load(&kv, &neo()).await.expect("readable") == Some(checkpoint(&vec![0; 4 << 20])));
    kv.close().await;
}

#[tokio::test]
async fn what_was_written_and_never_committed_is_cleared_away() {
    let (_folder, kv) = store().await;
    let (first, second) = (state(2 << 20, 1), state(2 << 20, 2));
    keep(&kv, &first).await;
    let lives_here = HOME.condition(&kv, &neo()).expect("a key");
    for slot in [Slot::Present, Slot::Kept, Slot::Lesson(7)] {
        let state = second.clone().into();
        lay(By::Once(&kv), &neo(), slot, &state, MAX, &lives_here).await.expect("room");
    }
    assert_eq!(pieces(&kv).await.len(), 16);
    assert!(load(&kv, &neo()).await.expect("readable") == Some(checkpoint(&first)), "it is the old one");
    tidy(&kv, &neo(), Placed { node: 2, generation: 2 })
        .await
        .expect("it does not live there: nothing is done");
    assert_eq!(pieces(&kv).await.len(), 16);
    tidy(&kv, &neo(), HOME).await.expect("readable");
    assert_eq!(pieces(&kv).await.len(), 4);
    assert!(load(&kv, &neo()).await.expect("readable") == Some(checkpoint(&first)));
    // The next one that is saved does as much.
    lay(By::Once(&kv), &neo(), Slot::Present, &second.into(), MAX, &lives_here).await.expect("room");
    keep(&kv, &state(2 << 20, 3)).await;
    assert_eq!(pieces(&kv).await.len(), 4);
    kv.close().await;
}

#[tokio::test]
async fn a_commit_that_comes_late_finds_that_its_pieces_are_gone() {
    let (_folder, kv) = store().await;
    keep(&kv, &state(2 << 20, 1)).await;
    let lives_here = HOME.condition(&kv, &neo()).expect("a key");
    let late = state(2 << 20, 2).into();
    let Laid { require, .. } =
        lay(By::Once(&kv), &neo(), Slot::Present, &late, MAX, &lives_here).await.expect("room");
    tidy(&kv, &neo(), HOME).await.expect("readable");
    let (bucket, key) = Slot::Present.place(&neo());
    let path = kv.path(&bucket, &key).expect("a key");
    let then = vec![Mutation::Put { path, value: Bytes::new(), lease: None }];
    let committed = kv.batch(Txn { require, then }, None).await.expect("it is answered");
    assert!(matches!(committed.value, crate::kv::TxnOutcome::Refused { .. }));
    assert!(load(&kv, &neo()).await.expect("readable") == Some(checkpoint(&state(2 << 20, 1))));
    kv.close().await;
}

#[tokio::test]
async fn only_where_the_soul_lives_are_pieces_written() {
    let (_folder, kv) = store().await;
    lives(&kv, Placed { node: 2, generation: 2 }).await;
    let refused = save(&kv, &neo(), HOME, &checkpoint(&state(2 << 20, 1)), MAX).await;
    assert!(matches!(refused, Err(CheckpointError::Elsewhere(_))), "{refused:?}");
    assert!(pieces(&kv).await.is_empty());
    kv.close().await;
}

#[tokio::test]
async fn a_piece_that_is_missing_or_damaged_is_named() {
    let (_folder, kv) = store().await;
    let state = state(2 << 20, 1);
    keep(&kv, &state).await;
    let (list, cut) = List::cut(&state.into());
    let (second, key) = (list.pieces[1], Slot::Present.key(&list.pieces[1]));
    for (value, how) in [(&cut[0].1[..], "is damaged"), (&b""[..], "is damaged")] {
        put(&kv, &key, value).await;
        let found = load(&kv, &neo()).await.expect_err("it is not what was written").to_string();
        assert!(found.contains(&format!("piece 2 of 4 of its state, {second}, {how}")), "{found}");
    }
    kv.delete(&bucket(&neo()), &key, None).await.expect("room");
    let found = load(&kv, &neo()).await.expect_err("it is gone").to_string();
    assert!(found.contains(&format!(
        "the checkpoint of neo is damaged: piece 2 of 4 of its state, {second}, is missing"
    )));
    kv.close().await;
}

#[tokio::test]
async fn each_slot_has_pieces_of_its_own() {
    let (_folder, kv) = store().await;
    let large = state(2 << 20, 1);
    keep(&kv, &large).await;
    let lives_here = HOME.condition(&kv, &neo()).expect("a key");
    let learnt = Snapshot { schema: "weights/1".into(), bytes: large.clone() };
    for lesson in [1, 256] {
        let txn =
            taught::keep_state(&kv, &neo(), lesson, learnt.clone(), MAX, &lives_here).await.expect("room");
        kv.batch(txn, None).await.expect("room");
    }
    assert_eq!(pieces(&kv).await.len(), 12);
    let then = taught::drop_state(&kv, &neo(), 1).await.expect("a key");
    kv.batch(Txn { require: Vec::new(), then }, None).await.expect("room");
    tidy(&kv, &neo(), HOME).await.expect("readable");
    assert_eq!(taught::state(&kv, &neo(), 1).await.expect("readable"), None);
    assert!(taught::state(&kv, &neo(), 256).await.expect("readable") == Some(learnt));
    keep(&kv, b"small").await;
    assert_eq!(pieces(&kv).await.len(), 4, "those of the lesson");
    assert_eq!(load_from(&kv, &neo(), Slot::Kept).await.expect("readable"), None);
    erase(&kv, &neo(), None).await.expect("room");
    assert!(pieces(&kv).await.is_empty());
    kv.close().await;
}

#[tokio::test]
async fn a_copy_of_the_kv_holds_what_the_state_consists_of() {
    let (_folder, kv) = store().await;
    let large = state(2 << 20, 1);
    keep(&kv, &large).await;
    let export = kv.export().await.expect("readable");
    keep(&kv, &state(2 << 20, 2)).await;
    let found = crate::souls::checkpoint::find(&neo(), |bucket, key| export.value(bucket, key));
    assert!(found == Ok(Some(checkpoint(&large))));
    kv.close().await;
}

#[tokio::test]
async fn a_list_that_has_changed_meanwhile_is_not_taken_for_the_one_before() {
    let (_folder, kv) = store().await;
    let lives_here = HOME.condition(&kv, &neo()).expect("a key");
    let large = state(2 << 20, 1).into();
    let laid = lay(By::Once(&kv), &neo(), Slot::Present, &large, MAX, &lives_here).await.expect("room");
    let unchanged: &Condition = &laid.require[0];
    assert_eq!(unchanged.expect, Expect::Absent);
    keep(&kv, b"small").await;
    let late = kv.batch(Txn { require: laid.require, then: Vec::new() }, None).await.expect("it is answered");
    assert_eq!(late.value, crate::kv::TxnOutcome::Refused { condition: 0 });
    kv.close().await;
}

#[test]
fn keys_say_whose_piece_it_is() {
    let hash = StateHash::of(b"piece");
    for slot in [Slot::Present, Slot::Kept, Slot::Lesson(0), Slot::Lesson(u64::MAX)] {
        assert_eq!(Slot::of(&slot.key(&hash)), Some((slot, hash)));
    }
    for key in [&b""[..], b"p", &[0; 32], &[0; 33], &[b'l'; 34]] {
        assert_eq!(Slot::of(key), None, "{}", key.escape_ascii());
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_list_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(list) = List::decode(&bytes) {
            prop_assert_eq!(&list.encode()[..], &bytes[..]);
            prop_assert!(list.join(Vec::new()).is_err() || list.size == 0);
        }
    }
}
