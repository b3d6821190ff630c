//! What holds of the rules of a Matrix, whoever plays.

use std::collections::BTreeSet;

use matrix_sdk::discrete;
use matrixd::runtime::rules::{Description, Setup};
use serde_json::{Value, json};

use super::{Done, Stop, crashed};
use crate::picture::malformed;
use crate::play::{self, Manner, Run, TICKS_MAX, fresh, started};
use crate::script;
use crate::subject::Subject;

/// The longest name of a signal, in bytes, and the longest kind of an event.
const NAME_BYTES_MAX: usize = 64;

pub(super) async fn description(subject: &Subject) -> Done {
    let mut rules = fresh(subject).await?;
    let said = rules.describe().await.map_err(crashed("describing themselves"))?;
    let again = rules.describe().await.map_err(crashed("describing themselves again"))?;
    let of = |d: &Description| {
        let Description { name, version, observation_type, action_type, .. } = d.clone();
        (name, version, observation_type, action_type, d.players_min, d.players_max, d.config_schema.clone())
    };
    let wrong = |seen: String, mend: &str| {
        Err(Stop::wrong("a description that a node, players and people can go by", seen, mend))
    };
    if of(&said) != of(&again) {
        return wrong("two descriptions differ".into(), "describe the rules by constants");
    }
    let Description { name, version, observation_type, action_type, players_min, players_max, config_schema } =
        said;
    if name.is_empty() {
        return wrong("the rules have no name".into(), "name them");
    }
    if !is_version(&version) {
        return wrong(
            format!("the version is `{version}`"),
            "write MAJOR.MINOR.PATCH, as semantic versioning has it",
        );
    }
    if players_min > players_max {
        return wrong(
            format!("they take {players_min} to {players_max} players"),
            "let the most be no fewer than the fewest",
        );
    }
    for (what, media_type) in [("observations", &observation_type), ("actions", &action_type)] {
        if !media_type.split(';').next().is_some_and(|name| name.contains('/')) {
            return wrong(
                format!("the type of {what} is `{media_type}`"),
                "give a media type, such as text/plain",
            );
        }
    }
    let discrete = |media_type: &str| media_type.contains("discrete=");
    if discrete(&observation_type)
        && let Err(why) = discrete::observations(&observation_type)
    {
        return wrong(why, "write discrete=N with a number");
    }
    if discrete(&action_type)
        && let Err(why) = discrete::Actions::of(&action_type, 1 << 16)
    {
        return wrong(why, "write discrete=N, and as many words in values");
    }
    if !serde_json::from_str::<Value>(&config_schema)
        .is_ok_and(|schema| schema.is_object() || schema.is_boolean())
    {
        return wrong("config-schema is no JSON Schema".into(), "give a JSON object; {} allows everything");
    }
    Ok(())
}

/// Whether a text is `MAJOR.MINOR.PATCH`, perhaps with more behind it.
fn is_version(text: &str) -> bool {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<_> = core.split('.').collect();
    numbers.len() == 3 && numbers.iter().all(|number| number.parse::<u32>().is_ok())
}

/// With the fewest players that they take, and with some. How many are too many may depend on the settings.
pub(super) async fn start(subject: &Subject) -> Done {
    let (_, said) = started(subject).await?;
    let fewest = said.players_min;
    let started = fresh(subject).await?.start(play::setup(subject, fewest)).await;
    if let Err(why) = started.map_err(crashed(format!("starting with {fewest} players")))? {
        return Err(Stop::wrong(
            format!("they start with {fewest} players, the fewest that they say they take"),
            format!("they refused: {why}"),
            "say in `describe` how many players they take",
        ));
    }
    let most = play::players_max(&said);
    refuses(subject, play::setup(subject, most), &format!("{most} players")).await
}

pub(super) async fn setup(subject: &Subject) -> Done {
    let (_, said) = started(subject).await?;
    let mut configs: Vec<String> = [
        "{",
        "null",
        "[]",
        "7",
        "\"text\"",
        "{\"no-such-setting\": 1}",
        "\u{0}",
        " ",
        "{\"a\": {\"a\": {}}}",
    ]
    .map(str::to_owned)
    .to_vec();
    configs.push("[".repeat(20_000));
    let schema: Value = serde_json::from_str(&said.config_schema).unwrap_or_default();
    let names = schema["properties"].as_object().into_iter().flat_map(|properties| properties.keys());
    for name in names {
        let wrong = [
            json!(null),
            json!(-1),
            json!(1e300),
            json!(0),
            json!(""),
            json!([]),
            json!({}),
            json!(u64::MAX),
        ];
        configs.extend(wrong.map(|value| json!({ name: value }).to_string()));
    }
    let players = play::players(&said);
    for config in configs {
        let setup = Setup { config: config.clone(), ..play::setup(subject, players) };
        refuses(subject, setup, &format!("the config {}", crate::subject::shown(&config))).await?;
    }
    let odd_names = vec!["same".to_owned(), "same".to_owned(), String::new(), "\u{1b}".repeat(300)];
    for names in [Vec::new(), odd_names] {
        let about = format!("{} players of odd names", names.len());
        let setup = Setup { players: names, ..play::setup(subject, players) };
        refuses(subject, setup, &about).await?;
    }
    Ok(())
}

/// Starts rules in a way that they may refuse.
async fn refuses(subject: &Subject, setup: Setup, about: &str) -> Done {
    let started = fresh(subject).await?.start(setup).await;
    match started.map_err(crashed(format!("starting with {about}")))? {
        Err(why) if why.trim().is_empty() => Err(Stop::wrong(
            "a refusal says what is wrong with the setup",
            format!("with {about} they refused, and gave no reason"),
            "return a text that names the setting and what it must be",
        )),
        _ => Ok(()),
    }
}

pub(super) async fn actions(subject: &Subject) -> Done {
    let (mut run, _) = started(subject).await?;
    for _ in 0..TICKS_MAX {
        if !run.tick(&Manner::Wild).await? {
            break;
        }
    }
    Ok(())
}

pub(super) async fn seats(subject: &Subject) -> Done {
    let (mut run, said) = started(subject).await?;
    let manner = Manner::plain(&said);
    let discrete = discrete::observations(&said.observation_type).ok();
    let mut shown = BTreeSet::new();
    for tick in 0..TICKS_MAX {
        sound(&run, tick)?;
        if let Some(most) = discrete {
            shown.extend(run.last.prompts.iter().map(|prompt| prompt.observation.clone()));
            if shown.len() > most {
                return Err(Stop::wrong(
                    format!("at most {most} different observations, as observation-type says"),
                    format!("{} were shown by tick {tick}", shown.len()),
                    "say discrete=N with all that may be shown",
                ));
            }
        }
        if !run.tick(&manner).await? {
            break;
        }
    }
    Ok(())
}

/// Whether an outcome can be carried out.
fn sound(run: &Run, tick: usize) -> Done {
    let wrong = |seen: String, mend: &str| {
        let expected = "prompts to seats of players that there are, each once; figures that are numbers";
        Err(Stop::wrong(expected, format!("at tick {tick}, {seen}"), mend))
    };
    let mut seats = BTreeSet::new();
    for prompt in &run.last.prompts {
        let (player, seat) = (prompt.player, prompt.seat);
        if player as usize >= run.players {
            return wrong(
                format!("they asked player {player} of {}", run.players),
                "ask by places in the setup's list, from 0",
            );
        }
        if !seats.insert((player, seat)) {
            return wrong(
                format!("they asked seat {seat} of player {player} twice"),
                "ask each seat once a tick",
            );
        }
        if !prompt.reward.is_finite() {
            return wrong(
                format!("the reward of seat {seat} of player {player} is {}", prompt.reward),
                "divide by no count that may be 0",
            );
        }
    }
    for signal in &run.last.signals {
        if !signal.value.is_finite() || signal.name.is_empty() || signal.name.len() > NAME_BYTES_MAX {
            return wrong(
                format!("the signal `{}` is {}", signal.name, signal.value),
                "give it a dotted name, and leave it out while it is no number",
            );
        }
    }
    let is_kind = |kind: &str| {
        (1..=NAME_BYTES_MAX).contains(&kind.len())
            && kind.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b))
    };
    match run.last.events.iter().find(|event| !is_kind(&event.kind)) {
        Some(event) => {
            wrong(format!("the kind of an event is `{}`", event.kind), "use a dotted name of [a-z0-9._-]")
        }
        None => Ok(()),
    }
}

pub(super) async fn messages(subject: &Subject) -> Done {
    let (mut run, said) = started(subject).await?;
    let odd = script::odd(subject.body_max());
    let plain = script::plain(&subject.options.say).into_iter().map(|said| ("a plain message", said));
    for (what, message) in odd.into_iter().chain(plain) {
        let heard = run.rules.receive(&message).await;
        heard.map_err(crashed(format!("being sent {what}")))?.ok();
    }
    run.tick(&Manner::plain(&said)).await.map(drop)
}

pub(super) async fn joining(subject: &Subject) -> Done {
    let (mut run, said) = started(subject).await?;
    let manner = Manner::plain(&said);
    run.tick(&manner).await?;
    for name in ["newcomer", "player-0", ""] {
        let joined = run.rules.join(name.to_owned()).await;
        if let Ok(place) = joined.map_err(crashed(format!("being joined by `{name}`")))? {
            run.players = run.players.max(place as usize + 1);
        }
    }
    for player in [0, 1, 0, u32::MAX] {
        run.rules.leave(player).await.map_err(crashed(format!("being left by player {player}")))?.ok();
    }
    run.tick(&manner).await?;
    run.tick(&manner).await.map(drop)
}

pub(super) async fn view(subject: &Subject) -> Done {
    let (mut run, said) = started(subject).await?;
    let manner = Manner::plain(&said);
    for tick in 0..TICKS_MAX {
        let before = run.state().await?;
        let view = run.rules.view().await.map_err(crashed("showing themselves"))?;
        if let Some(seen) = malformed(&view.content_type, &view.body) {
            return Err(Stop::wrong(
                "image/svg+xml that is well-formed, or application/json that can be read",
                format!("at tick {tick}, {seen}"),
                "escape what players are called, and close what is opened",
            ));
        }
        let again = run.rules.view().await.map_err(crashed("showing themselves again"))?;
        if run.state().await? != before || again != view {
            return Err(Stop::wrong(
                "looking at a run changes nothing",
                format!("at tick {tick}, the state or the view was another after a look"),
                "let `view` draw the state, and draw from chance nothing",
            ));
        }
        if !run.tick(&manner).await? {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_three_numbers() {
        assert!(is_version("0.1.0") && is_version("1.2.3-rc.1+x"));
        assert!(!is_version("1") && !is_version("1.2") && !is_version("a.b.c") && !is_version(""));
    }
}
