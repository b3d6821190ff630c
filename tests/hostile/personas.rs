//! Who a Soul is changes while it lives: it is born anew, with its state and its mailbox.

use std::time::Duration;

use matrix_tests::node::{TestNode, manifest, name};
use matrixd::souls::manifest::{Mode, Persona};
use matrixd::souls::swap::Cause;

const TURN: Duration = Duration::from_secs(5);

fn persona(description: &str, honesty: f32) -> Persona {
    let values = vec![("honesty".to_owned(), honesty)];
    Persona { description: description.to_owned(), values, ..Persona::default() }
}

async fn says(node: &TestNode, question: &str, answer: &str) {
    assert_eq!(node.ask("diarist", question).await.as_deref(), Ok(answer), "{question}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_soul_becomes_somebody_else_with_its_state_and_back() {
    for mode in [Mode::Checkpoint, Mode::Turn] {
        let node = TestNode::start().await;
        let mut first = manifest("diarist", node.program("diarist").await, &[]);
        first.durability.mode = mode;
        first.persona = persona("kind", 1.0);
        node.spawn(first.clone()).await.expect("it behaves until told");
        says(&node, "who", "kind 1").await;
        let (soul, souls) = (name("diarist"), node.node().souls().clone());
        let mut watch = node.watch("diarist");
        let set = souls.set_persona(&soul, persona("sly", -0.5), TURN).await.expect("it is born anew");
        assert_eq!((set.changed, set.version.number, set.version.cause), (true, 2, Cause::Persona));
        assert_eq!(set.version.component, first.component, "the code is the same");
        watch.event("soul.persona-set").await;
        says(&node, "who", "sly -0.5").await;
        says(&node, "turns", "3").await;
        // The same again changes nothing; what is wrong leaves it as it was.
        let same = souls.set_persona(&soul, persona("sly", -0.5), TURN).await.expect("nothing is done");
        assert!(!same.changed, "{same:?}");
        let wrong = souls.set_persona(&soul, persona("sly", 1.5), TURN).await.expect_err("too honest");
        assert!(wrong.to_string().contains("`persona.values`"), "{wrong}");
        // A manifest that says so does the same.
        let next = manifest_with(&first, persona("wise", 0.25));
        node.spawn(next).await.expect("it is born anew");
        says(&node, "who", "wise 0.25").await;

        let node = node.restart_with(|_| {}).await;
        says(&node, "who", "wise 0.25").await;
        let souls = node.node().souls().clone();
        let back = souls.roll_back(&soul, false, TURN).await.expect("it was somebody else before");
        assert_eq!((back.version.number, back.version.cause), (4, Cause::Rollback));
        says(&node, "who", "sly -0.5").await;
        let causes = souls.history(&soul).await.expect("it is known").list;
        let causes: Vec<_> = causes.iter().map(|version| version.cause).collect();
        assert_eq!(causes, [Cause::Spawn, Cause::Persona, Cause::Persona, Cause::Rollback]);
        // One that is stopped is somebody else when it is spawned again.
        souls.stop(&soul, None).await.expect("it stops");
        souls.set_persona(&soul, persona("old", 0.0), TURN).await.expect("it is taken up at rest");
        let stopped = (*node.view("diarist").manifest).clone();
        assert_eq!(stopped.persona, persona("old", 0.0));
        node.spawn(stopped).await.expect("it comes back");
        says(&node, "who", "old 0").await;
        node.stop().await;
    }
}

fn manifest_with(
    manifest: &matrixd::souls::manifest::Manifest,
    persona: Persona,
) -> matrixd::souls::manifest::Manifest {
    matrixd::souls::manifest::Manifest { persona, ..manifest.clone() }
}
