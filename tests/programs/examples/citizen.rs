//! An honest Soul: answers `ping`, counts, and shows what its time and its chance are. It imports
//! nothing that waits.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use matrix_sdk::prelude::*;
use matrix_sdk::{config, messaging};
use programs::{command, say};

/// How many messages it has seen, how many of them came by a topic, and the last of those.
#[derive(Default, Serialize, Deserialize)]
struct Citizen {
    seen: u64,
    by_topic: u64,
    heard: String,
}

impl Soul for Citizen {
    fn receive(&mut self, message: Message<'_>) -> Reply {
        self.seen += 1;
        if message.topic.is_some() {
            self.by_topic += 1;
            message.text()?.clone_into(&mut self.heard);
            return Ok(None);
        }
        let (word, argument) = command(&message)?;
        match word.as_str() {
            "ping" => say("pong"),
            "seen" => say(self.seen),
            "heard" => say(&self.heard),
            "heard-count" => say(self.by_topic),
            "moment" => say(moment()),
            "nap" => nap(&argument),
            "setting" => {
                say(config::get(&argument).map_err(|error| format!("{error:?}"))?.unwrap_or_default())
            }
            "subscribe" => match messaging::subscribe(&argument) {
                Ok(()) => say("subscribed"),
                Err(error) => Err(format!("{error:?}")),
            },
            "unsubscribe" => match messaging::unsubscribe(&argument) {
                Ok(()) => say("unsubscribed"),
                Err(error) => Err(format!("{error:?}")),
            },
            "publish" => publish(&argument),
            // What others send it without being asked is as good as a ping.
            _ => Ok(None),
        }
    }
}

/// Says something to a topic: `TOPIC TEXT`.
fn publish(argument: &str) -> Reply {
    let (topic, text) = argument.split_once(' ').ok_or("say `publish TOPIC TEXT`")?;
    messaging::send(&Address::topic(topic), &Content::text(text)).map_err(|error| format!("{error:?}"))?;
    say("published")
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
