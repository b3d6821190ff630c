//! Goes wrong at the stage of its life that its settings name: `init`, `snapshot`, `restore`, `act`, each
//! with what it does there: `loop`, `trap`, `error`, `long-error`, `large`, `huge`, `many`.

use matrix_sdk::prelude::*;
use programs::{LARGE_BYTES, command, misbehave, say, spin};

/// Its settings, which no state replaces.
#[derive(Default, Serialize, Deserialize)]
struct Stages {
    seen: u64,
    #[serde(skip)]
    settings: Vec<(String, String)>,
}

impl Stages {
    fn setting(&self, stage: &str) -> &str {
        self.settings.iter().find(|(name, _)| name == stage).map_or("", |(_, value)| value)
    }
}

/// Does what it is told; returns where it is told nothing of the kind.
fn fail(how: &str) -> Result<(), String> {
    match how {
        "loop" => spin(),
        "trap" => panic!("told to"),
        "error" => Err("told to".to_owned()),
        "long-error" => Err("\u{1b}[2J".repeat(LARGE_BYTES / 8)),
        _ => Ok(()),
    }
}

impl Soul for Stages {
    fn init(birth: Birth) -> Result<Self, String> {
        fail(birth.setting("init").unwrap_or_default())?;
        Ok(Self { seen: 0, settings: birth.config })
    }

    fn receive(&mut self, message: Message<'_>) -> Reply {
        self.seen += 1;
        let (word, _) = command(&message)?;
        match word.as_str() {
            "seen" => say(self.seen),
            word => misbehave(word).unwrap_or(Ok(None)),
        }
    }
}

impl Stateful for Stages {
    const SCHEMA: &'static str = "stages/1";

    fn snapshot(&self) -> Result<Vec<u8>, String> {
        match self.setting("snapshot") {
            "large" => Ok(vec![0; LARGE_BYTES]),
            "huge" => Ok(vec![0; 6 * LARGE_BYTES]),
            how => fail(how).map(|()| self.seen.to_le_bytes().to_vec()),
        }
    }

    fn decode(_schema: &str, bytes: &[u8]) -> Result<Self, String> {
        let bytes = bytes.try_into().map_err(|_| "eight bytes are a state".to_owned())?;
        Ok(Self { seen: u64::from_le_bytes(bytes), settings: Vec::new() })
    }

    fn adopt(&mut self, state: Self) {
        if let Err(reason) = fail(self.setting("restore")) {
            panic!("{reason}");
        }
        self.seen = state.seen;
    }
}

impl Player for Stages {
    fn act(&mut self, _matrix: &str, _tick: u64, _turn: &Turn<'_>) -> Result<Vec<u8>, String> {
        match self.setting("act") {
            "large" => Ok(vec![0; LARGE_BYTES / 16]),
            "huge" => Ok(vec![0; 2 * LARGE_BYTES]),
            how => fail(how).map(|()| b"C".to_vec()),
        }
    }

    fn act_all(&mut self, matrix: &str, tick: u64, turns: &[Turn<'_>]) -> Result<Vec<Vec<u8>>, String> {
        if self.setting("act") == "many" {
            return Ok(vec![Vec::new(); turns.len() + 1]);
        }
        turns.iter().map(|turn| self.act(matrix, tick, turn)).collect()
    }
}

matrix_sdk::soul!(Stages: stateful, player);
