use super::*;
use matrix_sdk::{Persona, Source};

const LETTERS: &str = "My name is Ada. I keep bees on the roof of the mill, and they know me well.\n\nOn Sundays I walk to the \
    sea, whatever the weather. The sea is grey and I like it so.\n\nI never eat before noon: it makes me slow, and I have \
    letters to write.";

fn born(config: &[(&str, &str)]) -> Result<Reflection, String> {
    let persona = Persona { description: String::new(), traits: Vec::new(), values: Vec::new() };
    let config = config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Reflection::init(Birth { name: "ada".to_owned(), persona, config, seed: 5 })
}

fn taught(config: &[(&str, &str)]) -> Reflection {
    let mut soul = born(&[config, &[("text_bytes", "16384")]].concat()).unwrap();
    let learnt = soul.answer(&format!("teach\n{LETTERS}")).unwrap();
    assert!(learnt.starts_with(&format!("learnt {} bytes, at ", LETTERS.len())), "{learnt}");
    soul
}

#[test]
fn it_recalls_what_it_was_taught() {
    let mut soul = taught(&[]);
    let sea = soul.answer("ask where do you walk on Sundays?").unwrap();
    assert_eq!(sea, "On Sundays I walk to the sea, whatever the weather.");
    assert!(soul.answer("ask who paints boats?").is_err());
    let bees = soul.answer("Where do you keep your bees?").unwrap();
    assert!(bees.starts_with("I keep bees on the roof of the mill, and they know me well."), "{bees}");
}

#[test]
fn it_speaks_and_says_the_same_to_the_same() {
    let mut soul = taught(&[]);
    for message in ["Good morning!", "continue On Sundays", "page", "page 3", "cost I like the sea.", "about"]
    {
        let said = soul.answer(message).unwrap();
        assert!(!said.is_empty(), "{message}");
        assert_eq!(soul.answer(message), Ok(said), "{message}");
    }
}

#[test]
fn its_own_style_costs_less() {
    let mut soul = taught(&[]);
    let cost = |soul: &mut Reflection, text: &str| {
        soul.answer(&format!("cost {text}")).unwrap().parse::<f64>().unwrap()
    };
    let own = cost(&mut soul, "I like the sea, and the bees know me.");
    assert!(own < cost(&mut soul, "Quarterly figures exceeded projections."));
    assert!(
        own < cost(&mut born(&[("text_bytes", "16384")]).unwrap(), "I like the sea, and the bees know me.")
    );
}

#[test]
fn one_that_was_taught_nothing_is_well() {
    let mut soul = born(&[("text_bytes", "16384")]).unwrap();
    for message in ["Hello", "ask who?", "continue It", "page", "cost x", "about"] {
        let _ = soul.answer(message);
    }
    assert!(soul.answer("").is_err());
    let nothing = born(&[]).unwrap().snapshot().unwrap();
    assert!(Reflection::decode(Reflection::SCHEMA, &nothing).unwrap().mirror.get_mut().is_none());
}

#[test]
fn a_snapshot_goes_on_where_it_was_taken() {
    let soul = taught(&[]);
    let bytes = soul.snapshot().unwrap();
    assert!(bytes.len() < LETTERS.len(), "{}", bytes.len());
    let mut first = soul;
    let mut second = born(&[("text_bytes", "16384")]).unwrap();
    second.adopt(Reflection::decode(Reflection::SCHEMA, &bytes).unwrap());
    assert_eq!(second.snapshot().unwrap(), bytes);
    for message in ["Hello", "page", "cost The mill", "teach More of the sea.", "Hello again"] {
        assert_eq!(first.answer(message), second.answer(message), "{message}");
    }
    assert_eq!(first.snapshot(), second.snapshot());
    for cut in [0, 1, 10, bytes.len() - 1] {
        assert!(Reflection::decode(Reflection::SCHEMA, &bytes[..cut]).is_err(), "{cut}");
    }
}

#[test]
fn another_size_in_the_manifest_keeps_what_there_is_room_for() {
    let bytes = taught(&[]).snapshot().unwrap();
    let mut larger = born(&[("text_bytes", "65536")]).unwrap();
    larger.adopt(Reflection::decode(Reflection::SCHEMA, &bytes).unwrap());
    assert_eq!(larger.mirror.get_mut().as_ref().unwrap().model().size().text_bytes(), 65_536);
    assert!(larger.answer("ask who keeps bees on a roof?").is_ok());
}

#[test]
fn one_that_listens_learns_from_conversation() {
    let (mut deaf, mut listens) = (taught(&[]), taught(&[("listen", "true")]));
    for soul in [&mut deaf, &mut listens] {
        soul.answer("My brother Tom is a blacksmith.").unwrap();
    }
    assert!(deaf.answer("ask which blacksmith?").is_err());
    assert_eq!(listens.answer("ask which blacksmith?").unwrap(), "My brother Tom is a blacksmith.");
}

#[test]
fn a_wrong_setting_is_named() {
    for config in [("text_bytes", "1"), ("text_bytes", "many"), ("temperature", "201"), ("listen", "yes")] {
        let refused = born(&[config]).err().unwrap_or_default();
        assert!(refused.contains(config.0) && refused.contains(config.1), "{refused}");
    }
}

fn experience(id: u64, input: &str, output: &[u8], reward: Option<f64>) -> Experience {
    Experience {
        id,
        source: Source::User,
        input: input.as_bytes().to_vec(),
        output: output.to_vec(),
        reward,
        at: 0,
    }
}

fn loss(metrics: &[Metric]) -> f64 {
    metrics.iter().find(|metric| metric.name == "loss").map(|metric| metric.value).unwrap()
}

#[test]
fn it_is_trained_on_what_its_person_answers() {
    let mut soul = taught(&[]);
    let batch = [
        experience(1, "Where do you buy honey?", b"I never buy honey: I have bees.", None),
        experience(2, "Do you like strangers?", b"Get out!", Some(-1.0)),
        experience(3, "", &[0xff, 0xfe], None),
    ];
    let held_out = [experience(4, "Who sells honey?", b"I have bees, and never buy honey.", Some(1.0))];
    let before = loss(&soul.evaluate(&held_out).unwrap());
    let snapshot = soul.snapshot().unwrap();
    assert_eq!(soul.evaluate(&held_out), soul.evaluate(&held_out));
    assert_eq!(soul.snapshot().unwrap(), snapshot, "measuring changes nothing");
    assert!(loss(&soul.train(&batch).unwrap()) > 0.0);
    let after = loss(&soul.evaluate(&held_out).unwrap());
    assert!(after < 0.8 * before, "{before} {after}");
    assert_eq!(soul.answer("ask who buys honey?").unwrap(), "I never buy honey: I have bees.");
    assert!(soul.answer("ask what of strangers?").is_err());
}

#[test]
fn one_that_knows_nothing_can_be_measured_and_stays_as_it_is() {
    let soul = born(&[("text_bytes", "16384")]).unwrap();
    let empty = soul.snapshot().unwrap();
    assert!(loss(&soul.evaluate(&[experience(1, "", b"Well.", None)]).unwrap()) > 1.0);
    assert_eq!(loss(&soul.evaluate(&[]).unwrap()), 0.0);
    assert_eq!(soul.snapshot().unwrap(), empty);
}
