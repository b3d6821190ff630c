//! New code for Souls: the part of `matrix.v1.Souls` that swaps it.

use std::sync::Arc;
use std::time::Duration;

use matrix_proto::v1;
use tonic::{Request, Status};

use super::convert;
use super::desk::{Desk, open};
use super::replay::Key;
use super::souls::name;
use crate::souls::swap::{TURN_DEFAULT, TURN_MAX};

/// Swaps, or tells what a swap would change.
pub(super) async fn swap(
    desk: &Arc<Desk>,
    request: Request<v1::SwapSoulRequest>,
) -> Result<v1::SwapSoulResponse, Status> {
    let (caller, request) = open(request)?;
    let (soul, turn) = (name(&request.name)?, turn(request.turn_ms)?);
    let host = desk.host.clone();
    let component = host.catalog.resolve(&request.component).await;
    let component = component.map_err(|error| convert::component_at("component", error))?;
    if request.dry_run {
        let before = host.souls.component_of(&soul).await?.to_string();
        return Ok(convert::trial(host.souls.rehearse(&soul, component).await?, before));
    }
    let key = Key::new(&caller, "Souls/Swap", &request.request_id)?;
    let swapped = async move { Ok(convert::swapped(host.souls.swap(&soul, component, turn).await?)) };
    desk.mutate(key, swapped).await
}

/// Makes a Soul somebody else.
pub(super) async fn set_persona(
    desk: &Arc<Desk>,
    request: Request<v1::SetPersonaRequest>,
) -> Result<v1::SwapSoulResponse, Status> {
    let (caller, request) = open(request)?;
    let (soul, turn) = (name(&request.name)?, turn(request.turn_ms)?);
    let persona = convert::persona(request.persona.ok_or_else(|| convert::missing("persona"))?);
    let key = Key::new(&caller, "Souls/SetPersona", &request.request_id)?;
    let host = desk.host.clone();
    let swapped = async move { Ok(convert::swapped(host.souls.set_persona(&soul, persona, turn).await?)) };
    desk.mutate(key, swapped).await
}

/// Goes back to the code before.
pub(super) async fn roll_back(
    desk: &Arc<Desk>,
    request: Request<v1::RollbackSoulRequest>,
) -> Result<v1::SwapSoulResponse, Status> {
    let (caller, request) = open(request)?;
    let (soul, turn) = (name(&request.name)?, turn(request.turn_ms)?);
    let kept = request.state() != v1::RollbackState::Present;
    let key = Key::new(&caller, "Souls/Rollback", &request.request_id)?;
    let host = desk.host.clone();
    let swapped = async move { Ok(convert::swapped(host.souls.roll_back(&soul, kept, turn).await?)) };
    desk.mutate(key, swapped).await
}

/// Which code a Soul has had.
pub(super) async fn history(
    desk: &Arc<Desk>,
    request: Request<v1::SoulHistoryRequest>,
) -> Result<v1::SoulHistoryResponse, Status> {
    let soul = name(&request.into_inner().name)?;
    let versions = desk.host.souls.history(&soul).await?;
    // A node that does not answer does not keep the list from being read.
    let running = desk.host.souls.get(&soul).await.map(|view| view.manifest.component.to_string());
    Ok(convert::history(&versions, running.unwrap_or_default()))
}

/// How long a turn may take.
pub(super) fn turn(given: u32) -> Result<Duration, Status> {
    let most = u32::try_from(TURN_MAX.as_millis()).unwrap_or(u32::MAX);
    match given {
        0 => Ok(TURN_DEFAULT),
        given if given <= most => Ok(Duration::from_millis(given.into())),
        _ => Err(convert::bad_field("turn_ms", &format!("is {given}: use at most {most}"))),
    }
}
