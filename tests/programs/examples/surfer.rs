//! Sends requests to hosts outside the realm, as it is told.

use std::time::Duration;

use matrix_sdk::http::{Error, Request, Response};
use matrix_sdk::prelude::*;
use programs::{command, misbehave, say};

/// Which of its editions this is: tests put another one in its place.
const EDITION: &str = "the-edition-of-the-morning";

/// How many turns it has had, which its state changes with.
#[derive(Default, Serialize, Deserialize)]
struct Surfer {
    turns: u64,
}

impl Soul for Surfer {
    fn init(birth: Birth) -> Result<Self, String> {
        if let Some(url) = birth.setting("visits-at-birth") {
            Request::get(url).send()?;
        }
        Ok(Self::default())
    }

    fn receive(&mut self, message: Message<'_>) -> Reply {
        self.turns += 1;
        let (word, argument) = command(&message)?;
        match word.as_str() {
            "get" => told(Request::get(&argument).send()),
            "read-at" => told(Request::get(&format!("{argument}/{EDITION}")).send()),
            // `header NAME URL`: a header of the answer.
            "header" => {
                let (name, url) = argument.split_once(' ').ok_or("say `header NAME URL`")?;
                say(Request::get(url).send()?.header(name).unwrap_or("none"))
            }
            // `with NAME VALUE URL`: sends a header along.
            "with" => {
                let words: Vec<_> = argument.splitn(3, ' ').collect();
                let [name, value, url] = words[..] else { return Err("say `with NAME VALUE URL`".into()) };
                told(Request::get(url).header(name, value).send())
            }
            // `post BYTES URL`: hands so much over.
            "post" => {
                let (count, url) = argument.split_once(' ').ok_or("say `post BYTES URL`")?;
                let body = vec![b'x'; count.parse().map_err(|_| "say how much")?];
                told(Request::post(url, body).send())
            }
            // `within MS URL`.
            "within" => {
                let (ms, url) = argument.split_once(' ').ok_or("say `within MS URL`")?;
                let timeout = Duration::from_millis(ms.parse().map_err(|_| "a time is a number")?);
                told(Request::get(url).timeout(timeout).send())
            }
            // `flood N URL`: how often it was answered, and the first refusal.
            "flood" => {
                let (count, url) = argument.split_once(' ').ok_or("say `flood N URL`")?;
                let (mut done, mut refusal) = (0, None);
                for _ in 0..count.parse::<u32>().map_err(|_| "say how often")? {
                    match Request::get(url).send() {
                        Ok(_) => done += 1,
                        Err(error) => refusal = refusal.or_else(|| Some(String::from(error))),
                    }
                }
                say(format!("{done} {}", refusal.unwrap_or_default()))
            }
            // `open N URL`: so many at once, and what the first of them comes to that comes to anything.
            "open" => {
                let (count, url) = argument.split_once(' ').ok_or("say `open N URL`")?;
                say(open(count.parse().map_err(|_| "say how many")?, url)?)
            }
            "turns" => say(self.turns),
            _ => misbehave(&word).unwrap_or(Ok(None)),
        }
    }
}

#[cfg(target_family = "wasm")]
fn open(count: u32, url: &str) -> Result<String, String> {
    use wasip2::http::{outgoing_handler, types};

    let (authority, path) = url.trim_start_matches("http://").split_once('/').ok_or("say a URL")?;
    let answers: Result<Vec<_>, _> = (0..count)
        .map(|_| {
            let request = types::OutgoingRequest::new(types::Fields::new());
            request.set_scheme(Some(&types::Scheme::Http)).map_err(|()| "no scheme")?;
            request.set_authority(Some(authority)).map_err(|()| "no host")?;
            request.set_path_with_query(Some(&format!("/{path}"))).map_err(|()| "no path")?;
            outgoing_handler::handle(request, None).map_err(|_| "not sent")
        })
        .collect();
    let answers = answers?;
    let pollables: Vec<_> = answers.iter().map(types::FutureIncomingResponse::subscribe).collect();
    let ready = wasip2::io::poll::poll(&pollables.iter().collect::<Vec<_>>());
    let first = ready.first().and_then(|place| answers[*place as usize].get());
    Ok(match first {
        Some(Ok(Err(code))) => format!("{code:?}"),
        _ => "an answer".to_owned(),
    })
}

#[cfg(not(target_family = "wasm"))]
fn open(_: u32, _: &str) -> Result<String, String> {
    Err("it is a component, or it is nothing".to_owned())
}

/// The status and the body of an answer, or what went wrong.
fn told(answer: Result<Response, Error>) -> Reply {
    let answer = answer?;
    say(format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body)))
}

impl Stateful for Surfer {
    const SCHEMA: &'static str = "surfer/1";
}

matrix_sdk::soul!(Surfer: stateful);
