//! `matrix.v1.Souls`.

use std::sync::Arc;
use std::time::Duration;

use futures::stream;
use matrix_proto::v1;
use matrix_proto::v1::souls_server::Souls;
use tonic::{Request, Response, Status, Streaming};

use super::convert;
use super::desk::{AdminHost, Answers, Desk, open};
use super::paging::Page;
use super::portable;
use super::replay::Key;
use super::swaps;
use crate::ids::{ClientName, SoulName};
use crate::souls::dead::DeadId;
use crate::telemetry::trace::current_place;
use crate::transport::envelope::{Address, TraceContext};
use crate::transport::receipts::named;
use crate::transport::router::{Draft, Stamp};

/// How long a reply may take where the caller says nothing, in milliseconds.
const TIMEOUT_MS_DEFAULT: u32 = 10_000;
/// How long a reply may take at most, in milliseconds.
const TIMEOUT_MS_MAX: u32 = 300_000;

/// The service.
#[derive(Debug)]
pub(super) struct SoulsService(pub(super) Arc<Desk>);

#[tonic::async_trait]
impl Souls for SoulsService {
    async fn spawn(&self, request: Request<v1::SpawnRequest>) -> Result<Response<v1::Soul>, Status> {
        let (caller, v1::SpawnRequest { manifest, request_id }) = open(request)?;
        let key = Key::new(&caller, "Souls/Spawn", &request_id)?;
        let host = self.0.host.clone();
        let spawned = async move {
            let manifest = convert::required(manifest)?;
            let component = host.catalog.resolve(&manifest.component).await;
            let component = component.map_err(|error| convert::component_at("manifest.component", error))?;
            let manifest = convert::soul_manifest(manifest, component)?;
            let view = host.souls.spawn(manifest, None).await?;
            Ok(convert::soul(&view))
        };
        self.0.mutate(key, spawned).await.map(Response::new)
    }

    async fn get(&self, request: Request<v1::GetSoulRequest>) -> Result<Response<v1::Soul>, Status> {
        let view = self.0.host.souls.get(&name(&request.into_inner().name)?).await?;
        Ok(Response::new(convert::soul(&view)))
    }

    async fn list(
        &self,
        request: Request<v1::ListSoulsRequest>,
    ) -> Result<Response<v1::ListSoulsResponse>, Status> {
        let v1::ListSoulsRequest { page, name_prefix } = request.into_inner();
        let page = Page::<SoulName>::parse(page)?;
        let found = self.0.host.souls.list(page.after.as_ref(), &name_prefix, page.look_up()).await;
        let (souls, next_page_token) = page.cut(found, |view| view.manifest.name.clone(), convert::soul);
        Ok(Response::new(v1::ListSoulsResponse { souls, next_page_token }))
    }

    async fn stop(&self, request: Request<v1::StopSoulRequest>) -> Result<Response<v1::Soul>, Status> {
        let (caller, request) = open(request)?;
        let (key, soul) = (Key::new(&caller, "Souls/Stop", &request.request_id)?, name(&request.name)?);
        let souls = self.0.host.souls.clone();
        let stopped = async move { Ok(convert::soul(&souls.stop(&soul, None).await?)) };
        self.0.mutate(key, stopped).await.map(Response::new)
    }

    async fn delete(
        &self,
        request: Request<v1::DeleteSoulRequest>,
    ) -> Result<Response<v1::DeleteSoulResponse>, Status> {
        let (caller, request) = open(request)?;
        let (key, soul) = (Key::new(&caller, "Souls/Delete", &request.request_id)?, name(&request.name)?);
        let souls = self.0.host.souls.clone();
        let deleted = async move {
            souls.get(&soul).await?;
            souls.delete(&soul, None).await?;
            Ok(v1::DeleteSoulResponse {})
        };
        self.0.mutate(key, deleted).await.map(Response::new)
    }

    async fn send(&self, request: Request<v1::SendRequest>) -> Result<Response<v1::SendResponse>, Status> {
        let (caller, v1::SendRequest { recipient, content, request_id }) = open(request)?;
        let key = Key::new(&caller, "Souls/Send", &request_id)?;
        let (draft, stamp) = (draft(&caller, recipient, content)?, stamp(&caller, &request_id));
        let sent = async {
            let host = &self.0.host;
            let router = host.router.clone();
            let within = Duration::from_millis(TIMEOUT_MS_DEFAULT.into());
            let sent = async move { router.send_for_good(draft, stamp, within).await };
            let id = host.say(sent).await?;
            Ok(v1::SendResponse { message_id: id.to_string() })
        };
        self.0.repeatable(key, sent).await.map(Response::new)
    }

    async fn ask(&self, request: Request<v1::AskRequest>) -> Result<Response<v1::AskResponse>, Status> {
        let (caller, question) = open(request)?;
        ask(&self.0.host, &caller, question).await.map(Response::new)
    }

    type ConverseStream = Answers<v1::AskResponse>;

    async fn converse(
        &self,
        request: Request<Streaming<v1::AskRequest>>,
    ) -> Result<Response<Self::ConverseStream>, Status> {
        let (caller, questions) = open(request)?;
        let place = self.0.stream()?;
        let talk = (self.0.host.clone(), caller, questions);
        // A question is read only when the reply before it has been taken: nothing piles up here.
        let answers = stream::try_unfold(talk, |(host, caller, mut questions)| async move {
            let Some(question) = questions.message().await? else { return Ok(None) };
            let answer = ask(&host, &caller, question).await?;
            Ok(Some((answer, (host, caller, questions))))
        });
        Ok(self.0.answers(place, answers))
    }

    async fn r#move(&self, request: Request<v1::MoveSoulRequest>) -> Result<Response<v1::Soul>, Status> {
        let (caller, request) = open(request)?;
        let (key, soul) = (Key::new(&caller, "Souls/Move", &request.request_id)?, name(&request.name)?);
        let souls = self.0.host.souls.clone();
        let moved = async move { Ok(convert::soul(&souls.move_to(&soul, request.node).await?)) };
        self.0.mutate(key, moved).await.map(Response::new)
    }

    async fn swap(
        &self,
        request: Request<v1::SwapSoulRequest>,
    ) -> Result<Response<v1::SwapSoulResponse>, Status> {
        swaps::swap(&self.0, request).await.map(Response::new)
    }

    async fn set_persona(
        &self,
        request: Request<v1::SetPersonaRequest>,
    ) -> Result<Response<v1::SwapSoulResponse>, Status> {
        swaps::set_persona(&self.0, request).await.map(Response::new)
    }

    async fn rollback(
        &self,
        request: Request<v1::RollbackSoulRequest>,
    ) -> Result<Response<v1::SwapSoulResponse>, Status> {
        swaps::roll_back(&self.0, request).await.map(Response::new)
    }

    async fn history(
        &self,
        request: Request<v1::SoulHistoryRequest>,
    ) -> Result<Response<v1::SoulHistoryResponse>, Status> {
        swaps::history(&self.0, request).await.map(Response::new)
    }

    async fn fork(&self, request: Request<v1::ForkSoulRequest>) -> Result<Response<v1::Soul>, Status> {
        portable::fork(&self.0, request).await.map(Response::new)
    }

    type ExportStream = Answers<v1::ExportSoulResponse>;

    async fn export(
        &self,
        request: Request<v1::ExportSoulRequest>,
    ) -> Result<Response<Self::ExportStream>, Status> {
        portable::export(&self.0, request).await
    }

    async fn import(
        &self,
        request: Request<Streaming<v1::ImportSoulRequest>>,
    ) -> Result<Response<v1::Soul>, Status> {
        portable::import(&self.0, request).await.map(Response::new)
    }

    async fn checkpoint(
        &self,
        request: Request<v1::CheckpointRequest>,
    ) -> Result<Response<v1::CheckpointResponse>, Status> {
        let (caller, request) = open(request)?;
        let (key, soul) = (Key::new(&caller, "Souls/Checkpoint", &request.request_id)?, name(&request.name)?);
        let souls = self.0.host.souls.clone();
        let saved = async move { Ok(convert::saved(&souls.checkpoint(&soul).await?)) };
        self.0.mutate(key, saved).await.map(Response::new)
    }

    async fn dead_letters(
        &self,
        request: Request<v1::DeadLettersRequest>,
    ) -> Result<Response<v1::DeadLettersResponse>, Status> {
        let v1::DeadLettersRequest { name: soul, page } = request.into_inner();
        let (soul, page) = (name(&soul)?, Page::<DeadId>::parse(page)?);
        let found = self.0.host.souls.dead_letters(&soul, page.after, page.look_up()).await?;
        let (letters, next_page_token) = page.cut(found, |letter| letter.id, convert::dead_letter);
        Ok(Response::new(v1::DeadLettersResponse { letters, next_page_token }))
    }

    async fn resend(
        &self,
        request: Request<v1::ResendRequest>,
    ) -> Result<Response<v1::ResendResponse>, Status> {
        let (caller, request) = open(request)?;
        let key = Key::new(&caller, "Souls/Resend", &request.request_id)?;
        let (soul, id) = (name(&request.name)?, dead_id(&request.id)?);
        let host = self.0.host.clone();
        let resent = async move {
            let souls = host.souls.clone();
            host.say(async move { Ok(souls.resend(&soul, id).await) }).await???;
            Ok(v1::ResendResponse {})
        };
        self.0.mutate(key, resent).await.map(Response::new)
    }

    async fn drop(&self, request: Request<v1::DropRequest>) -> Result<Response<v1::DropResponse>, Status> {
        let (caller, request) = open(request)?;
        let key = Key::new(&caller, "Souls/Drop", &request.request_id)?;
        let (soul, id) = (name(&request.name)?, dead_id(&request.id)?);
        let souls = self.0.host.souls.clone();
        let dropped = async move {
            souls.drop_dead(&soul, id).await?;
            Ok(v1::DropResponse {})
        };
        self.0.mutate(key, dropped).await.map(Response::new)
    }
}

fn dead_id(text: &str) -> Result<DeadId, Status> {
    text.parse().map_err(|error| convert::bad_id("id", &error))
}

pub(super) fn name(text: &str) -> Result<SoulName, Status> {
    text.parse().map_err(|error| convert::bad_id("name", &error))
}

async fn ask(
    host: &AdminHost,
    caller: &ClientName,
    question: v1::AskRequest,
) -> Result<v1::AskResponse, Status> {
    let timeout = timeout(question.timeout_ms)?;
    // Checked as that of a mutation is; the recipient remembers, and not the door.
    Key::new(caller, "Souls/Ask", &question.request_id)?;
    let draft = draft(caller, question.recipient, question.content)?;
    let router = host.router.clone();
    let stamp = stamp(caller, &question.request_id);
    let answer = host.say(async move {
        match stamp {
            Some(stamp) => router.ask_stamped(draft, stamp, timeout).await,
            None => router.ask(draft, timeout).await,
        }
    });
    let answer = answer.await?;
    let reply = answer.content.as_ref().map(convert::content_to);
    Ok(v1::AskResponse { message_id: answer.question.to_string(), reply })
}

/// The stamp of a message that may come again under its request id; none: it does not.
fn stamp(caller: &ClientName, request_id: &str) -> Option<Stamp> {
    let id = || named(&["request", &caller.to_string(), request_id]);
    (!request_id.is_empty()).then(|| Stamp::named(id()))
}

fn timeout(given: u32) -> Result<Duration, Status> {
    match given {
        0 => Ok(Duration::from_millis(TIMEOUT_MS_DEFAULT.into())),
        1..=TIMEOUT_MS_MAX => Ok(Duration::from_millis(given.into())),
        _ => Err(convert::bad_field("timeout_ms", &format!("is {given}: use at most {TIMEOUT_MS_MAX}"))),
    }
}

/// A message of a caller, in the trace of its call.
fn draft(
    caller: &ClientName,
    recipient: Option<v1::Address>,
    content: Option<v1::Content>,
) -> Result<Draft, Status> {
    let trace = current_place().map(|place| TraceContext {
        trace_id: place.trace_id,
        span_id: place.span_id,
        flags: place.flags,
    });
    Ok(Draft {
        sender: Address::Client(caller.clone()),
        recipient: convert::address(recipient)?,
        content: convert::content(content)?,
        in_reply_to: None,
        hops: 0,
        trace,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_bounded() {
        let millis = |given| timeout(given).map(|timeout| timeout.as_millis()).ok();
        assert_eq!((millis(0), millis(300_000), millis(300_001)), (Some(10_000), Some(300_000), None));
    }

    #[test]
    fn the_sender_is_whoever_calls() {
        let to = v1::Address { to: Some(v1::address::To::Soul("neo".to_owned())) };
        let draft = draft(&"local".parse().expect("a name"), Some(to), Some(v1::Content::default()));
        let draft = draft.expect("a sound message");
        assert_eq!(
            (draft.sender.to_string(), draft.recipient.to_string()),
            ("client:local".into(), "soul:neo".into())
        );
    }
}
