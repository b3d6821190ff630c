use super::*;
use crate::runtime::compile::tests::engine_config;
use crate::runtime::engine;
use crate::runtime::inspect::bombs::soul;
use crate::runtime::inspect::inspect;

/// A cache in a folder of its own, and what the compiler makes of the smallest Soul.
struct Bench {
    folder: tempfile::TempDir,
    engine: Engine,
    digest: Digest,
    facts: Facts,
}

impl Bench {
    fn new() -> Self {
        let engine = Engine::new(&engine::config(&engine_config())).expect("an engine");
        let facts =
            Facts { code: CodeHash::of(&soul()), info: info(), program: Bytes::from_static(b"a program") };
        Self { folder: tempfile::tempdir().expect("a folder"), engine, digest: Digest::of(&soul()), facts }
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join("compiled")
    }

    fn open(&self) -> ArtifactCache {
        ArtifactCache::open(self.dir(), self.engine.clone(), &InspectLimits::default()).expect("a cache")
    }

    fn fill(&self, cache: &ArtifactCache) {
        let output = cache.fresh_path();
        fs::write(&output, self.engine.precompile_component(&soul()).expect("compiles")).expect("written");
        cache.take_in(&self.facts.code, &output).expect("loads");
        cache.keep(&self.digest, &self.facts).expect("kept");
        assert!(!output.exists());
    }

    fn loads(&self, cache: &ArtifactCache) -> bool {
        let loaded = cache.load(&self.facts.code).expect("the disk works").is_some();
        self.knows(cache) && loaded
    }

    fn knows(&self, cache: &ArtifactCache) -> bool {
        let found = cache.facts(&self.digest).expect("the disk works");
        found.is_some_and(|found| found == self.facts)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it is there").permissions().mode() & 0o777
    }
}

fn info() -> ComponentInfo {
    inspect(&soul(), &InspectLimits::default()).expect("the smallest Soul is one")
}

#[test]
fn what_is_taken_in_is_loaded_also_after_a_restart() {
    let bench = Bench::new();
    let cache = bench.open();
    assert!(!bench.loads(&cache));
    bench.fill(&cache);
    assert!(bench.loads(&cache) && bench.loads(&bench.open()));
    assert_eq!((Bench::mode(&bench.dir()), Bench::mode(&bench.dir().join(KEY_FILE))), (0o700, 0o600));
    cache.remove(&bench.digest).expect("removed");
    cache.remove(&bench.digest).expect("nothing to remove");
    assert!(!bench.loads(&cache));
}

#[test]
fn what_was_changed_or_moved_is_removed_unused() {
    let bench = Bench::new();
    let cache = bench.open();
    let (code, facts) =
        (cache.path_of_code(&bench.facts.code), cache.path_of_facts(&bench.digest, &bench.facts.code));
    let spoil = |change: &dyn Fn(&mut Vec<u8>)| {
        for path in [&code, &facts] {
            bench.fill(&cache);
            let mut bytes = fs::read(path).expect("it is there");
            change(&mut bytes);
            fs::write(path, bytes).expect("written");
            assert!(!bench.loads(&cache));
            assert!(!path.exists());
        }
    };
    spoil(&|bytes| bytes[5] ^= 1);
    spoil(&|bytes| *bytes.last_mut().expect("a tag") ^= 1);
    spoil(&|bytes| bytes.truncate(bytes.len() - 1));
    spoil(&|bytes| bytes.truncate(TAG_BYTES - 1));
    spoil(&Vec::clear);
    // The right tag, but of another component, or of other code.
    bench.fill(&cache);
    let (other, another) = (CodeHash::of(b"another"), Digest::of(b"another"));
    fs::rename(code, cache.path_of_code(&other)).expect("moved");
    assert!(cache.load(&other).expect("the disk works").is_none());
    fs::rename(facts, cache.path_of_facts(&another, &bench.facts.code)).expect("moved");
    cache.known().insert(another, bench.facts.code);
    assert!(cache.facts(&another).expect("the disk works").is_none());
}

#[test]
fn code_goes_with_the_last_that_has_it() {
    let bench = Bench::new();
    let cache = bench.open();
    bench.fill(&cache);
    let (other, facts) = (Digest::of(b"another"), Facts { program: Bytes::new(), ..bench.facts.clone() });
    cache.keep(&other, &facts).expect("kept");
    cache.remove(&bench.digest).expect("removed");
    let cache = bench.open();
    assert_eq!(cache.info_of(&facts.code).expect("the disk works"), Some(info()));
    assert_eq!(cache.facts(&other).expect("the disk works"), Some(facts.clone()));
    assert!(cache.facts(&bench.digest).expect("the disk works").is_none());
    assert!(cache.load(&facts.code).expect("the disk works").is_some());
    cache.remove(&other).expect("removed");
    assert!(cache.file_bytes(&facts.code).is_none());
    assert_eq!(cache.info_of(&facts.code).expect("the disk works"), None);
    // Code that nothing is known to have goes when the cache is opened.
    bench.fill(&cache);
    fs::remove_file(cache.path_of_facts(&bench.digest, &facts.code)).expect("removed");
    assert!(bench.open().file_bytes(&facts.code).is_none());
}

#[test]
fn a_key_that_others_know_is_replaced_and_what_it_signed_is_not_used() {
    let bench = Bench::new();
    bench.fill(&bench.open());
    let key = bench.dir().join(KEY_FILE);
    let before = fs::read(&key).expect("a key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("made readable");
    let cache = bench.open();
    assert_ne!(fs::read(&key).expect("a key"), before);
    assert_eq!(Bench::mode(&key), 0o600);
    assert!(!bench.loads(&cache));
}

#[test]
fn opening_removes_what_is_unfinished_or_of_another_engine() {
    let bench = Bench::new();
    let cache = bench.open();
    bench.fill(&cache);
    let (partial, foreign) = (cache.fresh_path(), bench.dir().join("00-0123456789abcdef.cwasm"));
    for path in [&partial, &foreign] {
        fs::write(path, b"left over").expect("written");
    }
    let cache = bench.open();
    assert!(!partial.exists() && !foreign.exists());
    assert!(bench.loads(&cache));
}

#[test]
fn another_engine_fits_no_more_and_neither_do_other_limits() {
    let bench = Bench::new();
    let mut config = engine::config(&engine_config());
    config.consume_fuel(false);
    let other = Engine::new(&config).expect("an engine");
    let limits = InspectLimits::default();
    assert_ne!(fits(&bench.engine, &limits), fits(&other, &limits));
    assert_eq!(fits(&bench.engine, &limits), fits(&bench.engine.clone(), &limits));
    let stricter = InspectLimits { functions_max: 1, ..limits.clone() };
    assert_ne!(fits(&bench.engine, &limits), fits(&bench.engine, &stricter));
}

#[test]
fn what_does_not_fit_the_engine_is_not_taken_in() {
    let bench = Bench::new();
    let cache = bench.open();
    let output = cache.fresh_path();
    fs::write(&output, b"\x7fELF and no more").expect("written");
    assert!(matches!(cache.take_in(&bench.facts.code, &output), Err(CacheError::Load(_))));
    assert!(!output.exists() && !bench.loads(&cache));
}
