//! A Soul with one fault, which the tests plant; without it, it is as it should be. It uses what a Soul may that sees no clock.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use matrix_sdk::events;
use matrix_sdk::keyvalue::{Bucket, Error as KvError};
use matrix_sdk::messaging::{self, SendError};
use matrix_sdk::prelude::*;
use programs::fault::{self, fall};
use programs::{LARGE_BYTES, say, spin};

/// What it keeps, and what it ought to keep.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Flawed {
    version: u8,
    sum: u64,
    sulks: bool,
    looks: Cell<u32>,
    restored: u32,
    learnt: RefCell<BTreeMap<String, f64>>,
    #[serde(skip)]
    aside: u64,
    #[serde(skip)]
    aside_learnt: f64,
    #[serde(skip)]
    hoard: Vec<Vec<u8>>,
    #[serde(skip)]
    end: usize,
}

impl Soul for Flawed {
    fn init(birth: Birth) -> Result<Self, String> {
        if birth.setting("no-such-setting").is_some() {
            fall("born");
        }
        if birth.persona.description.is_empty() && fault::is("mute") {
            return Err(String::new());
        }
        Ok(Self { version: if fault::is("new") { 2 } else { 1 }, ..Self::default() })
    }

    fn receive(&mut self, message: Message<'_>) -> Reply {
        let is_next = self.is_next(&message);
        self.mishandle(&message);
        if self.sulks {
            return Err("it will never be the same".to_owned());
        }
        let text = String::from_utf8_lossy(message.body);
        if fault::is("long") && message.body.len() > LARGE_BYTES / 8 {
            return say(text.repeat(2));
        }
        match text.split(' ').next().unwrap_or_default() {
            _ if is_next && fault::is("batch") => say("one of many"),
            "hello" => self.greet(),
            "who" => self.ask(),
            "help" => self.note(),
            "status" => self.tell(),
            "count" => match messaging::subscribe("news") {
                Ok(()) => say("it listens"),
                Err(error) => self.trouble(&error),
            },
            "add" => {
                self.sum = self.sum.wrapping_add(3);
                self.aside += 1;
                say(self.sum)
            }
            "get" if fault::is("forgets") => say(self.aside),
            _ => say(self.sum),
        }
    }
}

impl Flawed {
    /// Whether a message lies right behind the one before: both came in one batch.
    fn is_next(&mut self, message: &Message<'_>) -> bool {
        // The sender's name is what a message begins with.
        let begins = match message.sender {
            Sender::Soul(name) | Sender::Matrix(name) | Sender::Topic(name) | Sender::Client(name) => {
                name.as_ptr()
            }
        };
        let end = message.body.as_ptr_range().end as usize;
        std::mem::replace(&mut self.end, end) == begins as usize
    }

    /// The faults that need a message and nothing else.
    fn mishandle(&mut self, message: &Message<'_>) {
        if std::str::from_utf8(message.body).is_err() {
            fall("garbage");
        }
        if message.body.is_empty() {
            fall("empty");
        }
        if message.topic.is_some() {
            fall("topic");
        }
        if message.body.starts_with(b"[[[[") && fault::is("nested") {
            assert!(depth(message.body) > 0, "it is nested");
        }
        if message.body == b"help" && fault::is("loops") {
            spin();
        }
        if fault::is("leaks") {
            self.hoard.push(vec![1; 64 * 1024]);
        }
    }

    fn greet(&mut self) -> Reply {
        match messaging::send(&Address::soul("neighbour"), &Content::text("hello")) {
            Ok(id) if fault::is("ids") => say(format!("{id:?}")),
            Ok(_) => say("sent"),
            Err(error) => self.trouble(&error),
        }
    }

    fn ask(&mut self) -> Reply {
        match messaging::ask(&Address::soul("neighbour"), &Content::text("who"), Duration::from_secs(1)) {
            Ok(reply) => Ok(reply),
            Err(error) => self.trouble(&error),
        }
    }

    fn note(&self) -> Reply {
        let noted = Bucket::open("default").and_then(|bucket| {
            bucket.set("helped", b"yes")?;
            bucket.get("asked")
        });
        match noted {
            Ok(value) => say(value.map_or(0, |value| value.len())),
            Err(KvError::Other(why)) if !why.contains("quota") && !why.contains("deadline") => {
                fall("kv");
                Err(why)
            }
            Err(error) => Err(format!("{error:?}")),
        }
    }

    fn tell(&self) -> Reply {
        events::emit("status.asked", &Content::text("of it"));
        say("asked and told")
    }

    /// What a message that was not sent leads to.
    fn trouble(&mut self, error: &SendError) -> Reply {
        match error {
            SendError::UnknownRecipient => fall("alone"),
            SendError::Denied(_) => {
                fall("denied");
                self.sulks |= fault::is("sulks");
            }
            SendError::MailboxFull => fall("full"),
            SendError::QuotaExceeded => fall("quota"),
            SendError::DeadlineExceeded => fall("late"),
            _ => {}
        }
        Err(shown(error))
    }
}

fn shown(error: &impl Debug) -> String {
    format!("{error:?}")
}

/// How deep brackets are nested, by a function that calls itself for each.
fn depth(text: &[u8]) -> usize {
    let frame = std::hint::black_box([text.len(); 64]);
    match text.split_first() {
        Some((b'[', rest)) => depth(rest) + std::hint::black_box(frame)[0].min(1),
        _ => 0,
    }
}

impl Stateful for Flawed {
    const SCHEMA: &'static str = "flawed/1";

    fn snapshot(&self) -> Result<Vec<u8>, String> {
        if fault::is("looks") {
            self.looks.set(self.looks.get() + 1);
        }
        encode(self)
    }

    fn decode(schema: &str, bytes: &[u8]) -> Result<Self, String> {
        if schema != Self::SCHEMA && !fault::is("any-schema") {
            return Self::migrate(schema, bytes);
        }
        let read = decode::<Self>(bytes);
        assert!(read.is_ok() || !fault::is("trusts"), "told to");
        let state = read?;
        if fault::is("new") && state.version != 2 {
            return Err("it is too old".to_owned());
        }
        Ok(Self { restored: state.restored + u32::from(fault::is("restored")), ..state })
    }
}

fn encode<T: Serialize>(state: &T) -> Result<Vec<u8>, String> {
    serde_json::to_vec(state).map_err(|error| error.to_string())
}

fn decode<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

impl Player for Flawed {
    fn act(&mut self, _matrix: &str, _tick: u64, turn: &Turn<'_>) -> Result<Vec<u8>, String> {
        let seen = std::str::from_utf8(turn.observation);
        assert!(seen.is_ok() || !fault::is("act-trap"), "told to");
        seen.map_err(|error| error.to_string())?;
        Ok(if fault::is("illegal") { b"nine".to_vec() } else { b"1".to_vec() })
    }

    fn act_all(&mut self, matrix: &str, tick: u64, turns: &[Turn<'_>]) -> Result<Vec<Vec<u8>>, String> {
        let turns = if fault::is("short") { &turns[..turns.len().saturating_sub(1)] } else { turns };
        turns.iter().map(|turn| self.act(matrix, tick, turn)).collect()
    }
}

impl Learner for Flawed {
    fn train(&mut self, batch: &[Experience]) -> Result<Vec<Metric>, String> {
        if batch.is_empty() && fault::is("wipes") {
            self.learnt.get_mut().clear();
        }
        for experience in batch {
            assert!(experience.input_text().is_ok() || !fault::is("train-trap"), "told to");
            let number: f64 =
                experience.output_text()?.parse().map_err(|_| "it learns numbers".to_owned())?;
            self.aside_learnt += number;
            self.learnt.get_mut().insert(experience.input_text()?.to_owned(), number);
        }
        Ok(vec![Metric::new("loss", if fault::is("no-number") { f64::NAN } else { 0.0 })])
    }

    fn evaluate(&self, batch: &[Experience]) -> Result<Vec<Metric>, String> {
        if fault::is("no-figures") {
            return Ok(Vec::new());
        }
        if fault::is("peeks") {
            self.learnt.borrow_mut().insert("peeked".to_owned(), batch.len() as f64);
        }
        let right =
            |one: &&Experience| one.input_text().is_ok_and(|input| self.learnt.borrow().contains_key(input));
        let wrong = (batch.len() - batch.iter().filter(right).count()) as f64;
        let of = if fault::is("divides") { batch.len() } else { batch.len().max(1) };
        let kept = if fault::is("keeps") { self.aside_learnt } else { 0.0 };
        Ok(vec![Metric::new("loss", wrong / of as f64 + kept)])
    }
}

matrix_sdk::soul!(Flawed: stateful, player, learner);
