use std::time::SystemTime;

use super::*;

/// A folder that is shared, and a file to write to.
struct Place {
    folder: tempfile::TempDir,
    shared: Shared,
}

impl Place {
    fn new(bytes_max: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let shared = Shared::open(&folder.path().join("functions"), bytes_max).expect("it is made");
        Self { folder, shared }
    }

    fn output(&self) -> PathBuf {
        self.folder.path().join("output")
    }

    fn keep(&self, name: &Name, code: &[u8]) {
        fs::write(self.output(), code).expect("written");
        self.shared.keep(name, &self.output()).expect("kept");
    }

    fn find(&self, name: &Name) -> Option<Vec<u8>> {
        let found = self.shared.find(name, &self.output()).expect("the disk works");
        found.map(|bytes| {
            let code = fs::read(self.output()).expect("it was written");
            assert_eq!(code.len() as u64, bytes);
            code
        })
    }

    fn files(&self) -> usize {
        fs::read_dir(&self.shared.dir).expect("a folder").count()
    }
}

fn ago(time: Duration) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(clock::now_ms()) - time
}

fn name(of: &[u8]) -> Name {
    blake3::hash(of)
}

#[test]
fn what_one_has_compiled_others_find() {
    let place = Place::new(1_000);
    assert_eq!(place.find(&name(b"one")), None);
    place.keep(&name(b"one"), b"code of one");
    place.keep(&name(b"two"), b"");
    let other = Place {
        shared: Shared::open(&place.folder.path().join("functions"), 1_000).expect("it is there"),
        ..place
    };
    assert_eq!(other.find(&name(b"one")).as_deref(), Some(&b"code of one"[..]));
    assert_eq!(other.find(&name(b"two")).as_deref(), Some(&b""[..]));
}

#[test]
fn what_others_wrote_or_moved_is_not_found_and_goes() {
    let place = Place::new(1_000);
    let (one, two) = (name(b"one"), name(b"two"));
    for spoil in [
        (|file: &mut Vec<u8>| file[3] ^= 1) as fn(&mut Vec<u8>),
        |file| *file.last_mut().expect("a tag") ^= 1,
        |file| file.truncate(40),
        |file| file.truncate(31),
        Vec::clear,
    ] {
        place.keep(&one, b"code of one");
        let path = place.shared.path(&one);
        let mut file = fs::read(&path).expect("it is there");
        spoil(&mut file);
        fs::write(&path, file).expect("written");
        assert_eq!(place.find(&one), None);
        assert_eq!(place.files(), 0);
    }
    place.keep(&one, b"code of one");
    fs::rename(place.shared.path(&one), place.shared.path(&two)).expect("moved");
    assert_eq!(place.find(&two), None);
    // The key of functions, which compile children are told, makes no tag that is right here.
    let functions = super::super::functions::FunctionStore::open(place.folder.path().join("functions"), 1)
        .expect("it is there");
    assert_ne!(*functions.key(), place.shared.key);
}

#[test]
fn what_was_of_no_use_for_the_longest_time_goes() {
    let place = Place::new(3 * 132);
    let code = [7; 100];
    let names = [b"a", b"b", b"c", b"d"].map(|of| name(of));
    for (age, name) in (1..=3).rev().zip(&names) {
        place.keep(name, &code);
        let file = File::options().append(true).open(place.shared.path(name)).expect("it is there");
        file.set_modified(ago(Duration::from_secs(age * 60))).expect("set");
    }
    assert!(place.find(&names[0]).is_some(), "it is of use, and stays");
    place.keep(&names[3], &code);
    assert_eq!(names.map(|name| place.find(&name).is_some()), [true, false, true, true]);
    place.keep(&name(b"large"), &[7; 3 * 132]);
    assert_eq!(
        (place.find(&name(b"large")), place.files()),
        (None, 3),
        "what is too large takes nobody's place"
    );
    // What somebody was writing who is gone.
    let partial = place.shared.dir.join("x.part");
    let file = File::create(&partial).expect("made");
    file.set_modified(ago(ABANDONED * 2)).expect("set");
    place.keep(&names[1], &code);
    assert!(!partial.exists());
    assert_eq!(place.files(), 3);
}
