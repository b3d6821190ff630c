//! Counts what it is told to tell, and tells it to the Soul that its setting `peer` names: `tell TEXT`. `told` answers
//! how often it did. What the other answers, it counts too: `heard`.

use matrix_sdk::messaging;
use matrix_sdk::prelude::*;
use programs::{command, say};

/// Whom it tells, and how often it did.
#[derive(Default, Serialize, Deserialize)]
struct Teller {
    #[serde(skip)]
    peer: String,
    told: u64,
    heard: u64,
}

impl Soul for Teller {
    fn init(birth: Birth) -> Result<Self, String> {
        Ok(Self { peer: birth.setting("peer").unwrap_or_default().to_owned(), ..Self::default() })
    }

    fn receive(&mut self, message: Message<'_>) -> Reply {
        if message.in_reply_to.is_some() {
            self.heard += 1;
            return Ok(None);
        }
        let (word, argument) = command(&message)?;
        match word.as_str() {
            "tell" => self.tell(&argument),
            "tell-and-trap" => {
                self.tell(&argument)?;
                panic!("told to")
            }
            "told" => say(self.told),
            "heard" => say(self.heard),
            "trap" => panic!("told to"),
            _ => Err("say `tell TEXT`, `told` or `heard`".to_owned()),
        }
    }
}

impl Teller {
    fn tell(&mut self, text: &str) -> Reply {
        self.told += 1;
        let peer = Address::soul(self.peer.as_str());
        messaging::send(&peer, &Content::text(text)).map_err(|error| format!("{error:?}"))?;
        say(self.told)
    }
}

impl Stateful for Teller {
    const SCHEMA: &'static str = "teller/1";

    fn adopt(&mut self, state: Self) {
        (self.told, self.heard) = (state.told, state.heard);
    }
}

matrix_sdk::soul!(Teller: stateful);
