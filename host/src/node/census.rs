//! Where Souls and Matrices are at home, for messages that come before the news.

use std::sync::Arc;

use futures::future::BoxFuture;

use crate::matrices::Matrices;
use crate::souls::Fleet;
use crate::tasks::Tasks;
use crate::transport::envelope::Address;
use crate::transport::finding::Homes;
use crate::transport::router::Router;

/// All that live in the realm.
#[derive(Debug)]
pub(super) struct Census {
    pub(super) souls: Fleet,
    pub(super) matrices: Matrices,
    tasks: Tasks,
}

impl Census {
    /// Lets a router find whom this node has not heard of, as long as what this returns is there.
    pub(super) fn open(souls: Fleet, matrices: Matrices, router: &Router, tasks: &Tasks) -> Arc<Self> {
        let census = Arc::new(Self { souls, matrices, tasks: tasks.clone() });
        router.set_homes(&(census.clone() as Arc<dyn Homes>));
        census
    }
}

impl Homes for Census {
    fn home<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, Result<Option<u64>, String>> {
        let (souls, matrices, address) = (self.souls.clone(), self.matrices.clone(), address.clone());
        let looking = async move {
            match address {
                Address::Soul(soul) => souls.home(&soul).await.map_err(|error| error.to_string()),
                Address::Matrix(matrix) => matrices.home(&matrix).await.map_err(|error| error.to_string()),
                Address::Topic(_) | Address::Client(_) => Ok(None),
            }
        };
        // Whoever lives here comes up meanwhile, and must not be left half-way by one who waits no longer.
        let stop = self.tasks.stopping();
        let told = self.tasks.spawn("node.census", async move { stop.run_until_cancelled(looking).await });
        Box::pin(async move { told.await.ok().flatten().unwrap_or_else(|| Err("the node stops".to_owned())) })
    }
}
