//! The door on a real node's rooms: stock clients over a Unix socket and over TCP.

mod access;
mod calls;
mod pipelines;
mod rooms;
mod serving;
mod streams;
mod tls;

use std::future::poll_fn;
use std::io::{Read as _, Write as _};

use matrix_proto::v1;
use matrix_proto::v1::cluster_client::ClusterClient;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::{Code, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};

use super::*;
use rooms::{Rooms, config};

/// What an HTTP server answers to `GET path`.
async fn page(url: &str, path: &str) -> String {
    let address = url.trim_start_matches("http://").to_owned();
    let request = format!("GET {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n");
    let get = move || {
        let mut stream = std::net::TcpStream::connect(address).expect("it listens");
        stream.write_all(request.as_bytes()).expect("open");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    };
    tokio::task::spawn_blocking(get).await.expect("no panic")
}

#[tokio::test(flavor = "multi_thread")]
async fn only_callers_who_are_known_come_in() {
    let rooms = Rooms::open(config()).await;
    for url in rooms.grpc() {
        let status =
            rooms.cluster(&url).await.status(v1::StatusRequest {}).await.expect("the token is known");
        let status = status.into_inner();
        assert_eq!((status.node_id.as_str(), &status.addresses[..]), ("test", rooms.admin.addresses()));
        let raft = status.raft.expect("a group of one");
        assert_eq!(raft.role, "leader");
        let mut stranger = ClusterClient::new(rooms::channel(&url).await);
        let refused = stranger.status(v1::StatusRequest {}).await.expect_err("no token");
        assert_eq!(refused.code(), Code::Unauthenticated);
        assert!(refused.message().contains("token"), "{refused}");
    }
    rooms.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_http_tell_when_the_node_is_ready() {
    let rooms = Rooms::open(config()).await;
    let (socket, http) = (rooms.grpc().swap_remove(0), rooms.admin.addresses()[2].clone());
    let mut health = HealthClient::new(rooms::channel(&socket).await);
    for (ready, expected, code) in
        [(false, ServingStatus::NotServing, "503"), (true, ServingStatus::Serving, "200")]
    {
        rooms.admin.set_ready(ready, "the Souls are waking").await;
        for service in ["", "matrix.v1.Souls"] {
            let request = HealthCheckRequest { service: service.to_owned() };
            let answer = health.check(request).await.expect("open to all").into_inner();
            assert_eq!(answer.status(), expected);
        }
        let readyz = page(&http, "/readyz").await;
        assert!(readyz.starts_with(&format!("HTTP/1.1 {code}")), "{readyz}");
        assert_eq!(readyz.contains("the Souls are waking"), !ready);
    }
    assert!(page(&http, "/livez").await.starts_with("HTTP/1.1 200"));
    rooms.cluster(&socket).await.status(v1::StatusRequest {}).await.expect("the token is known");
    let metrics = page(&http, "/metrics").await;
    assert!(metrics.contains("matrix_requests_total{code=\"OK\"}"), "{metrics}");
    assert!(metrics.contains("matrix_request_seconds_count{method=\"Cluster/Status\"} 1"), "{metrics}");
    rooms.close().await;
}

/// The names of the services, by one version of the protocol of reflection.
macro_rules! services {
    ($version:ident, $channel:expr) => {{
        use tonic_reflection::pb::$version::server_reflection_client::ServerReflectionClient;
        use tonic_reflection::pb::$version::server_reflection_request::MessageRequest;
        use tonic_reflection::pb::$version::server_reflection_response::MessageResponse;
        let list = Some(MessageRequest::ListServices(String::new()));
        let request = tonic_reflection::pb::$version::ServerReflectionRequest {
            host: String::new(),
            message_request: list,
        };
        let mut client = ServerReflectionClient::new($channel);
        let answers = client.server_reflection_info(tokio_stream::once(request)).await;
        let answer = answers.expect("open to all").into_inner().message().await.expect("an answer");
        match answer.expect("an answer").message_response {
            Some(MessageResponse::ListServicesResponse(list)) => {
                list.service.into_iter().map(|service| service.name).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        }
    }};
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_clients_find_the_services_by_reflection() {
    let rooms = Rooms::open(config()).await;
    let channel = rooms::channel(&rooms.grpc()[1]).await;
    for names in [services!(v1, channel.clone()), services!(v1alpha, channel)] {
        for service in ["matrix.v1.Souls", "matrix.v1.Matrices", "grpc.health.v1.Health"] {
            assert!(names.iter().any(|name| name == service), "{service} in {names:?}");
        }
    }
    rooms.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_node_on_the_same_socket_does_not_start() {
    let rooms = Rooms::open(config()).await;
    let (tasks, telemetry) = (Tasks::new(), rooms.telemetry.clone());
    let again = Admin::start(config(), rooms.host.clone(), telemetry, &tasks).await;
    assert!(matches!(again, Err(AdminError::SocketInUse(_))), "{again:?}");
    let taken = rooms.grpc()[1].trim_start_matches("http://").parse().expect("an address");
    let config = AdminConfig { listen: Some(taken), ..config() };
    let again = Admin::start(config, rooms.host.clone(), rooms.telemetry.clone(), &tasks).await;
    let error = again.expect_err("the port is taken").to_string();
    assert!(error.contains(&taken.to_string()) && error.contains("admin.listen"), "{error}");
    let socket = rooms.data.path().join(SOCKET_FILE);
    assert!(socket.exists());
    rooms.close().await;
    assert!(!socket.exists(), "it is removed when the node stops");
}

/// How a call of `path` with this request ends.
async fn end_of<C, B>(mut channel: C, path: &str, request: Body) -> Status
where
    C: Service<http::Request<Body>, Response = http::Response<B>, Error: std::fmt::Debug>,
{
    let head = http::Request::post(path).header("content-type", "application/grpc");
    poll_fn(|context| channel.poll_ready(context)).await.expect("it listens");
    let answer = channel.call(head.body(request).expect("a request")).await.expect("an answer");
    Status::from_header_map(answer.headers()).unwrap_or_else(|| Status::ok(""))
}

#[tokio::test(flavor = "multi_thread")]
async fn which_methods_there_are_is_told_to_those_who_are_known() {
    let rooms = Rooms::open(config()).await;
    for (path, to_strangers) in [
        ("/matrix.v1.Kv/Burn", Code::Unauthenticated),
        ("/matrix.v1.Kv/", Code::Unauthenticated),
        ("/matrix.v1.Burner/Kv", Code::Unimplemented),
        ("/matrix.v1.Kv", Code::Unimplemented),
        ("/", Code::Unimplemented),
    ] {
        let stranger = end_of(rooms::channel(&rooms.grpc()[1]).await, path, Body::empty()).await;
        assert_eq!((path, stranger.code()), (path, to_strangers));
        let known = end_of(rooms.known().await, path, Body::empty()).await;
        assert_eq!((path, known.code()), (path, Code::Unimplemented));
    }
    rooms.close().await;
}
