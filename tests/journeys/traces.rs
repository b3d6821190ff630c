//! A collector of traces beside the node: what a client calls the trace of its message arrives there.

use matrix_proto::v1;
use matrix_proto::v1::souls_client::SoulsClient;
use matrixd::tasks::Tasks;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status};

use crate::process::Process;
use crate::project;

/// The trace and the span of the client, as W3C trace context has them.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";
/// More exports than one test makes.
const EXPORTS_MAX: usize = 1_000;

/// Passes on what it is sent.
struct Collector(mpsc::Sender<ResourceSpans>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for spans in request.into_inner().resource_spans {
            self.0.send(spans).await.map_err(|_| Status::unavailable("the test is over"))?;
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Asks a Soul, as part of a trace.
async fn ask(node: &Process, soul: &str, text: &str) -> String {
    let socket = format!("unix:{}", node.data().join("matrixd.sock").display());
    let channel =
        Endpoint::from_shared(socket).expect("an address").connect().await.expect("the node listens");
    let address = v1::Address { to: Some(v1::address::To::Soul(soul.to_owned())) };
    let content = v1::Content { content_type: "text/plain".to_owned(), body: text.to_owned().into() };
    let question = v1::AskRequest { recipient: Some(address), content: Some(content), ..Default::default() };
    let mut request = Request::new(question);
    let token = std::fs::read_to_string(node.data().join("token")).expect("the node made one");
    let headers = [
        ("authorization", format!("Bearer {}", token.trim())),
        ("traceparent", format!("00-{TRACE}-{SPAN}-01")),
    ];
    for (name, value) in headers {
        request.metadata_mut().insert(name, value.parse().expect("a header"));
    }
    let answer = SoulsClient::new(channel).ask(request).await.expect("it is answered").into_inner();
    String::from_utf8_lossy(&answer.reply.expect("a reply").body).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trace_of_a_message_arrives_at_the_collector() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let (sender, mut exported) = mpsc::channel(EXPORTS_MAX);
    let collector = Server::builder().add_service(TraceServiceServer::new(Collector(sender)));
    let serving = collector.serve_with_incoming(TcpIncoming::from(listener));
    let tasks = Tasks::new();
    tasks.spawn("collector", serving);

    let node = Process::start_with(&format!("[telemetry]\notlp_endpoint = \"http://{address}\"\n"));
    let counter = project().join("guests/out/counter.wasm");
    node.matrix(&["components", "push", &counter.to_string_lossy(), "--name", "counter"]);
    node.matrix(&["souls", "spawn", "ada", "--component", "counter"]);
    assert_eq!(ask(&node, "ada", "add 42").await, "42");
    // What is left to export is exported before the node ends.
    node.stop();
    exported.close();
    let mut spans = Vec::new();
    while let Some(ResourceSpans { resource, scope_spans, .. }) = exported.recv().await {
        let about = resource.map(|resource| format!("{resource:?}")).unwrap_or_default();
        assert!(about.contains("matrixd") && about.contains("node-1"), "{about}");
        spans.extend(scope_spans.into_iter().flat_map(|scope| scope.spans));
    }
    let ours: Vec<_> = spans.iter().filter(|span| hex(&span.trace_id) == TRACE).collect();
    let first = ours.iter().find(|span| hex(&span.parent_span_id) == SPAN);
    let first = first.unwrap_or_else(|| panic!("no child of the client's span in {spans:?}"));
    assert_eq!(first.name, "request");
    assert!(format!("{:?}", first.attributes).contains("Souls/Ask"), "{first:?}");
}
