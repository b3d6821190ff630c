//! What a node tells of one Soul.

use matrixd::transport::bus::{Bus, Event, Filter, Item, Subscription};

use crate::node::PATIENCE;

/// A subscription to the events of one Soul.
pub struct Watch {
    subscription: Subscription,
}

/// How a Soul crashed or failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fall {
    /// A word, such as `deadline`; empty where it failed for good.
    pub kind: String,
    /// In words.
    pub reason: String,
    /// What comes after it; empty where it failed for good.
    pub next: String,
}

impl Watch {
    /// Watches from now on.
    pub fn new(bus: &Bus, soul: &str) -> Self {
        let filter = Filter::new(&["soul.", "guest."], &[format!("soul:{soul}")]).expect("a sound filter");
        Self { subscription: bus.subscribe(filter, None).expect("room for a subscriber") }
    }

    /// Waits for the next crash.
    pub async fn crash(&mut self) -> Fall {
        self.fall("soul.crashed").await
    }

    /// Waits until the Soul has failed for good.
    pub async fn failure(&mut self) -> Fall {
        self.fall("soul.failed").await
    }

    /// Waits for the next event of this kind.
    pub async fn event(&mut self, kind: &str) -> Event {
        let found = async {
            loop {
                if let Item::Event { event, .. } = self.subscription.next().await
                    && *event.kind == *kind
                {
                    return (*event).clone();
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("no event `{kind}` came"))
    }

    async fn fall(&mut self, kind: &str) -> Fall {
        let event = self.event(kind).await;
        let content: serde_json::Value = serde_json::from_slice(&event.content.body)
            .unwrap_or_else(|error| panic!("`{kind}` carries no JSON ({error}): {:?}", event.content));
        let field = |name: &str| content[name].as_str().unwrap_or_default().to_owned();
        Fall { kind: field("kind"), reason: field("reason"), next: field("next") }
    }
}
