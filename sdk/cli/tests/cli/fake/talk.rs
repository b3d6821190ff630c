//! Souls, Events and Logs.

use matrix_proto::v1::address::To;
use matrix_proto::v1::events_server::Events;
use matrix_proto::v1::logs_server::Logs;
use matrix_proto::v1::souls_server::Souls;
use matrix_proto::v1::subscribe_response::Item;
use matrix_proto::v1::*;
use matrix_proto::wire::SoulFileHeader;
use tokio_stream::StreamExt as _;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::Services;
use super::services::{Answers, answers};

/// The id of every message.
pub(crate) const MESSAGE_ID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

/// Echoes: text in capitals, JSON and bytes as they are. `deaf` says nothing, `slow` is too late.
fn reply(question: AskRequest) -> Result<AskResponse, Status> {
    let content = question.content.unwrap_or_default();
    let reply = match question.recipient.and_then(|address| address.to) {
        Some(To::Soul(name)) if name == "deaf" => None,
        Some(To::Soul(name)) if name == "slow" => {
            return Err(Status::deadline_exceeded("no reply in time"));
        }
        Some(To::Soul(name)) if name == "nobody" => {
            return Err(Status::not_found("there is no Soul `nobody`"));
        }
        _ if content.content_type == "text/plain" => {
            Some(Content { body: content.body.to_ascii_uppercase().into(), ..content })
        }
        _ => Some(content),
    };
    Ok(AskResponse { message_id: MESSAGE_ID.to_owned(), reply })
}

fn soul(services: &Services, name: &str) -> Result<Soul, Status> {
    let unknown = || {
        let mut details = ErrorDetails::new();
        details.set_resource_info("soul", name, "", "spawn it first");
        Status::with_error_details(Code::NotFound, "there is no such Soul", details)
    };
    services.state().souls.get(name).cloned().ok_or_else(unknown)
}

#[tonic::async_trait]
impl Souls for Services {
    async fn spawn(&self, request: Request<SpawnRequest>) -> Result<Response<Soul>, Status> {
        let mut state = self.enter("Spawn", request.get_ref())?;
        let manifest = request.into_inner().manifest.unwrap_or_default();
        let digest = manifest.component.clone();
        let name = manifest.name.clone();
        let soul =
            Soul { manifest: Some(manifest), state: SoulState::Running.into(), digest, ..Soul::default() };
        state.souls.insert(name, soul.clone());
        Ok(Response::new(soul))
    }

    async fn get(&self, request: Request<GetSoulRequest>) -> Result<Response<Soul>, Status> {
        drop(self.enter("GetSoul", request.get_ref())?);
        soul(self, &request.get_ref().name).map(Response::new)
    }

    async fn list(&self, request: Request<ListSoulsRequest>) -> Result<Response<ListSoulsResponse>, Status> {
        let state = self.enter("ListSouls", request.get_ref())?;
        let prefix = &request.get_ref().name_prefix;
        let souls = state.souls.iter().filter(|(name, _)| name.starts_with(prefix));
        let souls = souls.map(|(_, soul)| soul.clone()).collect();
        Ok(Response::new(ListSoulsResponse { souls, next_page_token: String::new() }))
    }

    async fn stop(&self, request: Request<StopSoulRequest>) -> Result<Response<Soul>, Status> {
        drop(self.enter("StopSoul", request.get_ref())?);
        let mut soul = soul(self, &request.get_ref().name)?;
        soul.set_state(SoulState::Stopped);
        self.state().souls.insert(request.into_inner().name, soul.clone());
        Ok(Response::new(soul))
    }

    async fn delete(
        &self,
        request: Request<DeleteSoulRequest>,
    ) -> Result<Response<DeleteSoulResponse>, Status> {
        self.enter("DeleteSoul", request.get_ref())?.souls.remove(&request.get_ref().name);
        Ok(Response::new(DeleteSoulResponse {}))
    }

    async fn send(&self, request: Request<SendRequest>) -> Result<Response<SendResponse>, Status> {
        drop(self.enter("Send", request.get_ref())?);
        Ok(Response::new(SendResponse { message_id: MESSAGE_ID.to_owned() }))
    }

    async fn ask(&self, request: Request<AskRequest>) -> Result<Response<AskResponse>, Status> {
        drop(self.enter("Ask", request.get_ref())?);
        reply(request.into_inner()).map(Response::new)
    }

    type ConverseStream = Answers<AskResponse>;

    async fn converse(
        &self,
        request: Request<Streaming<AskRequest>>,
    ) -> Result<Response<Self::ConverseStream>, Status> {
        drop(self.enter("Converse", &"")?);
        let services = self.clone();
        let answers = request.into_inner().map(move |question| {
            let question = question?;
            drop(services.enter("ConverseAsk", &question)?);
            reply(question)
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn r#move(&self, request: Request<MoveSoulRequest>) -> Result<Response<Soul>, Status> {
        drop(self.enter("Move", request.get_ref())?);
        let manifest = SoulManifest { name: request.get_ref().name.clone(), ..SoulManifest::default() };
        Ok(Response::new(Soul { manifest: Some(manifest), node: request.get_ref().node, ..Soul::default() }))
    }

    async fn swap(&self, request: Request<SwapSoulRequest>) -> Result<Response<SwapSoulResponse>, Status> {
        drop(self.enter("Swap", request.get_ref())?);
        let request = request.into_inner();
        if !request.dry_run {
            return Ok(Response::new(swapped(SoulVersionCause::Swap)));
        }
        let difference = TrialDifference {
            input: 2,
            what: "reply".to_owned(),
            old: "text/plain 1".to_owned(),
            new: "text/plain 2".to_owned(),
        };
        let trial = SwapTrial { inputs: 3, differences: vec![difference], ..SwapTrial::default() };
        Ok(Response::new(SwapSoulResponse { trial: Some(trial), ..SwapSoulResponse::default() }))
    }

    async fn set_persona(
        &self,
        request: Request<SetPersonaRequest>,
    ) -> Result<Response<SwapSoulResponse>, Status> {
        drop(self.enter("SetPersona", request.get_ref())?);
        Ok(Response::new(swapped(SoulVersionCause::Persona)))
    }

    async fn rollback(
        &self,
        request: Request<RollbackSoulRequest>,
    ) -> Result<Response<SwapSoulResponse>, Status> {
        drop(self.enter("Rollback", request.get_ref())?);
        Ok(Response::new(swapped(SoulVersionCause::Rollback)))
    }

    async fn history(
        &self,
        request: Request<SoulHistoryRequest>,
    ) -> Result<Response<SoulHistoryResponse>, Status> {
        drop(self.enter("History", request.get_ref())?);
        let versions = swapped(SoulVersionCause::Swap).version.into_iter().collect();
        let running = "sha256:cd".to_owned();
        let (soul, realm, state) = ("trinity".to_owned(), String::new(), "sha256:ef".to_owned());
        let origin = Some(SoulOrigin { soul, realm, lesson: 7, state, at_ms: 1 });
        Ok(Response::new(SoulHistoryResponse { wanted: running.clone(), running, versions, origin }))
    }

    type ExportStream = Answers<ExportSoulResponse>;

    async fn export(
        &self,
        request: Request<ExportSoulRequest>,
    ) -> Result<Response<Self::ExportStream>, Status> {
        drop(self.enter("Export", request.get_ref())?);
        let (writer, first) = matrix_proto::soul_file::Writer::new(SoulFileHeader::default());
        answers([first, writer.seal()].map(|data| ExportSoulResponse { data }).into())
    }

    async fn import(&self, request: Request<Streaming<ImportSoulRequest>>) -> Result<Response<Soul>, Status> {
        let mut parts = request.into_inner();
        let Some(import_soul_request::Part::Header(header)) = parts.message().await?.and_then(|it| it.part)
        else {
            return Err(Status::invalid_argument("no header"));
        };
        drop(self.enter("Import", &header)?);
        while parts.message().await?.is_some() {}
        let manifest = SoulManifest { name: header.name, ..SoulManifest::default() };
        Ok(Response::new(Soul { manifest: Some(manifest), ..Soul::default() }))
    }

    async fn fork(&self, request: Request<ForkSoulRequest>) -> Result<Response<Soul>, Status> {
        drop(self.enter("Fork", request.get_ref())?);
        let manifest = SoulManifest { name: request.into_inner().to, ..SoulManifest::default() };
        Ok(Response::new(Soul { manifest: Some(manifest), ..Soul::default() }))
    }

    async fn checkpoint(
        &self,
        request: Request<CheckpointRequest>,
    ) -> Result<Response<CheckpointResponse>, Status> {
        drop(self.enter("Checkpoint", request.get_ref())?);
        let digest = "sha256:ab".to_owned();
        Ok(Response::new(CheckpointResponse { schema: "counter/1".to_owned(), size: 8, digest }))
    }

    async fn dead_letters(
        &self,
        request: Request<DeadLettersRequest>,
    ) -> Result<Response<DeadLettersResponse>, Status> {
        drop(self.enter("DeadLetters", request.get_ref())?);
        let letter = DeadLetter {
            id: format!("000000000000007-{MESSAGE_ID}"),
            message_id: MESSAGE_ID.to_owned(),
            sender: Some(Address { to: Some(To::Client("trinity".to_owned())) }),
            content: Some(Content { content_type: "text/plain".to_owned(), body: "red pill".into() }),
            reason: "trapped: told to".to_owned(),
            attempts: 2,
            at_ms: 7,
            trace_id: String::new(),
        };
        Ok(Response::new(DeadLettersResponse { letters: vec![letter], next_page_token: String::new() }))
    }

    async fn resend(&self, request: Request<ResendRequest>) -> Result<Response<ResendResponse>, Status> {
        drop(self.enter("Resend", request.get_ref())?);
        Ok(Response::new(ResendResponse {}))
    }

    async fn drop(&self, request: Request<DropRequest>) -> Result<Response<DropResponse>, Status> {
        std::mem::drop(self.enter("Drop", request.get_ref())?);
        Ok(Response::new(DropResponse {}))
    }
}

fn swapped(cause: SoulVersionCause) -> SwapSoulResponse {
    let version = SoulVersion {
        number: 2,
        component: "sha256:cd".to_owned(),
        cause: cause.into(),
        at_ms: 1_709_251_199_999,
        schema: "counter/2".to_owned(),
        state_bytes: 8,
        generation: 1,
        fallback: "`snapshot` trapped".to_owned(),
        ..SoulVersion::default()
    };
    let before = "sha256:ab".to_owned();
    SwapSoulResponse { changed: true, before, version: Some(version), pause_us: 1_500, trial: None }
}

/// An event of the fixed past.
fn event(sequence: u64, kind: &str, source: &str, json: &'static str) -> SubscribeResponse {
    let content = Content { content_type: "application/json".to_owned(), body: json.into() };
    let event = Event {
        sequence,
        at_ms: 1_709_251_199_999,
        kind: kind.to_owned(),
        source: source.to_owned(),
        content: Some(content),
    };
    SubscribeResponse { item: Some(Item::Event(event)) }
}

#[tonic::async_trait]
impl Events for Services {
    type SubscribeStream = Answers<SubscribeResponse>;

    async fn subscribe(
        &self,
        request: Request<SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        drop(self.enter("Subscribe", request.get_ref())?);
        let wanted = request.into_inner();
        let past = vec![
            SubscribeResponse { item: Some(Item::Missed(Missed { from: 0, to: 1 })) },
            event(2, "soul.spawned", "soul:neo", "{}"),
            event(3, "matrix.tick", "matrix:ipd", r#"{"tick":1,"ticks_max":3}"#),
            event(4, "matrix.signal", "matrix:ipd", r#"{"value":0.5}"#),
        ];
        if wanted.from.is_some() {
            // Like a node, it does not end where the past ends.
            let past = tokio_stream::iter(past.into_iter().map(Ok));
            return Ok(Response::new(Box::pin(past.chain(tokio_stream::pending()))));
        }
        answers(past)
    }
}

#[tonic::async_trait]
impl Logs for Services {
    type TailStream = Answers<LogLine>;

    async fn tail(&self, request: Request<TailRequest>) -> Result<Response<Self::TailStream>, Status> {
        drop(self.enter("Tail", request.get_ref())?);
        let line = |level: LogLevel, text: &str, dropped| LogLine {
            at_ms: 1_709_251_199_999,
            level: level.into(),
            source: "soul:neo".to_owned(),
            text: text.to_owned(),
            dropped,
        };
        answers(vec![line(LogLevel::Info, "awake", 0), line(LogLevel::Error, "pill \u{1b}[2J", 7)])
    }
}
