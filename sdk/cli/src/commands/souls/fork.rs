//! `matrix souls fork`.

use matrix_proto::v1::{ForkSoulRequest, Soul};

use super::parse_name;
use crate::connection::Node;
use crate::errors::Error;
use crate::request;

/// Which Soul, and what the new one is.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// The Soul's name
    #[arg(value_parser = parse_name)]
    name: String,
    /// What the new one is called
    #[arg(value_parser = parse_name)]
    new: String,
    /// Begin with the state that the Soul came to by this lesson, and not with the present one
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    lesson: Option<u64>,
    /// Remember nothing of what the Soul does
    #[arg(long)]
    without_memory: bool,
    /// Have a copy of what the Soul learns from
    #[arg(long)]
    with_experience: bool,
}

/// Lets a new Soul begin as another is.
pub(crate) async fn run(node: &Node, args: Args) -> Result<Soul, Error> {
    let Args { name, new, lesson, without_memory, with_experience } = args;
    let place = format!("soul {name}");
    let message = ForkSoulRequest {
        name,
        to: new,
        lesson: lesson.unwrap_or(0),
        without_memory,
        with_experience,
        request_id: request::id()?,
    };
    node.call(place, message, async |request| node.souls().fork(request).await).await
}
