use http_body_util::BodyExt as _;
use tokio::io::AsyncWriteExt as _;

use super::hosts::{HostPattern, Target, is_public};
use super::*;
use crate::telemetry::{Telemetry, TelemetryConfig};

fn target(url: &str) -> Option<Target> {
    Target::of(&url.parse().ok()?)
}

#[test]
fn a_grant_covers_its_host_scheme_and_port_alone() {
    let covers = |pattern: &str, url: &str| {
        let pattern: HostPattern = pattern.parse().unwrap_or_else(|error| panic!("{error}"));
        pattern.covers(&target(url).unwrap_or_else(|| panic!("{url}")))
    };
    assert!(
        covers("api.example.org", "https://api.example.org/x")
            && covers("A.example.org", "https://a.EXAMPLE.org.")
    );
    assert!(
        covers("*.example.org:8443", "https://a.b.example.org:8443/") && covers("*", "http://anywhere:1/")
    );
    assert!(covers("http://localhost:8080", "http://localhost:8080") && covers("[::1]:9", "https://[::1]:9"));
    for (pattern, url) in [
        ("api.example.org", "http://api.example.org"),
        ("api.example.org", "https://api.example.org:8443"),
        ("api.example.org", "https://api.example.org.evil.org"),
        ("api.example.org", "https://www.api.example.org"),
        ("*.example.org", "https://example.org"),
        ("*.example.org", "https://evilexample.org"),
        ("*.example.org", "https://.example.org"),
        ("http://a.org", "https://a.org"),
    ] {
        assert!(!covers(pattern, url), "{pattern} {url}");
    }
    for odd in [
        "https://api.example.org@evil.org",
        "https://user@api.example.org",
        "ftp://a.org",
        "/path",
        "https://a.org:0",
    ] {
        assert!(target(odd).is_none(), "{odd}");
    }
}

#[test]
fn patterns_come_back_as_they_are_written() {
    for text in ["api.example.org", "*.example.org:8443", "http://a.org", "http://*.a.org:81", "*", "[::1]:9"]
    {
        let pattern: HostPattern = text.parse().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(pattern.to_string(), text);
    }
    for wrong in
        ["", "a.org/path", "a.*.org", "**", "ftp://a.org", "a b", "user@a.org", "a.org?x", "*.", "a.org:x"]
    {
        assert!(wrong.parse::<HostPattern>().is_err(), "{wrong:?}");
    }
}

#[test]
fn only_public_addresses_are_public() {
    for public in [
        "1.1.1.1",
        "93.184.216.34",
        "2606:4700::1111",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2002:808:808::1",
    ] {
        assert!(is_public(public.parse().expect("an address")), "{public}");
    }
    for private in [
        "127.0.0.1",
        "127.9.9.9",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "0.0.0.0",
        "0.1.2.3",
        "100.64.0.1",
        "192.0.0.8",
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.9",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fec0::1",
        "fc00::1",
        "fd12::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::1",
        "2002:a00:1::",
        "2001::1",
        "2001:db8::1",
        "100::1",
    ] {
        assert!(!is_public(private.parse().expect("an address")), "{private}");
    }
}

#[test]
fn settings_are_checked_by_name() {
    let config = |text: &str| toml::from_str::<HttpConfig>(text).map_err(|error| error.to_string());
    let check =
        |text: &str| config(text).and_then(|config| config.check().map_err(|error| error.to_string()));
    assert_eq!(check("hosts = [\"a.org\", \"http://localhost:1\"]\nprivate = [\"localhost\"]"), Ok(()));
    for (wrong, said) in [
        ("hosts = [\"a.org/x\"]", "names no host"),
        ("timeout_ms = 0", "`http.timeout_ms` is 0"),
        ("headers_bytes_max = 100", "from 8192"),
        ("ca = \"/nowhere/ca\"", "`http.ca`: /nowhere/ca"),
        ("host = []", "unknown field"),
    ] {
        let error = check(wrong).expect_err(wrong);
        assert!(error.contains(said), "{wrong}: {error}");
    }
    let doubts = |text: &str| config(text).expect("settings").doubts().len();
    assert_eq!(doubts("hosts = [\"a.org\", \"http://localhost:1\", \"http://127.0.0.1\"]"), 0);
    assert_eq!(doubts("hosts = [\"http://a.org\", \"*\"]"), 2);
}

#[tokio::test]
async fn what_became_of_requests_is_counted_by_the_configurations_name_of_the_host() {
    let telemetry = Telemetry::new(TelemetryConfig::default(), "test").expect("the default works");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://localhost:{}", listener.local_addr().expect("it has one").port());
    let config: HttpConfig =
        toml::from_str(&format!("hosts = [\"{url}\"]\nprivate = [\"localhost\"]")).expect("settings");
    let hosts = Hosts::open(&config, &telemetry.metrics().http).expect("settings");
    let send = async || {
        let body = http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync();
        let request = http::Request::get(format!("{url}/x")).body(body).expect("a request");
        let slot = || hosts.slot().expect("there is one");
        let (target, until) = (target(&url).expect("a host"), Instant::now() + Duration::from_secs(60));
        let call =
            Call { request, options: RequestOptions::default(), target, until, held: [slot(), slot()] };
        Box::into_pin(hosts.send(call, Waits::default())).await.map(|(answer, _)| answer.status().as_u16())
    };
    let answer = async {
        let (mut stream, _) = listener.accept().await.expect("a request");
        stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await.expect("it listens");
        stream
    };
    let (answered, _open) = tokio::join!(send(), answer);
    assert_eq!(answered.ok(), Some(404));
    drop(listener);
    assert!(send().await.is_err());
    let text = telemetry.render().expect("every metric is sound");
    for code in ["4xx", "failed"] {
        let line = format!("matrix_http_requests_total{{code=\"{code}\",host=\"{url}\"}} 1");
        assert!(text.lines().any(|shown| shown == line), "{line}: {text}");
    }
}
