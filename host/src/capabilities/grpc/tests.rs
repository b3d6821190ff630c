use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::config::{Method, parts};
use super::*;
use crate::telemetry::{Telemetry, TelemetryConfig};

fn open(text: &str) -> Result<Endpoints, String> {
    let telemetry = Telemetry::new(TelemetryConfig::default(), "test").expect("the default works");
    let config: GrpcConfig = toml::from_str(text).map_err(|error| error.to_string())?;
    let metrics = telemetry.metrics();
    Endpoints::open(&config, &metrics.grpc, &metrics.refusals).map_err(|error| error.to_string())
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    let sound = "[endpoints.weather]\nurl = \"http://127.0.0.1:1\"\nmethods = [\"weather.v1.Weather/*\"]\n";
    assert!(open(sound).is_ok_and(|all| all.has("weather") && !all.has("news")));
    assert!(open("").is_ok());
    for (wrong, said) in [
        ("timeout_ms = 0", "`grpc.timeout_ms` is 0"),
        ("request_bytes_max = 9000000", "from 1 to 2097152"),
        (
            "[endpoints.Weather]\nurl = \"http://a:1\"\nmethods = [\"a.B/C\"]",
            "`grpc.endpoints.Weather` is no name",
        ),
        ("[endpoints.a]\nmethods = [\"a.B/C\"]", "`grpc.endpoints.a.url` is ``"),
        ("[endpoints.a]\nurl = \"ftp://a\"\nmethods = [\"a.B/C\"]", "write `https://HOST:PORT`"),
        ("[endpoints.a]\nurl = \"http://a:1\"", "`grpc.endpoints.a.methods` names none"),
        ("[endpoints.a]\nurl = \"http://a:1\"\nmethods = [\"*\"]", "has `*`: write"),
        (
            "[endpoints.a]\nurl = \"https://a:1\"\nmethods = [\"a.B/C\"]",
            "`grpc.endpoints.a.tls.ca` is missing",
        ),
        (
            "[endpoints.a]\nurl = \"http://a:1\"\nmethods = [\"a.B/C\"]\ntls = { ca = \"x\" }",
            "of no use for `http`",
        ),
        (
            "[endpoints.a]\nurl = \"https://a:1\"\nmethods = [\"a.B/C\"]\ntls = { ca = \"x\", cert = \"y\" }",
            "name both, or none",
        ),
        (
            "[endpoints.a]\nurl = \"https://a:1\"\nmethods = [\"a.B/C\"]\ntls = { ca = \"/nowhere/ca\" }",
            "`grpc.endpoints.a.tls.ca`: cannot read /nowhere/ca",
        ),
        (
            "[endpoints.a]\nurl = \"http://a:1\"\nmethods = [\"a.B/C\"]\nheaders = { x = { } }",
            "must have one of `value` and `file`",
        ),
        (
            "[endpoints.a]\nurl = \"http://a:1\"\nmethods = [\"a.B/C\"]\nheaders = { grpc-timeout = { value = \"1S\" } }",
            "no name of a header that may be sent along",
        ),
        (
            "[endpoints.a]\nurl = \"http://a:1\"\nmethods = [\"a.B/C\"]\nheaders = { x = { value = \"a\\nb\" } }",
            "printable ASCII",
        ),
        (
            "[endpoints.a]\nurl = \"http://a:1\"\nmethods = [\"a.B/C\"]\ncalls_max = 0",
            "`grpc.endpoints.a.calls_max` is 0",
        ),
        ("endpoint = 1", "unknown field"),
    ] {
        let error = open(wrong).expect_err(wrong);
        assert!(error.contains(said), "{wrong}: {error}");
    }
}

#[test]
fn secrets_are_their_owners_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    fs::write(&token, "secret\n").expect("ours");
    let text = format!(
        "[endpoints.a]\nurl = \"http://a:1\"\nmethods = [\"a.B/C\"]\n\
         headers = {{ authorization = {{ file = \"{}\", prefix = \"Bearer \" }} }}",
        token.display()
    );
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).expect("ours");
    let error = open(&text).expect_err("others can read it");
    assert!(error.contains("chmod 600") && error.contains("headers.authorization"), "{error}");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).expect("ours");
    assert!(open(&text).is_ok());
}

#[test]
fn what_may_be_called_is_a_method_or_a_service() {
    let covers = |pattern: &str, method: &str| {
        let (service, name) = parts(method).expect("a method");
        Method::parse(pattern).is_some_and(|known| known.covers(service, name))
    };
    assert!(covers("a.v1.B/*", "a.v1.B/C") && covers("a.v1.B/C", "a.v1.B/C") && covers("B/C", "B/C"));
    assert!(!covers("a.v1.B/*", "a.v1.BB/C") && !covers("a.v1.B/C", "a.v1.B/D"));
    for wrong in ["", "a", "/a.B/C", "a.B/", "a.B/C/D", "a..B/C", "a.B/C?x", "a.B/ü", "a.B/C\n", "a.*/C"] {
        assert!(parts(wrong).is_none(), "{wrong:?}");
    }
    assert!(Method::parse("a.*/C").is_none() && Method::parse("*").is_none());
    assert!(parts(&format!("a.B/{}", "x".repeat(300))).is_none());
}

#[test]
fn a_service_elsewhere_without_tls_is_doubted() {
    let of = |url: &str| {
        let text = format!("[endpoints.a]\nurl = \"{url}\"\nmethods = [\"a.B/C\"]");
        toml::from_str::<GrpcConfig>(&text).expect("settings").doubts().len()
    };
    assert_eq!((of("http://127.0.0.1:9"), of("http://localhost:9"), of("http://[::1]:9")), (0, 0, 0));
    assert_eq!(
        (of("http://10.0.0.1:9"), of("http://127.example.org:9"), of("https://example.org")),
        (1, 1, 0)
    );
}
