//! What others rely on of `proto/` and `wit/`, a line for each thing that must stand still, and whether it still stands.
//!
//! Whatever is added is another line, and breaks nobody. What is taken away, renumbered or changed takes a line away. Where
//! an addition breaks somebody too (a field of a record, a function that a component must export), all of it is one line.

pub mod proto;
pub mod wit;

use std::collections::BTreeSet;
use std::path::Path;

use prost::Message as _;
use prost_types::FileDescriptorSet;

/// Lines, in order.
pub type Surface = BTreeSet<String>;

/// A break that was decided on, and why.
#[derive(Debug, PartialEq, Eq)]
pub struct Break {
    /// The line of the release that need not stand any more.
    pub line: String,
    /// Why it does not.
    pub reason: String,
}

/// What this tree promises.
///
/// # Errors
/// Where it cannot be read.
pub fn now() -> Result<Surface, String> {
    let read = |bytes| FileDescriptorSet::decode(bytes).map_err(|error| error.to_string());
    let mut surface = proto::of_callers(&read(matrix_proto::FILE_DESCRIPTOR_SET)?);
    surface.extend(proto::of_bytes(&read(matrix_proto::WIRE_FILE_DESCRIPTOR_SET)?));
    surface.extend(wit::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit"))?);
    Ok(surface)
}

/// A surface as text; `release` is what it is called.
pub fn to_text(surface: &Surface, release: &str) -> String {
    let lines: String = surface.iter().map(|line| format!("{line}\n")).collect();
    format!(
        "# What {release} promises to others. `make baseline` writes this at a release; nobody edits it.\n{lines}"
    )
}

/// A surface from text.
pub fn from_text(text: &str) -> Surface {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

/// Breaks that were decided on: the reason in lines that begin with `#`, and under it the lines of the release that it is
/// about. What begins with `##` is nobody's reason.
pub fn breaks(text: &str) -> Vec<Break> {
    let (mut found, mut reason, mut fresh) = (Vec::new(), String::new(), true);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("##")) {
        match line.strip_prefix('#') {
            Some(more) => {
                if fresh {
                    reason.clear();
                }
                reason = format!("{reason} {}", more.trim()).trim().to_owned();
                fresh = false;
            }
            None => {
                found.push(Break { line: line.to_owned(), reason: reason.clone() });
                fresh = true;
            }
        }
    }
    found
}

/// What is wrong with `now`, after the `released` one: lines that stand no more without a reason, and reasons that are not
/// needed.
pub fn broken(released: &Surface, now: &Surface, decided: &[Break]) -> Vec<String> {
    let is_decided = |line: &String| decided.iter().any(|it| it.line == *line && !it.reason.is_empty());
    let gone: Vec<&String> = released.difference(now).collect();
    let mut found: Vec<String> = gone
        .iter()
        .filter(|line| !is_decided(line))
        .map(|line| match instead(line, now) {
            Some(other) => format!("`{line}` was changed to `{other}`"),
            None => format!("`{line}` was taken away"),
        })
        .collect();
    found.extend(
        decided.iter().filter(|it| it.reason.is_empty()).map(|it| format!("`{}` has no reason", it.line)),
    );
    let is_gone = |it: &&Break| gone.iter().any(|line| **line == it.line);
    found.extend(decided.iter().filter(|it| !is_gone(it)).map(|it| format!("`{}` is not broken", it.line)));
    found
}

/// The line that stands in another's place: it says something else of the same thing.
fn instead<'a>(line: &str, now: &'a Surface) -> Option<&'a String> {
    let subject = |line: &str| line.split_once(": ").map(|(subject, _)| subject.to_owned());
    let wanted = subject(line)?;
    now.iter().find(|other| subject(other).as_ref() == Some(&wanted))
}
