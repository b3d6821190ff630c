//! `matrix new`, and what `matrix build` and `matrix test` refuse.

use crate::fake::Fake;

#[test]
fn a_new_folder_says_what_it_is_and_is_never_written_over() {
    let fake = Fake::start();
    let made = fake.matrix(&["new", "--kind", "rules", "my-game"]).ends(0);
    assert!(made.stdout.starts_with("created rules my-game, in "), "{}", made.stdout);
    let read =
        |file: &str| std::fs::read_to_string(fake.folder.path().join("my-game").join(file)).expect(file);
    assert!(read("matrix.toml").contains("kind = \"rules\"\nname = \"my-game\"\n"));
    assert!(read("Cargo.toml").contains("name = \"my-game\""));
    let sdk = std::fs::canonicalize(concat!(env!("CARGO_MANIFEST_DIR"), "/../rust")).expect("it is there");
    assert!(read("Cargo.toml").contains(&format!("matrix-sdk = {{ path = \"{}\" }}", sdk.display())));
    assert!(read("README.md").lines().count() <= 12);
    let refused = fake.matrix(&["new", "my-game"]).ends(8);
    assert!(refused.stderr.contains("where: my-game"), "{}", refused.stderr);
}

#[test]
fn an_sdk_may_be_a_folder_a_checkout_or_a_repository() {
    let fake = Fake::start();
    let project = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    fake.matrix(&["new", "first", "--sdk", project]).ends(0);
    fake.matrix(&["new", "second", "--sdk", &format!("{project}/sdk/rust")]).ends(0);
    fake.matrix(&["new", "third", "--sdk", "https://example.org/matrix.git"]).ends(0);
    let cargo = |name: &str| {
        std::fs::read_to_string(fake.folder.path().join(name).join("Cargo.toml")).expect("it is made")
    };
    assert_eq!(cargo("first").replace("first", "second"), cargo("second"));
    assert!(cargo("third").contains("matrix-sdk = { git = \"https://example.org/matrix.git\" }"));
    let refused = fake.matrix(&["new", "four", "--sdk", "nowhere"]).ends(2);
    assert!(refused.stderr.contains("--sdk FOLDER"), "{}", refused.stderr);
    assert!(!fake.folder.path().join("four").exists());
}

#[test]
fn every_language_has_a_soul_and_its_sdk() {
    let fake = Fake::start();
    let named = [
        ("python", "requirements.txt", "-e file://", "[build]"),
        ("js", "package.json", "\"matrix-soul\": \"file:", "\""),
        ("c", "Makefile", "MATRIX_SDK ?= ", ""),
    ];
    for (lang, file, before, after) in named {
        fake.matrix(&["new", "--lang", lang, lang]).ends(0);
        let read = |file: &str| {
            std::fs::read_to_string(fake.folder.path().join(lang).join(file))
                .unwrap_or_else(|_| panic!("{file}"))
        };
        let sdk = format!("{}/../{lang}", env!("CARGO_MANIFEST_DIR"));
        let sdk = std::fs::canonicalize(sdk).expect("it is there");
        let line = format!("{before}{}{after}", sdk.display());
        assert!(read(file).contains(&line), "{lang}: {line}: {}", read(file));
        assert!(read("matrix.toml").contains(&format!("lang = \"{lang}\"")));
    }
    fake.matrix(&["new", "--lang", "python", "far", "--sdk", "git@example.org:a/matrix.git"]).ends(0);
    let far = std::fs::read_to_string(fake.folder.path().join("far/requirements.txt")).expect("it is made");
    assert!(far.contains("git+ssh://git@example.org/a/matrix.git#subdirectory=sdk/python"), "{far}");
    let refused = fake.matrix(&["new", "--lang", "python", "near", "--sdk", "https://a/$(id)"]).ends(2);
    assert!(refused.stderr.contains("no URL of a repository"), "{}", refused.stderr);
}

#[test]
fn what_cannot_be_built_or_tested_is_told_with_what_to_change() {
    let fake = Fake::start();
    for arguments in [&["new", "Bad"][..], &["new", "fn"], &["new", "x", "--lang", "cobol"], &["build"]] {
        fake.matrix(arguments).ends(2);
    }
    fake.file("a.wasm", "bytes");
    let refused = fake.matrix(&["test", "a.wasm"]);
    assert!(refused.stderr.contains("leave --node and --data-dir out"), "{}", refused.stderr);
    refused.ends(2);
}
