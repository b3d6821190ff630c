//! Calls that concern a Matrix of another node are carried out there, as if that node had been called.

use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use matrix_proto::audit::Entry;
use matrix_proto::v1::interceptors_server::Interceptors;
use matrix_proto::v1::matrices_server::Matrices;
use matrix_proto::v1::observe_server::Observe;
use matrix_proto::wire;
use matrix_proto::wire::admin_answer::Kind;
use prost::Message;
use tokio::sync::OnceCell;
use tonic::{Code, Request, Response, Status};

use super::auth::{Caller, name_caller};
use super::convert;
use super::desk::Desk;
use super::guard;
use super::interceptors::InterceptorsService;
use super::matrices::MatricesService;
use super::observing::ObserveService;
use super::roles::{self, Role};
use crate::ids::{ClientName, MatrixName};
use crate::p2p::rpc::{Reply, Rpc, Serve};
use crate::p2p::{Lane, Peer};

/// The lane.
const LANE: Lane = Lane::new("/matrix/admin/1");
/// How long another node may take: rules may have to be fetched and compiled there.
const PATIENCE: Duration = Duration::from_secs(60);

/// The way to the doors of other nodes.
#[derive(Debug, Default)]
pub(super) struct Relay(OnceCell<Rpc>);

impl Desk {
    /// Opens the way, in both directions.
    pub(super) async fn open_relay(self: &Arc<Self>) {
        let server = Arc::new(Server(Arc::downgrade(self)));
        // It is opened once, when the door is.
        let _ = self.relay.0.set(Rpc::open(self.host.realm.network(), LANE, server).await);
    }

    /// Has a call carried out by the node where a Matrix runs; `None`: it runs here, or nowhere.
    pub(super) async fn relayed<A: Message + Default>(
        &self,
        method: &'static str,
        matrix: &MatrixName,
        caller: &Caller,
        request: &impl Message,
    ) -> Option<Result<A, Status>> {
        if self.host.matrices.get(matrix).is_ok() {
            return None;
        }
        match self.host.matrices.home(matrix).await {
            Ok(node) => Some(self.relay_to(node?, method, caller, request).await),
            Err(error) => Some(Err(error.into())),
        }
    }

    /// Has a call carried out by another node.
    pub(super) async fn relay_to<A: Message + Default>(
        &self,
        node: u64,
        method: &'static str,
        caller: &Caller,
        request: &impl Message,
    ) -> Result<A, Status> {
        let away = |why: &dyn std::fmt::Display| {
            convert::away(&format!("node {node}, on which it runs, does not answer: {why}"))
        };
        let peer = self.host.realm.roster().peer(node).ok_or_else(|| away(&"it is no member any more"))?;
        let rpc = self.relay.0.get().ok_or_else(|| away(&"this node is starting"))?;
        let question = wire::AdminQuestion {
            method: method.to_owned(),
            caller: caller.to_string(),
            role: caller.role().name().to_owned(),
            request: request.encode_to_vec().into(),
        };
        let answer = rpc.call(peer, question.encode_to_vec().into(), PATIENCE).await;
        let answer = answer.map_err(|error| away(&error))?;
        let malformed = || away(&"its answer makes no sense");
        match wire::AdminAnswer::decode(answer).ok().and_then(|answer| answer.kind).ok_or_else(malformed)? {
            Kind::Response(response) => A::decode(response).map_err(|_| malformed()),
            Kind::Failure(wire::AdminFailure { code, message, details }) => {
                Err(Status::with_details(Code::from_i32(code), message, details))
            }
        }
    }
}

/// Carries out what other nodes were called for.
struct Server(Weak<Desk>);

impl Serve for Server {
    fn serve(&self, from: Peer, question: Bytes, reply: Reply) {
        let Some(desk) = self.0.upgrade() else { return reply.fail("this node is stopping") };
        let Ok(question) = wire::AdminQuestion::decode(question) else {
            return reply.fail("it is malformed");
        };
        let Ok(caller) = question.caller.parse::<ClientName>() else {
            return reply.fail("nobody is called so");
        };
        let Ok(role) = question.role.parse::<Role>() else {
            return reply.fail("it does not say what the caller may do");
        };
        let caller = Caller::relayed(caller, role);
        let tasks = desk.tasks().clone();
        tasks.spawn("admin.relayed", async move {
            let service = MatricesService(desk);
            let kind = match let_in(&service, question, caller, from).await {
                Ok(response) => Kind::Response(response),
                Err(status) => Kind::Failure(wire::AdminFailure {
                    code: status.code() as i32,
                    message: status.message().to_owned(),
                    details: Bytes::copy_from_slice(status.details()),
                }),
            };
            reply.answer(wire::AdminAnswer { kind: Some(kind) }.encode_to_vec().into());
        });
    }
}

/// Carries out what the caller may do, and writes it down.
pub(super) async fn let_in(
    service: &MatricesService,
    question: wire::AdminQuestion,
    caller: Caller,
    from: Peer,
) -> Result<Bytes, Status> {
    let wire::AdminQuestion { method, request, .. } = question;
    // By this node's own table: another version of the program may have another one.
    let method = roles::named(&method).ok_or_else(convert::unknown_method)?;
    caller.may(method.name, method.role)?;
    let Some(fields) = &method.audited else { return carry_out(service, method.name, caller, request).await };
    let entry = Entry { via: from.to_string(), ..guard::entry(method, &caller, fields, &request) };
    let attempt = service.0.audit.attempt(entry).await?;
    let done = carry_out(service, method.name, caller, request).await;
    attempt.ended(done.as_ref().map_or_else(Status::code, |_| Code::Ok));
    done
}

async fn carry_out(
    service: &MatricesService,
    method: &str,
    caller: Caller,
    request: Bytes,
) -> Result<Bytes, Status> {
    match method {
        "Matrices/Create" => answer(caller, request, |request| service.create(request)).await,
        "Matrices/Get" => answer(caller, request, |request| service.get(request)).await,
        "Matrices/List" => answer(caller, request, |request| service.list_here(request)).await,
        "Matrices/Start" => answer(caller, request, |request| service.start(request)).await,
        "Matrices/Pause" => answer(caller, request, |request| service.pause(request)).await,
        "Matrices/Step" => answer(caller, request, |request| service.step(request)).await,
        "Matrices/Stop" => answer(caller, request, |request| service.stop(request)).await,
        "Matrices/Move" => answer(caller, request, |request| service.r#move(request)).await,
        "Matrices/Swap" => answer(caller, request, |request| service.swap(request)).await,
        "Matrices/Rollback" => answer(caller, request, |request| service.rollback(request)).await,
        "Matrices/Delete" => answer(caller, request, |request| service.delete(request)).await,
        "Matrices/View" => answer(caller, request, |request| service.view(request)).await,
        "Interceptors/GetChain" => {
            let service = InterceptorsService(service.0.clone());
            answer(caller, request, |request| service.get_chain(request)).await
        }
        "Observe/Usage" => {
            let service = ObserveService(service.0.clone());
            answer(caller, request, |request| service.usage(request)).await
        }
        _ => Err(Status::unimplemented("this node does not carry that out for others")),
    }
}

async fn answer<Q, A, F>(
    caller: Caller,
    request: Bytes,
    call: impl FnOnce(Request<Q>) -> F,
) -> Result<Bytes, Status>
where
    Q: Message + Default,
    A: Message,
    F: Future<Output = Result<Response<A>, Status>>,
{
    let request = Q::decode(request).map_err(|_| Status::invalid_argument("the request is malformed"))?;
    let mut request = Request::new(request);
    name_caller(&mut request, caller);
    Ok(call(request).await?.into_inner().encode_to_vec().into())
}
