//! What holds of a Soul that learns.

use matrixd::bench::SoulOnBench;
use matrixd::runtime::learner::{Experience, Figures, Source};

use super::state::take_up;
use super::{Done, Stop, crashed};
use crate::script::BEGIN_MS;
use crate::subject::{Subject, state};

/// What a Soul is taught where the author gives nothing: words, and numbers for those that learn numbers.
const LESSONS: [(&str, &str); 8] = [
    ("one", "1"),
    ("two", "2"),
    ("three", "3"),
    ("one", "1"),
    ("The cat sat on the mat.", "4"),
    ("The dog sat on the log.", "5"),
    ("two", "2"),
    ("three", "3"),
];
/// How many of them are kept for evaluating.
const HELD_OUT: usize = 3;

/// Experience to train on, and some that is held out.
fn lessons(subject: &Subject) -> (Vec<Experience>, Vec<Experience>) {
    let own = &subject.options.teach;
    let pairs: Vec<(&str, &str)> = match &own[..] {
        [] => LESSONS.to_vec(),
        own => own.iter().map(|(input, output)| (&**input, &**output)).collect(),
    };
    let experience = |(number, (input, output)): (u64, &(&str, &str))| Experience {
        id: number,
        source: Source::User,
        by: "client:check".to_owned(),
        about: String::new(),
        input: input.as_bytes().to_vec(),
        output: output.as_bytes().to_vec(),
        reward: (number % 2 == 0).then_some(1.0),
        at_ms: BEGIN_MS + number,
    };
    let all: Vec<_> = (1..).zip(&pairs).map(experience).collect();
    let held_out = all[all.len().saturating_sub(HELD_OUT)..].to_vec();
    (all, held_out)
}

/// Figures, where the Soul can measure anything by what it is given.
async fn evaluated(soul: &mut SoulOnBench, held_out: &[Experience]) -> Result<Figures, Stop> {
    told("evaluate", soul.evaluate(held_out).await.map_err(crashed("evaluating"))?)
}

async fn trained(soul: &mut SoulOnBench, batch: &[Experience]) -> Result<Figures, Stop> {
    told("train", soul.train(batch).await.map_err(crashed("training"))?)
}

fn told(function: &str, told: Result<Figures, String>) -> Result<Figures, Stop> {
    told.map_err(|why| {
        // The node's own words for figures of no use begin like this.
        if why.starts_with(&format!("`{function}` returned"))
            || why.starts_with(&format!("`{function}` named"))
        {
            return useless(why);
        }
        Stop::LeftOut(format!(
            "it learns nothing by what it is given: {why}; teach it something: --teach INPUT=OUTPUT"
        ))
    })
}

fn useless(why: String) -> Stop {
    Stop::wrong(
        "figures that are numbers, each of its own name",
        why,
        "divide by no count that may be 0, and leave out what cannot be measured",
    )
}

pub(super) async fn figures(subject: &Subject) -> Done {
    subject.needs("learner")?;
    let (batch, held_out) = lessons(subject);
    let mut soul = subject.born().await?;
    let before = evaluated(&mut soul, &held_out).await?;
    trained(&mut soul, &batch).await?;
    let after = evaluated(&mut soul, &held_out).await?;
    if before.is_empty() || after.is_empty() {
        return Err(Stop::wrong(
            "`evaluate` measures at least the figure by which training is judged, `loss`",
            "it returned no figure",
            "return a figure called `loss`, or name yours in learning.metric of the manifest",
        ));
    }
    for odd in odd() {
        let trained = soul.train(std::slice::from_ref(&odd)).await;
        let trained = trained.map_err(crashed("training on experience that nobody expects"))?;
        // It may refuse; what it returns must be of use.
        match told("train", trained) {
            Err(Stop::LeftOut(_)) | Ok(_) => {}
            Err(stop) => return Err(stop),
        }
    }
    Ok(())
}

/// Experience that nobody expects.
fn odd() -> [Experience; 3] {
    let of = |input: &[u8], output: &[u8], reward| Experience {
        id: 99,
        source: Source::Matrix,
        by: String::new(),
        about: String::new(),
        input: input.to_vec(),
        output: output.to_vec(),
        reward,
        at_ms: 0,
    };
    [of(b"", b"", None), of(b"\xff\xfe\x00", b"\xff", Some(-1.0)), of(&[b'a'; 16_000], b"x", Some(0.0))]
}

pub(super) async fn evaluate(subject: &Subject) -> Done {
    subject.needs("learner")?;
    subject.needs("stateful")?;
    let (batch, held_out) = lessons(subject);
    let mut soul = subject.born().await?;
    trained(&mut soul, &batch).await?;
    let before = state(&mut soul).await?;
    let (first, second) = (evaluated(&mut soul, &held_out).await?, evaluated(&mut soul, &held_out).await?);
    if state(&mut soul).await? == before && first == second {
        return Ok(());
    }
    Err(Stop::wrong(
        "`evaluate` changes nothing",
        "the state, or the figures, were others after it",
        "measure on the state as it is: what is held out must not be learnt from",
    ))
}

pub(super) async fn nothing(subject: &Subject) -> Done {
    subject.needs("learner")?;
    let (batch, held_out) = lessons(subject);
    let mut soul = subject.born().await?;
    trained(&mut soul, &batch).await?;
    let before = evaluated(&mut soul, &held_out).await?;
    let on_nothing = soul.train(&[]).await.map_err(crashed("training on nothing"))?;
    let measured = soul.evaluate(&[]).await.map_err(crashed("evaluating on nothing"))?;
    for (function, figures) in [("train", on_nothing), ("evaluate", measured)] {
        match told(function, figures) {
            Ok(_) | Err(Stop::LeftOut(_)) => {}
            Err(stop) => return Err(stop),
        }
    }
    let after = evaluated(&mut soul, &held_out).await?;
    if before == after {
        return Ok(());
    }
    Err(Stop::wrong(
        "to train on nothing changes nothing of what is known",
        format!("the figures were {before:?}, and are {after:?}"),
        "return at once where the batch is empty",
    ))
}

pub(super) async fn kept(subject: &Subject) -> Done {
    subject.needs("learner")?;
    subject.needs("stateful")?;
    let (batch, held_out) = lessons(subject);
    let mut pupil = subject.born().await?;
    trained(&mut pupil, &batch).await?;
    let learnt = state(&mut pupil).await?;
    let mut heir = subject.born().await?;
    take_up(&mut heir, learnt).await?;
    let (of_pupil, of_heir) =
        (evaluated(&mut pupil, &held_out).await?, evaluated(&mut heir, &held_out).await?);
    if of_pupil == of_heir {
        return Ok(());
    }
    Err(Stop::wrong(
        "all that is learnt is in the state: who is given it measures the same",
        format!("who learnt it measured {of_pupil:?}, who was given it {of_heir:?}"),
        "keep in the state whatever `train` changes",
    ))
}
