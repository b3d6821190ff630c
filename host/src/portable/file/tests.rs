//! Files that are whole, and say what no Soul can be. That sound ones are taken is seen in `tests/realm`.

use super::*;
use crate::runtime::limits::LimitsConfig;

fn manifest() -> serde_json::Value {
    serde_json::to_value(crate::souls::manifest::tests::manifest("neo")).expect("it has a form in JSON")
}

fn said() -> Said {
    let mut said = Said::default();
    let manifest = serde_json::to_vec(&manifest()).expect("it is JSON").into();
    said.header(SoulFileHeader { manifest, realm: "r".into(), ..SoulFileHeader::default() }).expect("sound");
    said
}

fn sound_state() -> SoulFileState {
    SoulFileState { schema: "s/1".into(), random: vec![1, 2, 3, 4], ..SoulFileState::default() }
}

fn taken(said: Said) -> Result<Cutting, String> {
    said.cutting(&LimitsConfig::default().default, 768 * 1024).map_err(|error| error.to_string())
}

fn with_entry(part: SoulFilePart, key: &[u8], value: &[u8]) -> Result<Cutting, String> {
    let mut said = said();
    let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
    let entry = SoulFileEntry { part: part.into(), key, value };
    said.entry(entry).map_err(|error| error.to_string())?;
    taken(said)
}

#[test]
fn what_is_sound_is_what_it_says() {
    let mut said = said();
    said.state(sound_state());
    let cutting = taken(said).expect("it is sound");
    let header = cutting.checkpoint.expect("it has a state").header;
    assert_eq!((header.schema.as_str(), header.random.words()), ("s/1", &[1, 2, 3, 4]));
    assert_eq!((cutting.origin.soul.as_str(), cutting.origin.realm.as_str()), ("neo", "r"));
    assert!(with_entry(SoulFilePart::Own, b"key", b"value").is_ok());
}

#[test]
fn a_manifest_that_is_none_is_refused() {
    for json in [&b"{}"[..], b"neo", b"\xff"] {
        let header = SoulFileHeader { manifest: json.to_vec().into(), ..SoulFileHeader::default() };
        let refused = Said::default().header(header).expect_err("it is none").to_string();
        assert!(refused.contains("the manifest"), "{refused}");
    }
    assert!(taken(Said::default()).is_err_and(|why| why.contains("the manifest")));
}

#[test]
fn a_state_out_of_bounds_is_refused() {
    let refuse = |change: fn(&mut SoulFileState)| {
        let (mut said, mut state) = (said(), sound_state());
        change(&mut state);
        said.state(state);
        taken(said).expect_err("it is out of bounds")
    };
    assert!(refuse(|state| state.schema = "x".repeat(257)).contains("too long a name"));
    assert!(refuse(|state| state.random = vec![0; 4]).contains("chance"));
    assert!(refuse(|state| state.random.clear()).contains("chance"));
    assert!(refuse(|state| state.topics = vec!["news".into()]).contains("news"), "it was not granted");
    assert!(refuse(|state| state.topics = vec!["N O".into()]).contains("topic"));
    assert!(refuse(|state| state.topics = vec!["news".into(); 1_025]).contains("too many topics"));
    assert!(refuse(|state| state.state = vec![0; 768 * 1024 + 1].into()).contains("786433"));
}

#[test]
fn what_no_soul_can_remember_is_refused() {
    let key = |id: u64| [&b"e"[..], &id.to_be_bytes()].concat();
    for (key, value) in [
        (&b"x"[..], &b""[..]),
        (&key(1), b"\xff"),
        (&key(1), b""),
        (&key(u64::MAX), b"\x1a\x01x"),
        (b"n", &u64::MAX.to_be_bytes()),
        (b"n", b""),
    ] {
        let refused = with_entry(SoulFilePart::Memory, key, value).expect_err("no memory has it");
        assert!(refused.contains("what it remembers"), "{refused}");
    }
    assert!(with_entry(SoulFilePart::Memory, &key(1), b"\x1a\x01x").is_ok());
}

#[test]
fn what_no_soul_can_have_learnt_is_refused() {
    let number = 1_u64.to_be_bytes();
    for (part, key, value) in [
        (SoulFilePart::Lessons, &b""[..], &b"7"[..]),
        (SoulFilePart::Lessons, b"", br#"{"seen":7}"#),
        (SoulFilePart::Lessons, b"", br#"{"states":[{"lesson":1,"bytes":1}]}"#),
        (SoulFilePart::Lessons, b"", br#"{"count":18446744073709551615}"#),
        (SoulFilePart::Learnt, &number, b""),
        (SoulFilePart::Log, b"", br#"{"last":1,"segments":[{"first":1,"count":1,"bytes":1}]}"#),
        (SoulFilePart::Log, b"", br#"{"last":18446744073709551615}"#),
        (SoulFilePart::Experience, &number, b""),
    ] {
        let refused = with_entry(part, key, value).expect_err("it cannot be");
        assert!(refused.contains("what it learnt"), "{part:?} {refused}");
    }
    assert!(with_entry(SoulFilePart::Lessons, b"key", b"{}").is_err_and(|why| why.contains("has a key")));
    assert!(with_entry(SoulFilePart::Unspecified, b"", b"").is_err());
}
