//! What holds of a Soul that plays.

use matrix_sdk::discrete::Actions;
use matrixd::bench::SoulOnBench;
use matrixd::runtime::rules::{Action, Prompt};
use matrixd::runtime::soul::Turn;

use super::{Done, Stop, crashed};
use crate::play::{Run, started_of};
use crate::script::BEGIN_MS;
use crate::subject::{Subject, shown};

/// How many ticks are played by rules.
const TICKS: u64 = 12;
/// The most words of actions that are compared.
const WORDS_MAX: usize = 1 << 16;

pub(super) async fn turns(subject: &Subject) -> Done {
    subject.needs("player")?;
    let mut soul = subject.born().await?;
    let turn = |seat, observation: &[u8], reward, last| Turn {
        seat,
        observation: observation.to_vec(),
        reward,
        last,
    };
    let tables = [
        ("no turns", Vec::new()),
        ("one turn without an observation", vec![turn(0, b"", 0.0, false)]),
        (
            "turns of three seats",
            vec![turn(0, b"0", 0.0, false), turn(7, b"1", 1.0, false), turn(u32::MAX, b"{}", -1.0, false)],
        ),
        (
            "bytes that are no observation",
            vec![turn(1, b"\xff\xfe\x00", 0.5, false), turn(2, &[b'['; 20_000], 0.0, false)],
        ),
        (
            "rewards without bound",
            vec![
                turn(0, b"0", f64::MAX, false),
                turn(1, b"0", f64::NAN, false),
                turn(2, b"0", f64::INFINITY, false),
            ],
        ),
        ("a game that is over before it began", vec![turn(99, b"", 0.0, true), turn(99, b"0", 0.0, true)]),
        ("the same seat twice", vec![turn(3, b"0", 0.0, false), turn(3, b"0", 0.0, false)]),
    ];
    for (tick, (what, turns)) in (1_u64..).zip(tables) {
        let acted = soul.act(tick, &turns, BEGIN_MS).await;
        // One action a turn, or it is a crash.
        acted.map_err(crashed(format!("playing {what}")))?.ok();
        soul.deeds();
    }
    Ok(())
}

/// Plays by the rules given, in all places, and sees whether its actions count.
pub(super) async fn legal(subject: &Subject) -> Done {
    let Some(file) = &subject.options.rules else {
        return Err(Stop::LeftOut("no rules were given (--rules)".to_owned()));
    };
    subject.needs("player")?;
    let rules = subject.other(file).await?;
    let (mut run, said) = started_of(subject, &rules).await?;
    let words = Actions::of(&said.action_type, WORDS_MAX).ok();
    let mut souls = Vec::new();
    for _ in 0..run.players {
        souls.push(subject.born().await?);
    }
    let (mut decided, mut counted) = (0, 0);
    for tick in 0..TICKS {
        if run.last.finished {
            break;
        }
        let actions = play(&mut souls, &run, tick).await?;
        for action in &actions {
            let Some(choice) = &action.choice else { continue };
            let known = |words: &Actions| words.words().iter().any(|word| word.as_bytes() == choice);
            if words.as_ref().is_some_and(|words| !known(words)) {
                return Err(illegal(tick, action, choice, &said.action_type));
            }
            decided += 1;
        }
        counted += usize::from(counts(subject, &rules, &mut run, &actions).await?);
        run.step(actions).await?;
    }
    if decided > 0 && counted == 0 {
        return Err(Stop::wrong(
            format!("actions of the type {}", said.action_type),
            format!("all {decided} actions led to what no answer at all leads to"),
            "answer in the form that the rules' action-type names",
        ));
    }
    Ok(())
}

fn illegal(tick: u64, action: &Action, choice: &[u8], action_type: &str) -> Stop {
    let (player, seat) = (action.player, action.seat);
    Stop::wrong(
        format!("an action of {action_type}"),
        format!(
            "in seat {seat} of player {player}, at tick {tick}, it was {}",
            shown(&String::from_utf8_lossy(choice))
        ),
        "answer with one of the words that the rules' action-type names, and nothing around it",
    )
}

/// What the Souls do at one tick, in the order of the prompts.
async fn play(souls: &mut [SoulOnBench], run: &Run, tick: u64) -> Result<Vec<Action>, Stop> {
    let mut actions: Vec<Action> = Vec::new();
    let at = |prompt: &Prompt, choice| Action { player: prompt.player, seat: prompt.seat, choice };
    for (player, soul) in (0_u32..).zip(souls) {
        let prompts: Vec<&Prompt> =
            run.last.prompts.iter().filter(|prompt| prompt.player == player).collect();
        if prompts.is_empty() {
            continue;
        }
        let turn = |prompt: &&Prompt| Turn {
            seat: prompt.seat,
            observation: prompt.observation.clone(),
            reward: prompt.reward,
            last: prompt.final_,
        };
        let turns: Vec<_> = prompts.iter().map(turn).collect();
        let acted = soul.act(tick, &turns, BEGIN_MS + tick).await;
        let choices =
            acted.map_err(crashed(format!("playing tick {tick} of the rules")))?.map_err(|why| {
                Stop::wrong(
                    "it plays the rules",
                    format!("at tick {tick} it failed: {why}"),
                    "read the observations that these rules show (or give it settings: --set NAME=VALUE)",
                )
            })?;
        let decided = prompts.iter().zip(choices).filter(|(prompt, _)| !prompt.final_);
        actions.extend(decided.map(|(prompt, choice)| at(prompt, Some(choice))));
        soul.deeds();
    }
    // In the order in which the rules asked.
    let place = |action: &Action| {
        run.last.prompts.iter().position(|p| (p.player, p.seat) == (action.player, action.seat))
    };
    actions.sort_by_key(place);
    Ok(actions)
}

/// Whether the rules make anything else of these actions than of no answers.
async fn counts(
    subject: &Subject,
    rules: &matrixd::runtime::component::Component,
    run: &mut Run,
    actions: &[Action],
) -> Result<bool, Stop> {
    if actions.is_empty() {
        return Ok(false);
    }
    let silent: Vec<_> = actions.iter().map(|action| Action { choice: None, ..action.clone() }).collect();
    let mut with = run.restored_of(subject, rules).await?;
    let mut without = run.restored_of(subject, rules).await?;
    with.step(actions.to_vec()).await?;
    without.step(silent).await?;
    Ok(with.line() != without.line() || with.state().await? != without.state().await?)
}
