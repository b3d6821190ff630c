//! The component that is checked, on its bench.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use matrixd::bench::{Bench, Circumstances, Outside, Said, SoulOnBench, State};
use matrixd::ids::Digest;
use matrixd::runtime::component::Component;
use matrixd::runtime::guest::Crash;
use matrixd::runtime::soul::Origin;
use matrixd::souls::manifest::Persona;
use matrixd::transport::envelope::Content;

use crate::checks::{Stop, crashed};
use crate::options::Options;

/// The longest text of a guest's own that is shown whole, in characters.
const SHOWN_CHARS: usize = 160;

/// What a Soul answers.
pub(crate) type Answer = Result<Option<Content>, String>;

/// A component on its bench, with all that its checks need.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) bench: Bench,
    pub(crate) bytes: Bytes,
    /// None: a node would not take it up.
    pub(crate) component: Result<Arc<Component>, String>,
    pub(crate) options: Options,
    /// The program that compiles components, and goes through courses.
    pub(crate) program: PathBuf,
    /// A folder of the kit's own.
    pub(crate) folder: PathBuf,
}

impl Subject {
    /// The component; whoever comes here runs after `world.admit`.
    pub(crate) fn component(&self) -> Result<&Arc<Component>, Stop> {
        self.component.as_ref().map_err(|why| Stop::LeftOut(why.clone()))
    }

    /// Whether the component exports this interface of `matrix:node`.
    pub(crate) fn exports(&self, interface: &str) -> bool {
        self.component.as_ref().is_ok_and(|component| component.info().has(interface))
    }

    /// Whether the component imports an interface whose name begins like this.
    pub(crate) fn imports(&self, prefix: &str) -> bool {
        let begins = |import: &String| import.starts_with(prefix);
        self.component.as_ref().is_ok_and(|component| component.info().imports.iter().any(begins))
    }

    /// Leaves a check out unless the component exports an interface.
    pub(crate) fn needs(&self, interface: &str) -> Result<(), Stop> {
        if self.exports(interface) {
            return Ok(());
        }
        Err(Stop::LeftOut(format!("the component does not export `{interface}`")))
    }

    /// Another component on the same bench.
    pub(crate) async fn other(&self, file: &Path) -> Result<Arc<Component>, Stop> {
        let cannot = |error: &dyn std::fmt::Display| Stop::Cannot(format!("{}: {error}", file.display()));
        let bytes = tokio::fs::read(file).await.map_err(|error| cannot(&error))?;
        self.bench.load(bytes.into()).await.map_err(|error| cannot(&error))
    }

    /// Where nothing is lacking, and what is done is written down.
    pub(crate) fn usual(&self) -> Circumstances {
        Circumstances {
            grants: self.options.grants(),
            limits: self.bench.limits().default.clone(),
            outside: Outside::Noted,
            kv_lost: false,
        }
    }

    /// Who the Soul is.
    pub(crate) fn origin(&self) -> Origin {
        let Persona { description, traits, values } =
            self.options.persona.clone().unwrap_or_else(|| Persona {
                description: "Somebody whose component is checked.".to_owned(),
                traits: vec!["patient".to_owned()],
                values: vec![("honesty".to_owned(), 0.5)],
            });
        Origin {
            name: "subject".to_owned(),
            description,
            traits,
            values,
            config: self.options.settings.clone().into_iter().collect(),
            seed: self.options.seed,
        }
    }

    /// A Soul that was just born.
    pub(crate) async fn born(&self) -> Result<SoulOnBench, Stop> {
        self.born_of(self.component()?, &self.usual()).await
    }

    /// A Soul of any component, born where it finds this around itself.
    pub(crate) async fn born_of(
        &self,
        component: &Component,
        around: &Circumstances,
    ) -> Result<SoulOnBench, Stop> {
        let born = self.bench.soul(component, self.origin(), around).await?;
        let born = born.map_err(crashed("being born"))?;
        born.map_err(|why| {
            let remedy = "give it the settings that it needs: --set NAME=VALUE";
            Stop::Cannot(format!("the Soul refuses to be born: {why}; {remedy}"))
        })
    }

    /// The longest body that a Soul may be sent, in bytes.
    pub(crate) fn body_max(&self) -> usize {
        self.bench.limits().default.body_bytes as usize
    }
}

/// Tells a Soul messages one by one, and returns what came of each: its answer, and what it did.
pub(crate) async fn tell(soul: &mut SoulOnBench, said: &[Said]) -> Result<Vec<String>, Stop> {
    let mut lines = Vec::with_capacity(said.len());
    for one in said {
        let answers = tell_one(soul, one, None).await.map_err(crashed(about(one)))?;
        lines.push(line(&answers, &soul.deeds()));
    }
    Ok(lines)
}

/// Tells a Soul one message.
pub(crate) async fn tell_one(
    soul: &mut SoulOnBench,
    said: &Said,
    deadline: Option<Instant>,
) -> Result<Answer, Crash> {
    let mut answers = soul.tell(std::slice::from_ref(said), deadline).await?;
    // As many came as were asked for, or that was a crash.
    Ok(answers.pop().unwrap_or(Ok(None)))
}

/// The state of a Soul that has one, and that can give it.
pub(crate) async fn state(soul: &mut SoulOnBench) -> Result<State, Stop> {
    let given = soul.state().await.map_err(crashed("giving its state"))?;
    match given {
        None => Err(Stop::LeftOut("the component does not export `stateful`".to_owned())),
        Some(Err(why)) => Err(refused_state(&why)),
        Some(Ok(state)) => Ok(state),
    }
}

fn refused_state(why: &str) -> Stop {
    Stop::wrong(
        "the state is given whenever it is asked for between two messages",
        format!("`snapshot` failed: {why}"),
        "let `snapshot` encode whatever state messages can lead to",
    )
}

/// What a message is about, for people.
pub(crate) fn about(said: &Said) -> String {
    format!("handling the message {}", shown(&String::from_utf8_lossy(&said.content.body)))
}

/// What came of a message, in one line that can be compared: what is long is told by its digest.
pub(crate) fn line(answer: &Answer, deeds: &[matrixd::capabilities::rehearsal::Deed]) -> String {
    let answered = match answer {
        Ok(None) => "nothing".to_owned(),
        Ok(Some(content)) => {
            format!("{} {}", &*content.content_type, shown(&String::from_utf8_lossy(&content.body)))
        }
        Err(why) => format!("failure: {}", shown(why)),
    };
    let did: Vec<_> = deeds.iter().map(|deed| shown(&format!("{deed:?}"))).collect();
    if did.is_empty() { answered } else { format!("{answered}; it did {}", did.join(", ")) }
}

/// A guest's text as one harmless line; of a long one its beginning and its digest.
pub(crate) fn shown(text: &str) -> String {
    let safe: String = text.chars().take(SHOWN_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN_CHARS).is_none() {
        return format!("`{safe}`");
    }
    format!("`{safe}…` ({} bytes, {})", text.len(), Digest::of(text.as_bytes()))
}

/// The first place where two lists differ, in words; none: they are the same.
pub(crate) fn difference(one: &[String], other: &[String], names: [&str; 2]) -> Option<String> {
    let at = (0..one.len().max(other.len())).find(|at| one.get(*at) != other.get(*at))?;
    let side = |list: &[String]| list.get(at).map_or("nothing", String::as_str).to_owned();
    let [first, second] = names;
    Some(format!("at {}: {first}: {}; {second}: {}", at + 1, side(one), side(other)))
}
