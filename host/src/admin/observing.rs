//! `matrix.v1.Observe`.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use matrix_proto::v1;
use matrix_proto::v1::UsageOrder;
use matrix_proto::v1::observe_server::Observe;
use tonic::{Request, Response, Status};

use super::auth::Caller;
use super::convert;
use super::desk::{AdminHost, Desk, open};
use crate::runtime::usage::{Usage, Used};
use crate::souls::status::State;

/// For how long it is counted where the caller says nothing, in milliseconds.
const WINDOW_MS_DEFAULT: u32 = 1_000;
/// For how long it may be counted, in milliseconds.
const WINDOW_MS: std::ops::RangeInclusive<u32> = 50..=10_000;
/// How many guests are named where the caller says nothing.
const LIMIT_DEFAULT: u32 = 50;
/// How many guests one answer names at most.
const LIMIT_MAX: u32 = 1_000;
/// How much longer than the window another node may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The service.
#[derive(Debug)]
pub(super) struct ObserveService(pub(super) Arc<Desk>);

#[tonic::async_trait]
impl Observe for ObserveService {
    async fn usage(&self, request: Request<v1::UsageRequest>) -> Result<Response<v1::UsageResponse>, Status> {
        let (caller, request) = open(request)?;
        let question = Question::parse(&request)?;
        // Whoever counts holds what all guests had at its beginning.
        let _place = self.0.stream()?;
        let here = count(&self.0.host, &question);
        let mut answer = if request.here {
            here.await
        } else {
            let (mut here, others) = tokio::join!(here, self.elsewhere(&caller, &request, &question));
            for other in others {
                here.nodes.extend(other.nodes);
                here.guests.extend(other.guests);
            }
            here
        };
        answer.nodes.sort_by_key(|node| node.node);
        rank(&mut answer.guests, &question);
        Ok(Response::new(answer))
    }

    async fn limits(&self, _: Request<v1::LimitsRequest>) -> Result<Response<v1::LimitsResponse>, Status> {
        let limits = self.0.host.limits.iter().map(convert::limit).collect();
        Ok(Response::new(v1::LimitsResponse { limits }))
    }
}

impl ObserveService {
    /// What the other nodes that are alive count; one that does not answer says why.
    async fn elsewhere(
        &self,
        caller: &Caller,
        request: &v1::UsageRequest,
        question: &Question,
    ) -> Vec<v1::UsageResponse> {
        let (realm, request) = (&self.0.host.realm, v1::UsageRequest { here: true, ..request.clone() });
        let nodes = realm.nodes().borrow().clone();
        let alive = nodes.nodes.values().filter(|view| view.is_alive).map(|view| view.record.node);
        let asked = alive.filter(|node| *node != realm.me()).map(|node| {
            let (desk, request) = (&self.0, &request);
            async move {
                let asked = desk.relay_to(node, "Observe/Usage", caller, request);
                let reason = match tokio::time::timeout(question.window + PATIENCE, asked).await {
                    Ok(Ok(answer)) => return answer,
                    Ok(Err(status)) => status.message().to_owned(),
                    Err(_) => "it did not answer in time".to_owned(),
                };
                let node = v1::NodeUsage { node, reason, ..v1::NodeUsage::default() };
                v1::UsageResponse { nodes: vec![node], guests: Vec::new() }
            }
        });
        join_all(asked).await
    }
}

/// What is asked for, checked.
struct Question {
    window: Duration,
    order: UsageOrder,
    limit: usize,
    prefix: String,
}

impl Question {
    fn parse(request: &v1::UsageRequest) -> Result<Self, Status> {
        let window = if request.window_ms == 0 { WINDOW_MS_DEFAULT } else { request.window_ms };
        if !WINDOW_MS.contains(&window) {
            let (least, most) = (WINDOW_MS.start(), WINDOW_MS.end());
            return Err(convert::bad_field("window_ms", &format!("is {window}: use {least} to {most}")));
        }
        let limit = if request.limit == 0 { LIMIT_DEFAULT } else { request.limit };
        if limit > LIMIT_MAX {
            return Err(convert::bad_field("limit", &format!("is {limit}: use at most {LIMIT_MAX}")));
        }
        let order = UsageOrder::try_from(request.order);
        Ok(Self {
            window: Duration::from_millis(window.into()),
            order: order.map_err(|_| convert::bad_field("order", "is none that this node knows"))?,
            limit: limit as usize,
            prefix: request.name_prefix.clone(),
        })
    }
}

/// One guest of this node.
struct Guest {
    kind: &'static str,
    name: String,
    state: String,
    waiting: u64,
    turned_away: u64,
    usage: Arc<Usage>,
}

/// All guests of this node.
fn guests(host: &AdminHost) -> Vec<Guest> {
    let souls = host.souls.here().usages().into_iter().map(|soul| Guest {
        kind: "soul",
        name: soul.name.to_string(),
        state: state(soul.state).to_owned(),
        waiting: soul.waiting,
        turned_away: soul.turned_away,
        usage: soul.usage,
    });
    let matrices = host.matrices.usages().into_iter().map(|(name, state, waiting, usage)| Guest {
        kind: "matrix",
        name: name.to_string(),
        state: state.to_string(),
        waiting,
        turned_away: 0,
        usage,
    });
    let interceptors = host.interceptors.usages().all().into_iter().map(|(name, usage)| Guest {
        kind: "interceptor",
        name,
        state: "judging".to_owned(),
        waiting: 0,
        turned_away: 0,
        usage,
    });
    souls.chain(matrices).chain(interceptors).collect()
}

fn state(state: State) -> &'static str {
    match state {
        State::Starting => "starting",
        State::Running => "running",
        State::Passive => "passive",
        State::BackingOff => "backing-off",
        State::Stopped => "stopped",
        State::Failed => "failed",
    }
}

/// Counts on this node for as long as is asked.
async fn count(host: &AdminHost, question: &Question) -> v1::UsageResponse {
    let began = Instant::now();
    let before = Before::of(guests(host));
    tokio::time::sleep(question.window).await;
    let (node, now) = (host.realm.me(), guests(host));
    let window_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    let (mut sum, count) = (v1::Figures::default(), now.len() as u64);
    let mut chosen = Vec::new();
    for guest in now {
        let (total, used) = before.figures(&guest);
        add(&mut sum, &used);
        if guest.name.starts_with(&question.prefix) {
            chosen.push(v1::GuestUsage {
                kind: guest.kind.to_owned(),
                name: guest.name,
                node,
                state: guest.state,
                memory_bytes: guest.usage.look().memory_bytes,
                waiting: guest.waiting,
                total: Some(total),
                used: Some(used),
            });
        }
    }
    rank(&mut chosen, question);
    let memory = host.catalog.memory();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let node = v1::NodeUsage {
        node,
        window_us,
        used: Some(sum),
        memory_bytes: memory.used(),
        memory_bytes_max: memory.max(),
        guests: count,
        processors: u32::try_from(processors).unwrap_or(u32::MAX),
        reason: String::new(),
    };
    v1::UsageResponse { nodes: vec![node], guests: chosen }
}

/// What guests had used when the window began, by where their figures are: those do not move, for they are held here.
struct Before(HashMap<usize, (Arc<Usage>, Used, u64)>);

fn place(usage: &Arc<Usage>) -> usize {
    Arc::as_ptr(usage).addr()
}

impl Before {
    fn of(guests: Vec<Guest>) -> Self {
        let each = guests.into_iter().map(|guest| {
            let used = guest.usage.look();
            (place(&guest.usage), (guest.usage, used, guest.turned_away))
        });
        Self(each.collect())
    }

    /// What a guest has used in all, and since then.
    fn figures(&self, guest: &Guest) -> (v1::Figures, v1::Figures) {
        let total = guest.usage.look();
        let before = self.0.get(&place(&guest.usage));
        let (used, turned_away) = match before {
            Some((_, before, turned_away)) => (total.since(before), *turned_away),
            None => (total, 0),
        };
        let since = guest.turned_away.saturating_sub(turned_away);
        (convert::figures(&total, guest.turned_away), convert::figures(&used, since))
    }
}

fn add(sum: &mut v1::Figures, more: &v1::Figures) {
    sum.cpu_ns += more.cpu_ns;
    sum.fuel += more.fuel;
    sum.received += more.received;
    sum.sent += more.sent;
    sum.kv += more.kv;
    sum.dropped += more.dropped;
    sum.refused += more.refused;
    sum.turned_away += more.turned_away;
    sum.calls += more.calls;
}

/// Puts guests in order, and keeps as many as are asked for.
fn rank(guests: &mut Vec<v1::GuestUsage>, question: &Question) {
    let figure = |guest: &v1::GuestUsage| {
        let used = guest.used.unwrap_or_default();
        match question.order {
            UsageOrder::Cpu => used.cpu_ns,
            UsageOrder::Fuel => used.fuel,
            UsageOrder::Memory => guest.memory_bytes,
            UsageOrder::Messages => used.received + used.sent,
            UsageOrder::Kv => used.kv,
            UsageOrder::Calls => used.calls,
            UsageOrder::Waiting => guest.waiting,
            UsageOrder::Refused => used.refused + used.dropped + used.turned_away,
            UsageOrder::Name => 0,
        }
    };
    guests.sort_by(|one, other| {
        let place = |guest: &v1::GuestUsage| Reverse(figure(guest));
        place(one).cmp(&place(other)).then_with(|| one.name.cmp(&other.name)).then(one.node.cmp(&other.node))
    });
    guests.truncate(question.limit);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest(name: &str, cpu_ns: u64, memory_bytes: u64) -> v1::GuestUsage {
        let used = Some(v1::Figures { cpu_ns, ..v1::Figures::default() });
        v1::GuestUsage { name: name.to_owned(), memory_bytes, used, ..v1::GuestUsage::default() }
    }

    fn question(request: v1::UsageRequest) -> Question {
        Question::parse(&request).expect("it is sound")
    }

    #[test]
    fn the_most_come_first_and_names_decide_between_equals() {
        let all = || vec![guest("b", 1, 3), guest("a", 1, 2), guest("c", 5, 1)];
        let order = |order: UsageOrder, limit| {
            let mut guests = all();
            let order = order.into();
            rank(&mut guests, &question(v1::UsageRequest { order, limit, ..v1::UsageRequest::default() }));
            guests.into_iter().map(|guest| guest.name).collect::<String>()
        };
        assert_eq!(order(UsageOrder::Cpu, 0), "cab");
        assert_eq!(order(UsageOrder::Memory, 2), "ba");
        assert_eq!(order(UsageOrder::Name, 0), "abc");
    }

    #[test]
    fn what_is_asked_for_is_bounded() {
        let refused = |request| Question::parse(&request).map(drop).expect_err("out of bounds");
        let request = v1::UsageRequest::default;
        assert!(refused(v1::UsageRequest { window_ms: 49, ..request() }).message().contains("window_ms"));
        assert!(refused(v1::UsageRequest { window_ms: 10_001, ..request() }).message().contains("10000"));
        assert!(refused(v1::UsageRequest { limit: 1_001, ..request() }).message().contains("limit"));
        assert!(refused(v1::UsageRequest { order: 99, ..request() }).message().contains("order"));
        let question = question(request());
        assert_eq!((question.window, question.limit), (Duration::from_secs(1), 50));
    }
}
