//! Whether the node accepts work, as it is told to whoever watches it.

use std::future::Future;

use tokio::sync::watch::error::RecvError;

use crate::admin::Admin;
use crate::realm::Realm;
use crate::tasks::Tasks;

/// What a node says that does not hold its lease: its Souls wait, and its reads may be refused.
const NO_LEASE: &str = "no quorum of the realm confirms this node's lease";

/// Tells it from now on, until the tasks stop: what they are told as the node stops is the last word.
pub(super) fn tell(admin: Admin, realm: &Realm, tasks: &Tasks) -> impl Future<Output = ()> + use<> {
    let (mut lease, mut short) = (realm.holds_lease(), realm.kv().short());
    let stopping = tasks.stopping();
    async move {
        loop {
            let held = *lease.borrow_and_update();
            let no_room =
                short.borrow_and_update().as_ref().map(|short| format!("no room for the log: {short}"));
            let reason = no_room.or((!held).then(|| NO_LEASE.to_owned()));
            admin.set_ready(reason.is_none(), &reason.unwrap_or_default()).await;
            let changed = async {
                tokio::select! {
                    changed = lease.changed() => changed,
                    changed = short.changed() => changed,
                }
            };
            let Some(Ok::<(), RecvError>(())) = stopping.run_until_cancelled(changed).await else { return };
        }
    }
}
