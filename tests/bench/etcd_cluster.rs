//! Three members of one etcd cluster, each a process of its own, connected over loopback, durable as they are
//! where nobody sets anything, and clients that ask them.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::JoinSet;

use crate::caller::Caller;
use crate::etcd;
use crate::kv::free_port;

/// How many members there are.
const MEMBERS: usize = 3;
/// Bytes of a value, as of the KV of one node.
const VALUE_BYTES: usize = 256;
/// Clients that share a connection, as with the KV of one node.
const CLIENTS_PER_CONNECTION: usize = 16;
/// How long the cluster may take until it has a leader and writes.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is asked until it has.
const POLL: Duration = Duration::from_millis(20);

/// Whom the clients ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Via {
    /// The leader, which is looked up before the clock starts.
    Leader,
    /// All members in turn, one after the other for each request of a client.
    Everyone,
}

/// What is asked, by how many clients at the same time, how often by each: one request at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Puts, of 256 bytes each to a key of its own; otherwise linearizable gets of the same keys.
    pub(crate) writes: bool,
    pub(crate) clients: usize,
    pub(crate) each: usize,
    pub(crate) via: Via,
}

/// The members. They end when this is dropped.
pub(crate) struct Cluster {
    members: Vec<Member>,
}

impl Cluster {
    /// Starts the members, with their data in `folder`, and waits until each writes; none where etcd is not
    /// installed, and then it is told how to install it.
    ///
    /// # Panics
    /// If there is no leader, or a member does not write, within half a minute.
    pub(crate) async fn start(folder: &Path) -> Option<Self> {
        let members: Vec<_> = (0..MEMBERS).map(|place| (place, free_port(), free_port())).collect();
        let peers = members.iter().map(|(place, _, peer)| format!("{}={}", name(*place), url(*peer)));
        let peers = peers.collect::<Vec<_>>().join(",");
        let mut cluster = Self { members: Vec::new() };
        for (place, port, peer) in members {
            let mut command = Command::new("etcd");
            command.args(["--name", &name(place), "--initial-cluster", &peers, "--log-level", "error"]);
            command.arg("--data-dir").arg(folder.join(name(place)));
            command.args(["--listen-client-urls", &url(port), "--advertise-client-urls", &url(port)]);
            command.args(["--listen-peer-urls", &url(peer), "--initial-advertise-peer-urls", &url(peer)]);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let Ok(child) = command.spawn() else {
                eprintln!("  etcd: not found; install it: apt-get install etcd-server");
                return None;
            };
            cluster.members.push(Member { child, port });
        }
        let began = Instant::now();
        while !cluster.writes().await {
            assert!(began.elapsed() < PATIENCE, "etcd's members never agreed");
            tokio::time::sleep(POLL).await;
        }
        Some(cluster)
    }

    /// Seconds until every client has had all its answers.
    ///
    /// # Panics
    /// If a request fails, or the leader is asked for and there is none within half a minute.
    pub(crate) async fn play(&self, load: Load) -> f64 {
        let members = match load.via {
            Via::Everyone => self.members.iter().collect(),
            Via::Leader => vec![self.leader().await],
        };
        let sharing = CLIENTS_PER_CONNECTION * members.len();
        let mut callers = Vec::new();
        for _ in 0..load.clients.div_ceil(sharing) {
            let mut group = Vec::new();
            for member in &members {
                group.push(member.connect().await.expect("the member listens"));
            }
            callers.push(group);
        }
        let began = Instant::now();
        let clients = (0..load.clients).map(|client| ask(callers[client / sharing].clone(), load, client));
        clients.collect::<JoinSet<_>>().join_all().await;
        began.elapsed().as_secs_f64()
    }

    /// Whether each member takes a write, which goes through the leader.
    async fn writes(&self) -> bool {
        for member in &self.members {
            let Some(caller) = member.connect().await else { return false };
            let key = Bytes::from_static(b"ready");
            let written = tokio::time::timeout(PATIENCE, etcd::put(&caller, key.clone(), key)).await;
            if !matches!(written, Ok(Ok(()))) {
                return false;
            }
        }
        true
    }

    /// The member that leads, once there is one.
    async fn leader(&self) -> &Member {
        let began = Instant::now();
        loop {
            for member in &self.members {
                if member.leads().await == Some(true) {
                    return member;
                }
            }
            assert!(began.elapsed() < PATIENCE, "etcd's members agree on no leader");
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // All are told before any is waited for: none looks for a leader. Some may have ended already.
        for member in &mut self.members {
            let _ = member.child.kill();
        }
        for member in &mut self.members {
            let _ = member.child.wait();
        }
    }
}

/// One process of the cluster.
struct Member {
    child: Child,
    /// Where it listens to clients.
    port: u16,
}

impl Member {
    async fn connect(&self) -> Option<Caller> {
        Caller::open(self.port, None).await
    }

    /// Whether it says of itself that it leads; none where it does not answer.
    async fn leads(&self) -> Option<bool> {
        let caller = self.connect().await?;
        let status: Status = caller.call("/etcdserverpb.Maintenance/Status", &StatusRequest {}).await.ok()?;
        Some(status.leader != 0 && status.leader == status.header?.member)
    }
}

/// What one client does: `callers` are used in turn.
async fn ask(callers: Vec<Caller>, load: Load, client: usize) {
    let value = Bytes::from(vec![7; VALUE_BYTES]);
    for turn in 0..load.each {
        let caller = &callers[(client + turn) % callers.len()];
        let key = Bytes::from(format!("client-{client}/{turn}"));
        if load.writes {
            etcd::put(caller, key, value.clone()).await.expect("it is written");
        } else {
            let found = etcd::get(caller, key).await.expect("it is read");
            assert!(found.is_none_or(|found| found.len() == VALUE_BYTES));
        }
    }
}

fn name(place: usize) -> String {
    format!("member-{place}")
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// `StatusRequest`.
#[derive(Clone, PartialEq, prost::Message)]
struct StatusRequest {}

/// `StatusResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(message, optional, tag = "1")]
    header: Option<Header>,
    #[prost(uint64, tag = "4")]
    leader: u64,
}

/// `ResponseHeader`: who answers.
#[derive(Clone, PartialEq, prost::Message)]
struct Header {
    #[prost(uint64, tag = "2")]
    member: u64,
}
