//! What holds of every Soul.

use std::time::{Duration, Instant};

use matrixd::bench::Said;
use matrixd::runtime::soul::Origin;
use matrixd::transport::envelope::CONTENT_TYPE_BYTES_MAX;

use super::{Done, Stop, crashed};
use crate::course;
use crate::script;
use crate::subject::{Subject, about, difference, line, state, tell, tell_one};

/// How many messages a Soul is told that is to endure: at most, and at least, however long it takes for them.
const MANY: usize = 400;
const FEW: usize = 40;
/// How long it is told more than a few.
const LONG: Duration = Duration::from_secs(2);

/// Births of all kinds, and at last the one that the other checks begin with.
pub(super) async fn birth(subject: &Subject) -> Done {
    let usual = subject.origin();
    let bare = Origin {
        description: String::new(),
        traits: Vec::new(),
        values: Vec::new(),
        config: Vec::new(),
        ..usual.clone()
    };
    let text = |length: usize| "é".repeat(length);
    let odd = Origin {
        description: text(2_000),
        traits: vec![String::new(), text(200), "\0\u{1b}".to_owned()],
        values: vec![(String::new(), -1.0), (text(100), 1.0), ("honesty".to_owned(), 0.0)],
        config: vec![
            (String::new(), String::new()),
            ("no-such-setting".to_owned(), text(1_000)),
            ("\u{1b}".to_owned(), "\0".to_owned()),
        ],
        ..usual.clone()
    };
    let mut settings = odd.clone();
    settings.config.extend(subject.options.settings.clone());
    let births = [
        ("with an empty persona and no settings", bare),
        ("with an odd persona and settings that nobody knows", odd),
        ("with settings that nobody knows beside its own", settings),
        ("with the settings given", usual),
    ];
    let around = subject.usual();
    for (how, origin) in births {
        let born = subject.bench.soul(subject.component()?, origin, &around).await?;
        if let Err(why) = born.map_err(crashed(format!("being born {how}")))?
            && why.trim().is_empty()
        {
            return Err(Stop::wrong(
                "a refusal says which part of the manifest is wrong",
                format!("`init` failed {how}, and gave no reason"),
                "return a text that names the setting and what it must be",
            ));
        }
    }
    subject.born().await.map(drop)
}

pub(super) async fn answers(subject: &Subject) -> Done {
    let mut soul = subject.born().await?;
    tell(&mut soul, &script::plain(&subject.options.say)).await.map(drop)
}

pub(super) async fn messages(subject: &Subject) -> Done {
    let mut soul = subject.born().await?;
    for (what, said) in script::odd(subject.body_max()) {
        let answered = tell_one(&mut soul, &said, None).await;
        answered.map_err(crashed(format!("handling {what}")))?.ok();
        soul.deeds();
    }
    let after = script::text(0, "hello");
    tell(&mut soul, &[after]).await.map(drop)
}

pub(super) async fn replies(subject: &Subject) -> Done {
    let mut soul = subject.born().await?;
    let odd = script::odd(subject.body_max()).into_iter().map(|(_, said)| said);
    for said in script::plain(&subject.options.say).into_iter().chain(odd) {
        // What ends it is another check's finding.
        let Ok(answer) = tell_one(&mut soul, &said, None).await else { return Ok(()) };
        soul.deeds();
        let (body, media_type) = match &answer {
            Ok(Some(content)) => (content.body.len(), content.content_type.len()),
            _ => continue,
        };
        if body > subject.body_max() || media_type > CONTENT_TYPE_BYTES_MAX {
            let max = subject.body_max();
            return Err(Stop::wrong(
                format!("at most {max} bytes of a body, and {CONTENT_TYPE_BYTES_MAX} of a media type"),
                format!(
                    "{}, it replied with {body} and {media_type}: the sender gets an error",
                    about(&said)
                ),
                "shorten the reply, or say in it where the rest is to be had",
            ));
        }
    }
    Ok(())
}

pub(super) async fn determinism(subject: &Subject) -> Done {
    let mend = "use nothing but the messages and the birth's seed: no order of a hash table, no id of a message that \
                it sent, no time that it took";
    course::twice(subject, mend).await
}

/// The same messages one by one and at once: a node batches as it likes.
pub(super) async fn batch(subject: &Subject) -> Done {
    if subject.component()?.info().sees_time {
        return Err(Stop::LeftOut(
            "what the component imports tells the time (clocks, episodes, services, hosts): a node gives it one message at a time".into(),
        ));
    }
    let said: Vec<Said> = script::plain(&subject.options.say);
    let (mut one_by_one, mut at_once) = (subject.born().await?, subject.born().await?);
    let (mut singly, mut together) = (Vec::new(), Vec::new());
    let mut deeds = Vec::new();
    for one in &said {
        let answer = tell_one(&mut one_by_one, one, None).await.map_err(crashed(about(one)))?;
        singly.push(line(&answer, &[]));
        deeds.extend(one_by_one.deeds());
    }
    let answers = at_once.tell(&said, None).await.map_err(crashed("handling a batch of messages"))?;
    together.extend(answers.iter().map(|answer| line(answer, &[])));
    singly.push(line(&Ok(None), &deeds));
    together.push(line(&Ok(None), &at_once.deeds()));
    if subject.exports("stateful") {
        singly.push(format!("its state is {:?}", state(&mut one_by_one).await?));
        together.push(format!("its state is {:?}", state(&mut at_once).await?));
    }
    match difference(&singly, &together, ["one by one", "in a batch"]) {
        None => Ok(()),
        Some(seen) => Err(Stop::wrong(
            "how messages are batched changes nothing: not the answers, not what is done, not the state",
            seen,
            "handle each message of a batch as if it had come alone",
        )),
    }
}

pub(super) async fn endurance(subject: &Subject) -> Done {
    let mut soul = subject.born().await?;
    let said = script::plain(&subject.options.say);
    let begun = Instant::now();
    for number in 0..MANY {
        if number >= FEW && begun.elapsed() > LONG {
            break;
        }
        let one = &said[number % said.len()];
        let answered = tell_one(&mut soul, one, None).await;
        answered.map_err(crashed(format!("handling message {} of {MANY}", number + 1)))?.ok();
        soul.deeds();
    }
    Ok(())
}
