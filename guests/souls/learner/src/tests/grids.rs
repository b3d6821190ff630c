//! Grids, whose best value is found by value iteration; the Soul's own policy is evaluated exactly.

use gridwalk::{Action as Walk, End, Rewards, Settings, World};

use super::*;

fn learner(settings: &[(&str, &str)]) -> Pupil {
    born(&Walk::ALL.map(Walk::word), settings).unwrap()
}

/// Walks all episodes, each in a seat of its own; what each step earned.
fn walk(soul: &mut Pupil, world: &mut World) -> Vec<f64> {
    let mut earned = Vec::new();
    let (mut seat, mut reward) = (0, 0.0);
    while !world.is_over() {
        let at = world.walkers()[0].at().to_string();
        let choice = soul.act("m", 0, &turn(seat, at.as_bytes(), reward)).unwrap();
        let taken = world.step(0, Walk::from_word(&choice));
        reward = taken.reward;
        earned.push(reward);
        if let Some(end) = taken.end {
            let seen = if let End::CutOff(at) = end { at.to_string() } else { String::new() };
            soul.act("m", 0, &last(seat, seen.as_bytes(), reward)).unwrap();
            (seat, reward) = (seat + 1, 0.0);
        }
    }
    earned
}

/// What the start is worth to whoever acts as the Soul's table says.
fn value(soul: &Pupil, world: &World) -> f64 {
    let mut policy = vec![Walk::Left; world.grid().cells().len()];
    for seen in soul.learner.as_ref().unwrap().seen() {
        let place: usize = String::from_utf8(seen.state[0].clone()).unwrap().parse().unwrap();
        policy[place] = Walk::ALL[seen.best];
    }
    world.grid().value(&policy, world.settings().discount)[world.grid().start() as usize]
}

fn lake() -> Settings {
    Settings { episodes: 30_000, ..Settings::default() }
}

const ON_THE_LAKE: [(&str, &str); 5] = [
    ("alpha", "0.5"),
    ("alpha_half", "500"),
    ("gamma", "0.99"),
    ("epsilon_end", "0.1"),
    ("epsilon_turns", "400000"),
];

#[test]
fn the_frozen_lake_is_learnt_to_its_best_value() {
    for seed in ["1", "2", "3"] {
        let mut world = World::new(lake(), 1, 42).unwrap();
        let mut soul = learner(&[&ON_THE_LAKE[..], &[("seed", seed)]].concat());
        walk(&mut soul, &mut world);
        let (found, best) = (value(&soul, &world), world.optimum_at_start());
        println!("seed {seed}: {found} of {best}");
        assert!(found >= 0.99 * best, "seed {seed}: {found} of {best}");
    }
}

#[test]
fn the_cliff_walk_is_learnt_to_its_shortest_way() {
    let map = ["FFFFFFFFFFFF", "FFFFFFFFFFFF", "FFFFFFFFFFFF", "SCCCCCCCCCCG"];
    let rewards = Rewards { step: -1.0, goal: -1.0, hole: 0.0, cliff: -100.0 };
    let settings = Settings {
        map: map.map(str::to_owned).to_vec(),
        slip: 0.0,
        rewards,
        episodes: 1000,
        steps_max: 500,
        ..Settings::default()
    };
    let mut world = World::new(settings, 1, 42).unwrap();
    let mut soul =
        learner(&[("alpha", "0.5"), ("gamma", "0.99"), ("epsilon_start", "0.1"), ("epsilon_end", "0.1")]);
    walk(&mut soul, &mut world);
    let (found, best) = (value(&soul, &world), world.optimum_at_start());
    assert!((found - best).abs() < 1e-9, "{found} of {best}");
}

#[test]
fn the_same_seed_gives_the_same_curve() {
    let run = || {
        let mut world = World::new(Settings { episodes: 500, ..lake() }, 1, 42).unwrap();
        let mut soul = learner(&ON_THE_LAKE);
        let earned: Vec<u64> = walk(&mut soul, &mut world).into_iter().map(f64::to_bits).collect();
        (earned, soul.snapshot().unwrap())
    };
    assert_eq!(run(), run());
}

#[test]
fn a_table_that_is_too_small_is_refused_by_name() {
    let mut soul = learner(&[("states_max", "2")]);
    let mut act = |at: &str| soul.act("m", 0, &turn(0, at.as_bytes(), 0.0));
    assert!(act("0").is_ok() && act("1").is_ok() && act("0").is_ok());
    assert!(act("2").is_err_and(|why| why.contains("`states_max`")));
    assert!(act("1").is_ok(), "what is known goes on");
}
