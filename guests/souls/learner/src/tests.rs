//! The Soul against opponents and on grids whose best answer is computed here.

mod dilemmas;
mod grids;

use matrix_sdk::Persona;
use matrix_sdk::discrete::{action_type, observation_type};

use super::*;

/// A Soul with these settings, whose actions are these words.
fn born(words: &[&str], settings: &[(&str, &str)]) -> Result<Pupil, String> {
    born_for([&observation_type("a/b", 100), &action_type("a/b", words)], settings)
}

/// A Soul with these settings, for rules of these types.
fn born_for(types: [&str; 2], settings: &[(&str, &str)]) -> Result<Pupil, String> {
    let types = ["observation_type", "action_type"].into_iter().zip(types);
    let config = types.chain(settings.iter().copied());
    let persona = Persona { description: String::new(), traits: Vec::new(), values: Vec::new() };
    let config = config.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    Pupil::init(Birth { name: "pupil".to_owned(), persona, config, seed: 1 })
}

fn turn(seat: u32, observation: &[u8], reward: f64) -> Turn<'_> {
    Turn { seat, observation, reward, final_: false }
}

fn last(seat: u32, observation: &[u8], reward: f64) -> Turn<'_> {
    Turn { final_: true, ..turn(seat, observation, reward) }
}

#[test]
fn a_wrong_setting_is_named() {
    let wrong = [
        ("method", "sarsa"),
        ("alpha", "much"),
        ("alpha", "2"),
        ("gamma", "1"),
        ("memory", "-1"),
        ("states_max", "0"),
        ("apart", "yes"),
        ("seed", "x"),
    ];
    for (name, value) in wrong {
        let refused = born(&["a", "b"], &[(name, value)]).err().unwrap_or_default();
        assert!(refused.contains(&format!("`{name}")), "{name} = {value}: {refused}");
    }
    // What is not discrete cannot be learnt, and who says nothing of it is told what to say.
    let persona = || Persona { description: String::new(), traits: Vec::new(), values: Vec::new() };
    for (types, why) in [
        (vec![], "set `observation_type`"),
        (vec![("observation_type", "a/b;discrete=2")], "set `action_type`"),
        (
            vec![("observation_type", "text/plain"), ("action_type", "a/b;discrete=2")],
            "`text/plain` does not say",
        ),
    ] {
        let config = types.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let birth = Birth { name: "pupil".to_owned(), persona: persona(), config, seed: 1 };
        let refused = Pupil::init(birth).err().unwrap_or_default();
        assert!(refused.starts_with(why), "{refused}");
    }
}

#[test]
fn a_snapshot_goes_on_where_it_was_taken() {
    let mut first = born(&["x", "y"], &[]).unwrap();
    for round in 0..50 {
        first.act("m", round, &turn(0, b"a", f64::from(round as u32 % 3))).unwrap();
    }
    let bytes = first.snapshot().unwrap();
    let mut second = born(&["x", "y"], &[]).unwrap();
    second.adopt(Pupil::decode(Pupil::SCHEMA, &bytes).unwrap());
    assert_eq!(second.snapshot().unwrap(), bytes);
    for round in 0..50 {
        let seen = turn(round % 2, b"b", 1.0);
        assert_eq!(first.act("m", 0, &seen), second.act("m", 0, &seen));
    }
    assert_eq!(first.snapshot().unwrap(), second.snapshot().unwrap());
    // Other actions: nothing of it is taken up. A damaged state is refused, or harmless.
    let mut other = born(&["x", "z"], &[]).unwrap();
    let fresh = other.snapshot().unwrap();
    other.adopt(Pupil::decode(Pupil::SCHEMA, &bytes).unwrap());
    assert_eq!(other.snapshot().unwrap(), fresh);
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x81;
        if let Ok(state) = Pupil::decode(Pupil::SCHEMA, &damaged) {
            let mut soul = born(&["x", "y"], &[]).unwrap();
            soul.adopt(state);
            let _ = soul.act("m", 0, &turn(0, b"a", 1.0));
        }
    }
}

#[test]
fn a_final_turn_ends_the_seat_and_the_table_stays() {
    let mut soul = born(&["x", "y"], &[("alpha", "0.5"), ("epsilon_start", "0")]).unwrap();
    soul.act("m", 0, &turn(3, b"a", 0.0)).unwrap();
    soul.act("m", 1, &last(3, b"", 8.0)).unwrap();
    let table = soul.learner.as_ref().unwrap();
    assert!(table.seen().any(|seen| seen.values.contains(&4.0)));
    let decided = soul.act("m", 2, &turn(4, b"a", 0.0)).unwrap();
    assert_eq!(soul.act("m", 3, &last(4, b"a", 0.0)), Ok(Vec::new()));
    let table = soul.learner.as_ref().unwrap();
    assert_eq!(decided, soul.words[table.seen().next().unwrap().best].as_bytes());
}
