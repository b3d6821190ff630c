//! What a well-behaved guest may rely on, next door to all the others.

use matrix_tests::node::{TestNode, manifest};

#[tokio::test(flavor = "multi_thread")]
async fn settings_topics_and_buckets_work_as_granted() {
    let node = TestNode::start().await;
    node.run("citizen", "citizen", &[("colour", "green")]).await;
    assert_eq!(node.ask("citizen", "setting colour").await.as_deref(), Ok("green"));
    assert_eq!(node.ask("citizen", "setting none").await.as_deref(), Ok(""));
    assert_eq!(node.ask("citizen", "subscribe news").await.as_deref(), Ok("subscribed"));
    node.run("caller", "caller", &[("peer", "citizen")]).await;
    assert_eq!(node.ask("caller", "put key a value").await.as_deref(), Ok("kept"));
    assert_eq!(node.ask("caller", "get key").await.as_deref(), Ok("a value"));
    assert_eq!(node.ask("caller", "ask 5000 ping").await.as_deref(), Ok("pong"));
    // Another Soul of the same component has a bucket of its own.
    node.run("stranger", "caller", &[]).await;
    assert_eq!(node.ask("stranger", "get key").await.as_deref(), Ok(""));
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_costs_neither_time_nor_handles() {
    let node = TestNode::start().await;
    node.neighbour().await;
    // More often than a guest may hold handles.
    assert_eq!(node.ask("neighbour", "nap 5000").await.as_deref(), Ok("awake"));
    assert_eq!(node.view("neighbour").crashes, 0);
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chance_is_the_seeds_and_time_is_the_messages() {
    let mut told = Vec::new();
    for _ in 0..2 {
        let node = TestNode::start().await;
        let digest = node.program("citizen").await;
        let mut chances = Vec::new();
        for (soul, seed) in [("one", 1), ("same", 1), ("other", 2)] {
            let mut manifest = manifest(soul, digest, &[]);
            manifest.seed = seed;
            node.spawn(manifest).await.expect("it starts");
            let moment = node.ask(soul, "moment").await.expect("it answers");
            let (time, chance) = moment.split_once(' ').expect("two words");
            let age = matrixd::clock::now_ms().saturating_sub(time.parse().expect("milliseconds"));
            assert!(age < 60_000, "its time is {age} ms before the message's");
            chances.push(chance.to_owned());
        }
        assert_eq!(chances[0], chances[1]);
        assert_ne!(chances[0], chances[2]);
        told.push(chances);
        node.end().await;
    }
    assert_eq!(told[0], told[1], "another node gives other chances");
}
