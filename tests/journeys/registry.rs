//! Components in registries of OCI: a real one, and such as mean ill.

mod hostile;
mod server;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use matrix_tests::node::built;
use matrix_tests::tools::leave_out;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::Process;
use crate::project;

/// Debian's registry.
const PROGRAM: &str = "docker-registry";
/// Who may write to it where it asks, and the same as its file has it.
const USER: (&str, &str) = ("ada", "wonderland");
const USERS: &str = "ada:$2y$05$abcdefghijklmnopqrstuuA0vov2GDneHB3.8.cv9UF9g.RdvScIW\n";

/// A registry of its own, on loopback; killed when this is dropped.
struct Registry {
    child: Child,
    folder: TempDir,
    port: u16,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Registry {
    /// Starts one, with more settings below `http` and beside it; none where the machine has no such program.
    fn start(of_http: &str, beside: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        std::fs::write(folder.path().join("users"), USERS).expect("our own folder");
        let root = folder.path().display();
        let beside = beside.replace("USERS", &format!("{root}/users"));
        let settings = format!(
            "version: 0.1\nlog: {{ level: info, accesslog: {{ disabled: true }} }}\n\
             storage: {{ filesystem: {{ rootdirectory: {root}/store }} }}\n\
             http:\n  addr: 127.0.0.1:0\n{of_http}{beside}"
        );
        let file = folder.path().join("config.yml");
        std::fs::write(&file, settings).expect("our own folder");
        let mut command = Command::new(PROGRAM);
        command.arg("serve").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.env("OTEL_TRACES_EXPORTER", "none");
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                leave_out("components in a registry", &format!("{PROGRAM}: {error}: make registry-tools"));
                return None;
            }
        };
        let mut said = String::new();
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
            said += &line;
            let (_, rest) = line.split_once("listening on 127.0.0.1:")?;
            rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
        });
        // What it goes on to say is read, so that it never waits for room.
        std::thread::spawn(move || lines.for_each(drop));
        let port = port.unwrap_or_else(|| panic!("it does not listen: {said}"));
        Some(Self { child, folder, port })
    }

    /// What the registry calls this.
    fn at(&self, rest: &str) -> String {
        format!("127.0.0.1:{}/{rest}", self.port)
    }
}

/// What a run of `matrix` came to.
struct Said {
    code: i32,
    out: Value,
    err: String,
}

/// Runs `matrix` as somebody whom Docker knows by this configuration.
fn matrix(docker: &Path, more: &[(&str, &str)], arguments: &[&str]) -> Said {
    let mut command = Command::new(built("matrix"));
    command.env_clear().env("DOCKER_CONFIG", docker).envs(more.iter().copied());
    let output = command.args(["--output", "json", "--timeout", "20"]).args(arguments).output();
    let output = output.expect("matrix can be run");
    Said {
        code: output.status.code().unwrap_or(-1),
        out: serde_json::from_slice(&output.stdout).unwrap_or_default(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Said {
    fn ok(self) -> Value {
        assert_eq!(self.code, 0, "{}", self.err);
        self.out
    }

    fn fails(&self, code: i32, why: &str) {
        assert!(self.code == code && self.err.contains(why), "{code}, {why}: {} {}", self.code, self.err);
    }
}

fn guest(name: &str) -> String {
    project().join("guests/out").join(name).to_string_lossy().into_owned()
}

fn path(path: &Path) -> &str {
    path.to_str().expect("our own folder")
}

#[test]
fn a_component_goes_to_a_registry_and_into_a_node_as_it_is() {
    let Some(registry) = Registry::start("", "") else { return };
    let nobody = registry.folder.path();
    let counter = guest("counter.wasm");
    // Under the version that it says it has.
    let published =
        matrix(nobody, &[], &["components", "publish", &counter, &registry.at("team/counter")]).ok();
    assert_eq!(published["reference"], json!(registry.at("team/counter:0.1.0")));
    let again =
        matrix(nobody, &[], &["components", "publish", &counter, &registry.at("team/counter:latest")]).ok();
    assert_eq!(again["digest"], published["digest"], "the same component is the same artifact");
    let pinned = published["pinned"].as_str().expect("a reference").to_owned();
    assert_eq!(
        pinned,
        registry.at(&format!("team/counter@{}", published["digest"].as_str().expect("a digest")))
    );

    let file = registry.folder.path().join("fetched.wasm");
    let fetched = matrix(nobody, &[], &["components", "fetch", &pinned, "-o", path(&file)]).ok();
    assert_eq!((&fetched["digest"], &fetched["component"]), (&published["digest"], &published["component"]));
    assert_eq!(std::fs::read(&file).expect("it was fetched"), std::fs::read(&counter).expect("it is built"));

    let node = Process::start();
    let fetched =
        node.matrix(&["components", "fetch", &format!("oci://{}", registry.at("team/counter:latest"))]);
    assert_eq!(fetched[0]["pushed"]["component"]["digest"], published["component"]);
    node.matrix(&["souls", "spawn", "ada", "--component", "counter"]);
    assert_eq!(node.matrix(&["ask", "ada", "add 1"])[0]["reply"]["text"], json!("1"));
    // And from the node, to another place.
    let moved = node.matrix(&["components", "publish", "counter", &registry.at("other/counter:2")]);
    assert_eq!(moved[0]["digest"], published["digest"]);
    let named = node.matrix(&["components", "fetch", &registry.at("other/counter:2"), "--name", "tally"]);
    assert_eq!(named[0]["pushed"]["component"]["name"], json!("tally"));
    node.stop();
}

#[test]
fn what_is_not_there_or_not_said_is_told() {
    let Some(registry) = Registry::start("", "") else { return };
    let nobody = registry.folder.path();
    let fetch = |from: &str| matrix(nobody, &[], &["components", "fetch", from, "-o", "/dev/null"]);
    fetch(&registry.at("team/nothing:1")).fails(3, "there is no such artifact");
    fetch(&registry.at("team/nothing")).fails(2, "it is not said which version");
    fetch("team/nothing:1").fails(2, "no host");
    let publish = |what: &str, to: &str| matrix(nobody, &[], &["components", "publish", what, to]);
    let counter = guest("counter.wasm");
    let digest = format!("sha256:{}", "0".repeat(64));
    publish(&counter, &registry.at(&format!("a@{digest}"))).fails(2, "not published under a digest");
    let none = registry.folder.path().join("none.wasm");
    std::fs::write(&none, "no component").expect("our own folder");
    publish(path(&none), &registry.at("a:1")).fails(1, "this is no component");
    let stranger = registry.port;
    drop(registry);
    let gone = format!("127.0.0.1:{stranger}/a:1");
    matrix(Path::new("/nowhere"), &[], &["components", "fetch", &gone, "-o", "/dev/null"])
        .fails(6, "cannot reach");
}

/// Docker's configuration in a folder of its own, as `docker login` writes it.
fn logged_in(folder: &Path, host: &str) -> PathBuf {
    let docker = folder.join("docker");
    std::fs::create_dir_all(&docker).expect("our own folder");
    // `ada:wonderland`
    let auths = json!({ "auths": { host: { "auth": "YWRhOndvbmRlcmxhbmQ=" } } });
    std::fs::write(docker.join("config.json"), auths.to_string()).expect("our own folder");
    docker
}

#[test]
fn who_is_known_there_may_write_by_tls_and_nobody_else() {
    let keys = project().join("host/src/admin/tests/tls");
    let (cert, key) = (keys.join("node.pem"), keys.join("node.key"));
    let tls = format!("  tls: {{ certificate: {}, key: {} }}\n", cert.display(), key.display());
    let Some(registry) = Registry::start(&tls, "auth: { htpasswd: { realm: registry, path: USERS } }\n")
    else {
        return;
    };
    let nobody = registry.folder.path();
    let (authority, counter) = (keys.join("authority.pem"), guest("counter.wasm"));
    let place = format!("localhost:{}/team/counter:1", registry.port);
    let publish = |docker: &Path, more: &[(&str, &str)], extra: &[&str]| {
        let base = ["components", "publish", &counter, &place, "--registry-ca", path(&authority)];
        matrix(docker, more, &[&base, extra].concat())
    };
    publish(nobody, &[], &[]).fails(4, "--username NAME --password-file FILE");
    let known = [("MATRIX_REGISTRY_USERNAME", USER.0), ("MATRIX_REGISTRY_PASSWORD", "wrong")];
    publish(nobody, &known, &[]).fails(4, "look at the name and the password");
    let password = registry.folder.path().join("password");
    std::fs::write(&password, format!("{}\n", USER.1)).expect("our own folder");
    publish(nobody, &[], &["--username", USER.0, "--password-file", path(&password)]).ok();
    let docker = logged_in(nobody, &format!("localhost:{}", registry.port));
    publish(&docker, &[], &[]).ok();
    publish(nobody, &[(known[0].0, known[0].1), (known[1].0, USER.1)], &[]).ok();
    let out = registry.folder.path().join("fetched.wasm");
    let fetch = ["components", "fetch", &place, "--registry-ca", path(&authority), "-o", path(&out)];
    matrix(&docker, &[], &fetch).ok();
    let other = keys.join("other-authority.pem");
    let stranger = ["components", "fetch", &place, "--registry-ca", path(&other), "-o", path(&out)];
    matrix(&docker, &[], &stranger).fails(6, "cannot reach");
}
