//! Where Souls and Matrices are at home, for messages that come before the news.

use std::sync::Arc;

use futures::future::BoxFuture;

use crate::matrices::Matrices;
use crate::souls::Fleet;
use crate::transport::envelope::Address;
use crate::transport::finding::Homes;
use crate::transport::router::Router;

/// All that live in the realm.
#[derive(Debug)]
pub(super) struct Census {
    pub(super) souls: Fleet,
    pub(super) matrices: Matrices,
}

impl Census {
    /// Lets a router find whom this node has not heard of, as long as what this returns is there.
    pub(super) fn open(souls: Fleet, matrices: Matrices, router: &Router) -> Arc<Self> {
        let census = Arc::new(Self { souls, matrices });
        router.find_by(&(census.clone() as Arc<dyn Homes>));
        census
    }
}

impl Homes for Census {
    fn home<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, Result<Option<u64>, String>> {
        Box::pin(async move {
            match address {
                Address::Soul(soul) => self.souls.home(soul).await.map_err(|error| error.to_string()),
                Address::Matrix(matrix) => {
                    self.matrices.home(matrix).await.map_err(|error| error.to_string())
                }
                Address::Topic(_) | Address::Client(_) => Ok(None),
            }
        })
    }
}
