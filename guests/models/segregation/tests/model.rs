//! What must hold of every run.

use proptest::prelude::*;
use segregation::{Model, Settings};

fn settings() -> Settings {
    Settings { width: 20, height: 15, steps_max: 200, ..Settings::default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn nobody_is_lost_and_the_seed_decides(seed: u64, density in 0.0..1.0_f64, threshold in 0.0..1.0_f64) {
        let settings = Settings { density, threshold, kinds: vec![3.0, 1.0, 1.0], ..settings() };
        let mut model = Model::new(settings.clone(), seed).unwrap();
        let mut twin = Model::new(settings, seed).unwrap();
        let population = |model: &Model| {
            let mut kinds = [0_usize; 4];
            model.cells().iter().for_each(|kind| kinds[usize::from(*kind)] += 1);
            kinds
        };
        let before = population(&model);
        for _ in 0..20 {
            prop_assert_eq!(model.step(), twin.step());
        }
        prop_assert_eq!(population(&model), before);
        prop_assert_eq!(model, twin);
    }
}

#[test]
fn segregation_emerges() {
    let mut model = Model::new(settings(), 1).unwrap();
    let before = model.similarity();
    while !model.is_over() {
        model.step();
    }
    assert!((0.4..0.6).contains(&before), "{before}");
    assert!(model.similarity() > 0.65, "{}", model.similarity());
    assert!(model.all_happy() && model.steps() < 200, "{} steps", model.steps());
    assert!((0..model.cells().len()).all(|at| !model.is_unhappy(at)));
}

#[test]
fn a_full_torus_ends_by_its_steps() {
    let full = Settings { density: 1.0, threshold: 1.0, steps_max: 3, ..settings() };
    let mut model = Model::new(full, 5).unwrap();
    while !model.is_over() {
        assert_eq!(model.step(), 0);
    }
    assert_eq!(model.steps(), 3);
}

#[test]
fn wrong_settings_are_refused() {
    let wrong = [
        Settings { width: 2, ..settings() },
        Settings { height: 1001, ..settings() },
        Settings { density: f64::NAN, ..settings() },
        Settings { threshold: 1.1, ..settings() },
        Settings { kinds: vec![], ..settings() },
        Settings { kinds: vec![1.0, 0.0], ..settings() },
        Settings { kinds: vec![1.0; 9], ..settings() },
        Settings { steps_max: 0, ..settings() },
    ];
    for settings in wrong {
        assert!(Model::new(settings.clone(), 1).is_err(), "{settings:?}");
    }
}
