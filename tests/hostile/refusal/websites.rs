//! What Souls send to hosts outside the realm.

use matrix_tests::node::{TestNode, manifest};
use matrix_tests::website::Website;
use matrixd::capabilities::http::REQUESTS_OF_ONE_MAX;
use matrixd::config::Config;

use super::{count, names};
use crate::websites::surfing;

/// A node as for [`surfing`], and what this is answered.
async fn asked(change: impl FnOnce(&mut Config), question: &str) -> (TestNode, String, Website) {
    let site = Website::start();
    let node = surfing(&site, change).await;
    let question = question.replace("URL", &format!("http://localhost:{}", site.port()));
    let said = node.ask("surfer", &question).await;
    (node, said.unwrap_or_else(|error| error.to_string()), site)
}

pub(crate) async fn http_per_second() {
    let site = Website::start();
    let node = surfing(&site, |_| {}).await;
    let mut one = manifest("one", node.program("surfer").await, &[]);
    one.limits.http_per_second = 5;
    node.spawn(one).await.expect("it behaves until told");
    let flood = format!("flood 1000 http://localhost:{}/x", site.port());
    let said = node.ask("one", &flood).await.expect("it is answered");
    assert!(count(&said) < 100 && site.heard().len() == count(&said), "{said}");
    node.line("one", "a request was refused: the quota is used up: raise `limits.http_per_second`").await;
    node.end().await;
}

pub(crate) async fn http_timeout_ms() {
    let (node, said, _site) = asked(|config| config.http.timeout_ms = 300, "get URL/mute").await;
    names(said, "took too long");
    node.end().await;
}

pub(crate) async fn http_request_bytes() {
    let (node, said, site) =
        asked(|config| config.http.request_bytes_max = 10_000, "post 10001 URL/length").await;
    names(said, "larger than the node lets it be");
    let url = format!("http://localhost:{}/length", site.port());
    assert_eq!(node.ask("surfer", &format!("post 10000 {url}")).await.as_deref(), Ok("200 10000"));
    node.ask("surfer", &format!("post 10001 {url}")).await.expect_err("it is too large");
    node.end().await;
}

pub(crate) async fn http_response_bytes() {
    let (node, said, site) =
        asked(|config| config.http.response_bytes_max = 10_000, "get URL/long/10001").await;
    names(said, "larger than the node lets it be");
    let url = format!("get http://localhost:{}/long/10000", site.port());
    assert_eq!(node.ask("surfer", &url).await.map(|text| text.len()), Ok(10_004));
    node.end().await;
}

pub(crate) async fn http_headers_bytes() {
    let (node, said, _site) = asked(|_| {}, "get URL/many-headers/40000").await;
    names(said, "larger than the node lets it be");
    node.end().await;
}

pub(crate) async fn http_requests() {
    let site = Website::start();
    let node = surfing(&site, |config| config.http.requests_max = 1).await;
    node.run("other", "surfer", &[]).await;
    let url = format!("http://localhost:{}", site.port());
    node.send("other", format!("get {url}/mute").into()).expect("its mailbox is empty");
    while site.heard().is_empty() {
        tokio::task::yield_now().await;
    }
    node.ask("surfer", &format!("get {url}/x")).await.expect_err("one is under way");
    let line =
        "a request was refused: `http.requests_max` requests of this node are under way, and no more may be";
    node.line("surfer", line).await;
    node.end().await;
}

pub(crate) async fn http_requests_of_one() {
    let site = Website::start();
    let node = surfing(&site, |_| {}).await;
    let url = format!("http://localhost:{}/mute", site.port());
    let said = node.ask("surfer", &format!("open {} {url}", REQUESTS_OF_ONE_MAX + 1)).await;
    assert_eq!(said.as_deref(), Ok("ErrorCode::ConnectionLimitReached"));
    let line = format!(
        "a request was refused: {REQUESTS_OF_ONE_MAX} requests of this Soul are under way, and no more may be"
    );
    node.line("surfer", &line).await;
    node.end().await;
}
