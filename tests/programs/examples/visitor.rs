//! Calls services outside the realm, as it is told.

use std::time::Duration;

use matrix_sdk::grpc::{self, Status};
use matrix_sdk::prelude::*;
use programs::{command, misbehave, say};

/// The one method that most words call.
const FORECAST: &str = "weather.v1.Weather/Forecast";

/// How many turns it has had, which its state changes with.
#[derive(Default, Serialize, Deserialize)]
struct Visitor {
    turns: u64,
}

impl Soul for Visitor {
    fn init(birth: Birth) -> Result<Self, String> {
        if birth.setting("calls-at-birth").is_some() {
            grpc::call("weather", FORECAST, &text("Zion"))?;
        }
        Ok(Self::default())
    }

    fn receive(&mut self, message: Message<'_>) -> Reply {
        self.turns += 1;
        let (word, argument) = command(&message)?;
        match word.as_str() {
            // `forecast PLACE`: by the endpoint `weather`.
            "forecast" => told(grpc::call("weather", FORECAST, &text(&argument))),
            // `at ENDPOINT METHOD PLACE`.
            "at" => {
                let words: Vec<_> = argument.splitn(3, ' ').collect();
                let [endpoint, method, place] = words[..] else {
                    return Err("say `at WHERE WHAT PLACE`".into());
                };
                told(grpc::call(endpoint, method, &text(place)))
            }
            // `within MS PLACE`.
            "within" => {
                let (ms, place) = argument.split_once(' ').ok_or("say `within MS PLACE`")?;
                let ms = ms.parse().map_err(|_| "a time is a number")?;
                told(grpc::call_within(Duration::from_millis(ms), "weather", FORECAST, &text(place)))
            }
            // A request of so many bytes.
            "large" => {
                let request = vec![0; argument.parse().map_err(|_| "say how large")?];
                told(grpc::call("weather", FORECAST, &request))
            }
            // Calls as often as it is told in one turn: how often it was answered, and the first refusal.
            "flood" => {
                let (mut done, mut refusal) = (0, None);
                for _ in 0..argument.parse::<u32>().map_err(|_| "say how often")? {
                    match grpc::call("weather", FORECAST, &text("Zion")) {
                        Ok(_) => done += 1,
                        Err(status) => refusal = refusal.or_else(|| Some(String::from(status))),
                    }
                }
                say(format!("{done} {}", refusal.unwrap_or_default()))
            }
            // Calls, and does not survive it.
            "forecast-and-trap" => {
                grpc::call("weather", FORECAST, &text(&argument))?;
                misbehave("trap").unwrap_or(Ok(None))
            }
            // How long the text is of what goes wrong.
            "status" => match grpc::call("weather", FORECAST, &text(&argument)) {
                Ok(_) => Err("it went well".to_owned()),
                Err(status) => say(status.message.len()),
            },
            "turns" => say(self.turns),
            _ => misbehave(&word).unwrap_or(Ok(None)),
        }
    }
}

/// A message of protobuf whose first field is this text.
fn text(text: &str) -> Vec<u8> {
    let mut message = vec![0x0a];
    let mut length = text.len();
    while length > 0x7f {
        message.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    message.push(length as u8);
    message.extend_from_slice(text.as_bytes());
    message
}

/// The text that is the first field of an answer, or what went wrong.
fn told(answer: Result<Vec<u8>, Status>) -> Reply {
    let answer = answer?;
    let Some((0x0a, rest)) = answer.split_first().map(|(first, rest)| (*first, rest)) else {
        return say("");
    };
    let length = rest.iter().take_while(|byte| **byte > 0x7f).count() + 1;
    say(String::from_utf8_lossy(rest.get(length..).unwrap_or_default()))
}

impl Stateful for Visitor {
    const SCHEMA: &'static str = "visitor/1";
}

matrix_sdk::soul!(Visitor: stateful);
