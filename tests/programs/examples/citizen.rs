//! An honest Soul: answers `ping`, counts, and shows what its time and its chance are. It imports
//! nothing that waits.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use matrix_sdk::prelude::*;
use matrix_sdk::{config, messaging};
use programs::{command, say};

/// How many messages it has seen, and the last that came by a topic.
#[derive(Default, Serialize, Deserialize)]
struct Citizen {
    seen: u64,
    heard: String,
}

impl Soul for Citizen {
    fn receive(&mut self, message: Message<'_>) -> Reply {
        self.seen += 1;
        if message.topic.is_some() {
            message.text()?.clone_into(&mut self.heard);
            return Ok(None);
        }
        let (word, argument) = command(&message)?;
        match word.as_str() {
            "ping" => say("pong"),
            "seen" => say(self.seen),
            "heard" => say(&self.heard),
            "moment" => say(moment()),
            "nap" => nap(&argument),
            "setting" => {
                say(config::get(&argument).map_err(|error| format!("{error:?}"))?.unwrap_or_default())
            }
            "subscribe" => match messaging::subscribe(&argument) {
                Ok(()) => say("subscribed"),
                Err(error) => Err(format!("{error:?}")),
            },
            // What others send it without being asked is as good as a ping.
            _ => Ok(None),
        }
    }
}

/// What it knows of time and chance: the same for the same messages in the same order.
#[expect(clippy::disallowed_methods, reason = "what a guest sees of the clock is what is tested")]
fn moment() -> String {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{} {:016x}", time.as_millis(), RandomState::new().build_hasher().finish())
}

/// Waits a second as many times as it is told: no time passes, and no handle is left over.
#[expect(clippy::disallowed_methods, reason = "that a guest can wait is what is tested")]
fn nap(times: &str) -> Reply {
    let times: u32 = times.parse().map_err(|_| "say how many times".to_owned())?;
    (0..times).for_each(|_| std::thread::sleep(Duration::from_secs(1)));
    say("awake")
}

impl Stateful for Citizen {
    const SCHEMA: &'static str = "citizen/1";
}

matrix_sdk::soul!(Citizen: stateful);
