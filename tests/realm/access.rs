//! Who may do what, in a realm of several nodes: what one node is told holds on all.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::processes::{Realm, Run, root, stranger};
use crate::tournament;

/// What a caller is told whose role is too weak.
const TOO_WEAK: &str = "ROLE_TOO_WEAK";

fn path(path: &Path) -> &str {
    path.to_str().expect("a path of ours")
}

fn counter() -> PathBuf {
    root().join("guests/out/counter.wasm")
}

/// Somebody who has a token of the realm.
struct Holder {
    folder: TempDir,
    name: &'static str,
}

impl Holder {
    /// Somebody new, for whom a node makes a token.
    fn new(realm: &Realm, node: u64, name: &'static str, role: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let holder = Self { folder, name };
        let made = realm.matrix(node, &["access", "token", "create", name, "--role", role]).ok().json();
        holder.keep("token", &made);
        holder
    }

    /// Writes the secret of an answer into a file.
    fn keep(&self, file: &str, made: &Value) {
        let secret = made["secret"].as_str().expect("a secret");
        std::fs::write(self.folder.path().join(file), secret).expect("our own folder");
    }

    fn says<'a>(token: &'a str, arguments: &[&'a str]) -> Vec<&'a str> {
        [&["--token-file", token], arguments].concat()
    }

    /// What a node answers to the secret in a file.
    fn shows(&self, file: &str, realm: &Realm, node: u64, arguments: &[&str]) -> Run {
        let token = self.folder.path().join(file);
        realm.matrix(node, &Self::says(path(&token), arguments))
    }

    fn matrix(&self, realm: &Realm, node: u64, arguments: &[&str]) -> Run {
        self.shows("token", realm, node, arguments)
    }

    /// Waits until a node has heard of the secret in a file, and says what it may do.
    fn known(&self, file: &str, realm: &Realm, node: u64) -> Value {
        let token = self.folder.path().join(file);
        let who = realm.until(node, &Self::says(path(&token), &["access", "whoami"]), |_| true);
        assert_eq!(who["caller"], json!(format!("token/{}", self.name)));
        who["role"].clone()
    }
}

/// What a node has written down of a caller's calls of a method: who asked it, with which role and about what, and what
/// came of it.
fn written(realm: &Realm, node: u64, caller: &str, method: &str) -> Vec<[String; 4]> {
    let lines = realm.matrix(node, &["access", "audit", "--caller", caller, "--method", method]).ok().lines();
    let text = |line: &Value, key: &str| line[key].as_str().expect("a text").to_owned();
    lines.iter().map(|line| ["via", "role", "target", "outcome"].map(|key| text(line, key))).collect()
}

fn peer(realm: &Realm, node: u64) -> String {
    let nodes = realm.matrix(1, &["nodes", "list"]).ok().json();
    let nodes = nodes["nodes"].as_array().expect("a list");
    let found = nodes.iter().find(|found| found["number"] == node).expect("a member");
    found["peer"].as_str().expect("a peer").to_owned()
}

#[test]
fn a_token_of_one_node_opens_the_other_and_does_no_more_than_its_role_there_or_beyond() {
    let realm = Realm::start(2);
    let ci = Holder::new(&realm, 1, "ci", "deploy");
    let eye = Holder::new(&realm, 2, "eye", "read");
    let counter = counter();
    let push = ["components", "push", path(&counter), "--name", "counter"];
    for node in [1, 2] {
        assert_eq!(
            (ci.known("token", &realm, node), eye.known("token", &realm, node)),
            (json!("deploy"), json!("read"))
        );
        eye.matrix(&realm, node, &["souls", "list"]).ok();
        eye.matrix(&realm, node, &push).refused(TOO_WEAK);
        eye.matrix(&realm, node, &["souls", "spawn", "tally", "--component", "counter"]).refused(TOO_WEAK);
    }
    ci.matrix(&realm, 2, &push).ok();
    ci.matrix(&realm, 1, &["souls", "spawn", "tally", "--component", "counter"]).ok();

    // By way of the node where it lives, and by way of the other.
    let home = realm.home(1, "tally");
    for node in [home, 3 - home] {
        for refused in [
            &["souls", "swap", "tally", "counter"][..],
            &["souls", "swap", "tally", "counter", "--dry-run"],
            &["souls", "rollback", "tally"],
            &["souls", "stop", "tally"],
            &["ask", "tally", "add 1"],
            &["components", "rollout", "counter", "counter"],
        ] {
            eye.matrix(&realm, node, refused).refused(TOO_WEAK);
        }
        ci.matrix(&realm, node, &["souls", "move", "tally", "1"]).refused(TOO_WEAK);
        ci.matrix(&realm, node, &["ask", "tally", "add 1"]).ok();
    }
    let stopped = ci.matrix(&realm, 3 - home, &["souls", "stop", "tally"]).ok().json();
    assert_eq!((&stopped["state"], &stopped["node"]), (&json!("stopped"), &json!(home)), "{stopped}");

    // Calls for a Matrix are carried out by its node, which judges them too, and writes down who made them.
    realm.apply_without_waiting(1, &tournament());
    let show = ["matrices", "show", "tournament"];
    let home = realm.until(1, &show, |matrix| matrix["tick"].as_u64() >= Some(5));
    let home = home["node"].as_u64().expect("a node");
    let (other, pause) = (3 - home, ["matrices", "pause", "tournament"]);
    eye.matrix(&realm, other, &pause).refused(TOO_WEAK);
    ci.matrix(&realm, other, &pause).ok();
    let line =
        |via: &str, role: &str, target: &str, outcome: &str| [via, role, target, outcome].map(str::to_owned);
    for (node, via) in [(home, peer(&realm, other)), (other, String::new())] {
        let expected = [line(&via, "deploy", "tournament", ""), line("", "", "", "OK")];
        assert_eq!(written(&realm, node, "token/ci", "Matrices/Pause"), expected, "on node {node}");
        let eyes = realm.matrix(node, &["access", "audit", "--caller", "token/eye"]).ok().lines();
        assert_eq!(eyes, [json!(null); 0], "who was refused has changed nothing");
        realm.matrix(node, &["access", "audit", "--verify"]).ok();
    }

    // A stream has ended when its last answer is there.
    let file = ci.folder.path().join("realm.backup");
    realm.matrix(1, &["cluster", "backup", path(&file)]).ok();
    realm.eventually("what came of a backup is written down", |realm| {
        let lines = written(realm, 1, "local", "Cluster/Backup");
        lines.last() == Some(&line("", "", "", "OK"))
    });
}

#[test]
fn a_token_is_rotated_and_revoked_on_all_nodes_while_they_run() {
    let realm = Realm::start(2);
    let ci = Holder::new(&realm, 1, "ci", "read");
    ci.known("token", &realm, 2);
    let rotate = |more: &[&str]| {
        let arguments = [&["access", "token", "rotate", "ci"], more].concat();
        realm.matrix(1, &arguments).ok().json()
    };
    ci.keep("second", &rotate(&["--grace", "1h"]));
    for node in [1, 2] {
        ci.known("second", &realm, node);
        ci.known("token", &realm, node);
    }
    ci.keep("third", &rotate(&[]));
    for node in [1, 2] {
        ci.known("third", &realm, node);
        for old in ["token", "second"] {
            ci.shows(old, &realm, node, &["status"]).refused("TOKEN_INVALID");
        }
    }

    // What is open on the other node when it is revoked ends there.
    realm.push(2, "echo");
    let token = ci.folder.path().join("third");
    let follow = Holder::says(path(&token), &["events", "--follow", "--from", "1"]);
    let mut follows = realm.begin(2, &follow);
    let mut told = BufReader::new(follows.stdout.take().expect("it is read here"));
    let mut line = String::new();
    told.read_line(&mut line).expect("our own child");
    assert!(!line.is_empty(), "it follows");
    realm.matrix(1, &["access", "token", "revoke", "ci"]).ok();
    told.read_to_string(&mut line).expect("our own child");
    let ended = follows.wait_with_output().expect("our own child");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && said.contains("TOKEN_INVALID"), "{said}");
    for node in [1, 2] {
        ci.shows("third", &realm, node, &["status"]).refused("TOKEN_INVALID");
    }
}

/// A client that shows a certificate over TLS.
struct Certified {
    url: String,
    name: &'static str,
}

fn keys(name: &str) -> PathBuf {
    root().join("host/src/admin/tests/tls").join(name)
}

impl Certified {
    fn matrix(&self, arguments: &[&str]) -> Run {
        let (authority, certificate) = (keys("authority.pem"), keys(&format!("{}.pem", self.name)));
        let key = keys(&format!("{}.key", self.name));
        let shown = [
            "--node",
            &self.url,
            "--ca-file",
            path(&authority),
            "--cert-file",
            path(&certificate),
            "--key-file",
            path(&key),
        ];
        stranger(&[&shown[..], arguments].concat())
    }
}

#[test]
fn a_certificate_may_look_until_it_is_granted_more_and_authorities_change_while_the_node_runs() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let own = |name: &str| folder.path().join(name);
    for (name, source) in [("ca.pem", "authority.pem"), ("node.pem", "node.pem"), ("node.key", "node.key")] {
        std::fs::copy(keys(source), own(name)).expect("our own folder");
    }
    let nobody_else = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(own("node.key"), nobody_else).expect("our own file");
    let (cert, key, authority) = (own("node.pem"), own("node.key"), own("ca.pem"));
    let secured = format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\nhttp = \"off\"\n[admin.tls]\ncert = {cert:?}\nkey = {key:?}\n\
         client_ca = {authority:?}\nreload_seconds = 1\n"
    );
    let realm = Realm::start_with(2, |node| if node == 2 { secured.clone() } else { String::new() });
    let status = realm.matrix(2, &["status"]).ok().json();
    let addresses = status["addresses"].as_array().expect("a list").iter().filter_map(Value::as_str);
    let url =
        addresses.clone().find(|address| address.starts_with("https:")).expect("it speaks TLS").to_owned();
    let [client, other] = ["client", "stranger"].map(|name| Certified { url: url.clone(), name });

    let who = client.matrix(&["access", "whoami"]).ok().json();
    assert_eq!(who["role"], "read");
    let hex = who["caller"].as_str().and_then(|caller| caller.strip_prefix("cert/")).expect("a certificate");
    let counter = counter();
    let push = ["components", "push", path(&counter), "--name", "counter"];
    let refused = client.matrix(&push);
    refused.refused(TOO_WEAK);
    refused.refused("admin.tls.role");
    refused.refused(&format!("matrix access cert grant {hex} --role deploy"));
    // On the other node, as the error says.
    realm.matrix(1, &["access", "cert", "grant", hex, "--role", "deploy"]).ok();
    realm.eventually("node 2 hears of the grant", |_| {
        client.matrix(&["access", "whoami"]).ok().json()["role"] == "deploy"
    });
    client.matrix(&push).ok();
    let caller = format!("cert/{hex}");
    let pushed = written(&realm, 2, &caller, "Components/Upload");
    assert_eq!(pushed.last().map(|line| &*line[3]), Some("OK"), "{pushed:?}");

    assert!(!other.matrix(&["status"]).success, "nobody vouches for it");
    std::fs::copy(keys("other-authority.pem"), &authority).expect("our own folder");
    realm.eventually("the new authority holds", |_| other.matrix(&["status"]).success);
    assert!(!client.matrix(&["status"]).success, "its authority is none any more");
}

#[test]
fn code_that_nobody_trusted_has_signed_takes_no_soul_over_where_that_is_required() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (old, new, key) =
        (folder.path().join("counter.wasm"), folder.path().join("counter-2.wasm"), folder.path().join("key"));
    let mut bytes = std::fs::read(counter()).expect("guests are built");
    std::fs::write(&old, &bytes).expect("our own folder");
    // A custom section that says nothing.
    bytes.extend([0, 2, 1, b'x']);
    std::fs::write(&new, &bytes).expect("our own folder");
    let made = stranger(&["components", "keygen", path(&key)]).ok().json();
    let strict = format!("[components]\nsignatures = \"require\"\ntrusted_keys = [{}]\n", made["public_key"]);
    let realm = Realm::start_with(2, |node| if node == 2 { strict.clone() } else { String::new() });
    let sign = |file: &Path| stranger(&["components", "sign", path(file), "--key", path(&key)]).ok();

    sign(&old);
    realm.matrix(1, &["components", "push", path(&old)]).ok();
    let pushed = realm.matrix(1, &["components", "push", path(&new)]).ok().json();
    let unsigned = pushed["component"]["digest"].as_str().expect("a digest");
    realm.matrix(1, &["souls", "spawn", "tally", "--component", "counter"]).ok();
    if realm.home(1, "tally") == 1 {
        realm.matrix(1, &["souls", "move", "tally", "2"]).ok();
    }
    assert_eq!(realm.ask(1, "tally", "add 1"), Ok("1".to_owned()));
    let why = "components.trusted_keys";
    realm.matrix(2, &["components", "push", path(&new)]).refused("SIGNATURE_REFUSED");
    for node in [1, 2] {
        realm.matrix(node, &["souls", "swap", "tally", unsigned]).refused(why);
        realm.matrix(node, &["souls", "swap", "tally", unsigned, "--dry-run"]).refused(why);
        realm
            .matrix(node, &["components", "rollout", "counter", unsigned, "--watch", "0.1"])
            .refused(if node == 1 { "not all Souls got on" } else { why });
    }
    assert_eq!(realm.ask(1, "tally", "add 1"), Ok("2".to_owned()), "the old code goes on");

    sign(&new);
    realm.matrix(1, &["components", "push", path(&new)]).ok();
    realm.matrix(1, &["souls", "swap", "tally", unsigned]).ok();
    assert_eq!((realm.home(1, "tally"), realm.ask(1, "tally", "add 1")), (2, Ok("3".to_owned())));
    let lines = written(&realm, 1, "local", "Souls/Swap");
    let outcomes: Vec<_> = lines.iter().map(|line| &*line[3]).filter(|outcome| !outcome.is_empty()).collect();
    assert_eq!((outcomes.len(), outcomes.last()), (3, Some(&"OK")), "{lines:?}");
}
