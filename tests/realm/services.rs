//! Souls of every language that call a service outside the realm, over TLS, from nodes that each have their own endpoints.

use std::path::Path;

use matrix_tests::service::{AUTHORITY, CLIENT, Service};

use crate::languages::{built, push_all, start_with};
use crate::processes::Realm;

/// The endpoint `weather`, with the files of a folder.
fn weather(service: &Service, folder: &Path) -> String {
    let (folder, port) = (folder.display(), service.address().port());
    format!(
        "[grpc.endpoints.weather]\nurl = \"https://localhost:{port}\"\nmethods = [\"weather.v1.Weather/Forecast\"]\n\
         tls = {{ ca = \"{folder}/ca\", cert = \"{folder}/cert\", key = \"{folder}/key\" }}\n\
         timeout_ms = 10000\n"
    )
}

/// A folder with the keys for the service, which nobody else may read.
fn keys() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for (name, text) in [("ca", AUTHORITY), ("cert", CLIENT[0]), ("key", CLIENT[1])] {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("our own folder");
        let owner = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, owner).expect("our own file");
    }
    folder
}

fn spawn(realm: &Realm, soul: &str, component: &str, more: &[&str]) {
    let mut arguments = vec!["souls", "spawn", soul, "--component", component];
    arguments.extend_from_slice(more);
    realm.matrix(1, &arguments).ok();
}

#[test]
fn souls_in_every_language_call_a_service() {
    let languages = built();
    let (service, folder) = (Service::start_tls(), keys());
    let realm = start_with(1, |_| weather(&service, folder.path()));
    push_all(&realm, languages);
    for language in languages {
        let component = format!("almanac-{language}");
        spawn(&realm, language, &component, &["--grpc", "weather"]);
        let place = "Zürich 🌧 ".repeat(20);
        assert_eq!(realm.ask(1, language, &place), Ok(format!("{place}: rain")), "{language}");
        let failed = realm.ask(1, language, "fail 5 no such place").expect_err("there is none");
        assert!(failed.contains("no such place") && failed.contains("service"), "{language}: {failed}");
        let denied = format!("{language}-denied");
        spawn(&realm, &denied, &component, &[]);
        let failed = realm.ask(1, &denied, "Zion").expect_err("it has no grant");
        assert!(failed.contains("`grants.grpc`") && failed.contains("node"), "{language}: {failed}");
        assert_eq!(realm.matrix(1, &["souls", "show", language]).ok().json()["crashes"], 0, "{language}");
    }
    assert_eq!(service.heard().len(), 2 * languages.len());
}

#[test]
fn a_soul_that_moves_finds_the_services_of_its_node() {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs/out/visitor.wasm");
    let (service, folder) = (Service::start_tls(), keys());
    let realm = Realm::start_with(2, |node| match node {
        1 => weather(&service, folder.path()),
        _ => String::new(),
    });
    let program = program.to_str().expect("a path of this project");
    realm.matrix(1, &["components", "push", program, "--name", "visitor"]).ok();
    spawn(&realm, "ada", "visitor", &["--grpc", "weather"]);
    if realm.home(1, "ada") == 2 {
        realm.matrix(1, &["souls", "move", "ada", "1"]).ok();
    }
    assert_eq!(realm.ask(2, "ada", "forecast Zion"), Ok("Zion: rain".to_owned()));
    realm.matrix(1, &["souls", "move", "ada", "2"]).ok();
    let failed = realm.ask(1, "ada", "forecast Zion").expect_err("its node has no such endpoint");
    for words in ["this node has no gRPC endpoint `weather`", "[grpc.endpoints.weather]", "placement.labels"]
    {
        assert!(failed.contains(words), "{failed}");
    }
    realm.matrix(1, &["souls", "move", "ada", "1"]).ok();
    assert_eq!(realm.ask(2, "ada", "forecast Zion"), Ok("Zion: rain".to_owned()));
    let top = realm.matrix(1, &["top", "--once", "--interval", "0.1", "--sort", "calls"]).ok().json();
    assert_eq!(
        (&top["guests"][0]["name"], &top["guests"][0]["total"]["calls"]),
        (&"ada".into(), &1.into()),
        "{top}"
    );
}
