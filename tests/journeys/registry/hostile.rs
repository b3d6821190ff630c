//! Registries that mean ill: nothing of what they give is taken, and nothing is told to them or others that should not be.

use std::io::Write;
use std::path::Path;

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::server::{Asked, Server, say};
use super::{Said, matrix};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const COMPONENT: &[u8] = b"what passes for a component";

fn sha256(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// A manifest of a layer of this digest and size.
fn manifest(digest: &str, size: u64) -> Vec<u8> {
    let config =
        json!({ "mediaType": "application/vnd.wasm.config.v0+json", "digest": sha256(b"{}"), "size": 2 });
    let layers = json!([{ "mediaType": "application/wasm", "digest": digest, "size": size }]);
    json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers })
        .to_string()
        .into_bytes()
}

fn honest() -> Vec<u8> {
    manifest(&sha256(COMPONENT), COMPONENT.len() as u64)
}

/// A registry whose manifest is honest, and which answers so when it is asked for the component.
fn with_blob(blob: impl Fn(&Asked, &mut dyn Write) -> std::io::Result<()> + Send + 'static) -> Server {
    with_manifest(honest(), blob)
}

fn with_manifest(
    manifest: Vec<u8>,
    blob: impl Fn(&Asked, &mut dyn Write) -> std::io::Result<()> + Send + 'static,
) -> Server {
    Server::start(move |asked, out| match asked.what.contains("/manifests/") {
        true => say(out, "200 OK", &[("content-type", MANIFEST)], &manifest),
        false => blob(asked, out),
    })
}

/// Fetches from a server, as somebody who has a password for it.
fn fetch(server: &Server, version: &str) -> Said {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let out = folder.path().join("out.wasm");
    let docker = super::logged_in(folder.path(), &format!("127.0.0.1:{}", server.port));
    let from = format!("127.0.0.1:{}/a{version}", server.port);
    let said = matrix(&docker, &[], &["components", "fetch", &from, "-o", super::path(&out)]);
    assert_eq!(out.exists(), said.code == 0, "what is refused is not kept");
    said
}

#[test]
fn an_honest_one_is_served_by_this_server_too() {
    let server = with_blob(|_, out| say(out, "200 OK", &[], COMPONENT));
    assert_eq!(fetch(&server, ":1").ok()["component"], json!(sha256(COMPONENT)));
    fetch(&server, &format!("@{}", sha256(&honest()))).ok();
}

#[test]
fn other_bytes_than_were_named_are_refused() {
    let swapped = with_blob(|_, out| say(out, "200 OK", &[], &COMPONENT.to_ascii_uppercase()));
    fetch(&swapped, ":1").fails(8, "its component is not the one");
    let pinned = with_blob(|_, out| say(out, "200 OK", &[], COMPONENT));
    fetch(&pinned, &format!("@{}", sha256(b"another"))).fails(8, "its manifest is not the one");
    let lying = Server::start(|_, out| {
        let digest = sha256(b"another");
        say(out, "200 OK", &[("content-type", MANIFEST), ("docker-content-digest", &digest)], &honest())
    });
    fetch(&lying, ":1").fails(8, "its manifest is not the one");
}

#[test]
fn too_much_is_not_heard_to_its_end() {
    let huge = Server::start(|_, out| {
        write!(out, "HTTP/1.1 200 OK\r\ncontent-length: 1099511627776\r\n\r\n")?;
        std::io::copy(&mut std::io::repeat(b' '), out).map(drop)
    });
    fetch(&huge, ":1").fails(9, "answers with more than");
    let endless = Server::start(|_, out| {
        write!(out, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        loop {
            write!(out, "4000\r\n{}\r\n", " ".repeat(0x4000))?;
        }
    });
    fetch(&endless, ":1").fails(9, "answers with more than");
    let longer = with_blob(|_, out| say(out, "200 OK", &[], &vec![0; 1 << 20]));
    fetch(&longer, ":1").fails(9, "answers with more than");
    let large =
        with_manifest(manifest(&sha256(COMPONENT), 1 << 40), |_, out| say(out, "200 OK", &[], COMPONENT));
    fetch(&large, ":1").fails(9, "1.0 TiB");
    let headers = Server::start(|_, out| {
        write!(out, "HTTP/1.1 200 OK\r\n")?;
        loop {
            write!(out, "x: {}\r\n", "y".repeat(4096))?;
        }
    });
    fetch(&headers, ":1").fails(6, "broke off");
}

#[test]
fn nobody_is_sent_where_it_is_not_safe() {
    for (location, why) in [
        ("http://192.0.2.1/blob", "not safe to follow"),
        ("file:///etc/passwd", "not safe to follow"),
        ("//192.0.2.1/blob", "not safe to follow"),
        ("/again", "on and on"),
    ] {
        let server =
            with_blob(move |_, out| say(out, "307 Temporary Redirect", &[("location", location)], b""));
        fetch(&server, ":1").fails(1, why);
    }
}

#[test]
fn a_password_goes_to_nobody_but_the_registry() {
    // One that asks for it, and then sends on to another server, which gives the component.
    let other = Server::start(|_, out| say(out, "200 OK", &[], COMPONENT));
    let location = format!("http://127.0.0.1:{}/blob", other.port);
    let server = Server::start(move |asked, out| {
        if asked.header("authorization").is_none() {
            return say(out, "401 Unauthorized", &[("www-authenticate", "Basic realm=\"x\"")], b"");
        }
        match asked.what.contains("/manifests/") {
            true => say(out, "200 OK", &[("content-type", MANIFEST)], &honest()),
            false => say(out, "307 Temporary Redirect", &[("location", &location)], b""),
        }
    });
    fetch(&server, ":1").ok();
    let shown =
        |server: &Server| server.asked().iter().filter(|it| it.header("authorization").is_some()).count();
    assert_eq!((shown(&server), shown(&other)), (2, 0));

    // One that wants it sent in the clear to another machine.
    let realm = "Bearer realm=\"http://192.0.2.1/token\",service=\"x\"";
    let server =
        Server::start(move |_, out| say(out, "401 Unauthorized", &[("www-authenticate", realm)], b""));
    fetch(&server, ":1").fails(1, "not safe to ask");

    // One that is never content.
    let server = Server::start(|_, out| {
        say(out, "401 Unauthorized", &[("www-authenticate", "Basic realm=\"x\"")], b"")
    });
    fetch(&server, ":1").fails(4, "does not let this be done");
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn tokens_are_got_where_the_registry_says() {
    let giver = Server::start(|_, out| say(out, "200 OK", &[], b"{\"token\": \"t0ken\"}"));
    let realm = format!("Bearer realm=\"http://127.0.0.1:{}/token\",service=\"here\"", giver.port);
    let server = Server::start(move |asked, out| {
        if asked.header("authorization") != Some("Bearer t0ken") {
            return say(out, "401 Unauthorized", &[("www-authenticate", &realm)], b"");
        }
        match asked.what.contains("/manifests/") {
            true => say(out, "200 OK", &[("content-type", MANIFEST)], &honest()),
            false => say(out, "200 OK", &[], COMPONENT),
        }
    });
    fetch(&server, ":1").ok();
    let asked = giver.asked();
    let [asked] = &asked[..] else { panic!("once: {asked:?}") };
    assert_eq!(asked.what, "GET /token?service=here&scope=repository:a:pull");
    assert_eq!(asked.header("authorization"), Some("Basic YWRhOndvbmRlcmxhbmQ="));
}

#[test]
fn what_breaks_off_or_is_no_registry_is_told() {
    let cut = with_blob(|_, out| {
        write!(out, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", COMPONENT.len())?;
        out.write_all(&COMPONENT[..5])
    });
    fetch(&cut, ":1").fails(6, "broke off");
    fetch(&Server::start(|_, out| out.write_all(b"220 mail.example.org ESMTP\r\n")), ":1")
        .fails(6, "broke off");
    fetch(&Server::start(|_, out| say(out, "200 OK", &[], b"<html>")), ":1").fails(1, "its manifest is none");
    let angry = b"{\"errors\": [{\"code\": \"DENIED\", \"message\": \"go\\u001b[2Jaway\"}]}";
    let denied = fetch(&Server::start(move |_, out| say(out, "403 Forbidden", &[], angry)), ":1");
    denied.fails(4, "DENIED go");
    assert!(!denied.err.contains('\u{1b}'), "{}", denied.err);
    let index = json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [] });
    fetch(&Server::start(move |_, out| say(out, "200 OK", &[], index.to_string().as_bytes())), ":1")
        .fails(1, "its manifest is none");
}

#[test]
fn uploads_stay_with_the_registry() {
    let other = Server::start(|_, out| say(out, "201 Created", &[], b""));
    let location = format!("http://127.0.0.1:{}/upload", other.port);
    let server = Server::start(move |asked, out| match asked.what.split(' ').next() {
        Some("HEAD") => say(out, "404 Not Found", &[], b""),
        _ => say(out, "202 Accepted", &[("location", &location)], b""),
    });
    let counter = super::guest("counter.wasm");
    let to = format!("127.0.0.1:{}/a:1", server.port);
    let said = matrix(Path::new("/nowhere"), &[], &["components", "publish", &counter, &to]);
    said.fails(1, "sends the upload on to");
    assert!(other.asked().is_empty(), "not a byte of it");
    // One that takes it, and says that it took something else.
    let server = Server::start(|asked, out| match asked.what.split(' ').next() {
        Some("HEAD") => say(out, "200 OK", &[], b""),
        _ => say(out, "201 Created", &[("docker-content-digest", &sha256(b"another"))], b""),
    });
    let to = format!("127.0.0.1:{}/a:1", server.port);
    let said = matrix(Path::new("/nowhere"), &[], &["components", "publish", &counter, &to]);
    said.fails(8, "what it says it took is not the one");
}
