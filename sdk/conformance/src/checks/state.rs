//! What holds of a Soul's state.

use matrixd::souls::host::SoulsConfig;

use super::{Done, Stop, crashed};
use crate::script;
use crate::subject::{Subject, difference, state, tell};

/// A schema that no component has.
pub(super) const FOREIGN: &str = "matrix-check-of-another-world/7";

pub(super) async fn snapshot(subject: &Subject) -> Done {
    subject.needs("stateful")?;
    let mut soul = subject.born().await?;
    state(&mut soul).await?;
    tell(&mut soul, &script::plain(&subject.options.say)).await?;
    let (first, second) = (state(&mut soul).await?, state(&mut soul).await?);
    if first != second {
        return Err(Stop::wrong(
            "the same state gives the same bytes",
            "two snapshots, one right after the other, differ",
            "let `snapshot` change nothing, and encode collections in a fixed order",
        ));
    }
    let (length, max) = (first.snapshot.bytes.len(), SoulsConfig::default().state_bytes_max);
    if length > max {
        return Err(Stop::wrong(
            format!("a state has at most {max} bytes, unless `souls.state_bytes_max` says otherwise"),
            format!("it has {length} after a few messages: no node would save it"),
            "keep less in the state, and what is large in the KV",
        ));
    }
    Ok(())
}

pub(super) async fn restore(subject: &Subject) -> Done {
    subject.needs("stateful")?;
    let said = script::plain(&subject.options.say);
    let mut first = subject.born().await?;
    tell(&mut first, &said).await?;
    let kept = state(&mut first).await?;
    let mut second = subject.born().await?;
    take_up(&mut second, kept).await?;
    // What a node remembers for a Soul is not the Soul's state: here both have the same of it, nothing.
    subject.bench.place(&mut first, &subject.usual()).await?;
    let (goes_on, restored) = (tell(&mut first, &said).await?, tell(&mut second, &said).await?);
    match difference(&goes_on, &restored, ["who gave the state", "who was restored"]) {
        None => Ok(()),
        Some(seen) => Err(Stop::wrong(
            "who is restored answers, and does, as who gave the state",
            seen,
            "let the state hold all that answers depend on, beside the manifest",
        )),
    }
}

pub(super) async fn roundtrip(subject: &Subject) -> Done {
    subject.needs("stateful")?;
    let mut first = subject.born().await?;
    tell(&mut first, &script::plain(&subject.options.say)).await?;
    let kept = state(&mut first).await?;
    let mut second = subject.born().await?;
    take_up(&mut second, kept.clone()).await?;
    let again = state(&mut second).await?;
    if again.snapshot == kept.snapshot {
        return Ok(());
    }
    let (was, is) = (kept.snapshot, again.snapshot);
    Err(Stop::wrong(
        "the snapshot of who was restored is the snapshot that it was restored from",
        format!(
            "{} bytes of {} became {} bytes of {}, not the same",
            was.bytes.len(),
            was.schema,
            is.bytes.len(),
            is.schema
        ),
        "let `restore` take the state up as it is, and `snapshot` give nothing of its own",
    ))
}

pub(super) async fn foreign(subject: &Subject) -> Done {
    subject.needs("stateful")?;
    let mut soul = subject.born().await?;
    tell(&mut soul, &script::plain(&subject.options.say)).await?;
    let kept = state(&mut soul).await?;
    let taken = soul.take_up(kept.under(FOREIGN)).await;
    if taken.map_err(crashed(format!("being given a state of schema `{FOREIGN}`")))?.is_err() {
        return Ok(());
    }
    Err(Stop::wrong(
        "bytes under another schema are refused, or migrated where the schema is known",
        format!("it took up a state of schema `{FOREIGN}`"),
        "compare the schema with those that it reads, and return an error for every other",
    ))
}

pub(super) async fn garbage(subject: &Subject) -> Done {
    subject.needs("stateful")?;
    let said = script::plain(&subject.options.say);
    let mut soul = subject.born().await?;
    tell(&mut soul, &said).await?;
    let kept = state(&mut soul).await?;
    for (what, bytes) in script::broken(&kept.snapshot.bytes) {
        let mut soul = subject.born().await?;
        let taken = soul.take_up(kept.of(bytes)).await;
        if taken.map_err(crashed(format!("being given {what} as its state")))?.is_err() {
            continue;
        }
        for one in &said {
            let answered = soul.tell(std::slice::from_ref(one), None).await;
            answered.map_err(crashed(format!("answering after it took up {what} as its state")))?;
            soul.deeds();
        }
    }
    Ok(())
}

/// From the state of an older version on.
pub(super) async fn upgrade(subject: &Subject) -> Done {
    let Some(file) = &subject.options.against else {
        return Err(Stop::LeftOut("no older version was given (--against)".to_owned()));
    };
    subject.needs("stateful")?;
    let older = subject.other(file).await?;
    let said = script::plain(&subject.options.say);
    let mut old = subject.born_of(&older, &subject.usual()).await?;
    tell(&mut old, &said).await?;
    let kept = state(&mut old).await?;
    let from = kept.snapshot.schema.clone();
    let mut new = subject.born().await?;
    let taken = new.take_up(kept).await.map_err(crashed(format!("taking up the older state, {from}")))?;
    if let Err(why) = taken {
        return Err(Stop::wrong(
            format!("the state of the older version, {from}, is taken up"),
            format!("it was refused: {why}"),
            "migrate the older schema in `restore`; without that a swap is refused and the old code goes on",
        ));
    }
    let migrated = state(&mut new).await?;
    let goes_on = tell(&mut new, &said).await?;
    let mut again = subject.born().await?;
    take_up(&mut again, migrated.clone()).await?;
    if state(&mut again).await?.snapshot != migrated.snapshot {
        return Err(Stop::wrong(
            "a migrated state is a state like any other",
            "restored from its own snapshot, it gives another",
            "let the migration fill every field that the new version has",
        ));
    }
    match difference(
        &goes_on,
        &tell(&mut again, &said).await?,
        ["who migrated", "who was restored from that"],
    ) {
        None => Ok(()),
        Some(seen) => Err(Stop::wrong(
            "a migrated state is a state like any other",
            seen,
            "let the state hold all that answers depend on, also after a migration",
        )),
    }
}

/// Gives a Soul a state of its own kind.
pub(super) async fn take_up(soul: &mut matrixd::bench::SoulOnBench, kept: matrixd::bench::State) -> Done {
    let taken = soul.take_up(kept).await.map_err(crashed("being given its own state"))?;
    taken.map_err(|why| {
        Stop::wrong(
            "it takes up the state that it gave",
            format!("`restore` failed: {why}"),
            "let `restore` read whatever `snapshot` writes",
        )
    })
}
