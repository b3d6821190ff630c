use std::time::Duration;

use bytes::Bytes;
use wasm_encoder::{ComponentSection as _, CustomSection};

use super::*;
use crate::runtime::cache::CODE_SUFFIX;
use crate::runtime::compile::tests::{config, engine_config};
use crate::runtime::engine;
use crate::runtime::inspect::Kind;
use crate::runtime::inspect::bombs::{SOUL, assemble, component, laborious, soul, soul_beside};

struct Bench {
    folder: tempfile::TempDir,
    components: Components,
}

impl Bench {
    fn new(change: impl FnOnce(&mut ComponentsConfig)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let components = Self::open(folder.path(), change);
        Self { folder, components }
    }

    fn open(data: &Path, change: impl FnOnce(&mut ComponentsConfig)) -> Components {
        let mut settings = ComponentsConfig { compiler: config(), ..Default::default() };
        change(&mut settings);
        let engine = Engine::new(&engine::config(&engine_config())).expect("an engine");
        Components::open(data, settings, engine, &engine_config()).expect("opens")
    }

    async fn put(&self, bytes: Vec<u8>) -> Digest {
        let mut upload = self.components.store().begin_upload(None, None).await.expect("begun");
        upload.write(Bytes::from(bytes)).await.expect("written");
        upload.finish().await.expect("stored").0
    }

    fn compiled(&self) -> usize {
        let files = std::fs::read_dir(self.folder.path().join(COMPILED_DIR)).expect("a folder");
        let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
        names.filter(|name| name.ends_with(CODE_SUFFIX)).count()
    }
}

/// A compiler that must not be called.
fn no_compiler(config: &mut ComponentsConfig) {
    config.compiler.program = "/nowhere".into();
}

#[tokio::test]
async fn compiled_once_kept_in_memory_and_on_disk() {
    let bench = Bench::new(|_| {});
    let digest = bench.put(soul()).await;
    let (first, second) = tokio::join!(bench.components.admit(digest), bench.components.admit(digest));
    let (first, second) = (first.expect("admitted"), second.expect("admitted"));
    assert!(Arc::ptr_eq(&first, &second));
    assert!(first.compile_us > 0);
    assert_eq!((first.digest, first.info.kind, bench.compiled()), (digest, Kind::Soul, 1));
    let again = Bench::open(bench.folder.path(), no_compiler).admit(digest).await.expect("from the disk");
    assert_eq!((again.compile_us, &again.info), (0, &first.info));
}

/// The smallest Soul that is an interpreter, with its program.
fn running(program: &str) -> Vec<u8> {
    let mut bytes = component("(import \"matrix:node/program@0.1.0\" (instance))", SOUL);
    let section = CustomSection { name: "matrix:program".into(), data: program.as_bytes().into() };
    section.append_to_component(&mut bytes);
    bytes
}

#[tokio::test]
async fn programs_of_one_interpreter_share_what_was_compiled_of_it() {
    let bench = Bench::new(|_| {});
    let (first, second) = (bench.put(running("first")).await, bench.put(running("and second")).await);
    let of_first = bench.components.admit(first).await.expect("admitted");
    assert!(of_first.compile_us > 0);
    // As after a restart, with no compiler: what is on disk will do, whether one of them is in memory or not.
    let again = Bench::open(bench.folder.path(), no_compiler);
    let of_second = again.admit(second).await.expect("nothing is compiled");
    let of_first = again.admit(first).await.expect("nothing is compiled");
    assert_eq!([&*of_first.program, &*of_second.program], [&b"first"[..], b"and second"]);
    assert_eq!([of_first.info.bytes + 5, of_second.compile_us], [of_second.info.bytes, 0]);
    assert!(Arc::ptr_eq(&of_first.machine, &of_second.machine));
    let used = of_first.machine._room.bytes() + of_first._room.bytes() + of_second._room.bytes();
    assert_eq!((bench.compiled(), again.code().used(), of_first._room.bytes()), (1, used, 5));
    assert!(again.remove(first).await.expect("removed"));
    assert_eq!(bench.compiled(), 1);
    assert!(again.remove(second).await.expect("removed"));
    assert_eq!(bench.compiled(), 0);
    // What is no interpreter reads no program, and keeps none.
    let mut plain = soul();
    CustomSection { name: "matrix:program".into(), data: b"none".into() }.append_to_component(&mut plain);
    let plain = bench.put(plain).await;
    assert_eq!(bench.components.admit(plain).await.expect("admitted").program, Bytes::new());
}

#[tokio::test]
async fn nodes_that_share_a_folder_compile_once() {
    let functions = tempfile::tempdir().expect("a folder");
    let shares = |config: &mut ComponentsConfig| {
        config.compiler.functions_dir = Some(functions.path().to_owned());
    };
    let one = Bench::new(shares);
    let digest = one.put(soul()).await;
    assert!(one.components.admit(digest).await.expect("admitted").compile_us > 0);
    let nobody = |config: &mut ComponentsConfig| {
        shares(config);
        no_compiler(config);
    };
    let other = Bench::new(nobody);
    other.put(soul()).await;
    assert_eq!(other.components.admit(digest).await.expect("nothing is compiled").compile_us, 0);
    // One that lets other things in may not take up what this one let in.
    let stricter = Bench::new(|config| {
        nobody(config);
        config.inspect.modules_max -= 1;
    });
    stricter.put(soul()).await;
    let error = stricter.components.admit(digest).await.expect_err("nobody compiles it");
    assert!(matches!(error, AdmitError::Compile(CompileError::Start { .. })), "{error}");
    // What is of no use is compiled anew, and shared from then on.
    let (useless, another) = (functions.path().join("useless"), Bench::new(shares));
    let code = Outline::of(&soul(), &InspectLimits::default()).expect("a component").code;
    std::fs::write(&useless, b"\x7fELF and no more").expect("written");
    let name = another.components.cache.shared_name(&code);
    another.components.shared.as_ref().expect("it shares").keep(&name, &useless).expect("kept");
    another.put(soul()).await;
    assert!(another.components.admit(digest).await.expect("admitted").compile_us > 0);
    let last = Bench::new(nobody);
    last.put(soul()).await;
    assert_eq!(last.components.admit(digest).await.expect("nothing is compiled").compile_us, 0);
}

#[tokio::test]
async fn what_is_refused_is_never_compiled() {
    let bench = Bench::new(no_compiler);
    for bytes in [assemble("(module)"), b"\x7fELF".to_vec(), assemble("(component)")] {
        let digest = bench.put(bytes).await;
        let error = bench.components.admit(digest).await.expect_err("no Soul");
        assert!(matches!(error, AdmitError::Refused(_)), "{error}");
    }
    let unknown = Digest::of(b"never uploaded");
    let error = bench.components.admit(unknown).await.expect_err("not there");
    assert!(matches!(error, AdmitError::Store(StoreError::Unknown(digest)) if digest == unknown), "{error}");
    assert_eq!(bench.compiled(), 0);
}

#[tokio::test]
async fn a_bomb_is_stopped_leaves_nothing_and_may_be_tried_again() {
    let bench = Bench::new(|config| config.compiler.cpu_seconds_max = 1);
    let digest = bench.put(soul_beside(&laborious(400, 4_000))).await;
    for _ in 0..2 {
        let error = bench.components.admit(digest).await.expect_err("a bomb");
        assert!(matches!(error, AdmitError::Compile(CompileError::Cpu(1))), "{error}");
    }
    assert_eq!(bench.compiled(), 0);
}

#[tokio::test]
async fn who_gives_up_does_not_stop_the_others() {
    let bench = Bench::new(|_| {});
    let digest = bench.put(soul()).await;
    let mut impatient = Box::pin(bench.components.admit(digest));
    assert!(futures::poll!(&mut impatient).is_pending());
    let patient = bench.components.admit(digest);
    let (admitted, ()) = tokio::join!(patient, async { drop(impatient) });
    admitted.expect("the second takes the work over");
}

#[tokio::test]
async fn memory_holds_no_more_than_it_should_and_what_is_removed_is_gone() {
    let bench = Bench::new(|config| config.loaded_max = 1);
    let first = bench.put(soul()).await;
    let second = bench.put(soul_beside(&laborious(1, 8))).await;
    let in_use = bench.components.admit(first).await.expect("admitted");
    bench.components.admit(second).await.expect("admitted");
    assert_eq!(bench.components.loaded().slots.len(), 1);
    let again = bench.components.admit(first).await.expect("admitted");
    assert!(!Arc::ptr_eq(&in_use, &again) && again.compile_us == 0);
    assert!(bench.components.remove(first).await.expect("removed"));
    assert!(!bench.components.remove(first).await.expect("nothing to remove"));
    assert_eq!((bench.components.loaded().slots.len(), bench.compiled()), (0, 1));
    assert!(bench.components.admit(first).await.is_err());
}

#[tokio::test]
async fn a_child_that_hangs_is_ended_by_the_clock() {
    let bench = Bench::new(|config| {
        config.compiler.program = "/bin/sh".into();
        config.compiler.arguments = vec!["-c".into(), "exec sleep 60".into()];
        config.compiler.wall_seconds_max = 1;
    });
    let digest = bench.put(soul()).await;
    let ended = tokio::time::timeout(Duration::from_secs(20), bench.components.admit(digest)).await;
    assert!(matches!(ended, Ok(Err(AdmitError::Compile(CompileError::Wall(1))))));
}
