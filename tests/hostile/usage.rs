//! What guests use is counted, and shown to whoever asks.

use futures::future::join;
use matrix_proto::v1::{GuestUsage, UsageOrder, UsageRequest, UsageResponse};
use matrix_tests::node::{NEIGHBOUR, TestNode, manifest, matrix};

use crate::chains::{set, wanted};

async fn usage(node: &TestNode, order: UsageOrder, prefix: &str) -> UsageResponse {
    let door = node.door();
    let request = UsageRequest {
        window_ms: 300,
        order: order.into(),
        name_prefix: prefix.to_owned(),
        ..UsageRequest::default()
    };
    door.observe().usage(door.request(request)).await.expect("the node counts").into_inner()
}

fn guest<'a>(usage: &'a UsageResponse, name: &str) -> &'a GuestUsage {
    usage.guests.iter().find(|guest| guest.name == name).unwrap_or_else(|| panic!("{name} is not shown"))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_uses_most_comes_first_whatever_it_is() {
    let node = TestNode::start().await;
    node.neighbour().await;
    node.run("worker", "rogue", &[("peer", NEIGHBOUR)]).await;
    node.run("caller", "caller", &[]).await;
    let idle = usage(&node, UsageOrder::Cpu, "").await;
    assert_eq!(idle.guests.len(), 3);
    assert_eq!(idle.nodes[0].used.expect("figures").cpu_ns, 0, "nobody does anything");
    // It is told to count for longer than anybody looks.
    let mut busy = manifest("busy", node.program("rogue").await, &[]);
    busy.limits.call_ms = 1_500;
    node.spawn(busy).await.expect("it behaves until told");
    let (counted, asked) = join(usage(&node, UsageOrder::Cpu, ""), node.ask("busy", "loop")).await;
    asked.expect_err("it never returns");
    // What an entry used is known when it has ended.
    let after = usage(&node, UsageOrder::Cpu, "bu").await;
    assert_eq!((counted.guests.len(), after.guests.len()), (4, 1));
    let spent = guest(&after, "busy").total.expect("figures").cpu_ns;
    assert!((1_400_000_000..2_500_000_000).contains(&spent), "{spent} ns of a call of 1.5 s");
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_operations_refusals_and_memory_are_counted() {
    let node = TestNode::start().await;
    node.neighbour().await;
    let mut worker = manifest("worker", node.program("rogue").await, &[("peer", NEIGHBOUR)]);
    worker.limits.messages_per_second = 20;
    worker.limits.log_lines_per_second = 5;
    node.spawn(worker).await.expect("it behaves until told");
    node.run("caller", "caller", &[("peer", NEIGHBOUR)]).await;
    let said = node.ask("worker", "send 50").await.expect("it is answered");
    let sent: u64 = said.split(' ').next().and_then(|count| count.parse().ok()).expect("a number");
    node.ask("worker", "log 25").await.expect("it is answered");
    assert_eq!(node.ask("caller", "kv-spin 7").await.as_deref(), Ok("7 "));
    assert_eq!(node.ask("caller", "ask 5000 ping").await.as_deref(), Ok("pong"));
    node.ask("caller", "open sys/souls").await.expect_err("it has no grant");
    let all = usage(&node, UsageOrder::Name, "").await;
    let names: Vec<_> = all.guests.iter().map(|guest| guest.name.as_str()).collect();
    assert_eq!(names, ["caller", NEIGHBOUR, "worker"]);
    let total = |name: &str| guest(&all, name).total.expect("figures");
    let (worker, caller, neighbour) = (total("worker"), total("caller"), total(NEIGHBOUR));
    // Replies are messages too, and come when they come.
    assert!((2..=2 + sent).contains(&worker.received), "{worker:?}");
    assert_eq!((worker.sent, worker.refused), (sent, 50 - sent));
    assert!(sent >= 20 && (1..=20).contains(&worker.dropped), "{worker:?}");
    assert_eq!((caller.received, caller.sent, caller.kv, caller.refused), (3, 1, 7, 1));
    assert_eq!(neighbour.received, sent + 1);
    for figures in [worker, caller, neighbour] {
        assert!(figures.cpu_ns > 0 && figures.fuel > 1_000, "{figures:?}");
    }
    let sum: u64 = all.guests.iter().map(|guest| guest.memory_bytes).sum();
    assert_eq!((sum, all.nodes[0].memory_bytes), (node.node().catalog().memory().used(), sum));
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn matrices_and_interceptors_are_guests_too() {
    let node = TestNode::start().await;
    node.neighbour().await;
    let rules = matrix("town", node.program("misrule").await, "\"gossip later\"");
    let town = rules.name.clone();
    node.node().matrices().create(rules, false, None).await.expect("it is sound");
    node.node().matrices().step(&town, 5).await.expect("it goes on");
    let judge = node.program("judge").await;
    set(&node, vec![wanted(judge, &[])]).await;
    for _ in 0..10 {
        node.assert_lives().await;
    }
    let all = usage(&node, UsageOrder::Memory, "").await;
    let (town, judge) = (guest(&all, "town"), all.guests.iter().find(|guest| guest.kind == "interceptor"));
    assert_eq!((town.kind.as_str(), town.state.as_str()), ("matrix", "paused"));
    let judge = judge.expect("it judges");
    assert!(judge.name.starts_with("1 "), "{}", judge.name);
    for guest in [town, judge] {
        let total = guest.total.expect("figures");
        assert!(guest.memory_bytes > 0 && total.cpu_ns > 0 && total.fuel > 0, "{guest:?}");
    }
    assert_eq!(judge.total.expect("figures").received, 40, "each way, a question and its answer");
    let sum: u64 = all.guests.iter().map(|guest| guest.memory_bytes).sum();
    assert_eq!(sum, node.node().catalog().memory().used());
    node.end().await;
}
