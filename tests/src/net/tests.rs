//! Real sockets and processes in real namespaces. Where there can be none, each test says so and ends.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::*;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);
/// How long is waited for what must not come.
const SHORT: Duration = Duration::from_millis(100);
const FOLDER: &str = "/var/run/netns";

fn net(hosts: usize) -> Option<Net> {
    let test = thread::current().name().unwrap_or("a test").to_owned();
    Net::new(hosts).inspect_err(|why| why.report(&test)).ok()
}

fn udp(net: &Net, host: usize) -> UdpSocket {
    let address = net.address(host);
    let socket = net.inside(host, || UdpSocket::bind((address, 0))).expect("the address is the host's");
    socket.set_read_timeout(Some(LONG)).expect("it is not zero");
    socket
}

/// Sends a datagram, and does not wait for it.
fn send(from: &UdpSocket, to: &UdpSocket, body: &[u8]) {
    from.send_to(body, to.local_addr().expect("it is bound")).expect("the device takes it");
}

fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut body = [0; 100];
    let length = uninterrupted(|| socket.recv(&mut body)).expect("a datagram comes");
    body[..length].to_vec()
}

/// A stopped and continued process is interrupted in what has a timeout.
fn uninterrupted<T>(mut call: impl FnMut() -> std::io::Result<T>) -> std::io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

fn listen(net: &Net, host: usize) -> (TcpListener, SocketAddr) {
    let address = net.address(host);
    let listener = net.inside(host, || TcpListener::bind((address, 0))).expect("the address is the host's");
    let address = listener.local_addr().expect("it is bound");
    (listener, address)
}

fn connect(net: &Net, host: usize, to: SocketAddr, within: Duration) -> std::io::Result<TcpStream> {
    let stream = net.inside(host, || TcpStream::connect_timeout(&to, within))?;
    stream.set_read_timeout(Some(LONG))?;
    Ok(stream)
}

/// A connection from host 0 to host 1.
fn connection(net: &Net) -> (TcpStream, TcpStream) {
    let (listener, address) = listen(net, 1);
    let one = connect(net, 0, address, LONG).expect("host 1 listens");
    let (other, from) = listener.accept().expect("host 0 has connected");
    assert_eq!(from.ip(), net.address(0));
    other.set_read_timeout(Some(LONG)).expect("it is not zero");
    (one, other)
}

fn read_line(child: &mut Child) -> String {
    let mut line = String::new();
    let output = child.stdout.as_mut().expect("it is piped");
    BufReader::new(output).read_line(&mut line).expect("it is text");
    line.trim().to_owned()
}

/// Sees to it that `holds` comes true, where the kernel gives no event to wait for.
fn eventually(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LONG, "{what}");
        thread::yield_now();
    }
}

#[test]
fn hosts_reach_each_other_and_themselves() {
    let Some(net) = net(2) else { return };
    let (mut one, mut other) = connection(&net);
    let body: Vec<u8> = (0..1_000_000_u32).map(|at| at as u8).collect();
    let mut came = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            one.write_all(&body).expect("the other end reads");
            one.shutdown(std::net::Shutdown::Write).expect("it is open");
        });
        other.read_to_end(&mut came).expect("all comes");
    });
    assert!(came == body);
    let there = net.counts(0, 1);
    assert!(there.delivered > 500 && there.dropped() == 0, "{there:?}");
    assert!(net.counts(1, 0).delivered > 1);
    let (_listener, own) = listen(&net, 1);
    for itself in [own, (Ipv4Addr::LOCALHOST, own.port()).into()] {
        let answer = connect(&net, 1, itself, LONG);
        assert_eq!(answer.is_ok(), itself == own, "{answer:?}");
    }
}

#[test]
fn a_cut_stops_both_ways_and_heals() {
    let Some(net) = net(2) else { return };
    let (mut one, mut other) = connection(&net);
    net.cut(0, 1);
    let before = net.counts(0, 1);
    one.write_all(b"x").expect("the kernel keeps it");
    other.write_all(b"y").expect("the kernel keeps it");
    other.set_read_timeout(Some(SHORT)).expect("it is not zero");
    let mut body = [0];
    let nothing = uninterrupted(|| other.read(&mut body)).map_err(|error| error.kind());
    assert_eq!(nothing, Err(ErrorKind::WouldBlock));
    assert!(net.counts(0, 1).cut > before.cut && net.counts(1, 0).cut > 0);
    assert_eq!(net.counts(0, 1).delivered, before.delivered);
    net.heal();
    other.set_read_timeout(Some(LONG)).expect("it is not zero");
    other.read_exact(&mut body).expect("it is sent again");
    assert_eq!(&body, b"x");
    one.read_exact(&mut body).expect("it is sent again");
    assert_eq!(&body, b"y");
}

#[test]
fn a_cut_one_way_leaves_the_other() {
    let Some(net) = net(2) else { return };
    let (a, b) = (udp(&net, 0), udp(&net, 1));
    let slow = Link { delay: Duration::from_millis(1), ..Link::default() };
    net.set(0, 1, slow);
    net.cut_one_way(0, 1);
    send(&a, &b, b"lost");
    send(&b, &a, b"comes");
    assert_eq!(receive(&a), b"comes");
    assert_eq!((net.counts(0, 1).cut, net.counts(0, 1).delivered), (1, 0));
    net.heal();
    assert_eq!(net.link(0, 1), slow);
    send(&a, &b, b"comes now");
    assert_eq!(receive(&b), b"comes now");
}

#[test]
fn a_delay_is_felt() {
    let Some(net) = net(2) else { return };
    let (a, b) = (udp(&net, 0), udp(&net, 1));
    let round_trip = || {
        let begun = Instant::now();
        send(&a, &b, b"there");
        receive(&b);
        send(&b, &a, b"back");
        receive(&a);
        begun.elapsed()
    };
    let plain = (0..100).map(|_| round_trip()).min().expect("there are some");
    let (there, back) = (Duration::from_millis(20), Duration::from_millis(5));
    net.set(0, 1, Link { delay: there, jitter: back, ..Link::default() });
    net.set(1, 0, Link { delay: back, ..Link::default() });
    let slow = (0..10).map(|_| round_trip()).min().expect("there are some");
    println!("the shortest round trip is {plain:?}, and {slow:?} with a delay of {:?}", there + back);
    assert!(plain < back && slow >= there + back);
}

#[test]
fn all_is_lost_where_all_is_to_be_lost() {
    let Some(net) = net(2) else { return };
    let (a, b) = (udp(&net, 0), udp(&net, 1));
    net.set_all(Link { loss: 1.0, ..Link::default() });
    for _ in 0..100 {
        send(&a, &b, b"lost");
    }
    assert_eq!((net.counts(0, 1).lost, net.counts(0, 1).delivered), (100, 0));
    b.set_nonblocking(true).expect("it is a socket");
    assert_eq!(b.recv(&mut [0]).map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
}

#[test]
fn tcp_survives_losses() {
    let Some(net) = net(2) else { return };
    let (mut one, mut other) = connection(&net);
    net.set_all(Link { loss: 0.3, ..Link::default() });
    let body = vec![7; 48 << 10];
    let mut came = vec![0; body.len()];
    let begun = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| one.write_all(&body).expect("the other end reads"));
        other.read_exact(&mut came).expect("what is lost is sent again");
    });
    assert!(came == body);
    let counts = net.counts(0, 1);
    println!("{:?} for {} bytes: {counts:?}", begun.elapsed(), body.len());
    assert!(counts.lost > 0);
}

#[test]
fn datagrams_come_twice_and_out_of_order() {
    let Some(net) = net(2) else { return };
    let (a, b) = (udp(&net, 0), udp(&net, 1));
    net.set(0, 1, Link { duplicate: 0.3, reorder: 0.3, ..Link::default() });
    for number in 0..100 {
        send(&a, &b, &[number]);
    }
    let (mut seen, mut overtaken, mut copies) = ([false; 100], 0, 0);
    let mut take = || {
        let number = usize::from(receive(&b)[0]);
        let is_copy = std::mem::replace(&mut seen[number], true);
        copies += u64::from(is_copy);
        overtaken += u64::from(!is_copy && seen[number + 1..].contains(&true));
        seen.iter().all(|seen| *seen)
    };
    let mut taken = 1;
    while !take() {
        taken += 1;
    }
    let counts = net.counts(0, 1);
    for _ in taken..counts.delivered {
        take();
    }
    assert_eq!((counts.delivered, counts.duplicated, counts.reordered), (100 + copies, copies, overtaken));
    assert!(copies > 10 && overtaken > 10, "{counts:?}");
}

#[test]
fn a_device_that_is_down_takes_nothing() {
    let Some(net) = net(2) else { return };
    let (a, b) = (udp(&net, 0), udp(&net, 1));
    let down = net.command(1, "ip").args(["link", "set", "eth0", "down"]).status();
    assert!(down.unwrap().success());
    send(&a, &b, b"refused");
    assert_eq!((net.counts(0, 1).refused, net.counts(0, 1).delivered), (1, 0));
}

#[test]
fn a_partition_may_be_partial() {
    let Some(net) = net(3) else { return };
    net.cut(0, 1);
    let ((_at_b, b), (at_c, c)) = (listen(&net, 1), listen(&net, 2));
    for host in [0, 1] {
        connect(&net, host, c, LONG).expect("both reach host 2");
        at_c.accept().expect("it has connected");
    }
    let refused = connect(&net, 0, b, SHORT).expect_err("the two do not reach each other");
    assert_eq!(refused.kind(), ErrorKind::TimedOut);
    connect(&net, 2, b, LONG).expect("host 2 reaches both");
    net.isolate(2);
    connect(&net, 2, b, SHORT).expect_err("host 2 reaches nobody");
    net.heal();
    for host in [0, 2] {
        connect(&net, host, b, LONG).expect("all is well again");
    }
}

#[test]
fn multicast_reaches_all_others() {
    let Some(net) = net(3) else { return };
    let group = Ipv4Addr::new(224, 0, 0, 251);
    let join = |host| {
        let address = net.address(host);
        let socket = net.inside(host, || UdpSocket::bind((group, 5353))).expect("the port is free");
        socket.join_multicast_v4(&group, &address).expect("the device does multicast");
        socket.set_read_timeout(Some(LONG)).expect("it is not zero");
        socket
    };
    let joined = [join(1), join(2)];
    udp(&net, 0).send_to(b"who?", (group, 5353)).expect("there is a route");
    for socket in joined {
        assert_eq!(receive(&socket), b"who?");
    }
}

#[test]
fn signals_reach_a_program() {
    let Some(net) = net(1) else { return };
    let mut command = net.command(0, "sh");
    let mut child = command.args(["-c", "echo $$; exec sleep 1000"]).stdout(Stdio::piped()).spawn().unwrap();
    assert_eq!(read_line(&mut child), child.id().to_string());
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(Signal::TERM.as_raw()));
    let missing = net.command(0, "no-such-program").output().unwrap();
    assert!(!missing.status.success());
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no-such-program"));
}

#[test]
fn nothing_is_left_behind() {
    let Some(net) = net(2) else { return };
    let names: Vec<_> = net.hosts.iter().map(|(namespace, _)| namespace.name().to_owned()).collect();
    let thread = net.switch.as_ref().and_then(|switch| switch.thread().name()).unwrap().to_owned();
    // Holding them keeps the namespaces alive, so that it can be seen what is left inside.
    let held: Vec<_> = names.iter().map(|name| File::open(Path::new(FOLDER).join(name)).unwrap()).collect();
    let mut command = net.command(1, "sh");
    let script = "sleep 1000 > /dev/null & echo $!; exec sleep 1000";
    let mut child = command.args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
    let grandchild = PathBuf::from(format!("/proc/{}/exe", read_line(&mut child)));
    assert!(grandchild.read_link().is_ok() && devices(&held[0]) == ["lo", "eth0"]);
    assert!(threads().contains(&thread), "{thread} is not among {:?}", threads());
    net.set_all(Link { delay: DELAY_MAX, ..Link::default() });
    send(&udp(&net, 0), &udp(&net, 1), b"still on its way");
    drop(net);
    assert_eq!(child.wait().unwrap().signal(), Some(Signal::KILL.as_raw()));
    assert!(grandchild.read_link().is_err());
    for (name, namespace) in names.iter().zip(&held) {
        assert!(!Path::new(FOLDER).join(name).exists(), "{name} is left");
        // A process that another test begins at this moment holds the device until it runs its program.
        eventually("the device is left", || devices(namespace) == ["lo"]);
    }
    eventually("the thread is left", || !threads().contains(&thread));
}

/// The devices in a namespace.
fn devices(namespace: &File) -> Vec<String> {
    let list = || {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        fs::read_to_string("/proc/thread-self/net/dev").unwrap()
    };
    let list = thread::scope(|scope| scope.spawn(list).join()).unwrap();
    let names = list.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()));
    names.collect()
}

/// The names of this process's threads.
fn threads() -> Vec<String> {
    let names = fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = names.filter_map(|thread| fs::read_to_string(thread.path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).collect()
}

#[test]
fn a_panic_leaves_nothing_behind() {
    let Some(net) = net(1) else { return };
    let file = Path::new(FOLDER).join(net.hosts[0].0.name());
    assert!(file.exists());
    let panicked = catch_unwind(AssertUnwindSafe(move || net.counts(0, 0)));
    assert!(panicked.is_err() && !file.exists());
}

#[test]
fn what_a_killed_test_left_is_swept() {
    let Some(net) = net(1) else { return };
    let mut child = net.inside(0, || Command::new("sleep").arg("1000").spawn()).unwrap();
    // No process has an id as high as this.
    let stale = format!("matrix-net-4194304-{}-0", std::process::id());
    let attached = Command::new("ip").args(["netns", "attach", &stale, &child.id().to_string()]).status();
    assert!(attached.unwrap().success());
    let _other = Net::new(1).expect("there was one before");
    assert_eq!(child.wait().unwrap().signal(), Some(Signal::KILL.as_raw()));
    eventually("the namespace is left", || !Path::new(FOLDER).join(&stale).exists());
    assert!(Path::new(FOLDER).join(net.hosts[0].0.name()).exists(), "that of a living process was swept");
}
