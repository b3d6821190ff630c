//! Souls that begin as others are, here or by way of a file.

use std::sync::Arc;
use std::time::Duration;

use futures::stream;
use matrix_proto::v1;
use matrix_proto::v1::import_soul_request::Part;
use tonic::{Request, Response, Status, Streaming};

use super::convert;
use super::desk::{Answers, Desk, open};
use super::replay::Key;
use super::souls::name;
use crate::ids::SoulName;
use crate::portable::Wish;

/// The most bytes in a piece of an import, as the interface says.
const PIECE_BYTES_MAX: usize = 1 << 20;
/// How long a client may pause in an import: it holds the one place.
const PAUSE_MAX: Duration = Duration::from_secs(30);

pub(super) async fn fork(
    desk: &Arc<Desk>,
    request: Request<v1::ForkSoulRequest>,
) -> Result<v1::Soul, Status> {
    let (caller, request) = open(request)?;
    let key = Key::new(&caller, "Souls/Fork", &request.request_id)?;
    let (parent, to) = (name(&request.name)?, request.to.parse());
    let to = to.map_err(|error| convert::bad_id("to", &error))?;
    let wish = Wish {
        lesson: (request.lesson > 0).then_some(request.lesson),
        memory: !request.without_memory,
        experience: request.with_experience,
    };
    let portables = desk.host.portables.clone();
    let forked = async move { Ok(convert::soul(&portables.fork(&parent, to, wish).await?)) };
    desk.mutate(key, forked).await
}

pub(super) async fn export(
    desk: &Arc<Desk>,
    request: Request<v1::ExportSoulRequest>,
) -> Result<Response<Answers<v1::ExportSoulResponse>>, Status> {
    let request = request.into_inner();
    let soul = name(&request.name)?;
    let wish = Wish {
        lesson: (request.lesson > 0).then_some(request.lesson),
        memory: !request.without_memory,
        experience: request.with_experience,
    };
    let place = desk.stream()?;
    let portables = &desk.host.portables;
    let pieces = portables.export(&soul, wish, !request.without_component, desk.tasks()).await?;
    let answers = stream::unfold(pieces, |mut pieces| async {
        let piece = pieces.recv().await?;
        Some((piece.map(|data| v1::ExportSoulResponse { data }).map_err(Status::from), pieces))
    });
    Ok(desk.answers(place, answers))
}

pub(super) async fn import(
    desk: &Arc<Desk>,
    request: Request<Streaming<v1::ImportSoulRequest>>,
) -> Result<v1::Soul, Status> {
    let (caller, mut parts) = open(request)?;
    let Some(Part::Header(header)) = next_part(&mut parts).await? else {
        return Err(convert::bad_field("header", "is not the first part: send it before the file"));
    };
    let key = Key::new(&caller, "Souls/Import", &header.request_id)?;
    let to: Option<SoulName> = match header.name.as_str() {
        "" => None,
        name => Some(name.parse().map_err(|error| convert::bad_id("header.name", &error))?),
    };
    // On this task until all has come: whoever stops sending gives it up, and nothing stays of it.
    let imported = async {
        let mut incoming = desk.host.portables.receive()?;
        while let Some(part) = next_part(&mut parts).await? {
            match part {
                Part::Data(data) if data.len() <= PIECE_BYTES_MAX => incoming.push(&data).await?,
                Part::Data(data) => {
                    let problem = format!("has {} bytes: use at most {PIECE_BYTES_MAX}", data.len());
                    return Err(convert::bad_field("data", &problem));
                }
                Part::Header(_) => {
                    return Err(convert::bad_field("header", "came twice: send it once, before the file"));
                }
            }
        }
        // Moved as one pointer from task to task: all that it holds fills a stack.
        let finished = Box::pin(async move { Ok(convert::soul(&incoming.finish(to).await?)) });
        desk.mutate(None, finished).await
    };
    desk.repeatable(key, imported).await
}

async fn next_part(parts: &mut Streaming<v1::ImportSoulRequest>) -> Result<Option<Part>, Status> {
    let part = tokio::time::timeout(PAUSE_MAX, parts.message()).await;
    let part = part.map_err(|_| convert::too_slow("the import paused for too long"))??;
    match part {
        Some(v1::ImportSoulRequest { part: Some(part) }) => Ok(Some(part)),
        Some(v1::ImportSoulRequest { part: None }) => Err(convert::missing("part")),
        None => Ok(None),
    }
}
