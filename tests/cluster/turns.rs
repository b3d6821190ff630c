//! Souls that keep every turn, while their nodes are killed: whatever was acknowledged was done once.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use matrix_proto::v1;
use matrix_proto::v1::address::To;
use matrix_tests::node::built;
use matrix_tests::realm::{Chance, Door, PATIENCE, Plan, TestRealm, until};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::Status;

/// How often a node is killed by `make test`.
const KILLS: usize = 50;
/// How often a node is killed by `make soak`.
const KILLS_SOAK: usize = 1_000;
/// How often one is killed whose Soul has a large state.
const KILLS_LARGE: usize = 15;
/// Bytes of such a state.
const LARGE: &str = "3145728";
/// Clients of each Soul.
const CLIENTS: u64 = 3;
/// How long a client waits for one answer before it asks again.
const WAIT: Duration = Duration::from_secs(3);
/// How long after a failure a client asks again.
const PAUSE: Duration = Duration::from_millis(10);
/// The longest time between a client's first answer after a kill and the next kill, in milliseconds.
const WORK_MS: usize = 120;

/// Souls on a realm: `counter` adds, `teller` tells `heir` to.
struct World {
    realm: TestRealm,
    doors: Arc<Vec<Door>>,
}

impl World {
    async fn start(nodes: usize, seed: u64) -> Self {
        Self::start_with(nodes, seed, "counter").await
    }

    /// The Soul that adds has this code: `counter`, or `weights`, whose state is in pieces.
    async fn start_with(nodes: usize, seed: u64, adds: &str) -> Self {
        // A node alone waits for the lease of its last start: the shorter it is, the more kills a minute.
        let settings = if nodes == 1 { "[realm]\nlease_ms = 500\n" } else { "" };
        let plan = Plan { nodes, hosts: nodes, seed, settings: settings.to_owned(), ..Plan::default() };
        let realm = TestRealm::start_with(plan).await;
        push(&realm, "guests/out/counter.wasm", "counter");
        push(&realm, "tests/programs/out/teller.wasm", "teller");
        push(&realm, "tests/programs/out/weights.wasm", "weights");
        let doors = Arc::new(realm.doors());
        for (name, component, setting) in [
            ("counter", adds, ("bytes", LARGE)),
            ("heir", "counter", ("peer", "")),
            ("teller", "teller", ("peer", "heir")),
        ] {
            let is_large = component == "weights";
            let manifest = v1::SoulManifest {
                name: name.to_owned(),
                component: component.to_owned(),
                config: [(setting.0.to_owned(), setting.1.to_owned())].into(),
                limits: is_large.then(|| v1::Limits { memory_bytes: 64 << 20, ..v1::Limits::default() }),
                grants: Some(v1::Grants { send: vec!["soul:heir".to_owned()], ..v1::Grants::default() }),
                durability: Some(v1::Durability {
                    mode: v1::DurabilityMode::Turn.into(),
                    ..v1::Durability::default()
                }),
                ..v1::SoulManifest::default()
            };
            let request = v1::SpawnRequest { manifest: Some(manifest), request_id: String::new() };
            let door = &doors[0];
            door.souls().spawn(door.request(request)).await.expect("it comes to life");
        }
        Self { realm, doors }
    }

    /// The place of the node where a Soul lives.
    async fn home(&self, door: usize, soul: &str) -> usize {
        let door = &self.doors[door];
        let request = door.request(v1::GetSoulRequest { name: soul.to_owned() });
        let view = door.souls().get(request).await.expect("it is known").into_inner();
        usize::try_from(view.node).expect("few nodes") - 1
    }

    /// A number that a Soul tells, by any node.
    async fn number(&self, soul: &str, question: &str) -> u64 {
        let doors = self.doors.clone();
        let asked = || async {
            let told = timeout(WAIT, ask(&doors[0], soul, question, "")).await.ok()?.ok()?;
            told.parse().ok()
        };
        until(&format!("{soul} tells"), PATIENCE, asked).await.0
    }

    /// Checks that each message that was acknowledged was handled once, by the Soul that it was for and by the one that
    /// was told then.
    async fn check(&self, load: Load) {
        let done = load.end().await;
        let told = done.asked + done.sent;
        assert!(done.asked > 0 && done.sent > 0 && done.passed_on > 0, "{done:?}");
        assert_eq!(self.number("counter", "get").await, told, "each addition was done once: {done:?}");
        assert_eq!(self.number("teller", "told").await, done.passed_on, "{done:?}");
        let (heir, heard) = (self.number("heir", "get"), self.number("teller", "heard"));
        let (heir, heard) = tokio::join!(heir, heard);
        println!("{done:?}; {heir} passed on so far, {heard} answers heard");
        for (soul, question) in [("heir", "get"), ("teller", "heard")] {
            let all = || async { (self.number(soul, question).await >= done.passed_on).then_some(()) };
            until(&format!("{soul} has all"), PATIENCE, all).await;
            assert_eq!(self.number(soul, question).await, done.passed_on, "{soul}, each once");
        }
    }
}

fn push(realm: &TestRealm, path: &str, name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    let mut command = Command::new(built("matrix"));
    command.arg("--data-dir").arg(realm.data(0)).args(["components", "push", "--name", name]).arg(path);
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn message(soul: &str, text: &str) -> (Option<v1::Address>, Option<v1::Content>) {
    let content = v1::Content { content_type: "text/plain".to_owned(), body: text.to_owned().into() };
    (Some(v1::Address { to: Some(To::Soul(soul.to_owned())) }), Some(content))
}

async fn ask(door: &Door, soul: &str, text: &str, request_id: &str) -> Result<String, Status> {
    let (recipient, content) = message(soul, text);
    let request_id = request_id.to_owned();
    let question = v1::AskRequest { recipient, content, timeout_ms: 0, request_id };
    let answer = door.souls().ask(door.request(question)).await?.into_inner();
    Ok(String::from_utf8_lossy(&answer.reply.unwrap_or_default().body).into_owned())
}

async fn send(door: &Door, soul: &str, text: &str, request_id: &str) -> Result<(), Status> {
    let (recipient, content) = message(soul, text);
    let request = v1::SendRequest { recipient, content, request_id: request_id.to_owned() };
    door.souls().send(door.request(request)).await.map(drop)
}

/// What was acknowledged.
#[derive(Debug, Default, Clone, Copy)]
struct Done {
    asked: u64,
    sent: u64,
    passed_on: u64,
    /// Answers to retries.
    again: u64,
}

/// Clients at work.
struct Load {
    over: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    clients: JoinSet<Done>,
}

impl Load {
    fn start(world: &World, seed: u64) -> Self {
        let (over, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut clients = JoinSet::new();
        for client in 0..2 * CLIENTS {
            let (doors, over, count) = (world.doors.clone(), over.clone(), acknowledged.clone());
            clients.spawn(work(doors, client, Chance::new(seed + client), over, count));
        }
        Self { over, acknowledged, clients }
    }

    /// Waits until something more is acknowledged.
    async fn goes_on(&self) {
        let before = self.acknowledged.load(Ordering::Relaxed);
        let more = || async { (self.acknowledged.load(Ordering::Relaxed) > before).then_some(()) };
        until("clients go on", PATIENCE, more).await;
    }

    async fn end(mut self) -> Done {
        self.over.store(true, Ordering::Relaxed);
        let mut all = Done::default();
        while let Some(done) = timeout(PATIENCE, self.clients.join_next()).await.expect("each goes on") {
            let done = done.expect("a client ends well");
            all.asked += done.asked;
            all.sent += done.sent;
            all.passed_on += done.passed_on;
            all.again += done.again;
        }
        all
    }
}

/// One client: each message is tried, under its own request id, until it is acknowledged.
async fn work(
    doors: Arc<Vec<Door>>,
    client: u64,
    mut chance: Chance,
    over: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
) -> Done {
    let mut done = Done::default();
    for number in 0_u64.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let id = format!("{client}-{number}");
        let (passes_on, sends) = (client % 2 == 1, number % 3 == 2);
        loop {
            let door = &doors[chance.below(doors.len())];
            let tried = timeout(WAIT, async {
                match (passes_on, sends) {
                    (true, _) => ask(door, "teller", "tell add 1", &id).await.map(drop),
                    (false, true) => send(door, "counter", "add 1", &id).await,
                    (false, false) => ask(door, "counter", "add 1", &id).await.map(drop),
                }
            });
            if matches!(tried.await, Ok(Ok(()))) {
                break;
            }
            done.again += 1;
            tokio::time::sleep(PAUSE).await;
        }
        match (passes_on, sends) {
            (true, _) => done.passed_on += 1,
            (false, true) => done.sent += 1,
            (false, false) => done.asked += 1,
        }
        acknowledged.fetch_add(1, Ordering::Relaxed);
    }
    done
}

async fn killed(mut world: World, kills: usize, seed: u64) {
    let mut chance = Chance::new(seed);
    let load = Load::start(&world, seed);
    for _ in 0..kills {
        load.goes_on().await;
        // A moment by chance: the kill comes anywhere in a turn.
        tokio::time::sleep(Duration::from_millis(chance.below(WORK_MS) as u64)).await;
        world.realm.kill(0).await;
        world.realm.restart(0);
    }
    load.goes_on().await;
    world.check(load).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_is_done_once_however_often_the_node_is_killed() {
    killed(World::start(1, 1).await, KILLS, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_is_done_once_by_a_soul_whose_state_is_in_pieces() {
    let world = World::start_with(1, 4, "weights").await;
    killed(world, KILLS_LARGE, 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes half an hour: `make soak` runs it"]
async fn what_is_acknowledged_is_done_once_through_a_thousand_kills() {
    killed(World::start(1, 2).await, KILLS_SOAK, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_outlives_the_loss_of_one_node_of_three() {
    let mut world = World::start(3, 3).await;
    let load = Load::start(&world, 3);
    for soul in ["counter", "teller", "heir"] {
        load.goes_on().await;
        let home = world.home(0, soul).await;
        world.realm.kill(home).await;
        load.goes_on().await;
        world.realm.restart(home);
        world.realm.until_ready().await;
    }
    load.goes_on().await;
    world.check(load).await;
}
