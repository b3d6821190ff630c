//! What a Soul makes of what fails around it: it may say so; it may not crash, and not be lost for whoever comes next.

use std::time::Instant;

use matrixd::bench::{Circumstances, Outside, Said};
use matrixd::capabilities::grants::Grants;
use matrixd::capabilities::rehearsal::Deed;
use matrixd::transport::envelope::Address;

use super::{Done, Stop, crashed};
use crate::script;
use crate::subject::{Subject, about, tell_one};

const MESSAGING: &str = "matrix:node/messaging";
const MEMORY: &str = "matrix:node/memory";
const GRPC: &str = "matrix:node/grpc";
const HTTP: &str = "wasi:http/";
const KEYVALUE: &str = "wasi:keyvalue/";

pub(super) async fn alone(subject: &Subject) -> Done {
    asks(subject, &[MESSAGING, GRPC, HTTP])?;
    let around = Circumstances { outside: Outside::Empty, ..subject.usual() };
    survives(subject, &around, false, "where nobody has the address").await
}

/// Events stay granted: to publish one without the grant ends any Soul, as `world.grants` tells.
pub(super) async fn denied(subject: &Subject) -> Done {
    asks(subject, &[MESSAGING, MEMORY, GRPC, HTTP, KEYVALUE])?;
    let grants = Grants { events: true, ..Grants::default() };
    let around = Circumstances { grants, outside: Outside::Empty, ..subject.usual() };
    survives(subject, &around, false, "where nothing is granted").await
}

pub(super) async fn full(subject: &Subject) -> Done {
    asks(subject, &[MESSAGING])?;
    let written = written_to(subject).await?;
    if written.is_empty() {
        return Err(Stop::LeftOut(
            "it wrote to nobody: tell it something that it writes over (--say TEXT)".into(),
        ));
    }
    let _crowd = subject.bench.crowd(written);
    let around = Circumstances { outside: Outside::Empty, ..subject.usual() };
    survives(subject, &around, false, "where mailboxes are full").await
}

pub(super) async fn quota(subject: &Subject) -> Done {
    asks(subject, &[MESSAGING, MEMORY, GRPC, HTTP, KEYVALUE])?;
    let mut around = subject.usual();
    (around.limits.messages_per_second, around.limits.kv_per_second) = (0, 0);
    (around.limits.memory_per_second, around.limits.grpc_per_second) = (0, 0);
    around.limits.http_per_second = 0;
    survives(subject, &around, false, "where quotas are used up").await
}

pub(super) async fn late(subject: &Subject) -> Done {
    asks(subject, &[MESSAGING, MEMORY, GRPC, HTTP, KEYVALUE])?;
    let around = Circumstances { outside: Outside::Empty, ..subject.usual() };
    survives(subject, &around, true, "where the deadline has passed").await
}

pub(super) async fn kv_lost(subject: &Subject) -> Done {
    asks(subject, &[KEYVALUE, MEMORY])?;
    let around = Circumstances { outside: Outside::Empty, kv_lost: true, ..subject.usual() };
    survives(subject, &around, false, "where the KV fails").await
}

/// Leaves a check out where the Soul asks for nothing of the kind.
fn asks(subject: &Subject, imports: &[&str]) -> Done {
    if imports.iter().any(|import| subject.imports(import)) {
        return Ok(());
    }
    Err(Stop::LeftOut(format!("the component imports nothing of {}", imports.join(", "))))
}

/// Whom the Soul writes to over plain messages.
async fn written_to(subject: &Subject) -> Result<Vec<Address>, Stop> {
    let (mut soul, mut written) = (subject.born().await?, Vec::new());
    for one in script::plain(&subject.options.say) {
        tell_one(&mut soul, &one, None).await.map_err(crashed(about(&one)))?.ok();
        written.extend(soul.deeds().into_iter().filter_map(|deed| match deed {
            Deed::Send(to, _) | Deed::Ask(to, _) => Some(to),
            _ => None,
        }));
    }
    Ok(written)
}

/// A Soul goes through a trouble and out of it again.
async fn survives(subject: &Subject, trouble: &Circumstances, late: bool, where_: &str) -> Done {
    let said = script::plain(&subject.options.say);
    let mut soul = subject.born().await?;
    subject.bench.place(&mut soul, trouble).await?;
    for one in &said {
        let deadline = late.then(Instant::now);
        let answered = tell_one(&mut soul, one, deadline).await;
        answered.map_err(crashed(format!("{} {where_}", about(one))))?.ok();
    }
    subject.bench.place(&mut soul, &subject.usual()).await?;
    let mut untroubled = subject.born().await?;
    let (met, fresh) = (answered(&mut soul, &said).await?, answered(&mut untroubled, &said).await?);
    if met == 0 && fresh > 0 {
        return Err(Stop::wrong(
            "once the trouble is over it answers again",
            format!(
                "after messages {where_} it fails at all of {}, at {} of which a new one does not",
                said.len(),
                fresh
            ),
            "keep no failure in the state; try anew with the next message",
        ));
    }
    Ok(())
}

/// How many messages are handled without a failure.
async fn answered(soul: &mut matrixd::bench::SoulOnBench, said: &[Said]) -> Result<usize, Stop> {
    let mut count = 0;
    for one in said {
        let answer = tell_one(soul, one, None).await;
        count += usize::from(answer.map_err(crashed(about(one)))?.is_ok());
        soul.deeds();
    }
    Ok(count)
}
