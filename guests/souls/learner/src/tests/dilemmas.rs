//! The iterated prisoner's dilemma, against opponents whose best answer is computed.

use dilemma::game::{Move, Payoffs};
use dilemma::past::Past;
use dilemma::strategies::Strategy;
use dilemma::tournament::{Settings, Side, Tournament};
use dilemma::wire;

use super::*;

const OPPONENTS: [&str; 5] = ["TitForTat", "Cooperator", "Defector", "Grudger", "Alternator"];
const TURNS: u32 = 200;
const MATCHES: u32 = 60;

/// An opponent of two states: what it does in each, and where each of our moves leads.
struct Automaton {
    does: [Move; 2],
    /// By state, and whether we defected.
    next: [[usize; 2]; 2],
}

fn automaton(name: &str) -> Automaton {
    use Move::{Cooperate as C, Defect as D};
    match name {
        "TitForTat" => Automaton { does: [C, D], next: [[0, 1], [0, 1]] },
        "Cooperator" => Automaton { does: [C, C], next: [[0, 0], [0, 0]] },
        "Defector" => Automaton { does: [D, D], next: [[0, 0], [0, 0]] },
        "Grudger" => Automaton { does: [C, D], next: [[0, 1], [1, 1]] },
        "Alternator" => Automaton { does: [C, D], next: [[1, 1], [0, 0]] },
        other => panic!("{other} is not known as an automaton"),
    }
}

/// What the best reply earns a turn in the long run, from the opponent's first state. Where there are two states a
/// best cycle has one turn or two, so that two turns more are worth twice the mean once enough were played.
fn best_mean(opponent: &Automaton) -> f64 {
    let payoffs = Payoffs::default();
    let mut values = [0.0; 2];
    let mut two_before = [0.0; 2];
    for turn in 0..1000 {
        if turn == 998 {
            two_before = values;
        }
        values = [0, 1].map(|state: usize| {
            let earns = |mine: Move| {
                let next = opponent.next[state][usize::from(mine == Move::Defect)];
                payoffs.score(mine, opponent.does[state]) + values[next]
            };
            f64::max(earns(Move::Cooperate), earns(Move::Defect))
        });
    }
    (values[0] - two_before[0]) / 2.0
}

/// A game of two, the Soul being the first; what the Soul earned, turn by turn.
fn play(soul: &mut Pupil, matrix: &str, opponent: &str) -> Vec<f64> {
    let settings =
        Settings { turns: TURNS, payoffs: Payoffs::default(), self_play: false, on_invalid: Move::Defect };
    let mut tournament = Tournament::new(settings, 2);
    let [mine, theirs] = [0, 1].map(|side| Side { game: 0, side });
    let (mut other, mut past) = (Strategy::named(opponent, None).unwrap(), Past::new(Payoffs::default()));
    let mut earned = Vec::new();
    loop {
        let (seen, reward) = (tournament.observation(mine).to_bytes(), tournament.reward(mine));
        if tournament.turn() > 0 {
            earned.push(reward);
        }
        let turn = Turn { seat: 1, observation: &seen, reward, final_: tournament.is_over() };
        let choice = soul.act(matrix, u64::from(tournament.turn()), &turn).unwrap();
        if tournament.is_over() {
            return earned;
        }
        let (choice, reply) = (wire::action(&choice).unwrap(), other.decide(&past));
        past.push(reply, choice);
        tournament.play([(mine, choice), (theirs, reply)]);
    }
}

/// All that a Soul of a seed earns over all matches with an opponent, and what its state is then.
fn curve(opponent: &str, settings: &[(&str, &str)]) -> (Vec<f64>, Vec<u8>) {
    let mut soul = born_for([wire::OBSERVATION_TYPE, wire::ACTION_TYPE], settings).unwrap();
    let games = (0..MATCHES).flat_map(|game| play(&mut soul, &format!("game-{game}"), opponent));
    let earned = games.collect::<Vec<_>>();
    (earned, soul.snapshot().unwrap())
}

fn mean_of_last_hundred(earned: &[f64]) -> f64 {
    earned[earned.len() - 100..].iter().sum::<f64>() / 100.0
}

#[test]
fn the_automata_are_the_strategies() {
    for name in OPPONENTS {
        let automaton = automaton(name);
        for moves in 0..1_u32 << 10 {
            let mut strategy = Strategy::named(name, None).unwrap();
            let (mut past, mut state) = (Past::new(Payoffs::default()), 0);
            for turn in 0..10 {
                let defects = moves >> turn & 1;
                let does = strategy.decide(&past);
                assert_eq!(does, automaton.does[state], "{name} {moves:b} {turn}");
                past.push(does, Move::defect_if(defects == 1));
                state = automaton.next[state][defects as usize];
            }
        }
    }
    let best = OPPONENTS.map(|name| best_mean(&automaton(name)));
    assert_eq!(best, [3.0, 5.0, 1.0, 3.0, 3.0]);
}

#[test]
fn q_learning_finds_the_best_reply_to_each_opponent() {
    // Nothing is worth more than 5 / (1 - gamma): what was not tried seems worth trying.
    let settings = [
        ("alpha", "0.2"),
        ("gamma", "0.95"),
        ("optimism", "100"),
        ("epsilon_start", "0.1"),
        ("epsilon_turns", "8000"),
    ];
    for name in OPPONENTS {
        let best = best_mean(&automaton(name));
        for seed in ["1", "2", "3", "4", "5"] {
            let (earned, _) = curve(name, &[&settings[..], &[("seed", seed)]].concat());
            let found = mean_of_last_hundred(&earned);
            println!("{name}, seed {seed}: {found} of {best}");
            assert!(found >= 0.98 * best, "{name}, seed {seed}: {found} of {best}");
        }
    }
}

#[test]
fn a_bandit_finds_what_earns_most_where_nothing_follows() {
    for name in ["Cooperator", "Defector", "Alternator"] {
        let best = best_mean(&automaton(name));
        let (earned, _) = curve(name, &[("method", "bandit"), ("epsilon_turns", "2000"), ("optimism", "10")]);
        let found = mean_of_last_hundred(&earned);
        assert!(found >= 0.98 * best, "{name}: {found} of {best}");
    }
}

#[test]
fn the_same_seed_gives_the_same_curve_and_another_seed_another() {
    let run = |seed| curve("TitForTat", &[("seed", seed), ("epsilon_turns", "8000")]);
    let bits = |(earned, state): (Vec<f64>, Vec<u8>)| {
        (earned.into_iter().map(f64::to_bits).collect::<Vec<_>>(), state)
    };
    let first = bits(run("7"));
    assert_eq!(bits(run("7")), first);
    assert_ne!(bits(run("8")), first);
}
