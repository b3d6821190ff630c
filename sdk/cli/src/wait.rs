//! Waiting for a Matrix to be over.

use std::time::Duration;

use matrix_proto::v1::subscribe_response::Item;
use matrix_proto::v1::{GetMatrixRequest, Matrix, MatrixState, SubscribeRequest, SubscribeResponse};
use serde_json::Value;
use tokio::time::MissedTickBehavior;
use tonic::Streaming;

use crate::commands::matrices;
use crate::connection::Node;
use crate::content;
use crate::errors::Error;
use crate::output::Output;
use crate::progress::{Progress, Unit};

/// How often a Matrix is asked for its state: events move the bar, but only the state tells for
/// certain, since a stream of events may have gaps.
const POLL_EVERY: Duration = Duration::from_millis(500);

/// A Matrix that is waited for. Made before the Matrix starts, so that no event is missed.
pub(crate) struct Wait {
    name: String,
    events: Option<Streaming<SubscribeResponse>>,
}

/// How far a Matrix has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tick {
    done: u64,
    total: Option<u64>,
}

impl Wait {
    /// Begins to listen. A node that refuses to tell events is asked for the state alone.
    pub(crate) async fn prepare(node: &Node, name: &str) -> Self {
        let request = SubscribeRequest {
            from: None,
            kinds: vec!["matrix.".to_owned()],
            sources: vec![format!("matrix:{name}")],
        };
        let events =
            node.stream("events", request, async |request| node.events().subscribe(request).await).await;
        Self { name: name.to_owned(), events: events.ok() }
    }

    /// Waits until the Matrix runs no more, and returns it: finished, stopped, failed or paused.
    pub(crate) async fn until_over(mut self, node: &Node, output: &Output) -> Result<Matrix, Error> {
        let what = format!("Matrix {}", self.name);
        let progress = Progress::start(output, what, Unit::Ticks, None);
        let mut tick = Tick::default();
        let mut poll = tokio::time::interval(POLL_EVERY);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                item = next(&mut self.events) => match read(item) {
                    Read::Tick(seen) => {
                        tick = Tick { done: seen.done.max(tick.done), total: seen.total.or(tick.total) };
                        progress.set(tick.done, tick.total);
                        continue;
                    }
                    Read::Other => continue,
                    Read::Over => {}
                },
                _ = poll.tick() => {}
            }
            let request = GetMatrixRequest { name: self.name.clone() };
            let place = format!("matrix {}", self.name);
            let matrix =
                node.call(place, request, async |request| node.matrices().get(request).await).await?;
            tick.done = matrix.tick;
            progress.set(tick.done, tick.total);
            if matrix.state() != MatrixState::Running {
                progress.finish(matrix.tick);
                return Ok(matrix);
            }
        }
    }
}

/// Shows what became of a Matrix that was waited for. One that did not finish is an error, after
/// what there is has been shown.
pub(crate) fn show(output: &Output, matrix: &Matrix) -> Result<(), Error> {
    output.show(&matrices::json(matrix), |style| {
        let mut parts = Vec::new();
        parts.extend(matrix.result.as_ref().map(|result| crate::result::human(style, result)));
        parts.push(crate::result::signals(style, &matrix.signals));
        parts.retain(|part| !part.is_empty());
        parts.push(format!("{}\n", matrices::summary(matrix)));
        parts.join("\n")
    })?;
    if matrix.state() == MatrixState::Finished {
        return Ok(());
    }
    Err(Error::Unfinished {
        matrix: matrices::name(matrix).to_owned(),
        state: matrices::state_name(matrix.state()),
        tick: matrix.tick,
        reason: Some(crate::text::one_line(&matrix.reason)).filter(|reason| !reason.is_empty()),
    })
}

/// What an event says of the Matrix.
#[derive(Debug, PartialEq, Eq)]
enum Read {
    /// It has come so far.
    Tick(Tick),
    /// It may be over: its state will tell.
    Over,
    /// Nothing that matters here.
    Other,
}

/// The next event; never, once the stream has ended.
async fn next(events: &mut Option<Streaming<SubscribeResponse>>) -> Option<Item> {
    loop {
        let Some(stream) = events else { return std::future::pending().await };
        match stream.message().await {
            Ok(Some(response)) => return response.item,
            Ok(None) | Err(_) => *events = None,
        }
    }
}

fn read(item: Option<Item>) -> Read {
    let Some(Item::Event(event)) = item else { return Read::Other };
    let value = event.content.as_ref().and_then(content::as_json).unwrap_or_default();
    match event.kind.as_str() {
        "matrix.tick" => tick(&value).map_or(Read::Other, Read::Tick),
        "matrix.finished" | "matrix.failed" | "matrix.stopped" | "matrix.paused" => Read::Over,
        _ => Read::Other,
    }
}

/// Reads `{"tick": 3, "ticks_max": 10}`, the total under any of the names that nodes give it.
fn tick(value: &Value) -> Option<Tick> {
    let number = |name: &str| value.get(name).and_then(Value::as_u64);
    let total = ["ticks_max", "ticks", "total"].into_iter().find_map(number).filter(|&total| total > 0);
    Some(Tick { done: number("tick")?, total })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ticks_are_read_leniently() {
        assert_eq!(tick(&json!({"tick": 3, "ticks_max": 10})), Some(Tick { done: 3, total: Some(10) }));
        assert_eq!(tick(&json!({"tick": 3, "ticks_max": 0})), Some(Tick { done: 3, total: None }));
        for strange in [json!(null), json!([]), json!({"tick": "3"}), json!({"tick": -1})] {
            assert_eq!(tick(&strange), None);
        }
    }
}
