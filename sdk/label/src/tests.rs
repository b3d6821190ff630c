use proptest::prelude::*;
use wasmparser::{
    BinaryReader, ComponentName, ComponentNameSectionReader, Parser, Payload, ProducersSectionReader,
};

use super::*;

fn label() -> Label {
    Label {
        name: "greeter".to_owned(),
        version: "1.2.3".to_owned(),
        authors: "Ada Example <ada@example.org>, Eve Example".to_owned(),
        description: "Greets, and counts whom it greeted: ä, 名.".to_owned(),
        licenses: "MIT OR Apache-2.0".to_owned(),
        source: "https://example.org/greeter.git".to_owned(),
        homepage: "https://example.org/greeter".to_owned(),
        revision: "5e3f".to_owned(),
        producers: vec![producer("language", "Rust", ""), producer("sdk", "matrix-sdk", "0.1.0")],
    }
}

fn producer(role: &str, name: &str, version: &str) -> Producer {
    Producer { role: role.to_owned(), name: name.to_owned(), version: version.to_owned() }
}

/// A component with a section that is not custom: a core module, which has names and a version of its own.
fn component() -> Vec<u8> {
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    custom(&mut module, "version", b"not the component's");
    let mut out = COMPONENT.to_vec();
    out.push(1);
    sections::put_length(&mut out, module.len());
    out.extend(module);
    out
}

fn read(component: &[u8]) -> Label {
    Label::read(component).expect("a component")
}

/// The custom sections at the outside, as others read them: by their names.
fn sections_of(component: &[u8]) -> Vec<(String, Vec<u8>)> {
    let (mut found, mut depth) = (Vec::new(), 0);
    for payload in Parser::new(0).parse_all(component) {
        match payload.expect("well-formed") {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::CustomSection(section) if depth == 0 => {
                found.push((section.name().to_owned(), section.data().to_owned()));
            }
            _ => {}
        }
    }
    found
}

#[test]
fn what_is_written_is_read_here_and_by_others() {
    let labelled = label().write(&component()).expect("a component");
    assert_eq!(read(&labelled), label());
    let sections = sections_of(&labelled);
    for (key, text) in label().annotations() {
        let found: Vec<_> = sections.iter().filter(|(name, _)| name == key).collect();
        assert_eq!(found, [&(key.to_owned(), text.as_bytes().to_owned())]);
    }
    let (_, names) = sections.iter().find(|(name, _)| name == NAMES).expect("a section of names");
    let mut names = ComponentNameSectionReader::new(BinaryReader::new(names, 0));
    let own = names.next().expect("one").expect("well-formed");
    assert!(matches!(own, ComponentName::Component { name: "greeter", .. }), "it is the component's own");
    let (_, producers) = sections.iter().find(|(name, _)| name == PRODUCERS).expect("a section of producers");
    let fields = ProducersSectionReader::new(BinaryReader::new(producers, 0)).expect("well-formed");
    let mut found = Vec::new();
    for field in fields {
        let field = field.expect("well-formed");
        for value in field.values {
            let value = value.expect("well-formed");
            found.push(producer(field.name, value.name, value.version));
        }
    }
    assert_eq!(found, label().producers);
}

#[test]
fn a_label_replaces_what_it_says_and_leaves_the_rest() {
    let made = [producer("processed-by", "a-tool", "1"), producer("sdk", "matrix-sdk", "0.0.9")];
    let mut before = component();
    custom(&mut before, PRODUCERS, &sections::of_producers(&made));
    let mut names = vec![1, 3, 0, 1, 0, OWN_NAME, 4, 3];
    names.extend(b"old");
    custom(&mut before, NAMES, &names);
    custom(&mut before, "revision", b"kept");
    custom(&mut before, "anything", b"kept too");

    let new = Label { revision: String::new(), ..label() };
    let once = new.write(&before).expect("a component");
    let mut expected = label();
    expected.revision = "kept".to_owned();
    expected.producers.insert(0, producer("processed-by", "a-tool", "1"));
    assert_eq!(read(&once), expected);
    assert!(once.windows(8).any(|it| it == b"kept too"));
    // The names of what is inside are there still.
    assert!(once.windows(5).any(|it| it == [1, 3, 0, 1, 0]));
    assert_eq!(new.write(&once), Ok(once.clone()), "twice is once");
    assert_eq!(Label::default().write(&before), Ok(before));
}

#[test]
fn what_strangers_write_is_bounded_and_plain() {
    let mut label = Label::default();
    label.read_section("version", b"1\x1b[2J\n2\xff");
    assert_eq!(label.version, "1 [2J 2\u{fffd}");
    label.read_section("description", "ä".repeat(TEXT_BYTES_MAX).as_bytes());
    assert_eq!(label.description, "ä".repeat(TEXT_BYTES_MAX / 2));
    label.read_section("authors", &[b"x", "ä".repeat(TEXT_BYTES_MAX).as_bytes()].concat());
    assert_eq!(label.authors.len(), TEXT_BYTES_MAX - 1, "cut before the character");
    let many: Vec<_> = (0..PRODUCERS_MAX + 1).map(|it| producer("sdk", &it.to_string(), "")).collect();
    label.read_section(PRODUCERS, &sections::of_producers(&many));
    assert_eq!(label.producers.len(), PRODUCERS_MAX);
    let long = [producer(&"r".repeat(200), &"n".repeat(200), &"v".repeat(200))];
    label.read_section(PRODUCERS, &sections::of_producers(&long));
    let [it] = &label.producers[..] else { panic!("one") };
    assert_eq!([it.role.len(), it.name.len(), it.version.len()], [PRODUCER_BYTES_MAX; 3]);
    label.read_section("colour", b"red");
    label.read_section(NAMES, b"\0\xff\xff\xff\xff\x7fgreeter");
    assert_eq!(label.name, "");
}

#[test]
fn what_is_no_component_is_refused() {
    assert_eq!(Label::read(b"\0asm\x01\0\0\0"), Err(Malformed), "a core module");
    assert_eq!(label().write(b"#!/bin/sh"), Err(Malformed));
    let whole = component();
    assert_eq!(label().write(&whole[..whole.len() - 1]), Err(Malformed));
}

#[test]
fn a_crate_says_what_stands_in_its_manifest() {
    let told = serde_json::json!({ "packages": [
        { "version": "9.0.0", "dependencies": [], "targets": [{ "name": "other", "crate_types": ["cdylib"] }] },
        {
            "version": "0.3.0", "authors": ["Ada Example", "Eve Example"], "license": "MIT/Apache-2.0",
            "description": "Greets.", "repository": "https://example.org/greeter.git", "homepage": "nowhere",
            "dependencies": [{ "name": "serde" }, { "name": "matrix-sdk" }],
            "targets": [
                { "name": "my_greeter", "crate_types": ["cdylib"] },
                { "name": "a-player", "crate_types": ["cdylib"] },
                { "name": "bench", "crate_types": ["bin"] },
            ],
        },
    ]})
    .to_string();
    let found = of_package(&told, "my-greeter").expect("what cargo tells").expect("it makes it");
    let producers = vec![producer("language", "Rust", ""), producer("sdk", "matrix-sdk", "")];
    assert_eq!(
        found,
        Label {
            name: "my-greeter".to_owned(),
            version: "0.3.0".to_owned(),
            authors: "Ada Example, Eve Example".to_owned(),
            description: "Greets.".to_owned(),
            licenses: "MIT OR Apache-2.0".to_owned(),
            source: "https://example.org/greeter.git".to_owned(),
            producers,
            ..Label::default()
        }
    );
    assert_eq!(of_package(&told, "a-player").expect("told").map(|it| it.name), Some("a-player".to_owned()));
    assert_eq!(of_package(&told, "bench").expect("told"), None);
    assert!(of_package("no JSON", "bench").is_err());
}

proptest! {
    #[test]
    fn nothing_that_comes_makes_it_fail(bytes in prop::collection::vec(any::<u8>(), 0..200), name in "component-name|producers|version") {
        let mut label = Label::default();
        label.read_section(&name, &bytes);
        let mut whole = COMPONENT.to_vec();
        whole.extend(&bytes);
        if let Ok(read) = Label::read(&whole) {
            prop_assert!(read.write(&whole).is_ok());
        }
    }
}
