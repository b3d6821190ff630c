//! The door over TLS: with a token, with certificates, and with neither.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use matrix_proto::v1::access_client::AccessClient;
use matrix_proto::v1::cluster_client::ClusterClient;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request};

use super::*;
use rooms::{Rooms, config};

const AUTHORITY: &str = include_str!("tls/authority.pem");
const OTHER_AUTHORITY: &str = include_str!("tls/other-authority.pem");
const NODE: (&str, &str) = (include_str!("tls/node.pem"), include_str!("tls/node.key"));
const CLIENT: (&str, &str) = (include_str!("tls/client.pem"), include_str!("tls/client.key"));
const STRANGER: (&str, &str) = (include_str!("tls/stranger.pem"), include_str!("tls/stranger.key"));

/// A door over TLS; with `client_ca`, for clients with a certificate only.
fn secured(folder: &Path, client_ca: bool) -> AdminConfig {
    // Two providers may be linked; another test may have chosen already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let put = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("ours");
        path
    };
    let client_ca = client_ca.then(|| put("ca.pem", AUTHORITY));
    let (cert, key) = (put("node.pem", NODE.0), put("node.key", NODE.1));
    let tls = TlsConfig { cert, key, client_ca, role: Role::Read, reload_seconds: 1 };
    AdminConfig { tls: Some(tls), ..config() }
}

/// A channel that trusts `authority`, and shows a certificate if it has one; or why there is none.
async fn channel(url: &str, authority: &str, shown: Option<(&str, &str)>) -> Result<Channel, String> {
    let trusting =
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority)).domain_name("localhost");
    let tls = match shown {
        Some((certificate, key)) => trusting.identity(Identity::from_pem(certificate, key)),
        None => trusting,
    };
    let endpoint = Endpoint::from_shared(url.to_owned()).and_then(|endpoint| endpoint.tls_config(tls));
    endpoint.expect("sound settings").connect().await.map_err(|error| format!("{error:?}"))
}

/// How long a call may take. A client whose connection ends at the moment when it sends never hears of it: what is put
/// into a channel of tokio's while its receiver is dropped stays there, and hyper's requests are in one.
const CALL: Duration = Duration::from_secs(5);

/// Asks how the node is, with this token.
async fn status(channel: Result<Channel, String>, token: Option<&str>) -> Result<String, String> {
    let mut request = Request::new(v1::StatusRequest {});
    request.set_timeout(CALL);
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().expect("a header"));
    }
    let answer = ClusterClient::new(channel?).status(request).await;
    answer.map(|answer| answer.into_inner().node_id).map_err(|status| format!("{:?}", status.code()))
}

fn token(rooms: &Rooms) -> String {
    std::fs::read_to_string(rooms.data.path().join("token")).expect("the node made one").trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_that_is_open_to_others_does_not_open_in_the_clear() {
    let rooms = Rooms::open(config()).await;
    let open = AdminConfig {
        listen: Some(([0, 0, 0, 0], 0).into()),
        socket: Some(rooms.data.path().join("other.sock")),
        ..config()
    };
    let started = Admin::start(open, rooms.host.clone(), rooms.telemetry.clone(), &Tasks::new()).await;
    assert!(matches!(started, Err(AdminError::Open(_))), "{started:?}");
    assert!(!rooms.data.path().join("other.sock").exists(), "nothing was bound");
    rooms.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_the_token_is_asked_for() {
    let keys = tempfile::tempdir().expect("a folder");
    let rooms = Rooms::open(secured(keys.path(), false)).await;
    let (url, token) = (rooms.grpc()[1].clone(), token(&rooms));
    assert!(url.starts_with("https://"), "{url}");
    let known = channel(&url, AUTHORITY, None).await;
    assert_eq!(status(known.clone(), Some(&token)).await.as_deref(), Ok("test"));
    let refused = Err(format!("{:?}", Code::Unauthenticated));
    assert_eq!(status(known.clone(), None).await, refused);
    assert_eq!(status(known, Some(&"0".repeat(64))).await, refused);
    // A certificate that nobody asked for opens nothing.
    assert_eq!(status(channel(&url, AUTHORITY, Some(CLIENT)).await, None).await, refused);
    // A client that trusts another authority does not talk to the node, and one without TLS is not understood.
    assert!(channel(&url, OTHER_AUTHORITY, None).await.is_err());
    let clear = Endpoint::from_shared(url.replace("https:", "http:")).expect("an address").connect().await;
    let clear = clear.map_err(|error| error.to_string());
    assert!(status(clear, Some(&token)).await.is_err());
    rooms.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_an_authority_only_its_certificates_open() {
    let keys = tempfile::tempdir().expect("a folder");
    let rooms = Rooms::open(secured(keys.path(), true)).await;
    let (url, token) = (rooms.grpc()[1].clone(), token(&rooms));
    assert_eq!(status(channel(&url, AUTHORITY, Some(CLIENT)).await, None).await.as_deref(), Ok("test"));
    for shown in [None, Some(STRANGER)] {
        // The token alone is not enough here. TLS 1.3 tells a client only after it believes to be connected.
        let refused = status(channel(&url, AUTHORITY, shown).await, Some(&token)).await;
        assert!(refused.is_err(), "{shown:?}: {refused:?}");
    }
    // The socket in the data folder is for whoever owns the folder.
    let local = rooms.cluster(&rooms.grpc()[0]).await.status(v1::StatusRequest {}).await;
    assert_eq!(local.expect("the token is known").into_inner().node_id, "test");
    rooms.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_authority_holds_without_a_restart() {
    let keys = tempfile::tempdir().expect("a folder");
    let rooms = Rooms::open(secured(keys.path(), true)).await;
    let url = rooms.grpc()[1].clone();
    let opens = async |shown| status(channel(&url, AUTHORITY, Some(shown)).await, None).await.is_ok();
    assert!(opens(CLIENT).await && !opens(STRANGER).await);
    let open = channel(&url, AUTHORITY, Some(CLIENT)).await.expect("it is known");
    std::fs::write(keys.path().join("ca.pem"), OTHER_AUTHORITY).expect("ours");
    while !opens(STRANGER).await {
        tokio::task::yield_now().await;
    }
    assert!(!opens(CLIENT).await, "its authority is none any more");
    assert!(status(Ok(open), None).await.is_ok(), "what is open stays open");
    rooms.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_may_look_until_it_is_granted_more() {
    let keys = tempfile::tempdir().expect("a folder");
    let rooms = Rooms::open(secured(keys.path(), true)).await;
    let url = rooms.grpc()[1].clone();
    let shown = channel(&url, AUTHORITY, Some(CLIENT)).await.expect("it is known");
    let mut access = AccessClient::new(shown.clone());
    let who = access.who_am_i(v1::WhoAmIRequest {}).await.expect("known").into_inner();
    assert_eq!(who.role(), v1::Role::Read);
    let fingerprint = who.caller.trim_start_matches("cert/").to_owned();
    let drain = v1::ResumeRequest { node: 1 };
    let code = async || {
        ClusterClient::new(shown.clone()).resume(drain).await.map_or_else(|error| error.code(), |_| Code::Ok)
    };
    assert_eq!(code().await, Code::PermissionDenied);
    let refused = ClusterClient::new(shown.clone()).resume(drain).await.expect_err("it may only look");
    let remedy = format!("matrix access cert grant {fingerprint} --role operate");
    assert!(
        refused.message().contains(&remedy) && refused.message().contains("admin.tls.role"),
        "{}",
        refused.message()
    );
    let mut admin = AccessClient::new(rooms.known().await);
    let role = v1::Role::Operate.into();
    let grant =
        v1::GrantCertificateRequest { fingerprint: fingerprint.clone(), role, request_id: String::new() };
    admin.grant_certificate(grant).await.expect("granted");
    assert_ne!(code().await, Code::PermissionDenied);
    let list = admin.list_certificates(v1::ListCertificatesRequest::default()).await.expect("a page");
    assert_eq!(list.into_inner().certificates[0].fingerprint, fingerprint);
    let revoke = v1::RevokeCertificateRequest { fingerprint, request_id: String::new() };
    admin.revoke_certificate(revoke).await.expect("taken back");
    assert_eq!(code().await, Code::PermissionDenied);
    rooms.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_others_may_read_or_that_do_not_fit_are_refused() {
    let keys = tempfile::tempdir().expect("a folder");
    let rooms = Rooms::open(config()).await;
    let start = |config: AdminConfig| {
        let config = AdminConfig { socket: Some(rooms.data.path().join("other.sock")), ..config };
        let (host, telemetry) = (rooms.host.clone(), rooms.telemetry.clone());
        async move { Admin::start(config, host, telemetry, &Tasks::new()).await.map(drop) }
    };
    let config = secured(keys.path(), false);
    let key = keys.path().join("node.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("ours");
    let refused = start(config.clone()).await;
    assert!(matches!(refused, Err(AdminError::Exposed { mode: 0o644, .. })), "{refused:?}");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("ours");
    std::fs::write(&key, CLIENT.1).expect("ours");
    let refused = start(config).await;
    assert!(
        matches!(&refused, Err(AdminError::Content { path, .. }) if path.ends_with("node.pem")),
        "{refused:?}"
    );
    rooms.close().await;
}
