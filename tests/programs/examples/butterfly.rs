//! The code after a swap: takes up what a caterpillar was, and can do more. Its setting `after` says what goes wrong.

use std::cell::RefCell;

use matrix_sdk::messaging;
use matrix_sdk::prelude::*;
use programs::insect::{Butterfly, add};
use programs::{command, misbehave, say};

thread_local! {
    /// What goes wrong: a state has no settings.
    static AFTER: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Does what goes wrong at this stage, if anything does.
fn wrong(stage: &str) -> Result<(), String> {
    let word = AFTER.with_borrow(|after| after.strip_prefix(stage).map(ToOwned::to_owned));
    match word.as_deref() {
        Some("refuse") => Err("a butterfly refuses".to_owned()),
        Some(word) => misbehave(word).map_or(Ok(()), |done| done.map(drop)),
        None => Ok(()),
    }
}

#[derive(Default, Serialize, Deserialize)]
#[serde(transparent)]
struct Insect(Butterfly);

impl Soul for Insect {
    fn init(birth: Birth) -> Result<Self, String> {
        AFTER.set(birth.setting("after").unwrap_or_default().to_owned());
        if let Some(peer) = birth.setting("announce") {
            let _ = messaging::send(&Address::soul(peer), &Content::text("born"));
        }
        wrong("init-")?;
        Ok(Self::default())
    }

    fn receive(&mut self, message: Message<'_>) -> Reply {
        wrong("receive-")?;
        let (word, argument) = command(&message)?;
        match word.as_str() {
            "add" => add(&mut self.0.total, &mut self.0.last, &argument),
            "total" => say(self.0.total),
            "code" => say(env!("CARGO_CRATE_NAME")),
            "fly" => {
                self.0.flights += 1;
                say(self.0.flights)
            }
            word => misbehave(word).unwrap_or_else(|| Err("a butterfly cannot do that".to_owned())),
        }
    }
}

impl Stateful for Insect {
    const SCHEMA: &'static str = Butterfly::SCHEMA;

    fn snapshot(&self) -> Result<Vec<u8>, String> {
        wrong("snapshot-")?;
        self.0.snapshot()
    }

    fn migrate(schema: &str, bytes: &[u8]) -> Result<Self, String> {
        wrong("restore-")?;
        Butterfly::decode(schema, bytes).map(Self)
    }
}

matrix_sdk::soul!(Insect: stateful);
