//! This node's place in its realm: found, remembered, or asked for.

use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::future::join_all;

use super::KV_DIR;
use crate::capabilities::Capabilities;
use crate::capabilities::logging::GuestLog;
use crate::config::Config;
use crate::kv::{Kv, KvConfig, Roster};
use crate::p2p::{Admission, Key, Link, P2p, P2pConfig};
use crate::realm::{self, Identity, IdentityError, Realm};
use crate::runtime::catalog::Catalog;
use crate::runtime::interceptors::InterceptorsHost;
use crate::tasks::Tasks;
use crate::telemetry::Telemetry;
use crate::telemetry::logs::LogRing;
use crate::telemetry::metrics::TotalBy;
use crate::transport::bus::{Bus, Source};
use crate::transport::router::Router;
use crate::transport::{remote, topics};

/// How often senders are told of recipients that did not come.
const LATE: Duration = Duration::from_secs(1);
/// How long a node that starts waits for its ways to the others.
const REACHING: Duration = Duration::from_secs(3);
/// The file of the node's key, in the data folder.
pub(super) const KEY_FILE: &str = "key";
/// The file of the ports that were chosen for the network, in the data folder.
const PORTS_FILE: &str = "ports.json";

/// Makes a folder, or one that is there, its owner's alone.
pub(super) fn make_private_folder(path: &Path) -> anyhow::Result<()> {
    let unusable = || format!("cannot use the data folder {}", path.display());
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).with_context(unusable)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).with_context(unusable)
}

/// What a component is tried out with when it is uploaded: no way to anything.
pub(super) fn no_capabilities(bus: &Bus, logs: &LogRing, refused: &TotalBy) -> Capabilities {
    let log = Arc::new(GuestLog::new(logs.clone(), "node", 0, refused));
    Capabilities::alone(bus.clone(), Source::Node, None, log, refused)
}

/// What people and telemetry call a node.
pub(super) fn node_id(node: u64) -> String {
    format!("node-{node}")
}

/// What interceptors need of the node.
pub(super) fn interceptors_host(
    config: &Config,
    telemetry: &Telemetry,
    catalog: &Catalog,
    kv: &Kv,
    bus: &Bus,
    router: &Router,
    node: u64,
) -> InterceptorsHost {
    InterceptorsHost {
        kv: kv.clone(),
        catalog: catalog.clone(),
        bus: bus.clone(),
        logs: telemetry.logs().clone(),
        metrics: telemetry.metrics().clone(),
        config: config.interceptors.clone(),
        body_bytes_max: config.transport.body_bytes_max,
        passage: router.passage().clone(),
        node,
    }
}

/// Waits until messages can leave for every node that is alive, for a while: one that cannot be reached must not keep
/// this one from its work.
pub(super) async fn reach_others(realm: &Realm) {
    let nodes = realm.nodes().borrow().clone();
    let others = nodes.nodes.values().filter(|view| view.is_alive && view.record.node != realm.me());
    let links = others.filter_map(|view| realm.network().link(view.record.peer, remote::LANE));
    let links: Vec<_> = links.collect();
    if tokio::time::timeout(REACHING, join_all(links.iter().map(Link::until_up))).await.is_err() {
        tracing::warn!("some nodes that are alive cannot be reached yet");
    }
}

/// Tells senders, now and then, of recipients that were said to come and did not.
pub(super) fn refuse_late(router: &Router, tasks: &Tasks) {
    let (router, stop) = (router.clone(), tasks.stopping());
    let refusing = async move {
        loop {
            tokio::time::sleep(LATE).await;
            router.refuse_late();
        }
    };
    tasks.spawn("transport.late", async move { stop.run_until_cancelled(refusing).await });
}

/// Lets topics reach the subscribers of all nodes.
pub(super) async fn share_topics(realm: &Realm, router: &Router, guests: &Tasks) {
    realm.network().listen(Arc::new(router.listener(guests.clone()))).await;
    router.reach(realm.network().gossip(), realm.id().0);
}

/// Joins the network, and takes this node's place in its realm: the one that its data folder remembers, the one that
/// it is invited to, or a new one.
pub(super) async fn open(config: &Config, known: Option<Identity>, tasks: &Tasks) -> anyhow::Result<Realm> {
    let folder = &config.data_dir;
    let key = Key::load_or_create(&folder.join(KEY_FILE))?;
    let ports = Some(folder.join(PORTS_FILE));
    let gossip_bytes_max = topics::gossip_bytes_max(config.transport.body_bytes_max);
    let settings = P2pConfig { gossip_bytes_max, ..config.p2p.clone() };
    let network = P2p::start(settings, key, Admission::default(), ports).await?;
    let mut identity = match (known, &config.join) {
        (Some(known), Some(token)) if token.realm != known.realm => {
            anyhow::bail!(IdentityError::Taken { realm: known.realm, node: known.node })
        }
        (Some(known), _) => known,
        (None, Some(token)) => {
            anyhow::ensure!(!folder.join(KV_DIR).exists(), "--join needs a data folder without `{KV_DIR}`");
            realm::ask_to_join(&network, token, &config.realm).await.context("cannot join the realm")?
        }
        (None, None) => Identity::found()?,
    };
    if identity.took_part && !folder.join(KV_DIR).exists() {
        anyhow::bail!(IdentityError::Wiped(identity.node));
    }
    identity.begin()?;
    let roster = Roster::default();
    realm::meet(&identity, &network, &roster).await;
    realm::hello::report_in(&network, &identity, &config.realm).await?;
    identity.save(folder)?;
    let kv_config = KvConfig { dir: folder.join(KV_DIR), node_id: identity.node, ..config.kv.clone() };
    // The KV's own tasks run on the runtime that it is opened from.
    let (founds, kv_tasks) = (identity.node == 1, Tasks::new());
    let kv = Kv::open_in_realm(kv_config, &network, &roster, founds, &kv_tasks).await;
    let kv = kv.context("cannot open the KV")?;
    if !identity.took_part {
        identity.took_part = true;
        identity.save(folder)?;
    }
    let (folder, on_fatal) = (folder.clone(), config.kv.on_fatal.clone());
    let ground =
        realm::Ground { identity, folder, config: config.realm.clone(), kv, network, roster, on_fatal };
    Ok(Realm::start(ground, tasks).await)
}
