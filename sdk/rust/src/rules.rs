//! What makes a type the rule engine of a Matrix.

pub use crate::bindings::rules::exports::matrix::node::rules::{Description, Event, Outcome, Prompts, Setup};
use serde::de::DeserializeOwned;

use crate::stateful::Stateful;
use crate::types::{Content, Message, Metric, Reply};

/// Asks a player for an action.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt<'a> {
    /// Whom to ask: a place in the setup's players.
    pub player: u32,
    /// Which of its seats is asked.
    pub seat: u32,
    /// What the seat sees.
    pub observation: &'a [u8],
    /// What the seat's last action earned.
    pub reward: f64,
    /// The seat's game is over: the player is told, and its answer dropped.
    pub final_: bool,
}

/// A player's answer to a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Action<'a> {
    /// The player who was asked.
    pub player: u32,
    /// The seat that was asked.
    pub seat: u32,
    /// None: the player did not answer in time, or failed.
    pub choice: Option<&'a [u8]>,
}

impl Setup {
    /// The settings in `config`, which are JSON; an empty text stands for all defaults.
    ///
    /// # Errors
    /// Says what is wrong with them, after `config: `.
    pub fn settings<T: DeserializeOwned>(&self) -> Result<T, String> {
        let config = if self.config.trim().is_empty() { "{}" } else { &self.config };
        serde_json::from_str(config).map_err(|error| format!("config: {error}"))
    }
}

/// The rules of a Matrix. They see only what is passed in: no clock, no chance but the seed. The same
/// setup and the same actions must give the same outcomes and the same state, on every machine.
pub trait Rules: Stateful + 'static {
    /// What these rules are; callable before [`start`](Self::start).
    fn describe() -> Description;

    /// Sets a Matrix up, and asks for the first actions.
    ///
    /// # Errors
    /// Says what is wrong with the setup, and what to change.
    fn start(setup: Setup) -> Result<(Self, Outcome), String>;

    /// Advances by one tick. One action comes for every prompt of the last outcome that was not final,
    /// in the order of the prompts. Actions are untrusted: a wrong one is the player's loss.
    ///
    /// # Errors
    /// The Matrix stops; never for what a player did.
    fn step(&mut self, actions: &[Action<'_>]) -> Result<Outcome, String>;

    /// A player comes while the Matrix runs; its place in the list of players is returned. By default
    /// refused.
    ///
    /// # Errors
    /// Says why the player cannot come.
    fn join(&mut self, player: String) -> Result<u32, String> {
        Err(format!("`{player}` cannot join: these rules take players at the start only"))
    }

    /// A player goes while the Matrix runs. By default refused.
    ///
    /// # Errors
    /// Says why the player cannot go.
    fn leave(&mut self, player: u32) -> Result<(), String> {
        Err(format!("player {player} cannot leave: these rules keep their players to the end"))
    }

    /// A message sent to the Matrix's address. By default refused.
    ///
    /// # Errors
    /// The text goes back to the sender, as the failure of its message.
    fn receive(&mut self, message: Message<'_>) -> Reply {
        Err(format!("these rules take no messages, and so none of {}", message.content_type))
    }

    /// The present state as people would look at it: `image/svg+xml`, or `application/json`.
    fn view(&self) -> Content;
}

impl Outcome {
    /// Nothing asked, nothing happened, not finished.
    #[must_use]
    pub fn empty() -> Self {
        Self { prompts: Prompts::new(), events: Vec::new(), signals: Vec::new(), finished: false }
    }

    /// Adds a figure of the whole.
    pub fn signal(&mut self, name: &str, value: f64) {
        self.signals.push(Metric { name: name.to_owned(), value });
    }

    /// Adds something that happened.
    pub fn event(&mut self, kind: &str, content: Content) {
        self.events.push(Event { kind: kind.to_owned(), content });
    }
}
