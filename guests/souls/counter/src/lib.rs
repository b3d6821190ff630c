//! Counts. `add N` adds N and answers the sum; `get` answers the count. Both are text, and so is the
//! answer, so that a person can talk to it from the command line.

use matrix_sdk::prelude::*;

/// The count is all its state.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counter {
    count: u64,
}

impl Soul for Counter {
    fn receive(&mut self, message: Message<'_>) -> Reply {
        self.count = command(message.text()?, self.count)?;
        Ok(Some(Content::text(self.count.to_string())))
    }
}

impl Stateful for Counter {
    const SCHEMA: &'static str = "counter/1";
}

matrix_sdk::soul!(Counter: stateful);

/// What the count is after a command.
fn command(text: &str, count: u64) -> Result<u64, String> {
    let mut words = text.split_ascii_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some("get"), None, None) => Ok(count),
        (Some("add"), Some(number), None) => {
            let number: u64 =
                number.parse().map_err(|error| format!("`{number}` cannot be added: {error}"))?;
            count.checked_add(number).ok_or_else(|| format!("{count} + {number} is more than 64 bits hold"))
        }
        _ => Err("say `add N` or `get`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_and_gets() {
        assert_eq!(command("add 2", 40), Ok(42));
        assert_eq!(command(" get\n", 42), Ok(42));
    }

    #[test]
    fn refuses_what_it_cannot_do() {
        for text in ["", "add", "add -1", "add x", "add 1 2", "get it", &format!("add {}", u64::MAX)] {
            assert!(command(text, 1).is_err(), "{text}");
        }
    }

    #[test]
    fn state_survives_a_snapshot() {
        let counter = Counter { count: 7 };
        let bytes = counter.snapshot().unwrap();
        assert_eq!(Counter::decode("counter/1", &bytes), Ok(counter));
        assert!(Counter::decode("counter/2", &bytes).is_err());
        assert!(Counter::decode("counter/1", b"").is_err());
        assert!(Counter::decode("counter/1", b"\x01\x02").is_err());
    }
}
