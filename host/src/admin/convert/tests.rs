use std::collections::HashMap;

use matrix_proto::v1;
use proptest::prelude::*;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::*;
use crate::ids::Digest;
use crate::kv::KvError;
use crate::matrices::MatrixError;
use crate::runtime::catalog::ComponentError;
use crate::runtime::components::AdmitError;
use crate::runtime::inspect::Refusal;
use crate::runtime::limits::LimitsConfig;
use crate::souls::manifest::{Manifest, ManifestError};
use crate::souls::placed::Placed;
use crate::souls::status::State;
use crate::souls::{SoulError, SoulView};
use crate::transport::envelope::SendError;

/// The code, the reason, and the field, limit or thing that an error names.
fn told(error: impl Into<Status>) -> (Code, String, String) {
    let status = error.into();
    let details = status.get_error_details();
    let info = details.error_info().expect("every error has a reason");
    assert_eq!(info.domain, "matrix.v1");
    let field = details.bad_request().and_then(|bad| bad.field_violations.first()).map(|f| f.field.clone());
    let limit = details.quota_failure().and_then(|quota| quota.violations.first()).map(|q| q.subject.clone());
    let thing =
        details.resource_info().map(|thing| format!("{} {}", thing.resource_type, thing.resource_name));
    (status.code(), info.reason.clone(), field.or(limit).or(thing).unwrap_or_default())
}

fn expect(error: impl Into<Status>, code: Code, reason: &str, about: &str) {
    assert_eq!(told(error), (code, reason.to_owned(), about.to_owned()));
}

#[test]
fn errors_name_the_field_the_limit_or_the_thing() {
    let soul = || "neo".parse().expect("a name");
    expect(SoulError::Unknown(soul()), Code::NotFound, "SOUL_UNKNOWN", "soul neo");
    let field = ManifestError::Field { field: "persona.traits", problem: "are too many".into() };
    expect(SoulError::from(field), Code::InvalidArgument, "MANIFEST_INVALID", "manifest.persona.traits");
    let asked = crate::runtime::limits::Limits { call_ms: u32::MAX, ..LimitsConfig::ASK_NOTHING };
    let limit = ManifestError::from(LimitsConfig::default().resolve(&asked).expect_err("too much"));
    expect(SoulError::from(limit), Code::InvalidArgument, "MANIFEST_INVALID", "manifest.limits.call_ms");
    expect(SendError::MailboxFull, Code::ResourceExhausted, "MAILBOX_FULL", "limits.mailbox_messages");
    expect(SendError::Denied("no".into()), Code::PermissionDenied, "DENIED", "");
    expect(SendError::DeadlineExceeded, Code::DeadlineExceeded, "NO_REPLY", "");
    expect(SendError::Failed("no".into()), Code::FailedPrecondition, "GUEST_FAILED", "");
    let full = KvError::Full { limit: 1 };
    expect(SoulError::Kv(full), Code::ResourceExhausted, "STORE_FULL", "kv.state_bytes_max");
    expect(KvError::Closed, Code::Unavailable, "STORE_CLOSED", "");
    expect(KvError::KeyEmpty, Code::InvalidArgument, "KEY_EMPTY", "key");
    let refused = ComponentError::Admit(AdmitError::Refused(Refusal::CoreModule));
    expect(MatrixError::Component(refused), Code::InvalidArgument, "COMPONENT_REFUSED", "");
    let matrix = "market".parse().expect("a name");
    expect(MatrixError::Exists(matrix), Code::AlreadyExists, "MATRIX_EXISTS", "matrix market");
    expect(MatrixError::MissingPlayer(soul()), Code::InvalidArgument, "PLAYER_UNKNOWN", "manifest.players");
    expect(own_bucket("sys/souls"), Code::PermissionDenied, "BUCKET_RESERVED", "bucket");
}

#[test]
fn a_component_that_is_named_wrongly_names_its_field() {
    let wrong = "No Name".parse::<crate::ids::ComponentName>().expect_err("no name");
    let status = component_at("manifest.component", ComponentError::Reference(wrong));
    expect(status, Code::InvalidArgument, "FIELD_INVALID", "manifest.component");
    let unknown = ComponentError::Unknown(Digest::of(b""));
    assert_eq!(component_at("manifest.component", unknown).code(), Code::NotFound);
}

#[test]
fn what_a_guest_says_fits_the_headers_and_forges_no_line() {
    let status = Status::from(SendError::Failed("é\n\u{1b}[2J".repeat(1 << 20)));
    assert!(status.message().len() <= MESSAGE_BYTES_MAX && !status.message().contains(['\n', '\u{1b}']));
    assert!(status.details().len() < 2 * MESSAGE_BYTES_MAX);
}

fn sound() -> v1::SoulManifest {
    v1::SoulManifest {
        placement: Some(v1::Placement {
            labels: [("zone".to_owned(), "a".to_owned())].into(),
            apart: "band".to_owned(),
        }),
        name: "neo".to_owned(),
        component: "counter".to_owned(),
        persona: Some(v1::Persona {
            description: "the one".to_owned(),
            traits: vec!["calm".to_owned()],
            values: vec![v1::Value { name: "freedom".to_owned(), weight: 0.5 }],
        }),
        config: HashMap::from([("k".to_owned(), "v".to_owned())]),
        grants: Some(v1::Grants {
            send: vec!["soul:shop-*".to_owned(), "topic:news".to_owned()],
            ask: vec!["soul:smith".to_owned()],
            subscribe: vec!["news".to_owned()],
            buckets: vec!["scores:rw".to_owned(), "prices:r".to_owned()],
            events: true,
            memory: true,
            grpc: vec!["weather".to_owned(), "news-*".to_owned()],
            http: vec!["api.example.org".to_owned(), "http://*.example.org:8080".to_owned()],
        }),
        limits: Some(v1::Limits { call_ms: 100, grpc_per_second: 7, ..v1::Limits::default() }),
        durability: Some(v1::Durability { every_turns: 64, every_seconds: 5, mode: 1 }),
        seed: 7,
        learning: Some(v1::Training {
            mode: 2,
            held_out_percent: Some(20),
            metric: "accuracy".to_owned(),
            tolerance: Some(0.0),
            ..v1::Training::default()
        }),
        memory: Some(v1::MemoryWeights {
            relevance: Some(2.0),
            recency: Some(0.0),
            importance: Some(1.0),
            decay: Some(0.5),
            alike: Some(0.75),
        }),
    }
}

#[test]
fn a_souls_manifest_comes_back_as_it_was_given() {
    let digest = Digest::of(b"code");
    let manifest = soul_manifest(sound(), digest).expect("sound");
    manifest.check(&LimitsConfig::default()).expect("within the bounds");
    let view = SoulView {
        placed: Placed { node: 2, generation: 3 },
        manifest: manifest.into(),
        state: State::BackingOff,
        reason: "trapped".to_owned(),
        mailbox_depth: 1,
        handled: 2,
        crashes: 3,
        memory_bytes: 4,
        fuel_used: 5,
        checkpoint_at_ms: 6,
        schema: "counter/1".to_owned(),
        again_at_ms: 8,
        crashes_recent: 2,
    };
    let shown = soul(&view);
    let given = v1::SoulManifest { component: digest.to_string(), ..sound() };
    assert_eq!((shown.manifest.as_ref(), shown.state()), (Some(&given), v1::SoulState::BackingOff));
    assert_eq!((shown.again_at_ms, shown.crashes_recent), (8, 2));
    assert_eq!((shown.digest, shown.crashes, shown.schema), (digest.to_string(), 3, "counter/1".to_owned()));
}

#[test]
fn a_wrong_manifest_names_its_field() {
    let field = |change: fn(&mut v1::SoulManifest)| {
        let mut manifest = sound();
        change(&mut manifest);
        let error = required(Some(manifest)).and_then(|manifest| soul_manifest(manifest, Digest::of(b"")));
        told(error.map(|manifest| manifest.name).expect_err("wrong")).2
    };
    assert_eq!(field(|m| m.name = "Neo".to_owned()), "manifest.name");
    assert_eq!(field(|m| m.component.clear()), "manifest.component");
    let send: fn(&mut v1::SoulManifest) = |m| m.grants.as_mut().expect("set").send[1] = "so ul".to_owned();
    assert_eq!(field(send), "manifest.grants.send[1]");
    let bucket: fn(&mut v1::SoulManifest) = |m| m.grants.as_mut().expect("set").buckets[0] = "b".to_owned();
    assert_eq!(field(bucket), "manifest.grants.buckets[0]");
    assert_eq!(told(required(None).expect_err("missing")).2, "manifest");
}

#[test]
fn a_soul_without_a_seed_gets_the_one_of_its_name() {
    let manifest = soul_manifest(v1::SoulManifest { seed: 0, ..sound() }, Digest::of(b"")).expect("sound");
    assert_eq!(manifest.seed, Manifest::seed_of(&manifest.name));
}

#[test]
fn a_matrix_manifest_names_its_wrong_player() {
    let players = vec!["neo".to_owned(), "Smith".to_owned()];
    let given = v1::MatrixManifest { name: "m".to_owned(), players, ..v1::MatrixManifest::default() };
    let error = matrix_manifest(given, Digest::of(b"")).expect_err("wrong");
    assert_eq!(told(error).2, "manifest.players[1]");
}

#[test]
fn messages_say_whom_and_what() {
    assert_eq!(told(address(None).expect_err("missing")).2, "recipient");
    let to = |name: &str| address(Some(v1::Address { to: Some(v1::address::To::Matrix(name.to_owned())) }));
    assert_eq!(to("market").expect("a name").to_string(), "matrix:market");
    assert_eq!(told(to("a/b").expect_err("no name")).2, "recipient");
    let of = |content_type: &str| {
        content(Some(v1::Content { content_type: content_type.to_owned(), body: "x".into() }))
    };
    assert_eq!(&*of("").expect("sound").content_type, "application/octet-stream");
    assert_eq!(told(of("a\nb").expect_err("no type")).2, "content.content_type");
    assert_eq!(told(of(&"x".repeat(129)).expect_err("too long")).2, "content.content_type");
}

proptest! {
    #[test]
    fn no_text_makes_an_error_too_long(text in ".*") {
        let line = clamp(&text);
        prop_assert!(line.len() <= MESSAGE_BYTES_MAX && !line.chars().any(char::is_control));
    }
}
