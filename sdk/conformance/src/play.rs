//! Rules that are played, and stages that judge: what drives them, and what came of it in lines that can be compared.

use matrix_sdk::discrete::Actions;
use matrixd::bench::{Judged, RulesOnBench, Said, StageOnBench};
use matrixd::runtime::component::Component;
use matrixd::runtime::rules::{Action, Description, Outcome, Prompt, Setup};

use crate::checks::{Stop, crashed};
use crate::script::{self, Chance};
use crate::subject::{Subject, shown};

/// How many ticks a run has, if the rules do not end it before.
pub(crate) const TICKS_MAX: usize = 40;
/// How many players there are at most, however many the rules take.
const PLAYERS_MAX: u32 = 64;
/// The most actions that are told by their words.
const WORDS_MAX: usize = 1_024;

/// What players might answer whom nobody told the rules.
const GUESSES: [&[u8]; 8] = [b"0", b"1", b"C", b"D", b"", b"{}", b"hello", b"\xff\x00"];

/// How players answer.
#[derive(Debug, Clone)]
pub(crate) enum Manner {
    /// By the words that the rules name, or by guesses where they name none; now and then not at all.
    Plain(Vec<Vec<u8>>),
    /// By whatever bytes, however long.
    Wild,
}

impl Manner {
    /// How players answer who have read the description.
    pub(crate) fn plain(description: &Description) -> Self {
        let words = Actions::of(&description.action_type, WORDS_MAX);
        let words =
            words.map(|actions| actions.words().iter().map(|word| word.clone().into_bytes()).collect());
        Self::Plain(words.unwrap_or_else(|_| GUESSES.iter().map(|guess| guess.to_vec()).collect()))
    }

    fn choice(&self, chance: &mut Chance) -> Option<Vec<u8>> {
        match self {
            Self::Plain(words) if chance.below(8) > 0 => Some(words[chance.below(words.len())].clone()),
            Self::Plain(_) => None,
            Self::Wild => match chance.below(8) {
                0 => None,
                1 => Some(Vec::new()),
                2 => Some(vec![0xff; 64 * 1024]),
                3 => Some(b"[".repeat(10_000)),
                4 => Some(b"-99999999999999999999999999999999.5e999".to_vec()),
                5 => Some("{\"price\": NaN, \"say\": \"\u{202e}\"}".as_bytes().to_vec()),
                6 => Some((0..=255).collect()),
                _ => Some(GUESSES[chance.below(GUESSES.len())].to_vec()),
            },
        }
    }
}

/// A run under way.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) rules: RulesOnBench,
    pub(crate) players: usize,
    /// What came of the last tick.
    pub(crate) last: Outcome,
    pub(crate) chance: Chance,
}

/// How many players a run has.
pub(crate) fn players(description: &Description) -> u32 {
    description.players_min.max(2).min(description.players_max)
}

/// The most players that a run is tried with.
pub(crate) fn players_max(description: &Description) -> u32 {
    description.players_max.min(PLAYERS_MAX.max(description.players_min))
}

/// A setup for so many players.
pub(crate) fn setup(subject: &Subject, players: u32) -> Setup {
    Setup {
        config: subject.options.config.clone(),
        seed: subject.options.seed,
        players: (0..players).map(|number| format!("player-{number}")).collect(),
    }
}

/// An instance of the component's rules that is not set up.
pub(crate) async fn fresh(subject: &Subject) -> Result<RulesOnBench, Stop> {
    fresh_of(subject, subject.component()?).await
}

async fn fresh_of(subject: &Subject, component: &Component) -> Result<RulesOnBench, Stop> {
    let made = subject.bench.rules(component, subject.options.seed).await;
    made.map_err(crashed("being instantiated"))
}

/// A run of the component's rules that has just started, and what they say of themselves.
pub(crate) async fn started(subject: &Subject) -> Result<(Run, Description), Stop> {
    started_of(subject, subject.component()?).await
}

/// A run of any rules that has just started, and what they say of themselves.
pub(crate) async fn started_of(subject: &Subject, component: &Component) -> Result<(Run, Description), Stop> {
    let mut rules = fresh_of(subject, component).await?;
    let description = rules.describe().await.map_err(crashed("describing themselves"))?;
    let players = players(&description);
    let setup = setup(subject, players);
    let outcome = rules.start(setup).await.map_err(crashed("starting"))?;
    let last = outcome.map_err(|why| {
        Stop::wrong(
            "an empty config stands for every default",
            format!("`start` with {players} players refused: {why}"),
            "give every setting a default (or check them with --config JSON)",
        )
    })?;
    let chance = Chance::new(subject.options.seed);
    Ok((Run { rules, players: players as usize, last, chance }, description))
}

impl Run {
    /// What players answer to the last prompts.
    pub(crate) fn answers(&mut self, manner: &Manner) -> Vec<Action> {
        let asked = self.last.prompts.iter().filter(|prompt| !prompt.final_);
        let chance = &mut self.chance;
        asked
            .map(|Prompt { player, seat, .. }| Action {
                player: *player,
                seat: *seat,
                choice: manner.choice(chance),
            })
            .collect()
    }

    /// One tick; false: the run was over already.
    pub(crate) async fn tick(&mut self, manner: &Manner) -> Result<bool, Stop> {
        if self.last.finished {
            return Ok(false);
        }
        let actions = self.answers(manner);
        self.step(actions).await?;
        Ok(true)
    }

    /// One tick with these actions.
    pub(crate) async fn step(&mut self, actions: Vec<Action>) -> Result<(), Stop> {
        let stepped = self.rules.step(actions).await.map_err(crashed("taking a step"))?;
        self.last = stepped.map_err(|why| {
            Stop::wrong(
                "a step is taken whatever players did: a wrong action is the player's loss",
                format!("`step` failed: {why}"),
                "count what cannot be read as no answer, and go on",
            )
        })?;
        Ok(())
    }

    /// The state as it is now.
    pub(crate) async fn state(&mut self) -> Result<matrixd::bench::State, Stop> {
        let given = self.rules.state().await.map_err(crashed("giving their state"))?;
        given.map_err(|why| {
            Stop::wrong(
                "the state is given whenever it is asked for between two ticks",
                format!("`snapshot` failed: {why}"),
                "let `snapshot` encode whatever state a run can lead to",
            )
        })
    }

    /// The same run, in another instance that is given the state.
    pub(crate) async fn restored(&mut self, subject: &Subject) -> Result<Self, Stop> {
        self.restored_of(subject, subject.component()?).await
    }

    /// [`Run::restored`], of any rules.
    pub(crate) async fn restored_of(
        &mut self,
        subject: &Subject,
        component: &Component,
    ) -> Result<Self, Stop> {
        let state = self.state().await?;
        let mut rules = fresh_of(subject, component).await?;
        let taken = rules.take_up(state).await.map_err(crashed("being given their own state"))?;
        taken.map_err(|why| {
            Stop::wrong(
                "they take up the state that they gave, without having been started",
                format!("`restore` failed: {why}"),
                "let `restore` read whatever `snapshot` writes",
            )
        })?;
        Ok(Self { rules, players: self.players, last: self.last.clone(), chance: self.chance.clone() })
    }

    /// What came of the last tick, in one line.
    pub(crate) fn line(&self) -> String {
        let Outcome { prompts, events, signals, finished } = &self.last;
        let events: Vec<_> = events
            .iter()
            .map(|event| (&event.kind, &event.content.content_type, &event.content.body))
            .collect();
        let signals: Vec<_> = signals.iter().map(|signal| (&signal.name, signal.value.to_bits())).collect();
        format!(
            "prompts {}, events {}, signals {}, finished {finished}",
            shown(&format!("{prompts:?}")),
            shown(&format!("{events:?}")),
            shown(&format!("{signals:?}"))
        )
    }
}

/// The course of the component's rules.
pub(crate) async fn lines(subject: &Subject) -> Result<Vec<String>, Stop> {
    let (mut run, description) = started(subject).await?;
    let manner = Manner::plain(&description);
    let mut lines = vec![run.line()];
    for _ in 0..TICKS_MAX {
        if !run.tick(&manner).await? {
            break;
        }
        lines.push(run.line());
    }
    lines.push(format!("the state is {}", shown(&format!("{:?}", run.state().await?))));
    Ok(lines)
}

/// A stage of the component, with its settings.
pub(crate) fn stage(subject: &Subject) -> Result<StageOnBench, Stop> {
    let made = subject.bench.stage(subject.component()?, subject.options.settings.clone());
    made.map_err(crashed("being instantiated"))
}

/// What a stage is to judge: plain messages and odd ones.
pub(crate) fn passing(subject: &Subject) -> Vec<Said> {
    let odd = script::odd(subject.body_max()).into_iter().map(|(_, said)| said);
    script::plain(&subject.options.say).into_iter().chain(odd).collect()
}

/// A verdict in one line.
pub(crate) fn verdict(judged: &Judged) -> String {
    match judged {
        Judged::Pass => "passes".to_owned(),
        Judged::Rewrite(content) => {
            let body = String::from_utf8_lossy(&content.body);
            format!("rewrites: {} {}", &*content.content_type, shown(&body))
        }
        Judged::Reject(why) => format!("rejects: {}", shown(why)),
    }
}

/// The course of a stage.
pub(crate) fn verdicts(subject: &Subject) -> Result<Vec<String>, Stop> {
    let mut stage = stage(subject)?;
    let mut lines = Vec::new();
    for said in passing(subject) {
        for leaves in [true, false] {
            let judged = stage.judge(leaves, &said).map_err(crashed("judging a message"))?;
            lines.push(verdict(&judged));
        }
    }
    Ok(lines)
}
