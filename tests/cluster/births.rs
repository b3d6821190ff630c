//! Nodes that are killed while a Soul is born of another, by a fork or out of a file: afterwards there is all of it or
//! nothing, the other is as it was, and what was begun keeps nobody from doing it again.

use matrix_proto::v1;
use matrix_tests::faulty::{Fault, KV_LOG};
use matrix_tests::realm::{Door, Holdings, PATIENCE, Plan, TestRealm, until};
use matrixd::souls::checkpoint;
use tonic::{Code, Status};

const PARENT: &str = "ada";
/// No word that anything else contains.
const CHILD: &str = "offspring";
/// What the commit of a birth contains, and no write before it.
const COMMIT: &str = "sys/versions";

/// Where a node is killed: the first write that contains this, and whether the child lives then.
type Stage = (Fault, &'static str, bool);

/// From the moment at which its name is taken.
const BIRTH: [Stage; 5] = [
    (Fault::KillSynced, CHILD, false),
    (Fault::KillSynced, "sys/memory/offspring", false),
    (Fault::KillBefore, COMMIT, false),
    (Fault::KillAfter, COMMIT, true),
    (Fault::KillSynced, COMMIT, true),
];

/// One node whose disk does as it is told, and a Soul with a state and two episodes.
async fn home() -> TestRealm {
    let settings = "[realm]\nlease_ms = 500\n".to_owned();
    let plan = Plan { nodes: 1, hosts: 1, settings, faulty: true, ..Plan::default() };
    let realm = TestRealm::start_with(plan).await;
    let door = realm.door(0);
    let manifest = v1::SoulManifest {
        name: PARENT.to_owned(),
        component: door.program("diarist").await,
        grants: Some(v1::Grants { memory: true, ..Default::default() }),
        ..Default::default()
    };
    door.spawn_by(manifest).await.expect("it starts");
    for text in ["weighed 0.9 The harbour at dawn", "remember A storm took the mast"] {
        door.ask(PARENT, text).await.expect("it remembers");
    }
    door.save(PARENT).await.expect("there is room");
    realm
}

/// What is kept of a Soul but for when its state was saved, and when it recalled what; and that state.
async fn kept(door: &Door, soul: &str) -> (Holdings, Option<Vec<u8>>) {
    let mut held = door.holdings(soul).await.expect("the KV answers");
    held.retain(|(bucket, key), _| !bucket.starts_with("sys/memory/") || key.first() != Some(&b'r'));
    let saved = held.remove(&(checkpoint::BUCKET.to_owned(), soul.into()));
    let state = |bytes: Vec<u8>| {
        let (length, rest) = bytes.split_first_chunk::<4>().expect("a length");
        rest.split_at(u32::from_be_bytes(*length) as usize).1.to_vec()
    };
    (held, saved.map(state))
}

/// That the child is all that its parent is.
async fn lives(door: &Door) {
    let answers = async |soul| door.ask(soul, "recall mast").await.expect("it lives");
    assert_eq!(answers(CHILD).await, answers(PARENT).await);
    let memory = |(held, _): (Holdings, _), soul: &str| {
        let episodes = held.into_iter().filter(|((bucket, _), _)| *bucket == format!("sys/memory/{soul}"));
        episodes.map(|((_, key), value)| (key, value)).collect::<Vec<_>>()
    };
    assert_eq!(memory(kept(door, CHILD).await, CHILD), memory(kept(door, PARENT).await, PARENT));
    let ask = door.request(v1::SoulHistoryRequest { name: CHILD.to_owned() });
    let history = door.souls().history(ask).await.expect("the node answers").into_inner();
    assert_eq!(history.origin.map(|origin| origin.soul).as_deref(), Some(PARENT));
}

/// That there is nothing of the child, once the node has looked after what it finds.
async fn is_gone(door: &Door, when: &str) {
    assert_eq!(door.soul(CHILD).await.map_err(|error| error.code()).err(), Some(Code::NotFound), "{when}");
    let nothing = async || door.holdings(CHILD).await.ok().filter(Holdings::is_empty);
    until("nothing is left of what was begun", PATIENCE, nothing).await;
}

/// Kills the node at each of these stages of a birth, and sees what became of it.
async fn killed_at(
    realm: &mut TestRealm,
    stages: &[Stage],
    birth: impl AsyncFn(&Door) -> Result<v1::Soul, Status>,
) {
    let door = realm.door(0);
    for (fault, word, is_there) in stages {
        let when = format!("{fault:?} {word}");
        // A fork saves its parent first: what that was asked since is not to look like a change.
        door.save(PARENT).await.expect("there is room");
        let before = kept(&door, PARENT).await;
        let disk = realm.faulty(0).expect("there is a compiler").clone();
        disk.order(*fault, KV_LOG, word);
        birth(&door).await.expect_err("its node was killed before it could tell");
        realm.ended(0).await;
        assert!(disk.has_failed(), "{when}: it was killed there, and nowhere else");
        realm.restart(0);
        realm.until_up(0).await;
        assert_eq!(kept(&door, PARENT).await, before, "{when}");
        if *is_there {
            lives(&door).await;
            door.delete(CHILD).await.expect("it lives");
        }
        is_gone(&door, &when).await;
    }
    birth(&door).await.expect("nothing keeps it from being done again");
    lives(&door).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_killed_in_the_middle_of_a_fork_has_all_of_the_new_soul_or_nothing() {
    let mut realm = home().await;
    if let Err(why) = realm.faulty(0) {
        return why.report("kills at each step of a fork");
    }
    killed_at(&mut realm, &BIRTH, async |door: &Door| door.fork(PARENT, CHILD).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_killed_in_the_middle_of_an_import_has_all_of_the_soul_or_nothing() {
    let mut realm = home().await;
    if let Err(why) = realm.faulty(0) {
        return why.report("kills at each step of an import");
    }
    let file = realm.door(0).export(PARENT).await.expect("it is written");
    let stages = [&[(Fault::KillSynced, "sys/components", false)][..], &BIRTH].concat();
    killed_at(&mut realm, &stages, async |door: &Door| door.import(&file, CHILD).await).await;
}
