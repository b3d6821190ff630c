//! `matrix souls experience`.

use matrix_proto::v1::{ExperiencesRequest, PageRequest};

use super::parse_name;
use crate::connection::Node;
use crate::errors::Error;
use crate::jsonl::{self, Form};
use crate::session::Session;

/// Experiences that are asked for at once.
const PAGE_SIZE: u32 = 1_000;

/// Whose experience, and how it is written.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// The Soul
    #[arg(value_parser = parse_name)]
    name: String,
    /// How it is written
    #[arg(long = "as", value_enum, default_value = "plain")]
    form: Form,
}

/// Prints experience, oldest first, as JSON Lines.
pub(super) async fn run(node: &Node, args: Args, session: &Session<'_>) -> Result<(), Error> {
    let (mut page_token, mut left_out) = (String::new(), 0_u64);
    loop {
        let page = Some(PageRequest { page_size: PAGE_SIZE, page_token: page_token.clone() });
        let message = ExperiencesRequest { name: args.name.clone(), page };
        let list = async |request| node.learning().experiences(request).await;
        let page = node.call(format!("soul {}", args.name), message, list).await?;
        let mut lines = String::new();
        for experience in &page.experiences {
            match jsonl::write(experience, args.form) {
                Some(line) => lines.extend([line.as_str(), "\n"]),
                None => left_out += 1,
            }
        }
        session.output.raw(lines.as_bytes())?;
        // A page that is empty, or leads to itself, would never end.
        if page.next_page_token.is_empty()
            || page.next_page_token == page_token
            || page.experiences.is_empty()
        {
            break;
        }
        page_token = page.next_page_token;
    }
    if left_out > 0 {
        session
            .output
            .note(&format!("{left_out} were left out: no text, or answers to be avoided; see --as plain"));
    }
    Ok(())
}
