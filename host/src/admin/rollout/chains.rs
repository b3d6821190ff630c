//! Interceptors that get new code: their users are the nodes, each of which judges by itself.

use std::fmt;
use std::sync::Arc;

use matrix_proto::v1;
use tonic::Status;

use super::super::auth::Caller;
use super::super::convert;
use super::super::desk::Desk;
use crate::rollout::Users;
use crate::runtime::interceptors::Change;

/// A node whose interceptors get new code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::admin) struct Node(u64);

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {}", self.0)
    }
}

/// Gives the interceptors of nodes new code.
#[derive(Debug)]
pub(in crate::admin) struct Chains {
    desk: Arc<Desk>,
    caller: Caller,
    change: Change,
}

impl Chains {
    pub(in crate::admin) fn new(desk: &Arc<Desk>, caller: Caller, change: Change) -> Self {
        Self { desk: desk.clone(), caller, change }
    }

    /// The nodes that are alive: others follow when they come back.
    pub(in crate::admin) fn nodes(&self) -> Vec<Node> {
        if self.change.places().next().is_none() {
            return Vec::new();
        }
        let nodes = self.desk.host.realm.nodes().borrow().clone();
        let alive = nodes.nodes.values().filter(|view| view.is_alive);
        alive.map(|view| Node(view.record.node)).collect()
    }

    /// The chain of a node, once this revision holds there.
    async fn chain(&self, node: Node, revision: u64) -> Result<v1::Chain, Status> {
        let interceptors = &self.desk.host.interceptors;
        if node.0 != self.desk.host.realm.me() {
            let (method, request) = ("Interceptors/GetChain", v1::GetChainRequest { revision });
            return self.desk.relay_to(node.0, method, &self.caller, &request).await;
        }
        if revision > 0 {
            interceptors.held(revision).await;
        }
        Ok(convert::chain(interceptors))
    }

    /// Why the new code does not judge in such a chain, where it should; none: it does.
    fn failure_in(&self, chain: &v1::Chain) -> Option<String> {
        let stages = self.change.places().filter_map(|place| chain.stages.get(place));
        let failed = stages.filter(|stage| !stage.next_failure.is_empty());
        failed.map(|stage| format!("`{}`: {}", stage.name, stage.next_failure)).next()
    }

    async fn came(&self, node: Node, revision: u64) -> Result<(), String> {
        let chain = self.chain(node, revision).await.map_err(|status| status.message().to_owned())?;
        if let Some(failure) = self.failure_in(&chain) {
            return Err(failure);
        }
        if chain.revision < revision || chain.state() != v1::ChainState::Holds {
            return Err(format!("it was not made ready in time: {}", chain.reason));
        }
        Ok(())
    }
}

impl Users for Chains {
    type User = Node;
    type Before = ();

    async fn renew(&self, node: &Node) -> Result<Option<()>, String> {
        let interceptors = &self.desk.host.interceptors;
        let revision = interceptors.advance(&self.change, node.0).await.map_err(|error| error.to_string())?;
        let came = self.came(*node, revision).await;
        if came.is_err() {
            self.take_back(node, &()).await?;
        }
        came.map(Some)
    }

    async fn failure(&self, node: &Node, (): &()) -> Option<String> {
        // A node that does not answer is no failure of the code's.
        let chain = self.chain(*node, 0).await.ok()?;
        self.failure_in(&chain)
    }

    async fn take_back(&self, node: &Node, (): &()) -> Result<(), String> {
        let interceptors = &self.desk.host.interceptors;
        let revision = interceptors.retreat(&self.change, node.0).await.map_err(|error| error.to_string())?;
        // A node that does not answer now follows when it does.
        drop(self.chain(*node, revision).await);
        Ok(())
    }

    async fn settle(&self) -> Result<(), String> {
        if self.change.places().next().is_none() {
            return Ok(());
        }
        let interceptors = &self.desk.host.interceptors;
        let revision = interceptors.settle(&self.change).await.map_err(|error| error.to_string())?;
        interceptors.held(revision).await;
        Ok(())
    }
}
