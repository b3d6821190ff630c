//! Says the lines of its setting `lines`, between which there is a `|`, one a turn; after the last it is silent.

use matrix_sdk::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Talker {
    #[serde(skip)]
    lines: String,
    said: u32,
}

impl Soul for Talker {
    fn init(birth: Birth) -> Result<Self, String> {
        let lines = birth.setting("lines").ok_or("set `lines`")?.to_owned();
        Ok(Self { lines, said: 0 })
    }

    fn receive(&mut self, message: Message<'_>) -> Reply {
        Ok(Some(message.content()))
    }
}

impl Player for Talker {
    fn act(&mut self, _matrix: &str, _tick: u64, turn: &Turn<'_>) -> Result<Vec<u8>, String> {
        if turn.is_final() {
            return Ok(Vec::new());
        }
        let line = self.lines.split('|').nth(self.said as usize).unwrap_or_default();
        self.said += 1;
        Ok(line.as_bytes().to_vec())
    }
}

impl Stateful for Talker {
    const SCHEMA: &'static str = "talker/1";

    fn adopt(&mut self, state: Self) {
        self.said = state.said;
    }
}

matrix_sdk::soul!(Talker: stateful, player);
