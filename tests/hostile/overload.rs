//! Clients who ask for ten times what a Soul can do: those who would wait in vain are told so at once, and the others
//! are served as before.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use futures::stream::{FuturesUnordered, StreamExt as _};
use matrix_proto::v1;
use matrix_proto::v1::souls_client::SoulsClient;
use matrix_tests::node::{TestNode, manifest, name, resident_bytes};
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
/// How much longer a refusal may take than a call that has nothing to do with the Soul, at the same time.
const SOON: Duration = Duration::from_millis(50);
/// What the node's memory may grow by, in bytes.
const GROWTH_MAX: u64 = 64 << 20;
/// The least that is answered in time of what the Soul handles, while it has something to handle: whatever else the machine
/// does takes from both sides alike.
const SHARE_LEAST: f64 = 0.8;
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(10);

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
}

/// The time within which nine of ten came.
fn nine_of_ten(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() * 9 / 10).copied().unwrap_or_default()
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
        request_id: String::new(),
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

/// So many calls in that time, whatever becomes of those before; it is over when the last was made.
async fn flood(node: &TestNode, words: &str, calls: usize, over: &AtomicBool) -> Outcome {
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
                over.store(sent == calls, Ordering::Relaxed);
            }
            Some((result, took)) = asked.next() => outcome.note(result, took),
        }
    }
    outcome
}

/// What a bystander sees while the flood lasts.
#[derive(Debug, Default)]
struct Seen {
    looks: usize,
    /// How often the Soul had something to do.
    busy: usize,
    /// How long a call took that has nothing to do with it.
    calls: Vec<Duration>,
}

/// Looks until `over`.
async fn watched(node: &TestNode, over: &AtomicBool) -> Seen {
    let (mut seen, mut clock, door) = (Seen::default(), interval(LOOK), node.door());
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !over.load(Ordering::Relaxed) {
        clock.tick().await;
        seen.looks += 1;
        seen.busy += usize::from(node.view("worker").mailbox_depth > 0);
        let asked = Instant::now();
        door.status(PATIENCE).await.expect("it is heard at the door");
        seen.calls.push(asked.elapsed());
    }
    seen
}

/// Loads a Soul that takes `words` with what it can do, and with ten times that.
async fn is_shed(node: &TestNode, words: &str) {
    let (first, took) = ask(&Client::of(node), words).await;
    println!("`{words}` takes {took:.1?} alone");
    assert_eq!(first, Ok(()));
    let one = once(node, words).await;
    println!("once: {} answered, {} late, {} refused", one.answered, one.late, one.refusals.len());
    let (before, handled) = (resident_bytes(), node.view("worker").handled);
    let over = AtomicBool::new(false);
    let flooding = async {
        let ten = flood(node, words, 10 * one.answered, &over).await;
        (ten, node.view("worker").handled - handled)
    };
    let ((mut ten, handled), mut seen) = tokio::join!(flooding, watched(node, &over));
    let grown = resident_bytes().saturating_sub(before);
    let (refused, called) = (nine_of_ten(&mut ten.refusals), nine_of_ten(&mut seen.calls));
    println!(
        "ten times: {handled} handled, {} answered, {} late, {} refused, nine of ten within {refused:.1?}, as other calls \
         within {called:.1?}; busy at {} of {} looks; grown by {} KiB",
        ten.answered,
        ten.late,
        ten.refusals.len(),
        seen.busy,
        seen.looks,
        grown >> 10,
    );
    assert!(grown < GROWTH_MAX, "the node grew by {grown} bytes");
    assert!(!ten.refusals.is_empty(), "nobody was refused");
    assert!(refused <= called + SOON, "refusals took {refused:?}, and other calls {called:?}");
    // What was answered of what could be.
    let share = ten.answered as f64 / handled as f64 * seen.busy as f64 / seen.looks as f64;
    assert!(share >= SHARE_LEAST, "{share:.2} of what the Soul could do was answered in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_times_the_load_is_shed_at_the_door() {
    let node = TestNode::start().await;
    // It waits most of its time, and as long each time: what is measured is the door, not the machine. Whom it asks asks
    // itself, and answers nobody meanwhile.
    node.run("silent", "caller", &[("peer", "silent")]).await;
    node.run("worker", "caller", &[("peer", "silent")]).await;
    let silent = node.ask("silent", "ask 60000 ping");
    let shed = async {
        node.line("silent", "asking").await;
        is_shed(&node, &format!("wait {} ping", EACH.as_millis())).await;
        node.node().souls().stop(&name("silent"), None).await.expect("it stops");
    };
    let (silent, ()) = tokio::join!(silent, shed);
    silent.expect_err("nobody answered it");
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
