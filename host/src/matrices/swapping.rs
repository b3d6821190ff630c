//! Other rules for a Matrix: what may be known before they take over is found out here, beside the run; the rest is
//! the runner's, between two ticks.

use serde_json::json;

use super::error::MatrixError;
use super::handle::Handle;
use super::host::report;
use super::launch::stage;
use super::lines::Command;
use super::records::{Filed, Wanted};
use super::registry::Matrices;
use super::rehearsal::{Rehearsal, rehearse};
use super::status::{MatrixState, MatrixView};
use super::world::{Rules, Stage, World};
use crate::ids::{Digest, MatrixName};
use crate::runtime::rules::Description;
use crate::transport::envelope::Address;

/// The most characters of a media type that are shown in an error.
const SHOWN_CHARS: usize = 64;

/// Which rules are to take over.
#[derive(Debug, Clone, Copy)]
enum Heir {
    /// Those of this component.
    Of(Digest),
    /// Those before the present ones.
    Before,
}

impl Matrices {
    /// Lets the rules of another component take over between two ticks. A Matrix that failed is first brought back to
    /// its last tick, and waits there to be started. Rules that run already stay.
    ///
    /// # Errors
    /// `NotSwapped` says why the rules that were there stay; `State` if the run is over; `Unknown`, `Moved`, `Kv`.
    pub async fn swap(&self, matrix: &MatrixName, rules: Digest) -> Result<MatrixView, MatrixError> {
        self.let_swap(matrix, Heir::Of(rules)).await
    }

    /// Lets the rules before the present ones take over again, with the state of now.
    ///
    /// # Errors
    /// Those of [`Matrices::swap`].
    pub async fn roll_back(&self, matrix: &MatrixName) -> Result<MatrixView, MatrixError> {
        self.let_swap(matrix, Heir::Before).await
    }

    /// What would come of a swap: the rules that run, and others, are given the last `ticks` ticks again, at most
    /// [`super::REHEARSAL_TICKS_MAX`], and the others take up the present state. Nobody hears of it.
    ///
    /// # Errors
    /// Those of [`Matrices::swap`], as far as they can be known before.
    pub async fn rehearse(
        &self,
        matrix: &MatrixName,
        rules: Digest,
        ticks: u32,
    ) -> Result<Rehearsal, MatrixError> {
        let (this, matrix) = (self.clone(), matrix.clone());
        let rehearsing = async move {
            let handle = this.handle(&matrix)?;
            can_be_swapped(&handle)?;
            let world = this.fitting(&handle, rules).await?;
            let _turn = this.0.replays.acquire().await.map_err(|_| MatrixError::Stopping)?;
            let progress = handle.progress.borrow().clone();
            let since = progress.switches.last().map_or(0, |switch| switch.tick);
            let from = progress.figures.tick.saturating_sub(ticks.into()).max(since);
            let log = this.0.host.run_log(&handle.run);
            rehearse(&world, &log, rules, from).await.map_err(|error| not_swapped(&matrix, error))
        };
        self.0.host.tasks.spawn("matrix.rehearse", rehearsing).await.map_err(|_| MatrixError::Stopping)?
    }

    async fn let_swap(&self, matrix: &MatrixName, heir: Heir) -> Result<MatrixView, MatrixError> {
        // Rules run on the threads that are for guests, and what was begun is done, whoever stops waiting.
        let (this, matrix) = (self.clone(), matrix.clone());
        let swapping = async move {
            let swapped = this.swap_here(&matrix, heir).await;
            if let Err(error) = &swapped
                && this.handle(&matrix).is_ok()
            {
                this.0.host.metrics.matrices.swaps.add("failed", 1);
                let detail = json!({ "reason": error.to_string() });
                report(&this.0.host.bus, "matrix.swap-failed", &matrix, &detail);
            }
            swapped
        };
        self.0.host.tasks.spawn("matrix.swap", swapping).await.map_err(|_| MatrixError::Stopping)?
    }

    async fn swap_here(&self, matrix: &MatrixName, heir: Heir) -> Result<MatrixView, MatrixError> {
        let handle = self.handle(matrix)?;
        can_be_swapped(&handle)?;
        let rules = component(&handle, heir)?;
        // Compiling takes its time, which nobody else has to wait for.
        self.fitting(&handle, rules).await?;
        let lock = self.lock(matrix);
        let _only = lock.lock().await;
        let handle = self.handle(matrix)?;
        can_be_swapped(&handle)?;
        if component(&handle, heir)? != rules {
            let why = "they were swapped a moment ago: ask again".to_owned();
            return Err(MatrixError::NotSwapped { matrix: matrix.clone(), why });
        }
        if handle.view().manifest.rules == rules {
            return Ok(handle.view());
        }
        if handle.state() == MatrixState::Failed {
            return self.mend(handle, rules).await;
        }
        match handle.ask(|reply| Command::Swap(rules, reply)).await {
            Some(swapped) => swapped.map(|()| handle.view()),
            None if handle.state().is_over() => Err(handle.over(OVER)),
            None => Err(MatrixError::Stopping),
        }
    }

    /// Brings a Matrix that failed back to its last tick with the rules that it had, and lets others take over there.
    async fn mend(&self, handle: Handle, rules: Digest) -> Result<MatrixView, MatrixError> {
        let matrix = handle.manifest.name.clone();
        handle.end().await;
        let failed = handle.progress.borrow().clone();
        handle.progress.send_modify(|progress| {
            progress.state = MatrixState::Paused;
            progress.reason.clear();
        });
        let handle = self.launch(handle, None);
        self.insert(handle.clone());
        let error = match handle.ask(|reply| Command::Swap(rules, reply)).await {
            Some(Ok(())) => {
                self.save(&handle, Wanted::Paused, None).await?;
                return Ok(handle.view());
            }
            Some(Err(error)) => error,
            None if handle.state() == MatrixState::Failed => {
                let why = format!("the run cannot be brought back: {}", handle.progress.borrow().reason);
                return Err(MatrixError::NotSwapped { matrix, why });
            }
            None => return Err(MatrixError::Stopping),
        };
        handle.let_go().await;
        self.0.host.router.directory().remove(&Address::Matrix(matrix));
        handle.progress.send_replace(failed);
        Err(error)
    }

    /// The world of a Matrix in which the rules of a component may take over, as far as they themselves say.
    async fn fitting(&self, handle: &Handle, rules: Digest) -> Result<Stage, MatrixError> {
        let matrix = &handle.manifest.name;
        let (world, _) = stage(&self.0.host, &self.0.host.run_log(&handle.run))?;
        let next = describe(&world, rules).await.map_err(|error| not_swapped(matrix, error))?;
        // Those that run need not be able to say what they are any more.
        let now = describe(&world, handle.view().manifest.rules).await.ok();
        match misfit(now.as_ref(), &next, handle.manifest.players.len()) {
            None => Ok(world),
            Some(why) => {
                let why = format!("{rules} does not fit: {why}");
                Err(MatrixError::NotSwapped { matrix: matrix.clone(), why })
            }
        }
    }

    /// Makes rules ready that this node may have to run, because it holds a copy of the run log.
    pub(super) fn prepare(&self, before: Option<&Filed>, now: &Filed) {
        let rules = now.record.manifest.rules;
        let known = before.is_some_and(|before| before.record.manifest.rules == rules);
        if known || now.record.switches.is_empty() || !now.record.copies.contains(&self.0.host.node) {
            return;
        }
        let components = self.0.host.components.clone();
        self.0.host.background.spawn("matrices.prepare", async move {
            if let Err(error) = components.get(rules).await {
                tracing::warn!(%rules, %error, "the new rules of a Matrix of which a copy is held cannot be had");
            }
        });
    }
}

/// What a run that is over can do instead.
const OVER: &str = "its rules are what it was played by";

fn can_be_swapped(handle: &Handle) -> Result<(), MatrixError> {
    match handle.state() {
        MatrixState::Finished | MatrixState::Stopped => Err(handle.over(OVER)),
        MatrixState::Running | MatrixState::Paused | MatrixState::Failed => Ok(()),
    }
}

fn component(handle: &Handle, heir: Heir) -> Result<Digest, MatrixError> {
    let before = || {
        let last = handle.progress.borrow().switches.last().map(|switch| switch.before);
        let (matrix, why) = (handle.manifest.name.clone(), "there were no others before them".to_owned());
        last.ok_or(MatrixError::NotSwapped { matrix, why })
    };
    match heir {
        Heir::Of(rules) => Ok(rules),
        Heir::Before => before(),
    }
}

async fn describe(world: &Stage, rules: Digest) -> Result<Description, MatrixError> {
    let mut rules = world.rules(rules).await?;
    Ok(Rules::describe(&mut rules).await?)
}

/// Why rules cannot take over from others in a run of so many players.
fn misfit(now: Option<&Description>, next: &Description, players: usize) -> Option<String> {
    let (min, max) = (next.players_min, next.players_max);
    if !(min as usize..=max as usize).contains(&players) {
        return Some(format!("it takes {min} to {max} players, and there are {players}"));
    }
    let now = now?;
    let shown =
        |text: &str| text.chars().take(SHOWN_CHARS).flat_map(char::escape_default).collect::<String>();
    let types = [
        ("shows players", &now.observation_type, &next.observation_type),
        ("takes from players", &now.action_type, &next.action_type),
    ];
    let (does, now, next) = types.into_iter().find(|(_, now, next)| now != next)?;
    Some(format!("it {does} `{}`, and they play with `{}`", shown(next), shown(now)))
}

/// What befell rules that were to take over, told as that.
fn not_swapped(matrix: &MatrixName, error: MatrixError) -> MatrixError {
    match error {
        MatrixError::Kv(_) | MatrixError::Moved(_) | MatrixError::Stopping | MatrixError::Log(_) => error,
        error => MatrixError::NotSwapped { matrix: matrix.clone(), why: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(players: (u32, u32), shows: &str, takes: &str) -> Description {
        Description {
            name: "rules".to_owned(),
            version: "1".to_owned(),
            observation_type: shows.to_owned(),
            action_type: takes.to_owned(),
            players_min: players.0,
            players_max: players.1,
            config_schema: "{}".to_owned(),
        }
    }

    #[test]
    fn rules_fit_where_they_take_the_players_and_speak_with_them_alike() {
        let now = description((2, 2), "text/plain", "text/plain");
        assert_eq!(misfit(Some(&now), &description((1, 9), "text/plain", "text/plain"), 2), None);
        let other = description((3, 4), "text/plain", "text/plain");
        let why = misfit(None, &other, 2).expect("there are two");
        assert_eq!(why, "it takes 3 to 4 players, and there are 2");
        let other = description((2, 2), "text/plain", "a\u{1b}b");
        let why = misfit(Some(&now), &other, 2).expect("they answer something else");
        assert_eq!(why, "it takes from players `a\\u{1b}b`, and they play with `text/plain`");
        assert_eq!(misfit(None, &other, 2), None, "what the rules before said is not known");
    }
}
