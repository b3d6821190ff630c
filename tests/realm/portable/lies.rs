//! Files that are cut off, changed, too large, or whole and lie, given to a node without the command that would refuse most
//! of them first: each is refused for what is wrong with it, and leaves nothing.

use std::path::Path;

use matrix_proto::soul_file::{Decoder, PIECE_BYTES_MAX, Writer};
use matrix_proto::v1;
use matrix_proto::wire::soul_file_record::Kind;
use matrix_proto::wire::{SoulFileEntry, SoulFileHeader, SoulFilePart};
use matrix_tests::realm::{Door, Holdings};
use matrixd::ids::Digest;
use matrixd::portable::BYTES_MAX;
use matrixd::runtime::limits::SNAPSHOT_BYTES_MAX;
use serde_json::{Value, json};
use tonic::Code;

use super::{file, push_program, said};
use crate::processes::{Realm, root, stranger};

/// What is told of a Soul.
#[derive(Clone)]
struct Told {
    header: SoulFileHeader,
    records: Vec<Kind>,
}

impl Told {
    fn read(file: &[u8]) -> Self {
        let (mut decoder, mut records) = (Decoder::default(), Vec::new());
        decoder.push(file);
        while let Some(kind) = decoder.next_record().expect("it is sound") {
            records.push(kind);
        }
        decoder.finish().expect("it is whole");
        let Kind::Header(header) = records.remove(0) else { panic!("no header") };
        Self { header, records }
    }

    /// The same with a lie in it, as a file that is whole.
    fn with(&self, lie: impl FnOnce(&mut Self)) -> Vec<u8> {
        let mut told = self.clone();
        lie(&mut told);
        let (mut writer, first) = Writer::new(told.header);
        let mut file = first.to_vec();
        for record in told.records {
            file.extend_from_slice(&writer.record(record));
        }
        file.extend_from_slice(&writer.seal());
        file
    }

    fn manifest(&mut self, change: impl FnOnce(&mut Value)) {
        let mut manifest = serde_json::from_slice(&self.header.manifest).expect("it is JSON");
        change(&mut manifest);
        self.header.manifest = manifest.to_string().into();
    }

    fn state(&mut self) -> &mut matrix_proto::wire::SoulFileState {
        let state = self.records.iter_mut().find_map(|kind| match kind {
            Kind::State(state) => Some(state),
            _ => None,
        });
        state.expect("it has one")
    }

    /// Makes its component this.
    fn component(&mut self, bytes: &[u8]) {
        self.records.retain(|kind| !matches!(kind, Kind::Data(_)));
        let length = bytes.len() as u64;
        self.records.iter_mut().for_each(|kind| {
            if let Kind::Component(component) = kind {
                component.length = length;
            }
        });
        let pieces = bytes.chunks(PIECE_BYTES_MAX).map(|piece| Kind::Data(piece.to_vec().into()));
        self.records.extend(pieces);
    }

    fn entries(&mut self, key: &[u8], value: Vec<u8>, count: usize) {
        let part = SoulFilePart::Memory.into();
        let entry = SoulFileEntry { part, key: key.to_vec().into(), value: value.into() };
        let place = self.records.iter().position(|kind| matches!(kind, Kind::Component(_)));
        let place = place.unwrap_or(self.records.len());
        self.records.splice(place..place, std::iter::repeat_n(Kind::Entry(entry), count));
    }
}

/// Each with what it is and what the node says of it.
fn lies(sound: &[u8]) -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let told = Told::read(sound);
    let flipped = |at: usize| {
        let mut file = sound.to_vec();
        file[at] ^= 1;
        file
    };
    vec![
        ("nothing", Vec::new(), "this is no file with a Soul"),
        ("something else", b"#!/bin/sh\n".to_vec(), "this is no file with a Soul"),
        ("another version", flipped(7), "reads format 1"),
        ("cut off in its component", sound[..sound.len() / 2].to_vec(), "was cut off"),
        ("cut off in its seal", sound[..sound.len() - 1].to_vec(), "was cut off"),
        ("a flipped bit of code", flipped(sound.len() / 2), "its hash is another"),
        ("a flipped bit of the seal", flipped(sound.len() - 1), "its hash is another"),
        ("more than it is", [sound, b"x"].concat(), "something follows its end"),
        (
            "a state that is too large",
            told.with(|told| told.state().state = vec![0; SNAPSHOT_BYTES_MAX + 1].into()),
            "has 16777217 bytes, and 16777216 are allowed (`souls.state_bytes_max`)",
        ),
        (
            "more than is held",
            told.with(|told| told.entries(b"n", vec![0; 8 << 20], (BYTES_MAX >> 23) + 1)),
            "bytes beside its component",
        ),
        ("a memory that is none", told.with(|told| told.entries(b"x", Vec::new(), 1)), "what it remembers"),
        (
            "limits beyond those of nodes",
            told.with(|told| {
                told.manifest(|manifest| manifest["limits"]["memory_bytes"] = json!(1_u64 << 50))
            }),
            "memory_bytes",
        ),
        (
            "a name that is none",
            told.with(|told| told.manifest(|manifest| manifest["name"] = json!("N O"))),
            "the manifest",
        ),
        ("other code than it says", told.with(|told| told.component(b"\0asm")), "sha256:"),
        (
            "code that is none",
            told.with(|told| {
                told.manifest(|manifest| manifest["component"] = json!(Digest::of(b"\0asm").to_string()));
                told.component(b"\0asm");
            }),
            "component",
        ),
    ]
}

/// All files in a folder and below it.
fn files(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let paths = entries.map(|entry| entry.expect("a folder of the node").path());
    paths.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_wrong_with_a_file_is_said_and_nothing_of_it_stays() {
    let (old, new) = (Realm::start(1), Realm::start(1));
    push_program(&old, "diarist");
    old.matrix(1, &["souls", "spawn", "ada", "--component", "diarist", "--memory"]).ok();
    old.ask(1, "ada", "remember A storm took the mast").expect("it remembers");
    let [from, to] = [&old, &new].map(|realm| Door::new(&realm.data(1)));
    let sound = from.export("ada").await.expect("it is written");
    for (what, file, why) in lies(&sound) {
        let refused = to.import(&file, "eve").await.expect_err(what);
        let words = refused.message();
        assert!(
            words.contains(why) && refused.code() != Code::Internal,
            "{what}: {:?} {words}",
            refused.code()
        );
        assert_eq!(to.holdings("eve").await.expect("the KV answers"), Holdings::new(), "{what}");
        let list = to.request(v1::ListComponentsRequest::default());
        let components = to.components().list(list).await.expect("the node answers").into_inner().components;
        assert_eq!((components.len(), files(&new.data(1).join("components"))), (0, 0), "{what}");
    }
    // The code alone can tell: it is sound, and stays, and the Soul does not.
    let alien = Told::read(&sound).with(|told| told.state().schema = "alien/7".to_owned());
    let refused = to.import(&alien, "eve").await.expect_err("no such layout");
    assert!(refused.message().contains("alien/7"), "{refused}");
    assert_eq!(to.holdings("eve").await.expect("the KV answers"), Holdings::new());
    to.import(&sound, "eve").await.expect("nothing keeps a sound one from living");
    assert_eq!(new.ask(1, "eve", "recall mast"), said("1 A storm took the mast"));
}

#[test]
fn a_node_that_wants_signatures_takes_souls_that_somebody_trusted_has_sealed() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let at = |name: &str| folder.path().join(name).to_str().expect("a path of ours").to_owned();
    let (wasm, key, other) = (at("counter.wasm"), at("key"), at("other"));
    std::fs::copy(root().join("guests/out/counter.wasm"), &wasm).expect("guests are built");
    let made = stranger(&["components", "keygen", &key]).ok().json();
    stranger(&["components", "keygen", &other]).ok();
    let policy = |policy: &str| {
        let keys = &made["public_key"];
        Realm::start_with(1, |_| {
            format!("[components]\nsignatures = \"{policy}\"\ntrusted_keys = [{keys}]\n")
        })
    };
    let (old, strict) = (Realm::start(1), policy("require"));
    old.matrix(1, &["components", "push", &wasm]).ok();
    old.matrix(1, &["souls", "spawn", "tally", "--component", "counter"]).ok();
    assert_eq!(old.ask(1, "tally", "add 41"), said("41"));
    let written = |name: &str, more: &[&str]| {
        let path = file(&old, name);
        old.matrix(1, &[&["souls", "export", "tally", "-o", &path][..], more].concat()).ok();
        path
    };
    let open = written("open.soul", &[]);
    strict.matrix(1, &["souls", "import", &open]).refused("the file is not signed");
    let foreign = written("foreign.soul", &["--key", &other]);
    strict.matrix(1, &["souls", "import", &foreign]).refused("which is not in this node's");
    // Its code needs a signature too, which goes along.
    let bare = written("bare.soul", &["--key", &key]);
    strict.matrix(1, &["souls", "import", &bare]).refused("SIGNATURE_REFUSED");
    stranger(&["components", "sign", &wasm, "--key", &key]).ok();
    old.matrix(1, &["components", "push", &wasm]).ok();
    let sealed = written("sealed.soul", &["--key", &key]);
    strict.matrix(1, &["souls", "show", "tally"]).refused("no Soul called tally");
    strict.matrix(1, &["souls", "import", &sealed]).ok();
    assert_eq!(strict.ask(1, "tally", "add 1"), said("42"));
    // Who is only to be warned takes any.
    let lax = policy("warn");
    lax.matrix(1, &["souls", "import", &open]).ok();
    assert_eq!(lax.ask(1, "tally", "add 1"), said("42"));
}
