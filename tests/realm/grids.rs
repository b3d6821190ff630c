//! Souls that learn on a node learn what they learn alone, to the bit, and find what is best.

use chance::Chance;
use dilemma::game::{Move, Payoffs};
use dilemma::past::Past;
use dilemma::strategies::Strategy;
use dilemma::tournament::{Settings as Rounds, Side, Tournament};
use dilemma::wire;
use gridwalk::{Action, End, Settings as Lake, World};
use serde_json::Value;
use tabular::{Epsilon, Learner, Method, Settings};

use crate::processes::Realm;

/// The media types of a grid's observations and actions.
const OBSERVATIONS: &str = "application/vnd.matrix.gridworld.observation;discrete=401";
const ACTIONS: &str = "application/vnd.matrix.gridworld.action;discrete=4;values=\"left down right up\"";
/// Walks without slipping, which the Soul's chance alone decides.
const EPISODES: u32 = 200;

/// How sure a figure is that went through JSON.
const PARSED: f64 = 1e-12;

/// The settings of the Soul in these tests, as it has them in its manifest and as the core has them.
const PUPIL: &str = "alpha = 0.5\nalpha_half = 50\ngamma = 0.9\nepsilon_end = 0\nseed = 7\n";

fn settings(turns: u32) -> Settings {
    let method = Method::Q { alpha: 0.5, half: 50.0, gamma: 0.9, memory: 1 };
    Settings { method, epsilon: Epsilon { start: 1.0, end: 0.0, turns }, ..Settings::default() }
}

/// A manifest of a Soul for rules of these types.
fn pupil(observations: &str, actions: &str, turns: u32) -> String {
    format!(
        "[[soul]]\nname = \"pupil\"\ncomponent = \"learner\"\n[soul.config]\nobservation_type = '{observations}'\n\
         action_type = '{actions}'\nepsilon_turns = {turns}\n{PUPIL}"
    )
}

/// What a Soul says that it learnt: by state, the best action, what each is worth, and how often it was tried.
fn told(realm: &Realm) -> Vec<(String, String, Vec<f64>, Vec<u64>)> {
    let run = realm.matrix(1, &["ask", "pupil", "policy"]).ok().json();
    let learnt = run["reply"]["json"].as_array().cloned().unwrap_or_else(|| panic!("{run}"));
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let list = |value: &Value| value.as_array().cloned().expect("a list");
    let number = |value: &Value| value.as_f64().expect("a number");
    learnt
        .iter()
        .map(|one| {
            let values = list(&one["values"]).iter().map(number).collect();
            let tried = list(&one["tried"]).iter().map(|count| count.as_u64().expect("a count")).collect();
            (text(&one["state"][0]), text(&one["action"]), values, tried)
        })
        .collect()
}

/// That a Soul on a node knows what the core knows.
fn assert_learnt_alike(realm: &Realm, core: &Learner, words: &[&str]) {
    let told = told(realm);
    assert_eq!(told.len(), core.states());
    for ((state, action, values, tried), seen) in told.iter().zip(core.seen()) {
        assert_eq!(state, &String::from_utf8_lossy(&seen.state[0]));
        assert_eq!(action, words[seen.best]);
        assert!(values.iter().zip(seen.values).all(|(one, other)| (one - other).abs() < PARSED), "{state}");
        assert!(tried.iter().copied().eq(seen.tried.iter().map(|count| u64::from(*count))), "{state}");
    }
}

/// Has a Soul learn to walk over a lake on a node, with more in its manifest; the Matrix, once it is over.
fn walks(realm: &Realm, episodes: u32, more: &str) -> Value {
    let manifest = format!(
        "[components]\ngridworld = \"../out/gridworld.wasm\"\nlearner = \"../out/learner.wasm\"\n{}{more}\
         [[matrix]]\nname = \"lake\"\nrules = \"gridworld\"\nplayers = [\"pupil\"]\nseed = 42\n\
         config = {{ slip = 0.0, episodes = {episodes} }}\ntick_deadline_ms = 30000\nstart = true\n",
        pupil(OBSERVATIONS, ACTIONS, 1000)
    );
    realm.apply(1, &manifest);
    realm.finished(1, "lake")
}

/// The same by the cores alone: who learnt, where, and what it saw, did and earned, step by step.
fn walked(episodes: u32) -> (Learner, World, Vec<(String, &'static str, f64)>) {
    let settings = settings(1000);
    let mut core = Learner::new(4, Chance::new(7));
    let mut world = World::new(Lake { slip: 0.0, episodes, ..Lake::default() }, 1, 42).expect("sound");
    let (mut seat, mut reward, mut steps) = (0, 0.0, Vec::new());
    while !world.is_over() {
        let at = world.walkers()[0].at().to_string();
        let decided = core.decide(&settings, ("lake", seat), at.as_bytes(), reward).expect("sound");
        let taken = world.step(0, Some(Action::ALL[decided]));
        reward = taken.reward;
        steps.push((at, Action::ALL[decided].word(), reward));
        if let Some(end) = taken.end {
            let seen = if let End::CutOff(at) = end { at.to_string() } else { String::new() };
            core.close(&settings, ("lake", seat), seen.as_bytes(), reward).expect("sound");
            (seat, reward) = (seat + 1, 0.0);
        }
    }
    (core, world, steps)
}

#[test]
fn what_a_soul_does_in_a_matrix_is_captured_with_what_that_earned() {
    let realm = Realm::start(1);
    walks(&realm, EPISODES, "[soul.learning]\nmanual = true\ncapture = [\"matrix\"]\n");
    let (.., steps) = walked(EPISODES);
    assert!(steps.iter().any(|(.., reward)| *reward > 0.0), "some of it earns something");
    let captured = || realm.matrix(1, &["souls", "experience", "pupil"]).ok().lines();
    realm.eventually("all of it is captured", |_| captured().len() >= steps.len());
    let captured = captured();
    assert_eq!(captured.len(), steps.len());
    for (found, (saw, did, earned)) in captured.iter().zip(&steps) {
        assert_eq!(
            (found["input"].as_str(), found["output"].as_str(), found["reward"].as_f64()),
            (Some(&**saw), Some(*did), Some(*earned)),
            "{found}"
        );
        assert_eq!(
            (found["source"].as_str(), found["by"].as_str()),
            (Some("matrix"), Some("matrix:lake")),
            "{found}"
        );
    }
}

#[test]
fn a_grid_is_learnt_on_a_node_as_it_is_alone() {
    let realm = Realm::start(1);
    let words = Action::ALL.map(Action::word);
    let finished = walks(&realm, EPISODES, "");
    assert_eq!(finished["missed_actions"], 0);
    let (core, world, _) = walked(EPISODES);

    assert_learnt_alike(&realm, &core, &words);
    let walked = &finished["result"]["json"]["players"][0];
    let mean = walked["mean_return"].as_f64().unwrap_or_else(|| panic!("{finished}"));
    assert!((mean - world.walkers()[0].mean_return()).abs() < PARSED, "{finished}");

    // What the Soul on the node says that it would do is worth what the best is worth.
    let mut policy = [Action::Left; 16];
    for (state, action, ..) in told(&realm) {
        let place: usize = state.parse().expect("a place");
        policy[place] = Action::from_word(action.as_bytes()).expect("an action");
    }
    let (found, best) = (world.grid().value(&policy, 0.99)[0], world.optimum_at_start());
    println!("{found} of {best} after {} ticks", finished["tick"]);
    assert!(found >= 0.99 * best, "{found} of {best}");
}

#[test]
fn a_reply_to_tit_for_tat_is_learnt_on_a_node_as_it_is_alone() {
    const TURNS: u32 = 1500;
    let realm = Realm::start(1);
    realm.apply(
        1,
        &format!(
            "[components]\nipd = \"../out/ipd.wasm\"\nlearner = \"../out/learner.wasm\"\n\
             strategist = \"../out/strategist.wasm\"\n{}[[soul]]\nname = \"tit-for-tat\"\n\
             component = \"strategist\"\nconfig = {{ strategy = \"TitForTat\" }}\n\
             [[matrix]]\nname = \"game\"\nrules = \"ipd\"\nplayers = [\"pupil\", \"tit-for-tat\"]\nseed = 42\n\
             config = {{ turns = {TURNS}, self_play = false }}\ntick_deadline_ms = 30000\nstart = true\n",
            pupil(wire::OBSERVATION_TYPE, wire::ACTION_TYPE, 1000)
        ),
    );
    let finished = realm.finished(1, "game");
    assert_eq!(finished["missed_actions"], 0);

    let rounds =
        Rounds { turns: TURNS, payoffs: Payoffs::default(), self_play: false, on_invalid: Move::Defect };
    let mut tournament = Tournament::new(rounds, 2);
    let (settings, mut core) = (settings(1000), Learner::new(2, Chance::new(7)));
    let mut other = Strategy::named("TitForTat", None).expect("it is known");
    let (mut past, mut earned) = (Past::new(Payoffs::default()), Vec::new());
    let [mine, theirs] = [0, 1].map(|side| Side { game: 0, side });
    loop {
        let (seen, reward) = (tournament.observation(mine).to_bytes(), tournament.reward(mine));
        earned.push(reward);
        if tournament.is_over() {
            core.close(&settings, ("game", 1), &seen, reward).expect("sound");
            break;
        }
        let decided = core.decide(&settings, ("game", 1), &seen, reward).expect("sound");
        let (choice, reply) = (Move::defect_if(decided == 1), other.decide(&past));
        past.push(reply, choice);
        tournament.play([(mine, choice), (theirs, reply)]);
    }
    let ranking = finished["result"]["json"]["ranking"].as_array().unwrap_or_else(|| panic!("{finished}"));
    let own = ranking.iter().find(|rank| rank["player"] == "pupil").expect("it has played");
    assert_eq!(own["total_without_self_play"].as_f64(), Some(tournament.matches()[0].scores[0]));
    let told = told(&realm);
    assert_eq!(told.len(), core.states());
    let last = earned[earned.len() - 100..].iter().sum::<f64>() / 100.0;
    println!("{last} a turn at last");
    assert!(last >= 0.98 * 3.0, "{last} a turn at last");
}
