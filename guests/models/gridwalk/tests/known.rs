//! Grids whose answers are in the literature, and walks that must come to them.

use gridwalk::{Action, End, Rewards, Settings, World};

const EIGHT: [&str; 8] =
    ["SFFFFFFF", "FFFFFFFF", "FFFHFFFF", "FFFFFHFF", "FFFHFFFF", "FHHFFFHF", "FHFFHFHF", "FFFHFFFG"];

fn world(settings: Settings) -> World {
    World::new(settings, 1, 7).expect("sound settings")
}

fn map(rows: &[&str]) -> Vec<String> {
    rows.iter().map(|row| (*row).to_owned()).collect()
}

/// The cliff walk of Sutton and Barto, example 6.6.
fn cliff() -> Settings {
    let rows = ["FFFFFFFFFFFF", "FFFFFFFFFFFF", "FFFFFFFFFFFF", "SCCCCCCCCCCG"];
    let rewards = Rewards { step: -1.0, goal: -1.0, hole: 0.0, cliff: -100.0 };
    Settings { map: map(&rows), slip: 0.0, rewards, discount: 1.0, steps_max: 1000, ..Settings::default() }
}

fn assert_near(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() < tolerance, "{found} is not {expected}");
}

#[test]
fn the_best_values_are_those_that_are_known() {
    // Of the frozen lake 14 of 17 walks reach the goal at best; with a discount of 0.99 the start is worth 0.5420.
    assert_near(
        world(Settings { discount: 1.0, ..Settings::default() }).optimum_at_start(),
        14.0 / 17.0,
        1e-6,
    );
    assert_near(world(Settings::default()).optimum_at_start(), 0.5420, 5e-5);
    let eight = Settings { map: map(&EIGHT), ..Settings::default() };
    assert_near(world(eight).optimum_at_start(), 0.4146, 5e-5);
    // The way along the cliff has thirteen steps.
    assert_near(world(cliff()).optimum_at_start(), -13.0, 1e-9);
    // By hand: two steps, the second of which is worth 0.9.
    let two = Settings { map: map(&["SFG"]), slip: 0.0, discount: 0.9, ..Settings::default() };
    assert_near(world(two).optimum_at_start(), 0.9, 1e-12);
}

#[test]
fn who_acts_best_is_worth_what_the_best_is_worth() {
    let world = world(Settings::default());
    let (grid, discount) = (world.grid(), world.settings().discount);
    let best = grid.best(discount, world.optimum());
    let policy: Vec<Action> = best.into_iter().map(|action| action.unwrap_or(Action::Left)).collect();
    assert_near(grid.value(&policy, discount)[0], world.optimum_at_start(), 1e-9);
    assert!(grid.value(&[Action::Left; 16], discount)[0] < 0.01, "to the left there is nothing");
}

#[test]
fn walks_earn_what_they_are_worth() {
    let settings = Settings { episodes: 20_000, steps_max: 1000, ..Settings::default() };
    let mut world = world(settings);
    let best = world.grid().best(0.99, world.optimum());
    while !world.is_over() {
        let at = world.walkers()[0].at();
        world.step(0, best[at as usize]);
    }
    let walker = &world.walkers()[0];
    assert_near(walker.mean_return(), world.optimum_at_start(), 0.01);
    assert_near(f64::from(walker.goals()) / 20_000.0, 14.0 / 17.0, 0.02);
    assert!(world.recent_return().is_some_and(|mean| (0.3..0.8).contains(&mean)));
}

#[test]
fn an_episode_that_is_cut_off_is_told_from_one_that_is_over() {
    let settings =
        Settings { map: map(&["SFG"]), slip: 0.0, steps_max: 2, episodes: 2, ..Settings::default() };
    let mut world = world(settings);
    assert_eq!(world.step(0, None).end, None);
    assert_eq!(world.step(0, Some(Action::Right)).end, Some(End::CutOff(1)));
    assert_eq!((world.walkers()[0].at(), world.walkers()[0].episode()), (0, 1));
    assert_eq!(world.step(0, Some(Action::Right)).end, None);
    let last = world.step(0, Some(Action::Right));
    assert_eq!((last.reward, last.end), (1.0, Some(End::Over)));
    assert!(world.is_over() && world.is_done(0) && world.is_done(9));
}

#[test]
fn wrong_settings_are_named() {
    let wrong = [
        Settings { slip: 1.5, ..Settings::default() },
        Settings { discount: f64::NAN, ..Settings::default() },
        Settings { episodes: 0, ..Settings::default() },
        Settings { steps_max: 0, ..Settings::default() },
        Settings { rewards: Rewards { goal: f64::INFINITY, ..Rewards::default() }, ..Settings::default() },
        Settings { map: map(&["FG"]), ..Settings::default() },
    ];
    for settings in wrong {
        assert!(World::new(settings.clone(), 1, 0).is_err(), "{settings:?}");
    }
}
