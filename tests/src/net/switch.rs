//! The thread that every packet of a network passes: it reads the hosts' devices, asks the line between sender
//! and recipient what to do, and writes what is let through. It alone owns the lines; what others want of them
//! they ask for as a [`Request`].

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, ErrorKind};
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use tun_rs::SyncDevice;

use super::flip::flip;
use super::link::{Line, Passage, Verdict};

/// How many packets of one host are read before the next host's turn.
const BATCH: usize = 64;
/// The largest IPv4 packet.
const PACKET_MAX: usize = 65_535;
/// The length of an IPv4 header without options.
const HEADER: usize = 20;

/// What is asked of the switch: it is called with the lines between two packets.
pub(super) type Request = Box<dyn FnOnce(&mut Lines) + Send>;

/// The lines between all ordered pairs of hosts.
pub(super) struct Lines {
    hosts: usize,
    lines: Vec<Line>,
}

impl Lines {
    /// Lines that do nothing to packets, with chances that follow from `seed`, for each line others.
    pub(super) fn new(hosts: usize, seed: u64) -> Self {
        // The generator steps by its constant: seeds that differ otherwise give unrelated draws.
        let seeds = (1_u64..).map(|line| seed ^ line.wrapping_mul(0xd6e8_feb8_6659_fd93));
        Self { hosts, lines: seeds.take(hosts * hosts).map(Line::new).collect() }
    }

    /// The line from the host `from` to the host `to`.
    pub(super) fn get(&mut self, from: usize, to: usize) -> &mut Line {
        &mut self.lines[from * self.hosts + to]
    }

    /// All lines.
    pub(super) fn all(&mut self) -> impl Iterator<Item = &mut Line> {
        self.lines.iter_mut()
    }
}

/// A packet that waits for its time.
struct Waiting {
    due: Instant,
    /// Of packets due at one instant, the one that was sent first goes first.
    order: u64,
    from: usize,
    to: usize,
    passage: Passage,
    packet: Box<[u8]>,
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.order).cmp(&(other.due, other.order))
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Waiting {}

/// The devices, the lines between them, and what waits.
pub(super) struct Switch {
    /// For each host, its address and its device, which does not block.
    ports: Vec<(Ipv4Addr, SyncDevice)>,
    lines: Lines,
    waiting: BinaryHeap<Reverse<Waiting>>,
    order: u64,
    requests: Receiver<Request>,
    /// An eventfd that is written after every request, and after the last sender of requests is gone.
    wake: Arc<OwnedFd>,
}

impl Switch {
    /// A switch between `ports`.
    pub(super) fn new(
        ports: Vec<(Ipv4Addr, SyncDevice)>,
        lines: Lines,
        requests: Receiver<Request>,
        wake: Arc<OwnedFd>,
    ) -> Self {
        Self { ports, lines, waiting: BinaryHeap::new(), order: 0, requests, wake }
    }

    /// Passes packets on until nobody can ask for anything any more.
    ///
    /// # Panics
    /// Where the system fails.
    pub(super) fn run(mut self) {
        let mut packet = vec![0; PACKET_MAX];
        loop {
            let ready = self.wait();
            self.deliver_due();
            for (host, ready) in ready[1..].iter().enumerate() {
                if *ready {
                    self.read(host, BATCH, &mut packet);
                }
            }
            if ready[0] && !self.answer(&mut packet) {
                return;
            }
        }
    }

    /// Waits until something is asked for, a host sent something, or a packet is due; says which of the eventfd
    /// and the devices are readable.
    fn wait(&self) -> Vec<bool> {
        let due = self.waiting.peek().map(|Reverse(first)| first.due);
        let timeout = due.map(|due| due.saturating_duration_since(Instant::now()));
        let timeout =
            timeout.map(|timeout| Timespec::try_from(timeout).expect("delays are short, by DELAY_MAX"));
        let mut watched = vec![PollFd::new(&self.wake, PollFlags::IN)];
        watched.extend(self.ports.iter().map(|(_, device)| PollFd::new(device, PollFlags::IN)));
        match poll(&mut watched, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => panic!("devices cannot be waited for: {error}"),
        }
        watched.iter().map(|watched| !watched.revents().is_empty()).collect()
    }

    /// Does what was asked for; whether more can come.
    fn answer(&mut self, packet: &mut [u8]) -> bool {
        // Requests are read after the eventfd: one that comes in between wakes the switch once more, for
        // nothing.
        match rustix::io::read(&*self.wake, &mut [0_u8; 8]) {
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => panic!("the eventfd cannot be read: {error}"),
        }
        loop {
            match self.requests.try_recv() {
                Ok(request) => {
                    // What was sent before it was asked comes first.
                    for host in 0..self.ports.len() {
                        self.read(host, super::DEVICE_QUEUE, packet);
                    }
                    request(&mut self.lines);
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    /// Reads what the host sent, at most `packets_max` packets, and passes it on.
    fn read(&mut self, host: usize, packets_max: usize, packet: &mut [u8]) {
        for _ in 0..packets_max {
            match self.ports[host].1.recv(packet) {
                Ok(length) => self.pass(host, &packet[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("the device of host {host} cannot be read: {error}"),
            }
        }
    }

    /// Passes a packet on to whom it is for. What is for nobody here goes nowhere.
    fn pass(&mut self, from: usize, packet: &[u8]) {
        if packet.len() < HEADER || packet[0] >> 4 != 4 {
            return;
        }
        let destination = Ipv4Addr::new(packet[16], packet[17], packet[18], packet[19]);
        let to_all = destination.is_multicast();
        for to in 0..self.ports.len() {
            if to != from && (to_all || self.ports[to].0 == destination) {
                self.send(from, to, packet);
            }
        }
    }

    fn send(&mut self, from: usize, to: usize, packet: &[u8]) {
        match self.lines.get(from, to).admit(Instant::now(), packet.len()) {
            Verdict::Drop => {}
            Verdict::Deliver(passage) => self.deliver(from, to, passage, packet),
            Verdict::Keep(due, passage) => {
                self.order += 1;
                let (order, packet) = (self.order, packet.into());
                self.waiting.push(Reverse(Waiting { due, order, from, to, passage, packet }));
            }
        }
    }

    /// Delivers what is due.
    fn deliver_due(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let now = Instant::now();
        while self.waiting.peek().is_some_and(|Reverse(first)| first.due <= now) {
            let Some(Reverse(first)) = self.waiting.pop() else { return };
            let Waiting { from, to, passage, packet, .. } = first;
            if self.lines.get(from, to).release(passage, packet.len()) {
                self.deliver(from, to, passage, &packet);
            }
        }
    }

    fn deliver(&mut self, from: usize, to: usize, passage: Passage, packet: &[u8]) {
        let mut packet = Cow::Borrowed(packet);
        if let Some(draw) = passage.flip
            && flip(packet.to_mut(), draw)
        {
            self.lines.get(from, to).counts.flipped += 1;
        }
        for second in [false, true] {
            if !second || passage.twice {
                let taken = write(&self.ports[to].1, &packet).is_ok();
                self.lines.get(from, to).arrived(passage, second, taken);
            }
        }
    }
}

/// Gives a host a packet.
fn write(device: &SyncDevice, packet: &[u8]) -> io::Result<usize> {
    loop {
        match device.send(packet) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}
