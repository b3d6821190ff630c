//! Souls that send requests to hosts outside the realm: which they may, and what becomes of a node whose hosts are slow or lie.

use std::time::{Duration, Instant};

use matrix_tests::node::{TestNode, manifest, name};
use matrix_tests::website::Website;
use matrixd::config::Config;

/// A node that may reach this host by the name `localhost`, and its Soul `surfer`, with every grant.
pub(crate) async fn surfing(site: &Website, change: impl FnOnce(&mut Config)) -> TestNode {
    let port = site.port();
    let node = TestNode::start_with(|config| {
        config.http.hosts = vec![format!("http://localhost:{port}").parse().expect("a host")];
        config.http.private = vec!["localhost".to_owned()];
        change(config);
    })
    .await;
    node.run("surfer", "surfer", &[]).await;
    node
}

async fn says(node: &TestNode, question: &str, answer: &str) {
    assert_eq!(node.ask("surfer", question).await.as_deref(), Ok(answer), "{question}");
}

async fn fails(node: &TestNode, question: &str, words: &str) {
    let error = node.ask("surfer", question).await.expect_err(question).to_string();
    println!("{question}: {error}");
    assert!(error.contains(words), "{question}: {words}: {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_reached_as_the_operator_and_the_manifest_let_it() {
    let site = Website::start();
    let port = site.port();
    let node = surfing(&site, |config| {
        // By another name it is allowed too, but not with an address of this machine.
        config.http.hosts.push(format!("http://127.0.0.1:{port}").parse().expect("a host"));
    })
    .await;
    let url = format!("http://localhost:{port}");
    says(&node, &format!("get {url}/there?x=1"), "200 you asked for /there?x=1").await;
    says(&node, &format!("get {url}/header/host"), &format!("200 host: localhost:{port}")).await;
    says(&node, &format!("with x-key secret {url}/header/x-key"), "200 x-key: secret").await;
    says(&node, &format!("post 100000 {url}/length"), "200 100000").await;
    // Where there is no body, that is said, and nothing sent in chunks.
    says(&node, &format!("post 0 {url}/header/content-length"), "200 content-length: 0").await;
    says(&node, &format!("header content-type {url}/x"), "text/plain").await;
    // A redirect is an answer, and followed by nobody.
    says(&node, &format!("get {url}/elsewhere/x"), "302 ").await;
    assert_eq!(site.heard().len(), 7);
    fails(&node, &format!("get http://127.0.0.1:{port}/x"), "no address that may be reached").await;
    for refused in
        [format!("https://localhost:{port}/x"), "http://localhost:1/x".into(), "https://example.org".into()]
    {
        fails(&node, &format!("get {refused}"), "was denied").await;
    }
    fails(&node, &format!("get http://localhost@127.0.0.1:{port}/x"), "").await;
    fails(&node, &format!("with host evil.org {url}/x"), "`host` cannot be set").await;
    assert_eq!(site.heard().len(), 7);
    node.line(
        "surfer",
        "a request was refused: `http://localhost:1` is not among `http.hosts` of the node's configuration",
    )
    .await;

    let mut denied = manifest("denied", node.program("surfer").await, &[]);
    denied.grants.http = vec!["*.example.org".parse().expect("a grant")];
    node.spawn(denied).await.expect("it behaves until told");
    node.ask("denied", &format!("get {url}/x")).await.expect_err("it has no grant");
    let line =
        format!("a request was refused: no grant: add \"{url}\" to `grants.http` of the Soul's manifest");
    node.line("denied", &line).await;
    let unborn = manifest("unborn", node.program("surfer").await, &[("visits-at-birth", &url)]);
    node.spawn(unborn).await.expect_err("nothing has happened yet");
    assert_eq!(site.heard().len(), 7);
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_slow_or_lies_harms_nobody() {
    let site = Website::start();
    let node = surfing(&site, |config| config.http.timeout_ms = 1_000).await;
    node.neighbour().await;
    let url = format!("http://localhost:{}", site.port());
    for (path, words) in [("mute", "took too long"), ("slow", "took too long"), ("garbage", "Protocol")] {
        let question = format!("get {url}/{path}");
        let asked = fails(&node, &question, words);
        node.undisturbed(path, asked).await;
    }
    // The guest's own time, and that of who asks the guest.
    let start = Instant::now();
    fails(&node, &format!("within 100 {url}/mute"), "took too long").await;
    let late = node.ask_within("surfer", &format!("get {url}/mute"), Duration::from_millis(200)).await;
    late.expect_err("it never ends");
    says(&node, "turns", "6").await;
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    says(&node, &format!("get {url}/x"), "200 you asked for /x").await;
    assert_eq!(node.view("surfer").crashes, 0);
    node.assert_lives().await;
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_sends_nothing_and_tells_what_would_be_sent() {
    let site = Website::start();
    let node = surfing(&site, |_| {}).await;
    let url = format!("http://localhost:{}", site.port());
    for question in ["get", "read-at"] {
        node.ask("surfer", &format!("{question} {url}/x")).await.expect("it is answered");
    }
    let heard = site.heard().len();
    let (souls, surfer) = (node.node().souls(), name("surfer"));
    let same = souls.rehearse(&surfer, node.program_again("surfer").await).await.expect("it is tried");
    assert_eq!((same.refusal.as_str(), same.inputs, same.differences.len()), ("", 2, 0), "{same:?}");
    let evening = node.program_with("surfer", |bytes| {
        let (edition, other) = (b"the-edition-of-the-morning", b"the-edition-of-the-evening");
        let place = bytes.windows(edition.len()).position(|part| part == edition).expect("it is in there");
        bytes[place..place + other.len()].copy_from_slice(other);
    });
    let other = souls.rehearse(&surfer, evening.await).await.expect("it is tried");
    let told: Vec<_> = other.differences.iter().map(|one| (one.input, &*one.old, &*one.new)).collect();
    let requests = |edition: &str| format!("requests GET {url}/x/the-edition-of-the-{edition}");
    let [(input, old, new)] = told[..] else { panic!("{told:?}") };
    assert!(old.contains(&requests("morning")) && new.contains(&requests("evening")), "{input}: {told:?}");
    assert_eq!(site.heard().len(), heard);
    node.end().await;
}
