//! States that are kept in pieces, while nodes are killed: each is the old one or the new one, whole, wherever the Soul
//! lives next.

use matrix_proto::v1;
use matrix_tests::faulty::{Fault, KV_LOG};
use matrix_tests::realm::{Door, PATIENCE, Plan, TestRealm, until};

const SOUL: &str = "neo";
/// Bytes of its state: six pieces.
const BYTES: u64 = 3 << 20;
/// Where a node is killed while the state is saved: at the first write that contains this; and whether it is the new one.
const STAGES: [(Fault, &str, bool); 6] = [
    (Fault::KillBefore, "sys/pieces/neo", false),
    (Fault::KillSynced, "sys/pieces/neo", false),
    // That write deletes pieces, too: the checkpoint comes first.
    (Fault::KillBefore, "sys/checkpoints", false),
    (Fault::KillAfter, "sys/checkpoints", true),
    (Fault::KillSynced, "sys/checkpoints", true),
    (Fault::KillSynced, "sys/pieces/neo", false),
];

async fn spawn(door: &Door, mode: v1::DurabilityMode) {
    let manifest = v1::SoulManifest {
        name: SOUL.to_owned(),
        component: door.program("weights").await,
        config: [("bytes".to_owned(), BYTES.to_string())].into(),
        limits: Some(v1::Limits { memory_bytes: 64 << 20, ..Default::default() }),
        // It is saved when it is told to.
        durability: Some(v1::Durability { mode: mode.into(), every_seconds: 3_600, ..Default::default() }),
        ..Default::default()
    };
    door.spawn_by(manifest).await.expect("it starts");
}

async fn said(door: &Door, text: &str) -> String {
    door.ask(SOUL, text).await.expect("it answers")
}

/// How many pieces are kept of it.
async fn pieces(door: &Door) -> usize {
    let held = door.holdings(SOUL).await.expect("the KV answers");
    held.keys().filter(|(bucket, _)| bucket == "sys/pieces/neo").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_killed_while_pieces_are_written_has_the_old_state_or_the_new_one() {
    let settings = "[realm]\nlease_ms = 500\n".to_owned();
    let plan = Plan { nodes: 1, hosts: 1, settings, faulty: true, ..Plan::default() };
    let mut realm = TestRealm::start_with(plan).await;
    if let Err(why) = realm.faulty(0) {
        return why.report("kills at each step of saving a large state");
    }
    let door = realm.door(0);
    spawn(&door, v1::DurabilityMode::Checkpoint).await;
    said(&door, "add 1").await;
    door.save(SOUL).await.expect("there is room");
    for (fault, word, is_new) in STAGES {
        let when = format!("{fault:?} {word}");
        let old = said(&door, "sum").await;
        said(&door, "add 1").await;
        let new = said(&door, "sum").await;
        assert_ne!(old, new);
        let disk = realm.faulty(0).expect("there is a compiler").clone();
        disk.order(fault, KV_LOG, word);
        door.save(SOUL).await.expect_err("its node was killed before it could tell");
        realm.ended(0).await;
        assert!(disk.has_failed(), "{when}: it was killed there, and nowhere else");
        realm.restart(0);
        realm.until_up(0).await;
        assert_eq!(said(&door, "sum").await, if is_new { new } else { old }, "{when}");
        assert_eq!(pieces(&door).await, 6, "{when}: what was never committed is cleared away");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_state_goes_on_elsewhere_when_its_node_dies() {
    let mut realm = TestRealm::start_with(Plan { nodes: 3, hosts: 3, ..Plan::default() }).await;
    let doors = realm.doors();
    spawn(&doors[0], v1::DurabilityMode::Turn).await;
    for turn in 1..=3_u32 {
        assert_eq!(said(&doors[0], "add 1").await, turn.to_string());
        let sum = said(&doors[0], "sum").await;
        let home =
            usize::try_from(doors[0].soul(SOUL).await.expect("it is known").node).expect("few nodes") - 1;
        let other = &doors[(home + 1) % 3];
        realm.kill(home).await;
        let answers = async || other.ask(SOUL, "sum").await.ok().filter(|told| *told == sum);
        until("it answers elsewhere, with its state", PATIENCE, answers).await;
        realm.restart(home);
        realm.until_ready().await;
    }
}
