//! The KV of three nodes over gRPC beside three processes of etcd: all durable, on the same disk, asked by the same
//! client.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use matrix_proto::v1::cluster_client::ClusterClient;
use matrix_proto::v1::{InviteRequest, ListNodesRequest};
use matrix_tests::node::{PATIENCE, built};

use crate::etcd_cluster::{Cluster, Load, Via};
use crate::kv::{Case, Server, bearing, free_port, play};
use crate::table::{Row, Wanted};

/// How often a node is looked at that tells nobody when it is ready.
const POLL: Duration = Duration::from_millis(50);

const CASES: [Case; 5] = [
    Case {
        what: "KV put on three nodes, 1 client",
        writes: true,
        clients: 1,
        each: 300,
        shared: false,
        times: 1.5,
    },
    Case {
        what: "KV put on three nodes, 256 clients",
        writes: true,
        clients: 256,
        each: 80,
        shared: false,
        times: 3.0,
    },
    Case {
        what: "KV put on three nodes, 256 clients, pipelines",
        writes: true,
        clients: 256,
        each: 320,
        shared: true,
        times: 3.0,
    },
    Case {
        what: "KV get on three nodes, linearizable, 256 clients",
        writes: false,
        clients: 256,
        each: 200,
        shared: false,
        times: 5.0,
    },
    Case {
        what: "KV get on three nodes, linearizable, 256 clients, pipelines",
        writes: false,
        clients: 256,
        each: 400,
        shared: true,
        times: 5.0,
    },
];

/// Measures it.
pub(crate) async fn measure(rounds: usize) -> Vec<Row> {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let realm = Realm::start(folder.path()).await;
    let etcd = Cluster::start(folder.path()).await;
    let mut rows = Vec::new();
    for case in CASES {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let operations = (case.clients * case.each) as f64;
        for _ in 0..rounds {
            ours.push(play(&realm.first, case).await * 1e6 / operations);
            if let Some(etcd) = &etcd {
                let Case { writes, clients, each, .. } = case;
                // Each its own best: a member that does not lead passes a put on.
                let via = if writes { Via::Leader } else { Via::Everyone };
                let load = Load { writes, clients, each, via };
                theirs.push(etcd.play(load).await * 1e6 / operations);
            }
        }
        let other = etcd.as_ref().map(|_| ("etcd", theirs));
        rows.push(Row {
            what: case.what.into(),
            unit: "µs each",
            ours,
            other,
            wanted: Wanted::Times(case.times),
        });
    }
    rows
}

/// Three nodes; the first one leads.
struct Realm {
    first: Server,
    others: Vec<Child>,
}

impl Realm {
    async fn start(folder: &Path) -> Self {
        let first = Server::node(folder).await.expect("matrixd is built beside this program");
        let mut realm = Self { first, others: Vec::new() };
        let token = realm.first.token.clone().expect("a node has a token");
        let mut cluster = ClusterClient::new(realm.first.connect().await.expect("it listens"));
        for node in [2, 3] {
            let invitation = cluster.invite(bearing(InviteRequest::default(), &token)).await;
            let invitation = invitation.expect("it lets nodes in").into_inner().token;
            let (data, settings) = (folder.join(format!("node-{node}")), folder.join(format!("{node}.toml")));
            let text = format!("[admin]\nlisten = \"127.0.0.1:{}\"\nhttp = \"off\"\n", free_port());
            std::fs::write(&settings, text).expect("a file in a folder of our own");
            let mut command = Command::new(built("matrixd"));
            command.arg("--data-dir").arg(data).arg("--config").arg(settings).args(["--join", &invitation]);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            realm.others.push(command.spawn().expect("it starts"));
        }
        let began = Instant::now();
        loop {
            let listed = cluster.list_nodes(bearing(ListNodesRequest::default(), &token)).await;
            let nodes = listed.expect("it tells of its nodes").into_inner().nodes;
            if nodes.iter().filter(|node| matches!(&*node.role, "leader" | "follower")).count() == 3 {
                return realm;
            }
            assert!(began.elapsed() < PATIENCE, "three nodes never became one realm: {nodes:?}");
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Drop for Realm {
    fn drop(&mut self) {
        for node in &mut self.others {
            // It may have ended already.
            let _ = node.kill();
            let _ = node.wait();
        }
    }
}
