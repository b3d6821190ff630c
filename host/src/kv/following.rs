//! Keeping what is made of some keys in line with them.

use std::time::Duration;

use futures::stream::StreamExt as _;

use super::handle::Kv;
use super::types::Consistency;
use super::watch::Watch;

/// How long after a failure it is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Something that is made of keys, and made anew when they change.
pub trait Made: Send + Sync {
    /// Reads the keys, and makes it of them. False: it is to be tried again.
    fn renew(&self, consistency: Consistency) -> impl Future<Output = bool> + Send;
}

/// What is made of the keys of a bucket that begin alike, followed.
pub struct Following<M> {
    kv: Kv,
    bucket: &'static str,
    prefix: &'static [u8],
    made: M,
    watch: Option<Watch>,
    known: bool,
}

impl<M: Made> Following<M> {
    /// Makes it for the first time, or tries to.
    pub async fn begin(kv: Kv, bucket: &'static str, prefix: &'static [u8], made: M) -> Self {
        let mut following = Self { kv, bucket, prefix, made, watch: None, known: false };
        // Watched before it is read: nothing is missed in between.
        following.watch();
        following.known = following.made.renew(Consistency::Linearizable).await;
        following
    }

    /// Makes it anew whenever the keys change; returns when the KV is closed, and with it the node.
    pub async fn go_on(mut self) {
        loop {
            let again = !self.known || self.watch.is_none();
            let changed = async {
                match &mut self.watch {
                    Some(watch) => watch.next().await.is_some(),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                open = changed => if !open { return },
                () = tokio::time::sleep(RETRY), if again => {}
            }
            if self.watch.is_none() {
                self.watch();
            }
            // What the watch has told of is here already, and also where it has missed some.
            let consistency = if self.known { Consistency::Local } else { Consistency::Linearizable };
            self.known = self.made.renew(consistency).await;
        }
    }

    fn watch(&mut self) {
        self.watch = self.kv.watch(self.bucket, self.prefix, None).ok();
    }
}
