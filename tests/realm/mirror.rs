//! A Soul that learns how somebody writes: what it was taught it knows after its node has ended and begun again, and
//! after its code was swapped; and it is trained as other Souls are.

use serde_json::{Value, json};

use crate::processes::{PATIENCE, Realm, root};

/// What it is asked before and after.
const QUESTIONS: [&str; 5] = [
    "ask what was the name of her father?",
    "What do you know of gardens?",
    "page 2",
    "cost She liked it.",
    "about",
];

fn answers(realm: &Realm) -> Vec<String> {
    let answer =
        |question: &&str| realm.ask(1, "mirror", question).unwrap_or_else(|why| panic!("{question}: {why}"));
    QUESTIONS.iter().map(answer).collect()
}

/// The first `bytes` of a novel, in lessons that end with a paragraph.
fn lessons(bytes: usize) -> Vec<String> {
    let path = root().join("guests/models/writing/tests/data/austen.txt");
    let text = std::fs::read_to_string(path).expect("a text of this project");
    let mut lessons = vec![String::new()];
    for paragraph in text[..bytes].split("\n\n") {
        let full = lessons.last().is_some_and(|lesson| lesson.len() > 6_000);
        if full {
            lessons.push(String::new());
        }
        if let Some(lesson) = lessons.last_mut() {
            lesson.push_str(paragraph);
            lesson.push_str("\n\n");
        }
    }
    lessons
}

#[test]
fn a_mirror_says_the_same_after_a_restart_and_after_a_swap() {
    let mut realm = Realm::start(1);
    let manifest =
        std::fs::read_to_string(root().join("guests/worlds/mirror.toml")).expect("the manifest is there");
    realm.apply(1, &manifest);
    let lessons = lessons(20_000);
    assert!(lessons.len() >= 3);
    for lesson in &lessons {
        let learnt = realm.ask(1, "mirror", &format!("teach\n{lesson}")).expect("it learns");
        assert!(learnt.starts_with("learnt "), "{learnt}");
    }
    let before = answers(&realm);
    assert!(before[0].contains("Richard"), "{before:?}");

    realm.stop(1, PATIENCE);
    realm.restart(1);
    assert_eq!(answers(&realm), before);

    // The same code, as another component: a custom section tells them apart.
    let mut code = std::fs::read(root().join("guests/out/mirror.wasm")).expect("guests are built");
    code.extend([0, 6, 5]);
    code.extend(b"again");
    let path = realm.data(1).join("again.wasm");
    std::fs::write(&path, code).expect("our own folder");
    let path = path.to_str().expect("a path of ours");
    realm.matrix(1, &["components", "push", path, "--name", "mirror-again"]).ok();
    realm.matrix(1, &["souls", "swap", "mirror", "mirror-again"]).ok();
    assert_eq!(answers(&realm), before);

    train(&realm);
    compare(&realm);
}

/// What is answered to these is known once it is trained on, which a few of them never are.
const PETS: [&str; 12] = [
    "Ada", "Bruno", "Clara", "Dora", "Emil", "Frieda", "Gustav", "Hedwig", "Ida", "Jakob", "Karla", "Ludwig",
];

/// Others, which a second lesson is about in the same words.
const MORE: [&str; 24] = [
    "Albin",
    "Berta",
    "Cosima",
    "Dietrich",
    "Elsbeth",
    "Ferdinand",
    "Greta",
    "Hannes",
    "Ilse",
    "Johann",
    "Käthe",
    "Lorenz",
    "Mathilde",
    "Norbert",
    "Ottilie",
    "Paul",
    "Regina",
    "Sepp",
    "Therese",
    "Ulrich",
    "Veronika",
    "Walter",
    "Xaver",
    "Zita",
];

/// Teaches it which pet lives with them, and waits until it was trained on that; how its lessons went.
fn lesson(realm: &Realm, names: &[&str]) -> Value {
    let line = |name: &&str| {
        format!(
            "{{\"input\":\"Which pet has {name}?\",\"output\":\"A hamster lives with {name}, I was told.\"}}\n"
        )
    };
    let path = realm.data(1).join("pets.jsonl");
    std::fs::write(&path, names.iter().map(line).collect::<String>()).expect("our own folder");
    let path = path.to_str().expect("a path of ours");
    realm.matrix(1, &["teach", "mirror", "--file", path]).ok();
    realm.matrix(1, &["train", "mirror", "--now", "--watch"]).ok();
    realm.until(1, &["train", "mirror"], |told| told["waiting"] == 0)
}

/// After one more lesson it is better, measured by the same that is held out.
fn compare(realm: &Realm) {
    lesson(realm, &MORE);
    let told = realm.matrix(1, &["souls", "diff", "mirror", "1", "2"]).ok().json();
    let loss =
        |side: usize| told["lessons"][side]["figures"]["loss"].as_f64().unwrap_or_else(|| panic!("{told}"));
    assert_eq!((&told["metric"], &told["better"]), (&json!("loss"), &json!(2)), "{told}");
    println!("bits a character of what is held out: {:.3}, then {:.3}", loss(0), loss(1));
    assert!(loss(1) < loss(0), "{told}");
}

fn train(realm: &Realm) {
    let told = lesson(realm, &PETS);
    assert_eq!(told["lessons"][0]["verdict"], "kept", "{told}");
    let knows = |name: &&&str| {
        let answer = realm.ask(1, "mirror", &format!("ask which pet has {name}?"));
        answer.is_ok_and(|answer| answer.contains("hamster") && answer.contains(**name))
    };
    let known = PETS.iter().filter(knows).count();
    assert!(known >= PETS.len() / 2, "{known} of {}: {told}", PETS.len());
}
