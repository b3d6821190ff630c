//! A gRPC service outside the realm: it tells the weather, and what it tells depends on the place.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::sync::watch;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Context, Poll, Service as Called, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::node::PATIENCE;

/// The authority that signed the certificate of [`Service::start_tls`], which is for `localhost` and 127.0.0.1.
pub const AUTHORITY: &str = include_str!("../../host/src/admin/tests/tls/authority.pem");
/// What it asks whoever calls for, and the key of it.
pub const CLIENT: [&str; 2] = [
    include_str!("../../host/src/admin/tests/tls/client.pem"),
    include_str!("../../host/src/admin/tests/tls/client.key"),
];

/// What is asked: the weather of which place.
#[derive(Clone, PartialEq, prost::Message)]
struct Query {
    #[prost(string, tag = "1")]
    place: String,
}

/// What is told.
#[derive(Clone, PartialEq, prost::Message)]
struct Told {
    #[prost(string, tag = "1")]
    text: String,
}

/// A service that runs until it is dropped, and then leaves in the midst of everything.
pub struct Service {
    runtime: Option<Runtime>,
    address: SocketAddr,
    heard: Heard,
}

/// The places that were asked for.
#[derive(Clone)]
struct Heard(Arc<watch::Sender<Vec<String>>>);

impl Service {
    /// Starts it on a port of its own.
    pub fn start() -> Self {
        Self::serve("127.0.0.1:0".parse().expect("an address"), None)
    }

    /// Starts it over TLS, for callers with a certificate.
    pub fn start_tls() -> Self {
        let identity = Identity::from_pem(
            include_str!("../../host/src/admin/tests/tls/node.pem"),
            include_str!("../../host/src/admin/tests/tls/node.key"),
        );
        let tls = ServerTlsConfig::new().identity(identity).client_ca_root(Certificate::from_pem(AUTHORITY));
        Self::serve("127.0.0.1:0".parse().expect("an address"), Some(tls))
    }

    /// Starts it where another was that has gone.
    pub fn start_at(address: SocketAddr) -> Self {
        Self::serve(address, None)
    }

    fn serve(address: SocketAddr, tls: Option<ServerTlsConfig>) -> Self {
        // With a runtime of its own all that it does ends with it.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a thread can be had");
        let heard = Heard(Arc::new(watch::Sender::new(Vec::new())));
        let incoming = {
            let _context = runtime.enter();
            TcpIncoming::bind(address).expect("a port can be had")
        };
        let address = incoming.local_addr().expect("it listens");
        let mut server = Server::builder();
        if let Some(tls) = tls {
            server = server.tls_config(tls).expect("its keys are sound");
        }
        let served = server.add_service(Weather(heard.clone())).serve_with_incoming(incoming);
        runtime.spawn(served);
        Self { runtime: Some(runtime), address, heard }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it is, for a configuration.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The places that were asked for, in order.
    pub fn heard(&self) -> Vec<String> {
        self.heard.0.borrow().clone()
    }

    /// Waits until so many places were asked for.
    pub async fn until(&self, count: usize) {
        let mut heard = self.heard.0.subscribe();
        let found = heard.wait_for(|heard| heard.len() >= count);
        let found = tokio::time::timeout(PATIENCE, found).await;
        found.expect("it is called in time").expect("it lives");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The service itself.
#[derive(Clone)]
struct Weather(Heard);

impl NamedService for Weather {
    const NAME: &'static str = "weather.v1.Weather";
}

impl Called<http::Request<Body>> for Weather {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let weather = self.clone();
        let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        Box::pin(async move {
            if method != "Forecast" {
                return Ok(Status::unimplemented(format!("no method `{method}`")).into_http());
            }
            Ok(Grpc::new(ProstCodec::default()).unary(weather, request).await)
        })
    }
}

impl UnaryService<Query> for Weather {
    type Response = Told;
    type Future = BoxFuture<Response<Told>, Status>;

    fn call(&mut self, request: Request<Query>) -> Self::Future {
        let heard = self.0.clone();
        Box::pin(async move { tell(&heard, &request).await })
    }
}

/// Most places have rain; some words are no places.
async fn tell(heard: &Heard, request: &Request<Query>) -> Result<Response<Told>, Status> {
    let place = request.get_ref().place.clone();
    heard.0.send_modify(|heard| heard.push(place.clone()));
    let (word, rest) = place.split_once(' ').unwrap_or((&place, ""));
    let number =
        || rest.split(' ').next().and_then(|number| number.parse::<usize>().ok()).unwrap_or_default();
    let text = match word {
        // For ever.
        "slow" => std::future::pending().await,
        // A text of so many bytes.
        "long" => "x".repeat(number()),
        // A status of this number, and what it says.
        "fail" => {
            let text = rest.split_once(' ').map_or("", |(_, text)| text);
            return Err(Status::new(Code::from(number() as i32), text));
        }
        // A status whose text has so many bytes.
        "fail-long" => return Err(Status::unknown("é".repeat(number() / 2))),
        // What came along.
        "header" => {
            let value = request.metadata().get(rest).and_then(|value| value.to_str().ok());
            value.unwrap_or("none").to_owned()
        }
        _ => format!("{place}: rain"),
    };
    Ok(Response::new(Told { text }))
}
