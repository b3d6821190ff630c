//! Guests that do too much of what they may do.

use std::pin::pin;
use std::time::{Duration, Instant};

use futures::future::join_all;
use matrix_tests::node::{NEIGHBOUR, PATIENCE, TestNode, manifest, resident_bytes};
use matrixd::runtime::limits::LimitsConfig;
use matrixd::souls::manifest::Manifest;
use matrixd::transport::bus::TOO_LARGE_TYPE;
use matrixd::transport::envelope::SendError;

use crate::falls;

/// What the node's memory may grow by in a flood.
const GROWTH_MAX: u64 = 64 << 20;

/// A Soul with time for a flood.
async fn flooder(node: &TestNode, soul: &str, program: &str, peer: &str) -> Manifest {
    let mut manifest = manifest(soul, node.program(program).await, &[("peer", peer)]);
    manifest.limits.call_ms = 20_000;
    manifest
}

/// Asks for a flood; returns what was said, having checked that memory stays flat.
async fn flood(node: &TestNode, soul: &str, word: &str) -> String {
    let (before, start) = (resident_bytes(), Instant::now());
    let flooding = async {
        loop {
            match node.ask(soul, word).await {
                // What the flood before it left is still being worked on.
                Err(SendError::MailboxFull) => tokio::task::yield_now().await,
                said => break said.expect("the flood ends"),
            }
        }
    };
    let said = node.undisturbed(word, flooding).await;
    let grown = resident_bytes().saturating_sub(before);
    println!("{word}: {said}; {:.1?}, grown by {} KiB", start.elapsed(), grown >> 10);
    assert!(grown < GROWTH_MAX, "{word}: the node grew by {grown} bytes");
    node.assert_lives().await;
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_lines_is_limited_counted_and_harmless() {
    const PER_SECOND: usize = 50;
    const LINES: usize = 1_000_000;
    let node = TestNode::start().await;
    node.neighbour().await;
    let mut manifest = flooder(&node, "rogue", "rogue", "").await;
    manifest.limits.log_lines_per_second = PER_SECOND as u32;
    node.spawn(manifest).await.expect("it behaves until told");
    let start = Instant::now();
    flood(&node, "rogue", &format!("log {LINES}")).await;
    let seconds = start.elapsed().as_secs() as usize + 1;
    let flooded = node.lines("rogue").await;
    assert!(flooded.len() <= PER_SECOND * (seconds + 1) + seconds, "{} lines in {seconds} s", flooded.len());
    // Lines that are let through later tell how many were not.
    let mut accounted = 0;
    while accounted < LINES {
        assert!(start.elapsed() < PATIENCE, "{accounted} of {LINES} lines were kept, or counted as dropped");
        node.ask("rogue", "log-plain").await.expect("it is answered");
        let all = node.lines("rogue").await;
        let dropped = all.iter().filter_map(|line| line.split_once(" lines were dropped"));
        accounted = dropped.filter_map(|(count, _)| count.parse::<usize>().ok()).sum::<usize>() + all.len();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_is_short_and_forges_nothing() {
    let node = TestNode::start().await;
    node.neighbour().await;
    node.run("rogue", "rogue", &[]).await;
    flood(&node, "rogue", "log-long").await;
    flood(&node, "rogue", "log-odd").await;
    let all = node.lines("rogue").await;
    assert_eq!(all.len(), 2, "{all:?}");
    assert!(all[0].len() <= 4096 && all[0].ends_with("(cut)"), "{} bytes", all[0].len());
    assert_eq!(all[1], "\\u{1b}[2J\\r\\nnode ERROR forged\\u{202e}");
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_stdio_leave_memory_flat() {
    let node = TestNode::start().await;
    node.neighbour().await;
    let manifest = flooder(&node, "rogue", "rogue", "").await;
    node.spawn(manifest).await.expect("it behaves until told");
    flood(&node, "rogue", "stdout 300000").await;
    flood(&node, "rogue", "stderr 30000").await;
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_events_is_limited() {
    let node = TestNode::start().await;
    node.neighbour().await;
    let mut manifest = flooder(&node, "rogue", "rogue", "").await;
    manifest.limits.events_per_second = 100;
    node.spawn(manifest).await.expect("it behaves until told");
    let (before, start) = (node.node().bus().fill().latest, Instant::now());
    flood(&node, "rogue", "event 300000").await;
    let published = node.node().bus().fill().latest - before;
    let most = 100 * (start.elapsed().as_secs() + 2);
    assert!(published <= most, "{published} events, and {most} are allowed");
    let logged = node.lines("rogue").await;
    assert!(logged.iter().any(|line| line.contains("limits.events_per_second")), "nobody is told");
    let mut watch = node.watch("rogue");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    flood(&node, "rogue", "event-large").await;
    let event = watch.event("guest.large").await;
    assert_eq!((&*event.content.content_type, event.content.body.len()), (TOO_LARGE_TYPE, 0));
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_messages_is_refused_by_name() {
    let node = TestNode::start().await;
    node.neighbour().await;
    let mut manifest = flooder(&node, "rogue", "rogue", "rogue").await;
    manifest.limits.mailbox_messages = 1_000;
    manifest.limits.messages_per_second = 10_000;
    node.spawn(manifest).await.expect("it behaves until told");
    // To itself: nothing leaves the mailbox while it sends.
    assert_eq!(flood(&node, "rogue", "send 1500").await, "1000 mailbox-full");
    assert_eq!(flood(&node, "rogue", "send-larger 1").await, "0 too-large");
    let mut manifest = flooder(&node, "slow", "rogue", NEIGHBOUR).await;
    manifest.limits.messages_per_second = 10;
    node.spawn(manifest).await.expect("it behaves until told");
    let said = flood(&node, "slow", "send 1000").await;
    assert!(said.ends_with("quota-exceeded"), "{said}");
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_everybody_by_everybody_is_refused_by_name() {
    const FLOODERS: usize = 6;
    let node = TestNode::start().await;
    node.neighbour().await;
    let name = |number: usize| format!("rogue-{}", number % FLOODERS);
    for number in 0..FLOODERS {
        let mut manifest = flooder(&node, &name(number), "rogue", &name(number + 1)).await;
        (manifest.limits.mailbox_messages, manifest.limits.messages_per_second) = (100, 5_000);
        node.spawn(manifest).await.expect("it behaves until told");
    }
    let before = resident_bytes();
    let flooding = join_all((0..FLOODERS).map(|number| {
        let (node, soul) = (&node, name(number));
        async move { node.ask(&soul, "send 20000").await }
    }));
    for said in node.undisturbed("everybody", flooding).await {
        // Whoever was flooded before it was asked refuses by name too.
        let told = said.unwrap_or_else(|error| error.to_string());
        let named =
            ["mailbox-full", "quota-exceeded", "mailbox is full"].iter().any(|word| told.contains(word));
        assert!(named, "{told}");
    }
    assert!(resident_bytes().saturating_sub(before) < GROWTH_MAX);
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_doubles_at_each_hop_dies_out() {
    // Both mailboxes are full after a few hops; from then on each further hop costs as much as they hold.
    const MAILBOX: u32 = 256;
    let node = TestNode::start().await;
    node.neighbour().await;
    for (soul, peer) in [("ada", "bob"), ("bob", "ada")] {
        let mut manifest = flooder(&node, soul, "rogue", peer).await;
        manifest.limits.mailbox_messages = MAILBOX;
        node.spawn(manifest).await.expect("it behaves until told");
    }
    let (before, start) = (resident_bytes(), Instant::now());
    node.send("ada", "double".into()).expect("its mailbox is empty");
    // It is over when both are idle, and have been since the look before.
    let count = || (node.view("ada").handled, node.view("bob").handled);
    let mut last = (0, 0);
    while last != count()
        || last.1 == 0
        || node.view("ada").mailbox_depth + node.view("bob").mailbox_depth > 0
    {
        assert!(start.elapsed() < PATIENCE, "it goes on: {last:?}");
        last = count();
        node.assert_lives().await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!("doubling: {last:?} messages, over after {:.1?}", start.elapsed());
    assert!(last.0 > u64::from(MAILBOX), "it never came to a flood");
    assert!(resident_bytes().saturating_sub(before) < GROWTH_MAX);
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_the_kv_meets_its_quota() {
    let node = TestNode::start().await;
    node.neighbour().await;
    let mut manifest = flooder(&node, "caller", "caller", "").await;
    manifest.limits.kv_per_second = 100;
    node.spawn(manifest).await.expect("it behaves until told");
    for word in ["kv-keys 1000000", "kv-spin 100000"] {
        let start = Instant::now();
        let said = flood(&node, "caller", word).await;
        let done: u64 = said.split(' ').next().and_then(|count| count.parse().ok()).expect("a number");
        assert!(done <= 100 * (start.elapsed().as_secs() + 2), "{said}");
        assert!(said.contains("limits.kv_per_second"), "{said}");
    }
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let error = node.ask("caller", "kv-long-key").await.expect_err("no key is as long").to_string();
    assert!(!error.contains("crashed") && error.len() < 1_000, "{} bytes", error.len());
    node.assert_lives().await;
    node.end().await;
}

/// Writes to the KV, one after the other, until `work` is done; returns what it came to, and the time within
/// which 99 of 100 writes were done.
async fn writes_during<T>(node: &TestNode, work: impl Future<Output = T>) -> (T, Duration) {
    let (mut work, mut taken) = (pin!(work), Vec::new());
    let done = loop {
        let began = Instant::now();
        tokio::select! {
            biased;
            written = node.node().kv().put("notes", b"others", "kept".into(), None, None) => {
                written.expect("others can write");
                taken.push(began.elapsed());
            }
            done = &mut work => break done,
        }
    };
    taken.sort_unstable();
    (done, taken[(taken.len() * 99).div_ceil(100).saturating_sub(1)])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spin_on_one_key_leaves_others_their_writes() {
    const SPINNING: usize = 4;
    /// A disk alone takes as long now and then; a spin that kept others out would do so to its end, for seconds.
    const NO_HARM: Duration = Duration::from_millis(250);
    let node = TestNode::start().await;
    node.neighbour().await;
    let mut souls: Vec<String> = (0..SPINNING).map(|number| format!("spinner-{number}")).collect();
    for soul in &souls {
        let mut manifest = flooder(&node, soul, "caller", "").await;
        manifest.limits.kv_per_second = LimitsConfig::default().max.kv_per_second;
        manifest.grants.buckets = vec!["hot:rw".parse().expect("a grant")];
        node.spawn(manifest).await.expect("it behaves until told");
    }
    let ((), quiet) = writes_during(&node, tokio::time::sleep(Duration::from_millis(500))).await;
    let term = node.node().kv().stats().term;
    let spins = join_all(souls.drain(..).map(|soul| {
        let node = &node;
        async move { node.ask(&soul, "kv-spin 1000 hot").await }
    }));
    let (said, beside) = writes_during(&node, node.undisturbed("spin", spins)).await;
    println!("others' writes: p99 {quiet:.1?} when quiet, {beside:.1?} beside the spin");
    for said in said {
        assert_eq!(said.as_deref(), Ok("1000 "));
    }
    assert!(beside <= (quiet * 2).max(NO_HARM), "others wrote in {beside:?}, and in {quiet:?} when quiet");
    let stats = node.node().kv().stats();
    assert_eq!((stats.term, stats.is_leader), (term, 1), "the leader changed");
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_cannot_end_the_process() {
    let node = TestNode::start().await;
    node.neighbour().await;
    node.run("rogue", "rogue", &[]).await;
    let fall = falls(&node, "rogue", "exit", "trap").await;
    assert!(fall.reason.contains("exited with code"), "{}", fall.reason);
    node.end().await;
}
