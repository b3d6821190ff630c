//! The code before a swap: counts, and notices what comes twice or out of order. Its setting `before` says what its
//! `snapshot` does instead of giving its state.

use std::cell::RefCell;

use matrix_sdk::prelude::*;
use programs::insect::{Caterpillar, add};
use programs::{command, misbehave, say};

thread_local! {
    /// What `snapshot` does: a state has no settings.
    static BEFORE: RefCell<String> = const { RefCell::new(String::new()) };
}

#[derive(Default, Serialize, Deserialize)]
#[serde(transparent)]
struct Insect(Caterpillar);

impl Soul for Insect {
    fn init(birth: Birth) -> Result<Self, String> {
        BEFORE.set(birth.setting("before").unwrap_or_default().to_owned());
        Ok(Self::default())
    }

    fn receive(&mut self, message: Message<'_>) -> Reply {
        let (word, argument) = command(&message)?;
        match word.as_str() {
            "add" => add(&mut self.0.total, &mut self.0.last, &argument),
            "total" => say(self.0.total),
            "code" => say("caterpillar"),
            word => misbehave(word).unwrap_or_else(|| Err("a caterpillar cannot do that".to_owned())),
        }
    }
}

impl Stateful for Insect {
    const SCHEMA: &'static str = Caterpillar::SCHEMA;

    fn snapshot(&self) -> Result<Vec<u8>, String> {
        match BEFORE.with_borrow(|before| before.strip_prefix("snapshot-").and_then(misbehave)) {
            Some(done) => done.map(|_| Vec::new()),
            None => self.0.snapshot(),
        }
    }
}

matrix_sdk::soul!(Insect: stateful);
