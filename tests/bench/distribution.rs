//! Two nodes of Erlang distribution, each a process of its own, connected over loopback.

use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::bystander::{Bystander, folder};
use crate::kv::free_port;

/// What to do where there is no Erlang.
const INSTALL: &str = "install it: apt-get install erlang-base";
/// What to do where Erlang has no TLS.
const INSTALL_TLS: &str = "install it: apt-get install erlang-ssl";

/// How the nodes are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    /// TCP, as it is where nobody sets anything.
    Plain,
    /// TLS 1.3; either side checks the other's certificate.
    Tls,
}

/// Both nodes. They end when this is dropped, and also when this process ends without dropping it: each ends
/// with its standard input.
pub(crate) struct Pair {
    asker: Bystander,
    _answerer: Bystander,
    /// The home of both: the compiled program, the certificates, and the cookie that the first node makes.
    _home: TempDir,
}

impl Pair {
    /// Compiles the program, and starts and connects the nodes; none where Erlang, or its TLS, is not
    /// installed, and then it is told how to install it.
    ///
    /// # Panics
    /// If the nodes are started but cannot connect.
    pub(crate) fn start(wire: Wire) -> Option<Self> {
        let home = tempfile::tempdir().expect("a temporary folder can be made");
        let mut compile = Command::new("erlc");
        compile.arg("-o").arg(home.path()).arg(folder().join("distribution.erl"));
        if !done(&mut compile) {
            eprintln!("  erlc: not found, or it failed; {INSTALL}");
            return None;
        }
        let options = home.path().join("tls");
        if wire == Wire::Tls {
            let mut certify = erl(&home);
            certify.args(["-run", "distribution", "certify"]).arg(&options);
            if !done(&mut certify) {
                eprintln!("  Erlang's ssl: not found, or it failed; {INSTALL_TLS}");
                return None;
            }
        }
        // A known port takes the place of the port mapper, a daemon that would outlive the nodes.
        let port = free_port().to_string();
        let node = |name: &str| {
            let mut command = erl(&home);
            command.args(["-name", name, "-start_epmd", "false", "-erl_epmd_port", &port]);
            if wire == Wire::Tls {
                command.args(["-proto_dist", "inet_tls", "-ssl_dist_optfile"]).arg(&options);
            }
            command
        };
        let mut answerer = node("answerer@127.0.0.1");
        answerer.args(["-kernel", "inet_dist_use_interface", "{127,0,0,1}", "-s", "distribution", "serve"]);
        let mut answerer = Bystander::start(&mut answerer, INSTALL)?;
        // It answers once it listens.
        answerer.round("");
        let mut asker = node("asker@127.0.0.1");
        asker.args(["-dist_listen", "false", "-s", "distribution", "ask"]);
        let mut asker = Bystander::start(&mut asker, INSTALL)?;
        // Once this is answered they are connected, and what was compiled is in their memory.
        asker.round("send 1");
        Some(Self { asker, _answerer: answerer, _home: home })
    }

    /// Seconds until one process has sent `messages` bodies of 100 bytes to a process of the other node, and
    /// has heard that all are there. Nothing but the distribution holds the sender back.
    pub(crate) fn send(&mut self, messages: usize) -> f64 {
        self.asker.round(&format!("send {messages}"))
    }

    /// The median and the p99, in microseconds, of `calls` questions of 100 bytes, one at a time: a message
    /// with a reference, and one back. 2,000 more are asked before.
    pub(crate) fn ask(&mut self, calls: usize) -> [f64; 2] {
        self.latencies(&format!("ask {calls}"))
    }

    /// The same with `gen_server:call`, which also watches the server while it waits.
    pub(crate) fn call(&mut self, calls: usize) -> [f64; 2] {
        self.latencies(&format!("call {calls}"))
    }

    fn latencies(&mut self, request: &str) -> [f64; 2] {
        [request, "within 99"].map(|request| self.asker.round(request) * 1e6)
    }
}

/// The runtime, without a shell; `home` is where it finds the program and its cookie.
fn erl(home: &TempDir) -> Command {
    let mut command = Command::new("erl");
    // Without this one that fails leaves a dump in the folder that it was started in.
    command.env("HOME", home.path()).env("ERL_CRASH_DUMP_SECONDS", "0");
    command.args(["-noshell", "-pa"]).arg(home.path());
    command
}

/// Whether a command could be run, and succeeded.
fn done(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).status().is_ok_and(|status| status.success())
}
