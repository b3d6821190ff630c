//! Who may do what, and what is written down of it.

use matrix_proto::v1;
use matrix_proto::v1::access_client::AccessClient;
use matrix_proto::v1::events_client::EventsClient;
use matrix_proto::v1::kv_client::KvClient;
use matrix_proto::v1::souls_client::SoulsClient;
use matrix_proto::wire;
use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::super::auth::Caller;
use super::super::matrices::MatricesService;
use super::super::relay::let_in;
use super::super::roles::Role;
use super::rooms::{Known, Rooms, channel, config, showing};

fn put(request_id: &str) -> v1::KvPutRequest {
    v1::KvPutRequest {
        bucket: "notes".into(),
        key: "a".into(),
        value: "1".into(),
        lease: 0,
        request_id: request_id.into(),
    }
}

fn get() -> v1::KvGetRequest {
    v1::KvGetRequest { bucket: "notes".into(), key: "a".into(), local: true }
}

fn reason(status: &Status) -> String {
    status.get_error_details().error_info().map(|info| info.reason.clone()).unwrap_or_default()
}

/// A token of the realm, and a connection on which it is shown.
async fn token(rooms: &Rooms, name: &str, role: v1::Role, ttl_seconds: u64) -> (String, Known) {
    let request = v1::CreateTokenRequest {
        name: name.into(),
        role: role.into(),
        ttl_seconds,
        request_id: String::new(),
    };
    let made = AccessClient::new(rooms.known().await).create_token(request).await.expect("made").into_inner();
    (made.secret.clone(), showing(channel(&rooms.grpc()[0]).await, &made.secret))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_may_do_what_it_may_and_is_told_what_it_lacks() {
    let rooms = Rooms::open(config()).await;
    let (_, reader) = token(&rooms, "reader", v1::Role::Read, 0).await;
    let mut kv = KvClient::new(reader.clone());
    kv.get(get()).await.expect("it may look");
    let refused = kv.put(put("")).await.expect_err("it may not write");
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::PermissionDenied, "ROLE_TOO_WEAK"));
    let details = refused.get_error_details();
    let told = &details.error_info().expect("a reason").metadata;
    let told: Vec<_> = ["method", "needs", "has"].iter().map(|key| told[*key].as_str()).collect();
    assert_eq!(told, ["Kv/Put", "operate", "read"]);
    let stop = v1::StopSoulRequest { name: "nobody".into(), request_id: String::new() };
    let (_, deployer) = token(&rooms, "deployer", v1::Role::Deploy, 0).await;
    for (caller, expected) in [(reader, Code::PermissionDenied), (deployer.clone(), Code::NotFound)] {
        let error = SoulsClient::new(caller).stop(stop.clone()).await.expect_err("nobody is there");
        assert_eq!(error.code(), expected, "{error}");
    }
    assert!(KvClient::new(deployer.clone()).put(put("")).await.is_err());
    let who = AccessClient::new(deployer.clone()).who_am_i(v1::WhoAmIRequest {}).await.expect("known");
    let who = who.into_inner();
    assert_eq!((who.caller.as_str(), who.role()), ("token/deployer", v1::Role::Deploy));
    let (_, operator) = token(&rooms, "operator", v1::Role::Operate, 0).await;
    KvClient::new(operator.clone()).put(put("")).await.expect("it may write");
    let list = AccessClient::new(operator).list_tokens(v1::ListTokensRequest::default()).await;
    assert_eq!(list.expect_err("only admins may").code(), Code::PermissionDenied);
    let who = AccessClient::new(rooms.known().await).who_am_i(v1::WhoAmIRequest {}).await.expect("known");
    assert_eq!(who.into_inner().role(), v1::Role::Admin);
    rooms.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_revoked_ends_at_once_and_with_it_its_streams() {
    let rooms = Rooms::open(config()).await;
    let mut access = AccessClient::new(rooms.known().await);
    let (_, caller) = token(&rooms, "ci", v1::Role::Deploy, 0).await;
    let mut kv = KvClient::new(caller.clone());
    kv.get(get()).await.expect("it may look");
    let mut events = EventsClient::new(caller);
    let mut events =
        events.subscribe(v1::SubscribeRequest::default()).await.expect("it may look").into_inner();
    access
        .create_token(v1::CreateTokenRequest {
            name: "ci".into(),
            role: v1::Role::Admin.into(),
            ttl_seconds: 0,
            request_id: String::new(),
        })
        .await
        .map_or_else(|error| assert_eq!(error.code(), Code::AlreadyExists), |_| panic!("the name is taken"));
    let revoke = v1::RevokeTokenRequest { name: "ci".into(), request_id: String::new() };
    access.revoke_token(revoke.clone()).await.expect("revoked");
    let refused = kv.get(get()).await.expect_err("on the connection that is open");
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unauthenticated, "TOKEN_INVALID"));
    let ended = events.message().await.expect_err("the stream ends");
    assert_eq!(ended.code(), Code::Unauthenticated);
    assert_eq!(rooms.host.bus.subscribers(), 0, "what made it ends too");
    assert_eq!(access.revoke_token(revoke).await.expect_err("it is gone").code(), Code::NotFound);
    assert!(
        access
            .list_tokens(v1::ListTokensRequest::default())
            .await
            .expect("a page")
            .into_inner()
            .tokens
            .is_empty()
    );
    rooms.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_secret_is_good_for_its_grace_and_an_expired_one_is_not() {
    let rooms = Rooms::open(config()).await;
    let mut access = AccessClient::new(rooms.known().await);
    let (old, _) = token(&rooms, "ci", v1::Role::Read, 3_600).await;
    let at = rooms.grpc().swap_remove(0);
    let shows = async |secret: &str| {
        let mut kv = KvClient::new(showing(channel(&at).await, secret));
        kv.get(get()).await.map(drop).map_err(|error| reason(&error))
    };
    let rotate = |grace_seconds| v1::RotateTokenRequest {
        name: "ci".into(),
        grace_seconds,
        request_id: String::new(),
    };
    let kept = access.rotate_token(rotate(600)).await.expect("rotated").into_inner();
    let shown = kept.token.expect("a token");
    assert!(shown.previous_until_ms > shown.created_at_ms && shown.expires_at_ms > shown.previous_until_ms);
    assert_eq!((shows(&old).await, shows(&kept.secret).await), (Ok(()), Ok(())));
    let now = access.rotate_token(rotate(0)).await.expect("rotated").into_inner();
    for gone in [&old, &kept.secret] {
        assert_eq!(shows(gone).await, Err("TOKEN_INVALID".to_owned()));
    }
    assert_eq!(shows(&now.secret).await, Ok(()));
    let stored = rooms.host.kv.range("sys/access", b"", None, 10, crate::kv::Consistency::Local).await;
    for (_, entry) in stored.expect("read").entries {
        let text = String::from_utf8_lossy(&entry.value).into_owned();
        assert!(
            !text.contains(now.secret.trim_start_matches("matrix-token-")),
            "only hashes are kept: {text}"
        );
    }
    let (short, _) = token(&rooms, "short", v1::Role::Read, 1).await;
    assert_eq!(shows(&short).await, Ok(()));
    let record = access.list_tokens(v1::ListTokensRequest::default()).await.expect("a page").into_inner();
    let until = record.tokens.iter().find(|token| token.name == "short").expect("listed").expires_at_ms;
    tokio::time::sleep(std::time::Duration::from_millis(until.saturating_sub(crate::clock::now_ms()))).await;
    assert_eq!(shows(&short).await, Err("TOKEN_EXPIRED".to_owned()));
    for wrong in [(0, "name"), (315_360_001, "ttl_seconds")] {
        let request = v1::CreateTokenRequest {
            name: if wrong.0 == 0 { "A B".into() } else { "ok".into() },
            role: v1::Role::Read.into(),
            ttl_seconds: wrong.0,
            request_id: String::new(),
        };
        let error = access.create_token(request).await.expect_err(wrong.1);
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
    }
    rooms.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_callers_change_is_written_down_with_its_outcome() {
    let rooms = Rooms::open(config()).await;
    let (_, operator) = token(&rooms, "operator", v1::Role::Operate, 0).await;
    let mut kv = KvClient::new(operator.clone());
    kv.put(put("r1")).await.expect("written");
    kv.get(get()).await.expect("read");
    let delete = v1::DeleteSoulRequest { name: "nobody".into(), request_id: "r2".into() };
    SoulsClient::new(operator.clone()).delete(delete).await.expect_err("nobody is there");
    let to = Some(v1::Address { to: Some(v1::address::To::Soul("nobody".into())) });
    let ask =
        v1::AskRequest { recipient: to, content: Some(v1::Content::default()), ..v1::AskRequest::default() };
    SoulsClient::new(operator).ask(ask).await.expect_err("nobody is there");
    let mut access = AccessClient::new(rooms.known().await);
    let mut lines = access.audit(v1::AuditRequest::default()).await.expect("open").into_inner();
    let (mut shown, mut chain) = (Vec::new(), matrix_proto::audit::Chain::default());
    while let Some(line) = lines.message().await.expect("open") {
        chain.follow(&line.line).expect("the chain holds");
        shown.push((line.method, line.caller, line.target, line.request_id, line.outcome));
    }
    let line = |method: &str, caller: &str, target: &str, id: &str, outcome: &str| {
        let text = str::to_owned;
        (text(method), text(caller), text(target), text(id), text(outcome))
    };
    let by = "token/operator";
    assert_eq!(
        shown,
        [
            line("Access/CreateToken", "local", "operator/3", "", ""),
            line("Access/CreateToken", "local", "", "", "OK"),
            line("Kv/Put", by, "notes/a", "r1", ""),
            line("Kv/Put", by, "", "", "OK"),
            line("Souls/Delete", by, "nobody", "r2", ""),
            line("Souls/Delete", by, "", "", "NOT_FOUND"),
        ]
    );
    let mine = v1::AuditRequest { caller: by.into(), last: 1, ..Default::default() };
    let mut lines = access.audit(mine).await.expect("open").into_inner();
    assert_eq!(lines.message().await.expect("open").expect("a line").outcome, "NOT_FOUND");
    assert!(lines.message().await.expect("open").is_none());
    rooms.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_node_was_called_for_is_judged_here_too_and_written_down() {
    let rooms = Rooms::open(config()).await;
    let from: crate::p2p::Peer =
        "12D3KooWMjToHQWEv4y7ZBWCdqJFUwpGYte9o1nT5M5xEDM7FH5f".parse().expect("a peer");
    let carry_out = async |method: &str, role| {
        let service = MatricesService(rooms.admin.desk.clone());
        let pause = v1::PauseMatrixRequest { name: "nobody".into(), request_id: "r1".into() };
        let request = pause.encode_to_vec().into();
        let question = wire::AdminQuestion { method: method.into(), request, ..Default::default() };
        let caller = Caller::relayed("token/ci".parse().expect("a name"), role);
        let_in(&service, question, caller, from).await.expect_err("there is no Matrix").code()
    };
    assert_eq!(carry_out("Matrices/Pause", Role::Read).await, Code::PermissionDenied);
    assert_eq!(carry_out("Matrices/Pause", Role::Deploy).await, Code::NotFound);
    // What no node does for another.
    for method in ["Access/ListTokens", "Kv/Get", "Matrices/Burn"] {
        assert_eq!(carry_out(method, Role::Admin).await, Code::Unimplemented, "{method}");
    }
    let mut access = AccessClient::new(rooms.known().await);
    let mut lines = access.audit(v1::AuditRequest::default()).await.expect("open").into_inner();
    let mut shown = Vec::new();
    while let Some(line) = lines.message().await.expect("open") {
        shown.push([
            line.method,
            line.caller,
            line.role,
            line.via,
            line.target,
            line.request_id,
            line.outcome,
        ]);
    }
    let (from, method, caller) = (from.to_string(), "Matrices/Pause", "token/ci");
    assert_eq!(
        shown,
        [
            [method, caller, "deploy", &from, "nobody", "r1", ""],
            [method, caller, "", "", "", "", "NOT_FOUND"]
        ]
    );
    rooms.close().await;
}
