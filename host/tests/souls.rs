//! A node in this process, real Souls in it: from upload to answer, and what outlives a restart.

use std::path::{Path, PathBuf};
use std::time::Duration;

use matrixd::config::Config;
use matrixd::ids::{ComponentName, Digest, SoulName};
use matrixd::node::Node;
use matrixd::runtime::limits::LimitsConfig;
use matrixd::souls::manifest::Manifest;
use matrixd::souls::status::State;
use matrixd::transport::envelope::{Address, Content, SendError};
use matrixd::transport::router::Draft;

fn config(folder: &Path) -> Config {
    let mut config = Config { data_dir: folder.to_owned(), ..Config::default() };
    config.components.compiler.program = PathBuf::from(env!("CARGO_BIN_EXE_matrixd"));
    config.engine.live_instances_max = 100;
    // Nobody calls these nodes, and several run at once.
    config.admin.listen = None;
    config.admin.http = None;
    config
}

fn guest(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests/out").join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|_| panic!("{} is missing: run `make guests`", path.display()))
}

async fn upload(node: &Node, name: &str) -> Digest {
    let store = node.catalog().components().store();
    let mut upload = store.begin_upload(None, None).await.expect("an upload");
    upload.write(guest(name).into()).await.expect("few bytes");
    let (digest, _) = upload.finish().await.expect("whole bytes");
    let name: ComponentName = name.parse().expect("a name");
    node.catalog().admit(digest, Some(name), None).await.expect("a good component");
    digest
}

fn manifest(name: &str, component: Digest) -> Manifest {
    let name: SoulName = name.parse().expect("a name");
    Manifest {
        placement: Default::default(),
        learning: Default::default(),
        memory: Default::default(),
        component,
        persona: Default::default(),
        config: Default::default(),
        grants: Default::default(),
        limits: LimitsConfig::ASK_NOTHING,
        durability: Default::default(),
        seed: Manifest::seed_of(&name),
        name,
    }
}

async fn ask(node: &Node, soul: &str, text: &str) -> Result<String, SendError> {
    let draft = Draft {
        sender: "client:test".parse().expect("an address"),
        recipient: Address::Soul(soul.parse().expect("a name")),
        content: Content { content_type: "text/plain".into(), body: text.to_owned().into() },
        in_reply_to: None,
        hops: 0,
        trace: None,
    };
    let answer = node.router().ask(draft, Duration::from_secs(30)).await?;
    let body = answer.content.expect("a reply").body;
    Ok(String::from_utf8(body.to_vec()).expect("text"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uploaded_soul_answers() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(config(folder.path())).await.expect("a node");
    let digest = upload(&node, "echo").await;
    assert_eq!(node.catalog().resolve("echo").await.expect("a known name"), digest);
    let soul = node.souls().spawn(manifest("neo", digest), None).await.expect("a Soul");
    assert_eq!(soul.state, State::Running);
    assert_eq!(ask(&node, "neo", "hello").await, Ok("hello".into()));
    let nobody = ask(&node, "smith", "hello").await;
    assert!(matches!(nobody, Err(SendError::UnknownRecipient(_))), "{nobody:?}");
    node.stop().await.expect("an end in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_every_soul_with_its_state() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(config(folder.path())).await.expect("a node");
    let digest = upload(&node, "counter").await;
    for name in ["one", "two", "three"] {
        node.souls().spawn(manifest(name, digest), None).await.expect("a Soul");
    }
    assert_eq!(ask(&node, "one", "add 41").await, Ok("41".into()));
    assert_eq!(ask(&node, "one", "add 1").await, Ok("42".into()));
    let two: SoulName = "two".parse().expect("a name");
    node.souls().stop(&two, None).await.expect("a stopped Soul");
    node.stop().await.expect("an end in time");

    let node = Node::start(config(folder.path())).await.expect("the same node");
    let states: Vec<_> = node.souls().list(None, "", 9).into_iter().map(|soul| soul.state).collect();
    assert_eq!(states, [State::Passive, State::Passive, State::Stopped]);
    assert_eq!(ask(&node, "one", "get").await, Ok("42".into()));
    let stopped = ask(&node, "two", "get").await;
    assert!(matches!(stopped, Err(SendError::UnknownRecipient(_) | SendError::Failed(_))), "{stopped:?}");
    node.souls().spawn(manifest("two", digest), None).await.expect("a Soul that runs again");
    assert_eq!(ask(&node, "two", "get").await, Ok("0".into()));
    node.stop().await.expect("an end in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_soul_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::start(config(folder.path())).await.expect("a node");
    let digest = upload(&node, "counter").await;
    node.souls().spawn(manifest("one", digest), None).await.expect("a Soul");
    ask(&node, "one", "add 5").await.expect("an answer");
    let one: SoulName = "one".parse().expect("a name");
    node.souls().checkpoint(&one).await.expect("a checkpoint");
    node.souls().delete(&one, None).await.expect("no Soul any more");
    assert_eq!((node.souls().count(), node.souls().users_of(digest)), (0, 0));
    node.souls().spawn(manifest("one", digest), None).await.expect("a new Soul");
    assert_eq!(ask(&node, "one", "get").await, Ok("0".into()), "the old state is gone");
    node.stop().await.expect("an end in time");
}
