//! What holds of a stage of the transport.

use matrixd::bench::Judged;
use matrixd::transport::envelope::CONTENT_TYPE_BYTES_MAX;

use super::{Done, Stop, crashed};
use crate::course;
use crate::play::{passing, stage, verdict};
use crate::script;
use crate::subject::{Subject, about};

pub(super) async fn bytes(subject: &Subject) -> Done {
    let mut stage = stage(subject)?;
    let plain = script::plain(&subject.options.say).into_iter().map(|said| ("a plain message", said));
    for (what, said) in script::odd(subject.body_max()).into_iter().chain(plain) {
        for (leaves, way) in [(true, "leaves"), (false, "arrives")] {
            stage.judge(leaves, &said).map_err(crashed(format!("judging {what} that {way}")))?;
        }
    }
    Ok(())
}

pub(super) async fn bounds(subject: &Subject) -> Done {
    let mut stage = stage(subject)?;
    let max = subject.body_max();
    for said in passing(subject) {
        for leaves in [true, false] {
            let seen = match stage.judge(leaves, &said).map_err(crashed("judging a message"))? {
                Judged::Rewrite(content) if content.body.len() > max => {
                    format!("it made the body {} bytes long", content.body.len())
                }
                Judged::Rewrite(content) if content.content_type.len() > CONTENT_TYPE_BYTES_MAX => {
                    format!("it made the media type {} bytes long", content.content_type.len())
                }
                Judged::Reject(why) if why.trim().is_empty() => "it refused and gave no reason".to_owned(),
                _ => continue,
            };
            return Err(Stop::wrong(
                format!(
                    "bodies of at most {max} bytes, media types of at most {CONTENT_TYPE_BYTES_MAX}, and refusals \
                     with their reason"
                ),
                format!("{}, {seen}", about(&said)),
                "cut what grows, or refuse the message and say why",
            ));
        }
    }
    Ok(())
}

/// Each message twice, one right after the other: a limit on how many come in some time may tell them apart once in a
/// while, and not at each of them.
pub(super) async fn same(subject: &Subject) -> Done {
    let mut stage = stage(subject)?;
    let (mut judged, mut differing, mut seen) = (0, 0, None);
    for said in passing(subject) {
        for leaves in [true, false] {
            let first = stage.judge(leaves, &said).map_err(crashed("judging a message"))?;
            let second = stage.judge(leaves, &said).map_err(crashed("judging a message again"))?;
            judged += 1;
            if first != second {
                differing += 1;
                let (first, second) = (verdict(&first), verdict(&second));
                seen.get_or_insert_with(|| format!("{}, first it {first}, then it {second}", about(&said)));
            }
        }
    }
    match seen {
        Some(seen) if 2 * differing >= judged => Err(Stop::wrong(
            "the same message is judged alike, whichever came before",
            seen,
            "judge a message by what it says: instances of a stage do not know of each other",
        )),
        _ => Ok(()),
    }
}

pub(super) async fn determinism(subject: &Subject) -> Done {
    let mend = "judge by the message and the settings: not by the order of a hash table, nor by chance";
    course::twice(subject, mend).await
}
