//! The house's walls, held by reading the tree: who may name whom, how large things may be, and what
//! must not be written anywhere. Each rule has a sample that breaks it, so that it can be seen to fail.

#[path = "tidy/interfaces.rs"]
mod interfaces;
#[path = "tidy/mutants.rs"]
mod mutants;
#[path = "tidy/released.rs"]
mod released;
#[path = "tidy/rust.rs"]
mod rust;
#[path = "tidy/tree.rs"]
mod tree;
#[path = "tidy/walls.rs"]
mod walls;
#[path = "tidy/words.rs"]
mod words;

use tree::{File, assert_none, files, read};

/// The most lines in a source file. One that grows beyond it has two ideas: give each a file.
const FILE_LINES_MAX: usize = 400;

/// Where sources are that people write.
const SOURCES: [&str; 5] = ["host", "proto", "sdk", "tests", "guests"];

#[test]
fn rooms_name_only_rooms_below() {
    let found = rust_files(&["host/src"]).iter().flat_map(walls::imports_upward).collect();
    assert_none(found, "own the trait or the channel below, bring the body above, join them in node.rs");
}

#[test]
fn libraries_stay_in_their_rooms() {
    let found = rust_files(&["host/src"]).iter().flat_map(walls::crates_outside).collect();
    assert_none(found, "use it through the room that owns it, which translates types and errors");
}

#[test]
fn tasks_are_spawned_in_one_place() {
    let found = rust_files(&["host/src"]).iter().flat_map(walls::spawns).collect();
    assert_none(found, "use `Tasks::spawn`: it names the task, waits for it, and tells it to stop");
}

#[test]
fn every_channel_is_bounded() {
    let found = rust_files(&["host/src", "sdk"]).iter().flat_map(walls::unbounded).collect();
    assert_none(found, "give the channel a bound, and say what happens when it is full");
}

#[test]
fn no_jump_of_the_wall_clock_reaches_votes_leases_and_links() {
    let found = rust_files(&["host/src"]).iter().flat_map(walls::reads_the_clock).collect();
    assert_none(found, "use `Instant`: an operator, or NTP, may set the wall clock by a year");
}

#[test]
fn source_files_are_short() {
    let found =
        rust_files(&SOURCES).iter().filter_map(|file| words::too_long(file, FILE_LINES_MAX)).collect();
    assert_none(found, "it holds two ideas: give each a file");
}

#[test]
fn functions_are_short_because_clippy_says_so() {
    let settings = read("clippy.toml");
    assert!(settings.lines().any(|line| line == "too-many-lines-threshold = 70"), "clippy.toml: restore it");
    let lints = read("Cargo.toml");
    assert!(lints.lines().any(|line| line.starts_with("too_many_lines =")), "Cargo.toml: restore the lint");
}

#[test]
fn every_item_of_the_wit_is_documented() {
    let found = sound(files(&["wit"], &["wit"])).iter().flat_map(interfaces::undocumented_wit).collect();
    assert_none(found, "put a `///` line above it that says what it means to a component's author");
}

#[test]
fn every_item_of_the_proto_is_documented() {
    let found =
        sound(files(&["proto"], &["proto"])).iter().flat_map(interfaces::undocumented_proto).collect();
    assert_none(found, "put a `//` line above it that says what it means to a caller");
}

#[test]
fn what_was_released_still_stands() {
    let change =
        "leave it as it was and add beside it; or say why in tests/released/breaks.txt, as its top tells";
    assert_none(released::broken(), change);
}

#[test]
fn every_imported_interface_has_its_file() {
    let missing = interfaces::capabilities(&tree::root().join("wit"))
        .into_iter()
        .filter(|name| !tree::has_module("host/src/capabilities", name))
        .map(|name| format!("host/src/capabilities/{name}.rs: missing, and the WIT imports `{name}`"))
        .collect();
    assert_none(missing, "names rhyme: one file for each imported interface, or WASI package");
}

#[test]
fn every_mutant_applies() {
    let sources = rust_files(&SOURCES);
    let mutants = sound(files(&["tests/mutants"], &["patch"]));
    let found = mutants.iter().flat_map(|mutant| mutants::broken(mutant, &sources)).collect();
    assert_none(found, "make the patch anew: the same promise, broken in the code as it is now");
}

#[test]
fn nothing_is_left_for_later() {
    let found = sound(files(&["."], &words::TEXTS)).iter().flat_map(words::left_for_later).collect();
    assert_none(found, "do it, or leave it out");
}

#[test]
fn no_machine_is_named() {
    let found = sound(files(&["."], &words::TEXTS)).iter().flat_map(words::machine_paths).collect();
    assert_none(found, "write a path relative to the project, or a variable such as $HOME");
}

#[test]
fn file_names_are_plain() {
    let found = sound(files(&["."], &words::TEXTS)).iter().filter_map(words::odd_name).collect();
    assert_none(found, "use ASCII letters, digits, `-`, `_` and `.`");
}

fn rust_files(folders: &[&str]) -> Vec<File> {
    sound(files(folders, &["rs"]))
}

/// A rule that saw no file would pass for ever.
fn sound(files: Vec<File>) -> Vec<File> {
    assert!(!files.is_empty(), "the rule found nothing to read: mend its folders");
    files
}
