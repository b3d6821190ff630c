//! Clients who ask for ten times what a Soul can do: those who would wait in vain are told so at once, and the others
//! are served as before.

use std::time::{Duration, Instant};

use futures::future::join_all;
use futures::stream::{FuturesUnordered, StreamExt as _};
use matrix_proto::v1;
use matrix_proto::v1::souls_client::SoulsClient;
use matrix_tests::node::{TestNode, manifest, resident_bytes};
use tokio::time::{MissedTickBehavior, interval};
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;
use tonic::{Code, Extensions, Request};

use crate::time::rounds_of;

/// About how long the Soul takes for each: so long that whoever asks is not what takes the machine's time.
const EACH: Duration = Duration::from_millis(10);
/// How long a client waits for its answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long each load goes on.
const LOAD: Duration = Duration::from_secs(3);
/// Who asks, waits, and asks again: as many as keep one Soul busy.
const CLIENTS: usize = 4;
/// How soon a refusal has to come.
const SOON: Duration = Duration::from_millis(50);
/// What the node's memory may grow by, in bytes.
const GROWTH_MAX: u64 = 64 << 20;
/// The least that is answered of what is answered without the flood.
const SHARE_LEAST: f64 = 0.8;
/// How often it is tried: whatever else the machine does only ever takes from what is answered.
const ATTEMPTS: u32 = 3;

/// What became of the calls of one load.
#[derive(Debug, Default)]
struct Outcome {
    answered: usize,
    late: usize,
    refusals: Vec<Duration>,
}

impl Outcome {
    fn note(&mut self, result: Result<(), Code>, took: Duration) {
        match result {
            Ok(()) => self.answered += 1,
            Err(Code::ResourceExhausted) => self.refusals.push(took),
            Err(Code::DeadlineExceeded) => self.late += 1,
            Err(code) => panic!("nobody should hear {code:?}"),
        }
    }

    /// The time within which nine of ten refusals came.
    fn refused_within(&mut self) -> Duration {
        self.refusals.sort_unstable();
        self.refusals.get(self.refusals.len() * 9 / 10).copied().unwrap_or_default()
    }
}

/// A way to the node, and what shows who calls.
struct Client(SoulsClient<Channel>, MetadataMap);

impl Client {
    fn of(node: &TestNode) -> Self {
        let door = node.door();
        Self(door.souls(), door.request(()).metadata().clone())
    }
}

async fn ask(client: &Client, words: &str) -> (Result<(), Code>, Duration) {
    let question = v1::AskRequest {
        recipient: Some(v1::Address { to: Some(v1::address::To::Soul("worker".to_owned())) }),
        content: Some(v1::Content { content_type: "text/plain".to_owned(), body: words.to_owned().into() }),
        timeout_ms: PATIENCE.as_millis() as u32,
    };
    let asked = Instant::now();
    let question = Request::from_parts(client.1.clone(), Extensions::default(), question);
    let answer = client.0.clone().ask(question).await;
    (answer.map(drop).map_err(|status| status.code()), asked.elapsed())
}

/// As much as the Soul can do: each client asks when it has its answer.
async fn once(node: &TestNode, words: &str) -> Outcome {
    let end = Instant::now() + LOAD;
    let client = async || {
        let (client, mut outcome) = (Client::of(node), Outcome::default());
        while Instant::now() < end {
            let (result, took) = ask(&client, words).await;
            outcome.note(result, took);
        }
        outcome
    };
    let all = join_all((0..CLIENTS).map(|_| client())).await;
    all.into_iter().fold(Outcome::default(), |mut sum, mut one| {
        sum.answered += one.answered;
        sum.late += one.late;
        sum.refusals.append(&mut one.refusals);
        sum
    })
}

/// So many calls in that time, whatever becomes of those before.
async fn flood(node: &TestNode, words: &str, calls: usize) -> Outcome {
    let clients: Vec<_> = (0..CLIENTS).map(|_| Client::of(node)).collect();
    let (mut outcome, mut asked) = (Outcome::default(), FuturesUnordered::new());
    let mut clock = interval(LOAD / u32::try_from(calls).expect("few enough"));
    clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut sent = 0;
    while sent < calls || !asked.is_empty() {
        tokio::select! {
            _ = clock.tick(), if sent < calls => {
                asked.push(ask(&clients[sent % CLIENTS], words));
                sent += 1;
            }
            Some((result, took)) = asked.next() => outcome.note(result, took),
        }
    }
    outcome
}

/// Loads a Soul that takes `words` with what it can do, and with ten times that.
async fn is_shed(node: &TestNode, words: &str) {
    let (first, took) = ask(&Client::of(node), words).await;
    println!("`{words}` takes {took:.1?} alone");
    assert_eq!(first, Ok(()));
    let mut best = 0.0_f64;
    for _ in 0..ATTEMPTS {
        let one = once(node, words).await;
        let before = resident_bytes();
        let mut ten = flood(node, words, 10 * one.answered).await;
        let grown = resident_bytes().saturating_sub(before);
        let (within, share) = (ten.refused_within(), ten.answered as f64 / one.answered as f64);
        println!("once: {} answered, {} late, {} refused", one.answered, one.late, one.refusals.len());
        println!(
            "ten times: {} answered, {} late, {} refused, nine of ten within {within:.1?}; grown by {} KiB",
            ten.answered,
            ten.late,
            ten.refusals.len(),
            grown >> 10,
        );
        assert!(grown < GROWTH_MAX, "the node grew by {grown} bytes");
        assert!(!ten.refusals.is_empty(), "nobody was refused");
        if within <= SOON {
            best = best.max(share);
        }
        if best >= SHARE_LEAST {
            return;
        }
    }
    panic!("{best:.2} of what was answered before, and refusals within {SOON:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_times_the_load_is_shed_at_the_door() {
    let node = TestNode::start().await;
    // It waits for the disk most of its time: what is measured is the door, not how many processors there are.
    let mut worker = manifest("worker", node.program("caller").await, &[]);
    worker.limits.kv_per_second = 100_000;
    node.spawn(worker).await.expect("it behaves until told");
    // As many writes as take about as long as they should.
    let began = Instant::now();
    node.ask("worker", "kv-spin 50").await.expect("it is answered");
    let writes = (50 * EACH.as_micros() / began.elapsed().as_micros()).max(1);
    is_shed(&node, &format!("kv-spin {writes}")).await;
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "whoever asks needs a processor of its own: `make soak`"]
async fn ten_times_the_load_of_a_soul_that_computes_is_shed_at_the_door() {
    let node = TestNode::start().await;
    node.spawn(manifest("worker", node.program("rogue").await, &[])).await.expect("it behaves until told");
    // Not so long that it is called on the threads for slow guests.
    let words = format!("work {}", rounds_of(&node, "worker", Duration::from_millis(4)).await);
    is_shed(&node, &words).await;
    node.end().await;
}
