//! The way to the node: which address, which token, which keys.

mod target;

use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use matrix_proto::v1::access_client::AccessClient;
use matrix_proto::v1::cluster_client::ClusterClient;
use matrix_proto::v1::components_client::ComponentsClient;
use matrix_proto::v1::events_client::EventsClient;
use matrix_proto::v1::interceptors_client::InterceptorsClient;
use matrix_proto::v1::kv_client::KvClient;
use matrix_proto::v1::learning_client::LearningClient;
use matrix_proto::v1::logs_client::LogsClient;
use matrix_proto::v1::matrices_client::MatricesClient;
use matrix_proto::v1::memory_client::MemoryClient;
use matrix_proto::v1::observe_client::ObserveClient;
use matrix_proto::v1::souls_client::SoulsClient;
use tokio::net::UnixStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Response, Status, Streaming};

use self::target::{Door, Target};
use crate::content::read_file;
use crate::environment::Environment;
use crate::errors::Error;
use crate::request;

/// How long a node may take to accept a connection.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// How long a node may take to answer a call that names no other time.
pub(crate) const CALL_DEADLINE: Duration = Duration::from_secs(30);

/// How often a silent connection is checked, so that a stream from a dead node ends.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(20);

/// The largest answer that is accepted: a page of 50 KV values of 1 MiB, with room to spare.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// The most bytes in a token, a certificate or a key file.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// Which node, and what to show it.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ConnectionArgs {
    /// Address of the node: unix:PATH, http://HOST:PORT or https://HOST:PORT [env: MATRIX_NODE]
    #[arg(long, global = true, value_name = "URL")]
    node: Option<String>,
    /// The node's data folder, with its socket and its token [env: MATRIX_DATA_DIR] [default: data]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// File with the token to show the node
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// File with the certificates that an https node is trusted by (PEM)
    #[arg(long, global = true, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// File with this client's certificate (PEM)
    #[arg(long, global = true, value_name = "FILE", requires = "key_file")]
    cert_file: Option<PathBuf>,
    /// File with the key of this client's certificate (PEM)
    #[arg(long, global = true, value_name = "FILE", requires = "cert_file")]
    key_file: Option<PathBuf>,
}

impl ConnectionArgs {
    /// The node whose data folder this is.
    pub(crate) fn of_folder(data_dir: &Path) -> Self {
        Self { data_dir: Some(data_dir.to_owned()), ..Self::default() }
    }

    /// Whether the arguments name a node.
    pub(crate) fn names_a_node(&self) -> bool {
        self.node.is_some() || self.data_dir.is_some()
    }
}

/// Puts the token on each call.
#[derive(Debug, Clone)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

/// A channel that shows the token.
pub(crate) type Transport = InterceptedService<Channel, Bearer>;

/// A node that is connected.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    transport: Transport,
    deadline: Option<Duration>,
    folder: Option<PathBuf>,
}

macro_rules! clients {
    ($($(#[$doc:meta])* $name:ident: $client:ident),* $(,)?) => {
        impl Node {
            $($(#[$doc])* pub(crate) fn $name(&self) -> $client<Transport> {
                $client::new(self.transport.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
            })*
        }
    };
}

clients! {
    /// Who may do what.
    access: AccessClient,
    /// How the node is.
    cluster: ClusterClient,
    /// Components.
    components: ComponentsClient,
    /// What happens.
    events: EventsClient,
    /// What judges messages.
    interceptors: InterceptorsClient,
    /// The replicated KV.
    kv: KvClient,
    /// What Souls learn from.
    learning: LearningClient,
    /// Logs.
    logs: LogsClient,
    /// Matrices.
    matrices: MatricesClient,
    /// What Souls remember.
    memory: MemoryClient,
    /// What guests use.
    observe: ObserveClient,
    /// Souls.
    souls: SoulsClient,
}

impl Node {
    /// Connects. `deadline` is what the user gave for each call, if anything.
    pub(crate) async fn connect(
        args: &ConnectionArgs,
        environment: &Environment,
        deadline: Option<Duration>,
    ) -> Result<Self, Error> {
        let target = Target::choose(args, environment)?;
        let bearer = Bearer(target.token()?);
        let connected = match &target.door {
            Door::Unix(path) => connect_unix(path).await,
            Door::Http(url) => endpoint(url)?.connect().await,
            Door::Https(url) => {
                let tls = tls(args)?;
                let endpoint = endpoint(url)?.tls_config(tls);
                endpoint
                    .map_err(|error| Error::local("cannot use the certificates", url, root(&error)))?
                    .connect()
                    .await
            }
        };
        let channel =
            connected.map_err(|error| Error::NoNode { tried: vec![target.tried(&root(&error))] })?;
        let folder = target.folder().map(Path::to_owned);
        Ok(Self { transport: InterceptedService::new(channel, bearer), deadline, folder })
    }

    /// The node's data folder, if it is on this machine and was entered by its socket.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// How long a call may take that would take `default` if the user had not said otherwise.
    pub(crate) fn deadline(&self, default: Duration) -> Duration {
        self.deadline.unwrap_or(default)
    }

    /// Asks the node about `place`, again while it is unavailable: for reads, and for mutations
    /// that carry a request id.
    pub(crate) async fn call<M: Clone, T>(
        &self,
        place: impl Into<String>,
        message: M,
        rpc: impl AsyncFnMut(Request<M>) -> Result<Response<T>, Status>,
    ) -> Result<T, Error> {
        let deadline = self.deadline(CALL_DEADLINE);
        request::retried(message, deadline, rpc).await.map_err(|status| Error::node(status, place))
    }

    /// Opens a stream about `place`, which lasts as long as it lasts.
    pub(crate) async fn stream<M, T>(
        &self,
        place: impl Into<String>,
        message: M,
        mut rpc: impl AsyncFnMut(Request<M>) -> Result<Response<Streaming<T>>, Status>,
    ) -> Result<Streaming<T>, Error> {
        let answer = rpc(Request::new(message)).await;
        answer.map(Response::into_inner).map_err(|status| Error::node(status, place))
    }
}

fn endpoint(url: &str) -> Result<Endpoint, Error> {
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|error| {
        Error::usage(format!("`{url}` is no address: {}", root(&error)), "write http://HOST:PORT")
    })?;
    Ok(endpoint
        .connect_timeout(CONNECT_DEADLINE)
        .http2_keep_alive_interval(KEEP_ALIVE_EVERY)
        .tcp_nodelay(true))
}

async fn connect_unix(path: &Path) -> Result<Channel, tonic::transport::Error> {
    let path = path.to_owned();
    // Where the socket is, the connector knows; HTTP wants an authority all the same.
    let endpoint = Endpoint::from_static("http://localhost")
        .connect_timeout(CONNECT_DEADLINE)
        .http2_keep_alive_interval(KEEP_ALIVE_EVERY);
    let connector = tower::service_fn(move |_| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    endpoint.connect_with_connector(connector).await
}

fn tls(args: &ConnectionArgs) -> Result<ClientTlsConfig, Error> {
    let Some(ca_file) = &args.ca_file else {
        return Err(Error::usage(
            "an https node needs certificates to trust it by",
            "name their file: --ca-file FILE",
        ));
    };
    let mut tls =
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read_file(ca_file, SECRET_BYTES_MAX)?));
    if let (Some(cert), Some(key)) = (&args.cert_file, &args.key_file) {
        let (cert, key) = (read_file(cert, SECRET_BYTES_MAX)?, read_file(key, SECRET_BYTES_MAX)?);
        tls = tls.identity(Identity::from_pem(cert, key));
    }
    Ok(tls)
}

/// What lies at the root of an error: the outer layers of a transport only say that there is one.
fn root(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
