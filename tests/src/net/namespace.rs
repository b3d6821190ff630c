//! A host's network namespace: how it is made, entered, emptied and removed, and how those that a killed test
//! left behind are found.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::linux::fs::MetadataExt as _;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, PidfdFlags, Signal, geteuid, pidfd_open, pidfd_send_signal};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tun_rs::{DeviceBuilder, SyncDevice};

use super::{DEVICE_QUEUE, MTU, Unavailable};

/// Where `ip netns` keeps a file for every namespace.
const FOLDER: &str = "/var/run/netns";
/// How the names of all namespaces of tests begin; the id of the process that made it follows.
const PREFIX: &str = "matrix-net-";
/// The name of a host's device.
const DEVICE: &str = "eth0";
/// How often processes are looked for and killed: each time finds those that were begun meanwhile.
const ROUNDS_MAX: usize = 10;
/// How long a killed process may take to end.
const END_MAX: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// A network namespace of this process. Dropping it kills the processes inside and removes it.
#[derive(Debug)]
pub(super) struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes the namespace of the host `host` of the network `network`, with nothing in it but a loopback
    /// device that is down. The pair must not be in use in this process.
    pub(super) fn create(network: usize, host: usize) -> Result<Self, Unavailable> {
        let name = format!("{PREFIX}{}-{network}-{host}", std::process::id());
        ip(&["netns", "add", &name], "")?;
        Ok(Self { name })
    }

    /// What `ip netns` calls it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Gives the namespace a loopback and a device with `address`, which is a host of a network of 24 bits;
    /// returns the device, which does not block.
    pub(super) fn connect(&self, address: Ipv4Addr) -> Result<SyncDevice, Unavailable> {
        let build = || {
            let builder = DeviceBuilder::new().name(DEVICE).mtu(MTU).enable(false);
            let device = builder.build_sync()?;
            device.set_nonblocking(true)?;
            Ok(device)
        };
        let device = self.enter(build).and_then(|built: io::Result<_>| built);
        let device = device.map_err(|error| Unavailable(format!("no TUN device can be made: {error}")))?;
        // No IPv6 address, and none of the packets by which one is found. A multicast leaves by the device.
        let lines = format!(
            "link set lo up\n\
             address add {address}/24 dev {DEVICE}\n\
             link set {DEVICE} txqueuelen {DEVICE_QUEUE} addrgenmode none up\n\
             route add 224.0.0.0/4 dev {DEVICE}\n"
        );
        ip(&["-netns", &self.name, "-batch", "-"], &lines)?;
        // No queue before the device's own: none that has a policy itself, and none that sends a packet later
        // than who called `send`.
        run("tc", &["-netns", &self.name, "qdisc", "replace", "dev", DEVICE, "root", "noqueue"], "")?;
        Ok(device)
    }

    /// Does `work` on a thread inside the namespace, and returns what it returns.
    ///
    /// # Errors
    /// Where the namespace cannot be entered.
    ///
    /// # Panics
    /// As `work` does.
    pub(super) fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        let namespace = File::open(path(&self.name))?;
        let inside = || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            Ok(work())
        };
        thread::scope(|scope| scope.spawn(inside).join()).unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Says what is missing on this machine for namespaces to be made, as far as that can be seen.
pub(super) fn check() -> Result<(), Unavailable> {
    if !geteuid().is_root() {
        return Err(Unavailable("only root may make network namespaces".to_owned()));
    }
    if !Path::new("/dev/net/tun").exists() {
        return Err(Unavailable("there is no /dev/net/tun: the kernel module `tun` is missing".to_owned()));
    }
    ip(&["-Version"], "")
}

/// Removes the namespaces whose process is gone, with the processes inside.
pub(super) fn sweep() {
    let Ok(files) = fs::read_dir(FOLDER) else { return };
    for file in files.flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        let maker = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        // A process that has ended runs no program, also where its parent has not asked for its status.
        if maker.is_some_and(|maker| fs::read_link(format!("/proc/{maker}/exe")).is_err()) {
            remove(&name);
        }
    }
}

fn path(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

/// Kills what runs in the namespace, and removes it. What fails is told, and no reason to stop: it is done in
/// destructors.
fn remove(name: &str) {
    let namespace = identity(&path(name));
    let end_inside = || {
        if let Ok(namespace) = namespace
            && let Err(error) = end_processes(namespace)
        {
            eprintln!("namespace {name}: processes may be left: {error}");
        }
    };
    end_inside();
    // Another test may have swept it meanwhile.
    if let Err(error) = ip(&["netns", "delete", name], "")
        && path(name).exists()
    {
        eprintln!("namespace {name} is left: {error}");
    }
    // Until it had no name, a program that was just begun could still enter.
    end_inside();
}

/// Kills the processes in the namespace until there are none, and waits for their end.
fn end_processes(namespace: (u64, u64)) -> io::Result<()> {
    if identity(Path::new("/proc/self/ns/net"))? == namespace {
        return Err(io::Error::other("it is this process's own namespace"));
    }
    for _ in 0..ROUNDS_MAX {
        let found = processes(namespace)?;
        if found.is_empty() {
            return Ok(());
        }
        for process in &found {
            // It may have ended since, or been killed by whoever else sweeps.
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
        for process in &found {
            let mut watched = [PollFd::new(process, PollFlags::IN)];
            if retry_on_intr(|| poll(&mut watched, Some(&END_MAX)))? == 0 {
                return Err(io::Error::new(ErrorKind::TimedOut, "a killed process does not end"));
            }
        }
    }
    Err(io::Error::other("they begin new ones faster than they are killed"))
}

/// The processes in a namespace, this one left out.
fn processes(namespace: (u64, u64)) -> io::Result<Vec<OwnedFd>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let id = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        let Some(id) = id.filter(|id| *id != rustix::process::getpid()) else { continue };
        let Ok(process) = pidfd_open(id, PidfdFlags::empty()) else { continue };
        // Asked once the process is held: its id cannot have gone to another in between. One that has ended
        // is in no namespace any more, even where its parent has not asked for its status.
        if identity(&entry.path().join("ns/net")).is_ok_and(|its| its == namespace) {
            found.push(process);
        }
    }
    Ok(found)
}

/// What tells the namespace that a file stands for from all others.
fn identity(file: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(file).map(|about| (about.st_dev(), about.st_ino()))
}

/// Runs the program `ip` with `arguments`, and `lines` as its input.
fn ip(arguments: &[&str], lines: &str) -> Result<(), Unavailable> {
    run("ip", arguments, lines)
}

/// Runs a program with `arguments`, and `lines` as its input.
pub(crate) fn run(program: &str, arguments: &[&str], lines: &str) -> Result<(), Unavailable> {
    let unavailable = |error: io::Error| match error.kind() {
        ErrorKind::NotFound => {
            Unavailable(format!("the program `{program}` is missing: it is in iproute2, or util-linux"))
        }
        _ => Unavailable(format!("`{program}` does not run: {error}")),
    };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(unavailable)?;
    // A program that ended before it read everything says why in its status.
    let _ = child.stdin.take().expect("it is piped").write_all(lines.as_bytes());
    let output = child.wait_with_output().map_err(unavailable)?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(Unavailable(format!("`{program} {}` failed: {}", arguments.join(" "), complaint.trim())))
}
