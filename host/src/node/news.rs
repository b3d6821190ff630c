//! What becomes of the realm's nodes, as it is told on this node's bus and in its log.

use std::future::Future;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::realm::{NodeState, NodeView, Nodes, Realm};
use crate::tasks::Tasks;
use crate::transport::bus::{Bus, Source};

/// One thing that happened.
#[derive(Debug, PartialEq)]
struct News {
    kind: &'static str,
    detail: Value,
    /// Whether somebody may have to do something.
    is_trouble: bool,
}

/// Tells it from now on, until the tasks stop.
pub(super) fn tell(bus: Bus, realm: &Realm, tasks: &Tasks) -> impl Future<Output = ()> + use<> {
    let (mut nodes, stopping) = (realm.nodes(), tasks.stopping());
    async move {
        let mut before = Arc::clone(&nodes.borrow_and_update());
        while let Some(Ok(())) = stopping.run_until_cancelled(nodes.changed()).await {
            let now = Arc::clone(&nodes.borrow_and_update());
            for News { kind, detail, is_trouble } in news(&before, &now) {
                if is_trouble {
                    tracing::warn!(kind, %detail, "the realm has changed");
                } else {
                    tracing::info!(kind, %detail, "the realm has changed");
                }
                bus.report(kind, Source::Node, &detail);
            }
            before = now;
        }
    }
}

/// What happened between two looks at the nodes.
fn news(before: &Nodes, now: &Nodes) -> Vec<News> {
    let of_nodes = now.nodes.iter().flat_map(|(node, view)| of_node(*node, before.nodes.get(node), view));
    let mut news: Vec<_> = of_nodes.collect();
    let (was, is) = (before.members.leader, now.members.leader);
    if was != is {
        let detail = json!({"leader": is, "term": now.members.term});
        news.push(News { kind: "realm.leader", detail, is_trouble: is.is_none() });
    }
    news
}

fn of_node(node: u64, before: Option<&NodeView>, now: &NodeView) -> Vec<News> {
    let told = |kind, is_trouble| News { kind, detail: json!({"node": node}), is_trouble };
    let (was, is) = (before.map(|view| view.record.state), now.record.state);
    let (was_alive, is_alive) = (before.is_some_and(|view| view.is_alive), now.is_alive);
    let state = match (was, is) {
        (None, NodeState::Removed) => None,
        (None, _) => Some("node.joined"),
        (Some(was), is) if was == is => None,
        (_, NodeState::Member) => Some("node.resumed"),
        (_, NodeState::Draining) => Some("node.draining"),
        (_, NodeState::Removed) => Some("node.removed"),
    };
    let life = match (was_alive, is_alive) {
        (false, true) => Some(told("node.alive", false)),
        // Whoever was taken out is expected to be gone.
        (true, false) => Some(told("node.lost", is != NodeState::Removed)),
        _ => None,
    };
    state.map(|kind| told(kind, false)).into_iter().chain(life).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::Members;
    use crate::realm::testing;

    /// A realm of which node 2 is so, if it is there, and another leads.
    fn nodes(two: Option<(NodeState, bool)>, leader: Option<u64>) -> Nodes {
        let view = |(state, is_alive)| (2, testing::view(2, state, is_alive));
        let members = Members { leader, term: 7, ..Members::default() };
        Nodes { nodes: two.map(view).into_iter().collect(), members }
    }

    #[test]
    fn what_becomes_of_a_node_is_told_once() {
        use NodeState::{Draining, Member, Removed};
        let of = |before, now| {
            let news = news(&nodes(before, Some(1)), &nodes(now, Some(1)));
            news.into_iter().map(|news| (news.kind, news.is_trouble)).collect::<Vec<_>>()
        };
        assert_eq!(of(None, Some((Member, false))), [("node.joined", false)]);
        assert_eq!(of(None, Some((Member, true))), [("node.joined", false), ("node.alive", false)]);
        assert_eq!(of(None, Some((Removed, false))), []);
        assert_eq!(of(Some((Member, true)), Some((Member, true))), []);
        assert_eq!(of(Some((Member, true)), Some((Member, false))), [("node.lost", true)]);
        assert_eq!(of(Some((Member, true)), Some((Draining, true))), [("node.draining", false)]);
        assert_eq!(of(Some((Draining, true)), Some((Member, true))), [("node.resumed", false)]);
        assert_eq!(
            of(Some((Draining, true)), Some((Removed, false))),
            [("node.removed", false), ("node.lost", false)]
        );
    }

    #[test]
    fn who_leads_is_told_and_that_nobody_does_is_trouble() {
        let two = Some((NodeState::Member, true));
        let of = |before, now| news(&nodes(two, before), &nodes(two, now));
        assert_eq!(of(Some(1), Some(1)), []);
        let told = |leader: Option<u64>, is_trouble| News {
            kind: "realm.leader",
            detail: json!({"leader": leader, "term": 7}),
            is_trouble,
        };
        assert_eq!(of(Some(1), None), [told(None, true)]);
        assert_eq!(of(None, Some(3)), [told(Some(3), false)]);
        assert_eq!(of(Some(1), Some(3)), [told(Some(3), false)]);
    }
}
