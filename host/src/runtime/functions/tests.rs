use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// A folder of functions, and of what children write.
struct Place {
    folder: TempDir,
    store: FunctionStore,
}

impl Place {
    fn new(bytes_max: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = FunctionStore::open(folder.path().join("kept"), bytes_max).expect("a store");
        Self { folder, store }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.store.dir.join(name)
    }

    fn output(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn borrowed(&self) -> Borrowed {
        Borrowed::open(&self.store.loan(u64::MAX), *self.store.key(), &self.output()).expect("lent")
    }

    /// A child that asks for these functions, and makes those that it is not given; which it was given.
    fn compile(&self, functions: &[(u8, &[u8])]) -> (Vec<bool>, Tally) {
        let borrowed = self.borrowed();
        let given = functions.iter().map(|(function, code)| match borrowed.get(&name(*function)) {
            Some(given) => {
                assert_eq!(&*given, *code, "the code of another");
                true
            }
            None => !borrowed.insert(&name(*function), code.to_vec()),
        });
        let given = given.collect();
        borrowed.finish().expect("written");
        drop(borrowed);
        let tally = self.store.take_in(&self.output()).expect("taken in");
        assert!(!brought_beside(&self.output()).exists());
        (given, tally)
    }

    fn bytes(&self) -> u64 {
        let length = |name| fs::metadata(self.file(name)).map_or(0, |file| file.len());
        length(YOUNG) + length(OLD)
    }
}

fn name(function: u8) -> Name {
    [function; NAME_BYTES]
}

#[test]
fn what_was_compiled_once_is_given() {
    let place = Place::new(1 << 20);
    assert_eq!(place.compile(&[(1, b"one"), (2, b"two")]), (vec![false; 2], Tally { found: 0, made: 2 }));
    let all = [(1, &b"one"[..]), (3, b""), (2, b"two")];
    assert_eq!(place.compile(&all), (vec![true, false, true], Tally { found: 2, made: 1 }));
    assert_eq!(place.compile(&all).0, [true; 3]);
    // Another process, and another node of this user.
    let store = FunctionStore::open(place.store.dir.clone(), 1 << 20).expect("a store");
    assert_eq!(Place { store, ..place }.compile(&all).0, [true; 3]);
}

#[test]
fn what_changed_on_the_disk_or_has_another_key_is_compiled_anew_and_then_given_again() {
    let place = Place::new(1 << 20);
    place.compile(&[(1, b"one"), (2, b"two")]);
    let mut bytes = fs::read(place.file(YOUNG)).expect("the file");
    bytes[HEAD_BYTES] ^= 1;
    fs::write(place.file(YOUNG), bytes).expect("written");
    assert_eq!(place.compile(&[(1, b"one"), (2, b"two")]).0, [false, true]);
    assert_eq!(place.compile(&[(1, b"one"), (2, b"two")]).0, [true, true]);
    fs::write(place.file("key"), [7; TAG_BYTES]).expect("written");
    let store = FunctionStore::open(place.store.dir.clone(), 1 << 20).expect("a store");
    assert_eq!(Place { store, ..place }.compile(&[(1, b"one"), (2, b"two")]).0, [false, false]);
}

#[test]
fn what_is_torn_hides_nothing_that_comes_later() {
    let place = Place::new(1 << 20);
    place.compile(&[(1, b"one"), (2, b"two")]);
    let whole = fs::read(place.file(YOUNG)).expect("the file");
    for cut in 0..whole.len() {
        fs::write(place.file(YOUNG), &whole[..cut]).expect("written");
        let first_is_there = cut >= HEAD_BYTES + 3;
        let given = place.compile(&[(1, b"one"), (2, b"two"), (3, b"three")]).0;
        assert_eq!(given, [first_is_there, false, false], "cut at {cut}");
        assert_eq!(place.compile(&[(1, b"one"), (2, b"two"), (3, b"three")]).0, [true; 3], "cut at {cut}");
    }
}

#[test]
fn what_nobody_needs_goes_and_what_is_needed_stays() {
    const RECORD: u64 = HEAD_BYTES as u64 + 100;
    // Four in each file.
    let place = Place::new(8 * RECORD);
    let code = [7; 100];
    place.compile(&[(0, &code), (255, &code)]);
    for function in 1..50 {
        // One is needed each time, the other never.
        assert_eq!(place.compile(&[(0, &code), (function, &code)]).0, [true, false]);
        assert!(place.bytes() <= 8 * RECORD, "{} bytes", place.bytes());
    }
    assert_eq!(place.compile(&[(255, &code), (49, &code)]).0, [false, true]);
}

#[test]
fn one_component_brings_no_more_than_one_file_may_have() {
    let place = Place::new(10_000);
    let code = [7; 1_000];
    let functions: Vec<(u8, &[u8])> = (0..20).map(|function| (function, &code[..])).collect();
    for _ in 0..5 {
        place.compile(&functions);
        assert!(place.bytes() <= 10_000, "{} bytes", place.bytes());
    }
    let borrowed =
        Borrowed::open(&place.store.loan(1_500), *place.store.key(), &place.output()).expect("lent");
    for function in 100..110 {
        borrowed.insert(&name(function), code.to_vec());
    }
    borrowed.finish().expect("written");
    let brought = fs::metadata(brought_beside(&place.output())).expect("a file").len();
    assert!((1_000..1_600).contains(&brought), "{brought} bytes");
}

#[test]
fn its_files_are_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new(1 << 20);
    place.compile(&[(1, b"one")]);
    for file in [YOUNG, LOCK, "key"] {
        let mode = fs::metadata(place.file(file)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file}: {mode:o}");
    }
}

proptest! {
    #[test]
    fn any_bytes_for_a_file_give_no_code(bytes in prop::collection::vec(any::<u8>(), 0..400), length in any::<u32>()) {
        let place = Place::new(1 << 20);
        let mut crafted = [name(1).as_slice(), &[0; TAG_BYTES], &length.to_le_bytes()].concat();
        crafted.extend(&bytes);
        for file in [&bytes, &crafted] {
            fs::write(place.file(YOUNG), file).expect("written");
            fs::write(place.file(OLD), file).expect("written");
            prop_assert_eq!(place.compile(&[(1, b"one")]).0, [false]);
            prop_assert_eq!(place.compile(&[(1, b"one")]).0, [true]);
        }
    }
}
