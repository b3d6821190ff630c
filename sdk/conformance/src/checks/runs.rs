//! What holds of runs and of their states.

use super::state::FOREIGN;
use super::{Done, Stop, crashed};
use crate::course;
use crate::play::{Manner, TICKS_MAX, fresh, started};
use crate::script;
use crate::subject::{Subject, difference};

/// The ticks after which runs are taken up by another instance: at the start, after one, and later.
const TAKEN_AT: [usize; 4] = [0, 1, 5, 17];
/// For how many ticks both go on then.
const COMPARED: usize = 10;

pub(super) async fn determinism(subject: &Subject) -> Done {
    let mend = "draw from the setup's seed alone, and keep what is drawn in the state";
    course::twice(subject, mend).await
}

pub(super) async fn snapshot(subject: &Subject) -> Done {
    let (mut run, said) = started(subject).await?;
    let manner = Manner::plain(&said);
    for tick in 0..COMPARED {
        let (first, second) = (run.state().await?, run.state().await?);
        if first != second {
            return Err(Stop::wrong(
                "the same state gives the same bytes",
                format!("at tick {tick}, two snapshots, one right after the other, differ"),
                "let `snapshot` change nothing, and encode collections in a fixed order",
            ));
        }
        if !run.tick(&manner).await? {
            break;
        }
    }
    Ok(())
}

/// At several ticks of a run another instance takes its state up, and both go on.
pub(super) async fn resume(subject: &Subject) -> Done {
    let (mut run, said) = started(subject).await?;
    let manner = Manner::plain(&said);
    for tick in 0..TICKS_MAX {
        if TAKEN_AT.contains(&tick) {
            let mut other = run.restored(subject).await?;
            let (mut goes_on, mut resumed) = (Vec::new(), Vec::new());
            for _ in 0..COMPARED {
                if run.last.finished {
                    break;
                }
                let actions = run.answers(&manner);
                run.step(actions.clone()).await?;
                goes_on.push(run.line());
                other.step(actions).await?;
                resumed.push(other.line());
            }
            goes_on.push(format!("{:?}", run.state().await?));
            resumed.push(format!("{:?}", other.state().await?));
            if let Some(seen) = difference(&goes_on, &resumed, ["the run", "who was restored"]) {
                return Err(Stop::wrong(
                    "from a snapshot of any tick on, the same actions lead to the same run",
                    format!("from tick {tick} on, {seen}"),
                    "let the state hold all that a step depends on",
                ));
            }
        }
        if !run.tick(&manner).await? {
            break;
        }
    }
    Ok(())
}

pub(super) async fn roundtrip(subject: &Subject) -> Done {
    let (mut run, said) = started(subject).await?;
    let manner = Manner::plain(&said);
    for tick in 0..COMPARED {
        let mut other = run.restored(subject).await?;
        if run.state().await? != other.state().await? {
            return Err(Stop::wrong(
                "the snapshot of who was restored is the snapshot that they were restored from",
                format!("at tick {tick}, they differ"),
                "let `restore` take the state up as it is, and `snapshot` give nothing of its own",
            ));
        }
        if !run.tick(&manner).await? {
            break;
        }
    }
    Ok(())
}

/// States that are none: under another schema, and bytes that are broken.
pub(super) async fn states(subject: &Subject) -> Done {
    let (mut run, said) = started(subject).await?;
    let manner = Manner::plain(&said);
    run.tick(&manner).await?;
    let kept = run.state().await?;
    let doing = format!("being given a state of schema `{FOREIGN}`");
    if fresh(subject).await?.take_up(kept.under(FOREIGN)).await.map_err(crashed(doing))?.is_ok() {
        return Err(Stop::wrong(
            "bytes under another schema are refused, or migrated where the schema is known",
            format!("they took up a state of schema `{FOREIGN}`"),
            "compare the schema with those that they read, and return an error for every other",
        ));
    }
    for (what, bytes) in script::broken(&kept.snapshot.bytes) {
        let mut rules = fresh(subject).await?;
        let broken = kept.of(bytes);
        // What is taken up is a state like any other, whatever it means: no action of a player gave it.
        rules.take_up(broken).await.map_err(crashed(format!("being given {what} as their state")))?.ok();
    }
    Ok(())
}
