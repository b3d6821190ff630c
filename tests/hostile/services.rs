//! Souls that call services outside the realm: what they may, and what becomes of a node whose services are slow, die or lie.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use matrix_proto::v1::UsageRequest;
use matrix_tests::node::{TestNode, manifest, name};
use matrix_tests::service::{AUTHORITY, CLIENT, Service};
use matrixd::capabilities::grpc::{EndpointConfig, HeaderConfig, TlsConfig};
use matrixd::souls::manifest::Mode;

/// An endpoint for all that a service of the tests can do.
pub(crate) fn endpoint(service: &Service) -> EndpointConfig {
    at(&service.url())
}

fn at(url: &str) -> EndpointConfig {
    EndpointConfig {
        url: url.to_owned(),
        methods: vec!["weather.v1.Weather/*".to_owned()],
        ..Default::default()
    }
}

/// Spawns the Soul `visitor`, with every grant.
pub(crate) async fn visitor(node: &TestNode) {
    node.run("visitor", "visitor", &[]).await;
}

async fn node(endpoints: impl IntoIterator<Item = (&'static str, EndpointConfig)>) -> TestNode {
    let endpoints = endpoints.into_iter().map(|(name, endpoint)| (name.to_owned(), endpoint)).collect();
    TestNode::start_with(|config| config.grpc.endpoints = endpoints).await
}

async fn says(node: &TestNode, question: &str, answer: &str) {
    assert_eq!(node.ask("visitor", question).await.as_deref(), Ok(answer), "{question}");
}

async fn fails(node: &TestNode, question: &str, words: &[&str]) {
    let error = node.ask("visitor", question).await.expect_err(question).to_string();
    println!("{question}: {error}");
    assert!(words.iter().all(|word| error.contains(word)), "{question}: {words:?}: {error}");
}

/// A listener that does `then` with each connection, for as long as the test goes on.
fn rogue(then: impl Fn(std::net::TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port can be had");
    let url = format!("http://{}", listener.local_addr().expect("it listens"));
    std::thread::spawn(move || listener.incoming().flatten().for_each(then));
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_called_as_the_operator_and_the_manifest_let_it() {
    let service = Service::start();
    let narrow =
        EndpointConfig { methods: vec!["weather.v1.Weather/History".to_owned()], ..endpoint(&service) };
    let node = node([("weather", endpoint(&service)), ("past", narrow)]).await;
    visitor(&node).await;
    says(&node, "forecast Zion", "Zion: rain").await;
    says(&node, "forecast header traceparent", "none").await;
    fails(&node, "forecast fail 5 no such place", &["the service says (5): no such place"]).await;
    fails(&node, "at weather weather.v1.Weather/History x", &["the service says (12)"]).await;
    let forecast = "weather.v1.Weather/Forecast";
    fails(&node, &format!("at past {forecast} x"), &["the node says (7)", "grpc.endpoints.past.methods"])
        .await;
    fails(&node, "at weather weather.v1.Other/Forecast x", &["the node says (7)"]).await;
    fails(&node, "at weather /weather.v1.Weather/Forecast x", &["(3)", "write `package.Service/Method`"])
        .await;
    fails(&node, &format!("at news {forecast} x"), &["(9)", "`[grpc.endpoints.news]`", "placement.labels"])
        .await;
    assert_eq!(service.heard().len(), 3);

    let mut denied = manifest("denied", node.program("visitor").await, &[]);
    denied.grants.grpc = vec!["past".parse().expect("a grant")];
    node.spawn(denied).await.expect("it behaves until told");
    let error = node.ask("denied", "forecast Zion").await.expect_err("no grant").to_string();
    assert!(error.contains("(7)") && error.contains("add \"weather\" to `grants.grpc`"), "{error}");
    let unborn = manifest("unborn", node.program("visitor").await, &[("calls-at-birth", "yes")]);
    let refusal = node.spawn(unborn).await.expect_err("nothing has happened yet").to_string();
    assert!(refusal.contains("while it handles a message"), "{refusal}");
    assert_eq!(service.heard().len(), 3);
    let door = node.door();
    let request = UsageRequest { window_ms: 50, name_prefix: "visitor".into(), ..UsageRequest::default() };
    let usage = door.observe().usage(door.request(request)).await.expect("the node counts").into_inner();
    let total = usage.guests[0].total.expect("figures");
    assert_eq!((total.calls, total.refused), (4, 4), "{total:?}");
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_over_tls_is_known_and_knows_the_node() {
    let service = Service::start_tls();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let put = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("our own folder");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("our own file");
        path
    };
    let token = HeaderConfig { file: Some(put("token", "secret\n")), prefix: "Bearer ".into(), value: None };
    let own = TlsConfig {
        ca: put("ca", AUTHORITY),
        cert: Some(put("cert", CLIENT[0])),
        key: Some(put("key", CLIENT[1])),
        server_name: None,
    };
    let url = format!("https://127.0.0.1:{}", service.address().port());
    let with = |tls: TlsConfig| EndpointConfig {
        tls: Some(tls),
        headers: [("authorization".to_owned(), token.clone())].into(),
        ..at(&url)
    };
    let nobody = TlsConfig { cert: None, key: None, ..own.clone() };
    let other = include_str!("../../host/src/admin/tests/tls/other-authority.pem");
    let strangers = TlsConfig { ca: put("other", other), ..own.clone() };
    let misnamed = TlsConfig { server_name: Some("example.org".into()), ..own.clone() };
    let renamed = TlsConfig { server_name: Some("localhost".into()), ..own.clone() };
    let all = [
        ("weather", own),
        ("renamed", renamed),
        ("nobody", nobody),
        ("strangers", strangers),
        ("misnamed", misnamed),
    ];
    let all: Vec<_> = all.map(|(name, tls)| (name, with(tls))).into();
    let node = node(all.into_iter().chain([("plain", at(&url.replace("https", "http")))])).await;
    visitor(&node).await;
    says(&node, "forecast header authorization", "Bearer secret").await;
    says(&node, "at renamed weather.v1.Weather/Forecast Zion", "Zion: rain").await;
    for wrong in ["nobody", "strangers", "misnamed", "plain"] {
        let words = [&*format!("the service `{wrong}` cannot be reached"), "(14)"];
        fails(&node, &format!("at {wrong} weather.v1.Weather/Forecast Zion"), &words).await;
    }
    assert_eq!(service.heard().len(), 2);
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_slow_dies_or_lies_harms_nobody() {
    let service = Service::start();
    let mute = rogue(|connection| {
        // It is held, and never answered.
        std::mem::forget(connection);
    });
    let babble = rogue(|mut connection| {
        let _ = connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nno!");
    });
    let hang_up = rogue(|mut connection| {
        let _ = connection.read(&mut [0; 64]);
    });
    let gone = "http://127.0.0.1:1".to_owned();
    let short = |url: String| EndpointConfig { timeout_ms: Some(500), ..at(&url) };
    let node = node([
        ("weather", endpoint(&service)),
        ("mute", short(mute)),
        ("babble", short(babble)),
        ("hang-up", short(hang_up)),
        ("gone", short(gone)),
    ])
    .await;
    node.neighbour().await;
    visitor(&node).await;
    for (wrong, code) in [("mute", "(4)"), ("babble", "(14)"), ("hang-up", "(14)"), ("gone", "(14)")] {
        let asked = async {
            fails(
                &node,
                &format!("at {wrong} weather.v1.Weather/Forecast x"),
                &["the node says", code, wrong],
            )
            .await;
        };
        node.undisturbed(wrong, asked).await;
    }
    // It dies in the midst of a call, and is called again where it comes back.
    says(&node, "forecast Zion", "Zion: rain").await;
    let address = service.address();
    let dies = async {
        service.until(2).await;
        drop(service);
    };
    let (failed, ()) = tokio::join!(node.ask("visitor", "forecast slow"), dies);
    let failed = failed.expect_err("it died").to_string();
    assert!(failed.contains("(14)") && failed.contains("`weather` cannot be reached"), "{failed}");
    fails(&node, "forecast Zion", &["(14)"]).await;
    let back = Service::start_at(address);
    says(&node, "forecast Zion", "Zion: rain").await;
    assert_eq!(back.heard(), ["Zion"]);
    assert_eq!(node.view("visitor").crashes, 0);
    node.assert_lives().await;
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_ends_with_whoever_waits_for_it_first() {
    let service = Service::start();
    let node = node([("weather", endpoint(&service))]).await;
    visitor(&node).await;
    // The guest's own time, and that of who asks the guest.
    fails(&node, "within 200 slow", &["(4)", "within 200 ms"]).await;
    let start = Instant::now();
    let late = node.ask_within("visitor", "forecast slow", Duration::from_millis(300)).await;
    // It may just be in time to say that it was too late itself.
    let late = late.expect_err("it never ends").to_string();
    assert!(late.contains("eadline") || late.contains("the node says (4)"), "{late}");
    says(&node, "turns", "3").await;
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let told = node.ask("visitor", "forecast header grpc-timeout").await.expect("it is answered");
    assert!(told.ends_with('u'), "the service is told when nobody waits any more: {told}");
    // Who is told to stop waits for nothing.
    node.send("visitor", "forecast slow".into()).expect("its mailbox is empty");
    service.until(4).await;
    node.node().souls().stop(&name("visitor"), None).await.expect("it stops");
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_calls_is_limited_and_harmless() {
    let service = Service::start();
    let node = node([("weather", endpoint(&service))]).await;
    node.neighbour().await;
    for flooder in ["one", "two", "three"] {
        node.run(flooder, "visitor", &[]).await;
    }
    let start = Instant::now();
    let flooding = async {
        let all = ["one", "two", "three"].map(|flooder| node.ask(flooder, "flood 20000"));
        futures::future::join_all(all).await
    };
    let said = node.undisturbed("flood 20000", flooding).await;
    let seconds = start.elapsed().as_secs() as usize + 2;
    assert!(service.heard().len() <= 3 * 100 * seconds, "{} calls in {seconds} s", service.heard().len());
    for said in said {
        let said = said.expect("the flood ends");
        assert!(said.contains("limits.grpc_per_second"), "{said}");
    }
    node.assert_lives().await;
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_made_is_not_made_again_by_itself() {
    let service = Service::start();
    for mode in [Mode::Checkpoint, Mode::Turn] {
        let weather = endpoint(&service);
        let node = TestNode::start_with(|config| {
            config.grpc.endpoints.insert("weather".to_owned(), weather);
            config.souls.restart.attempts = 3;
        })
        .await;
        let mut visitor = manifest("visitor", node.program("visitor").await, &[]);
        visitor.durability.mode = mode;
        node.spawn(visitor).await.expect("it behaves until told");
        let before = service.heard().len();
        let mut watch = node.watch("visitor");
        assert!(node.ask("visitor", "forecast-and-trap Zion").await.is_err());
        let letter = watch.event("soul.dead-letter").await;
        assert!(String::from_utf8_lossy(&letter.content.body).contains("\"attempts\":1"), "{mode:?}");
        assert_eq!(service.heard().len() - before, 1, "{mode:?}: it is called once");
        // A message that called nobody is tried as often as ever.
        let mut watch = node.watch("visitor");
        assert!(node.ask("visitor", "trap").await.is_err());
        let letter = watch.event("soul.dead-letter").await;
        assert!(String::from_utf8_lossy(&letter.content.body).contains("\"attempts\":3"), "{mode:?}");
        says(&node, "forecast Zion", "Zion: rain").await;

        // New code is tried on what was handled, and calls nobody; then it does.
        let (before, other) = (service.heard().len(), node.program_again("visitor").await);
        let trial = node.node().souls().rehearse(&name("visitor"), other).await.expect("it is tried");
        assert!(trial.refusal.is_empty() && trial.inputs > 0, "{trial:?}");
        assert!(trial.differences.is_empty(), "both hear that it is a rehearsal: {trial:?}");
        assert_eq!(service.heard().len(), before);
        let turn = Duration::from_secs(5);
        node.node().souls().swap(&name("visitor"), other, turn).await.expect("it is taken up");
        says(&node, "forecast Zion", "Zion: rain").await;
        node.end().await;
    }
}
