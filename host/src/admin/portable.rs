//! Souls that begin as others are.

use std::sync::Arc;

use matrix_proto::v1;
use tonic::{Request, Status};

use super::convert;
use super::desk::{Desk, open};
use super::replay::Key;
use super::souls::name;
use crate::portable::Wish;

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
