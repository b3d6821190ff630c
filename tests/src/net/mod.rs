//! A network of hosts on this machine, for tests of real processes: every host is a network namespace of its
//! own, and every IPv4 packet between two of them passes a switch in this process, which delays, loses,
//! doubles, reorders or stops it. TCP and QUIC meet the faults that they were made for.
//!
//! ```no_run
//! use matrix_tests::net::{Link, Net};
//! use std::time::Duration;
//!
//! let net = Net::new(3)?;
//! let mut server = net.command(0, "matrixd").spawn().expect("the program starts");
//! net.set_all(Link { delay: Duration::from_millis(5), loss: 0.01, ..Link::default() });
//! net.isolate(0);
//! // …
//! net.heal();
//! assert!(net.counts(0, 1).cut > 0, "the partition was felt");
//! # server.wait().expect("it can be waited for");
//! # Ok::<(), matrix_tests::net::Unavailable>(())
//! ```
//!
//! Hosts see each other and themselves, and nothing else: a test reaches a program inside by a Unix socket, by
//! files, or by sockets that it opens with [`Net::inside`]. There is no IPv6 but on loopback. Multicast goes to
//! all other hosts.

mod flip;
mod link;
mod namespace;
mod switch;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use rustix::event::{EventfdFlags, eventfd};

pub use link::{BACKLOG_MAX, Counts, DELAY_MAX, HELD_BACK, Link, QUEUED_BYTES_MAX, QUEUED_PACKETS_MAX};
use namespace::Namespace;
pub(crate) use namespace::run;
use switch::{Lines, Request, Switch};

/// How many hosts a network has at most.
pub const HOSTS_MAX: usize = 32;
/// The largest packet that hosts send, in bytes, IP header included: Ethernet's.
pub const MTU: u16 = 1500;
/// How many packets of a host wait for the switch at most; the kernel drops what comes beyond, and no
/// [`Counts`] tell of it.
pub const DEVICE_QUEUE: usize = 4096;

/// Requests that wait for the switch; who asks waits for the answer anyway.
const REQUESTS_MAX: usize = 16;
/// The seed of networks that are given none.
const SEED: u64 = 1;
/// Counts the networks of this process.
static NETWORKS: AtomicUsize = AtomicUsize::new(0);

/// Why networks cannot be made here: who runs the test is not root, or a device or a program is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable(String);

impl Unavailable {
    pub(crate) fn new(why: String) -> Self {
        Self(why)
    }

    /// Says on stderr that `what` was left out, and why, also where the output of tests that pass is not shown.
    pub fn report(&self, what: &str) {
        // Nobody can be told that stderr is closed.
        let _ = writeln!(std::io::stderr(), "LEFT OUT: {what}: {self}");
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this machine cannot have it: {}", self.0)
    }
}

impl std::error::Error for Unavailable {}

/// A network of hosts, named 0, 1, 2 and so on.
///
/// What is set holds when the call returns, for every packet not yet delivered; counts tell of every packet
/// that was sent before the call. Both take the time of two thread switches, and wait for nothing else.
///
/// Dropping it kills the processes that run inside, and takes the hosts away. A socket that a test still holds
/// from [`Net::inside`] leads nowhere then. What a killed test left behind is removed when the next network is
/// made.
#[derive(Debug)]
pub struct Net {
    hosts: Vec<(Namespace, Ipv4Addr)>,
    requests: Option<SyncSender<Request>>,
    wake: Arc<OwnedFd>,
    switch: Option<JoinHandle<()>>,
}

impl Net {
    /// A network of `hosts` hosts, at most [`HOSTS_MAX`], whose links do nothing to packets yet. Chances are
    /// the same in every run.
    ///
    /// # Errors
    /// Where this machine cannot have it, and why. Nothing is left behind.
    ///
    /// # Panics
    /// Where `hosts` is 0 or too many.
    pub fn new(hosts: usize) -> Result<Self, Unavailable> {
        Self::with_seed(hosts, SEED)
    }

    /// As [`Net::new`], with chances that follow from `seed`: what happens to the n-th packet of a link is the
    /// same wherever seed and links are.
    ///
    /// # Errors
    /// As [`Net::new`].
    ///
    /// # Panics
    /// As [`Net::new`].
    pub fn with_seed(hosts: usize, seed: u64) -> Result<Self, Unavailable> {
        assert!((1..=HOSTS_MAX).contains(&hosts), "a network has 1 to {HOSTS_MAX} hosts, and not {hosts}");
        namespace::check()?;
        namespace::sweep();
        let system = |error: std::io::Error| Unavailable(format!("the system refuses: {error}"));
        let network = NETWORKS.fetch_add(1, Ordering::Relaxed);
        let (mut namespaces, mut ports) = (Vec::new(), Vec::new());
        for (host, last) in (0..hosts).zip(1_u8..) {
            // No network sees another: the number only helps people to tell them apart.
            let address = Ipv4Addr::new(10, 77, (network % 256) as u8, last);
            let namespace = Namespace::create(network, host)?;
            ports.push((address, namespace.connect(address)?));
            namespaces.push((namespace, address));
        }
        let wake =
            eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(|e| system(e.into()))?;
        let wake = Arc::new(wake);
        let (requests, asked) = sync_channel(REQUESTS_MAX);
        let switch = Switch::new(ports, Lines::new(hosts, seed), asked, wake.clone());
        let thread = thread::Builder::new().name(format!("net-{network}"));
        let switch = thread.spawn(move || switch.run()).map_err(system)?;
        Ok(Self { hosts: namespaces, requests: Some(requests), wake, switch: Some(switch) })
    }

    /// The address of a host, in a network of 24 bits.
    ///
    /// # Panics
    /// Where there is no such host; so do all methods that take one.
    pub fn address(&self, host: usize) -> Ipv4Addr {
        self.hosts[host].1
    }

    /// How many hosts there are.
    pub fn hosts(&self) -> usize {
        self.hosts.len()
    }

    /// A command that runs `program` on a host, where it is found as on this machine. The child's id is the
    /// program's own, so that signals reach it. Where the program cannot be started, the child says so on
    /// stderr and fails.
    pub fn command(&self, host: usize, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        // `ip` replaces itself with the program.
        command.args(["netns", "exec", self.hosts[host].0.name()]).arg(program);
        command
    }

    /// Does `work` on a thread inside a host, and returns what it returns. Sockets that it opens are the
    /// host's, wherever they are used later; so are programs that it starts.
    ///
    /// # Panics
    /// As `work` does.
    pub fn inside<T: Send>(&self, host: usize, work: impl FnOnce() -> T + Send) -> T {
        self.hosts[host].0.enter(work).expect("the namespace is there as long as the network")
    }

    /// Sets what happens to packets from `from` to `to`, and not back.
    ///
    /// # Panics
    /// Where a chance is not from 0 to 1, or the delay is over [`DELAY_MAX`].
    #[track_caller]
    pub fn set(&self, from: usize, to: usize, link: Link) {
        link.assert_sound();
        self.assert_pair(from, to);
        self.ask(move |lines| lines.get(from, to).link = link);
    }

    /// Sets what happens to packets between any two hosts. `Link::default()` takes all faults away.
    ///
    /// # Panics
    /// As [`Net::set`].
    #[track_caller]
    pub fn set_all(&self, link: Link) {
        link.assert_sound();
        self.ask(move |lines| lines.all().for_each(|line| line.link = link));
    }

    /// Cuts the links between two hosts, both ways. What they do besides stays as it is.
    #[track_caller]
    pub fn cut(&self, a: usize, b: usize) {
        self.assert_pair(a, b);
        self.ask(move |lines| [(a, b), (b, a)].map(|(from, to)| lines.get(from, to).link.cut = true));
    }

    /// Cuts the link from `from` to `to`, and not the one back.
    #[track_caller]
    pub fn cut_one_way(&self, from: usize, to: usize) {
        self.assert_pair(from, to);
        self.ask(move |lines| lines.get(from, to).link.cut = true);
    }

    /// Cuts a host off from all others, both ways.
    #[track_caller]
    pub fn isolate(&self, host: usize) {
        assert!(host < self.hosts(), "there is no host {host}");
        let hosts = self.hosts();
        self.ask(move |lines| {
            for other in 0..hosts {
                lines.get(host, other).link.cut = true;
                lines.get(other, host).link.cut = true;
            }
        });
    }

    /// Mends all links that are cut. What they do besides stays as it is.
    pub fn heal(&self) {
        self.ask(|lines| lines.all().for_each(|line| line.link.cut = false));
    }

    /// What became of the packets from `from` to `to`.
    #[track_caller]
    pub fn counts(&self, from: usize, to: usize) -> Counts {
        self.assert_pair(from, to);
        self.ask(move |lines| lines.get(from, to).counts)
    }

    /// What happens now to packets from `from` to `to`.
    #[track_caller]
    pub fn link(&self, from: usize, to: usize) -> Link {
        self.assert_pair(from, to);
        self.ask(move |lines| lines.get(from, to).link)
    }

    #[track_caller]
    fn assert_pair(&self, from: usize, to: usize) {
        let hosts = self.hosts();
        assert!(from < hosts && to < hosts && from != to, "no link from {from} to {to} among {hosts} hosts");
    }

    /// Asks the switch.
    fn ask<T: Send + 'static>(&self, question: impl FnOnce(&mut Lines) -> T + Send + 'static) -> T {
        let (answer, answered) = sync_channel(1);
        let request: Request = Box::new(move |lines| {
            answer.send(question(lines)).expect("who asked waits");
        });
        let requests = self.requests.as_ref().expect("only dropping takes it");
        requests.send(request).expect("the switch runs: where it panicked, it said why");
        self.wake();
        answered.recv().expect("the switch runs: where it panicked, it said why")
    }

    fn wake(&self) {
        // It fails only where the counter is full, and then the switch is awake.
        let _ = rustix::io::write(&*self.wake, &1_u64.to_ne_bytes());
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        // The namespaces kill what runs inside; then the switch goes, and the devices with it.
        self.hosts.clear();
        self.requests = None;
        self.wake();
        if let Some(switch) = self.switch.take() {
            // Where it panicked, it said so.
            let _ = switch.join();
        }
    }
}
