//! A Soul that is an interpreter: its program is a text, and it recites the line that it is asked for.

use matrix_sdk::prelude::*;
use matrix_sdk::program;

/// It keeps how many lines it has recited.
#[derive(Default, Serialize, Deserialize)]
struct Reciter {
    recited: u32,
}

impl Soul for Reciter {
    fn receive(&mut self, message: Message<'_>) -> Reply {
        let program = String::from_utf8(program::read()).map_err(|error| error.to_string())?;
        let number: usize = message.text()?.parse().map_err(|_| "say the number of a line")?;
        let line = program.lines().nth(number).ok_or("there is no such line")?;
        self.recited += 1;
        Ok(Some(Content::text(format!("{line} ({})", self.recited))))
    }
}

impl Stateful for Reciter {
    const SCHEMA: &'static str = "reciter/1";
}

matrix_sdk::soul!(Reciter: stateful);
