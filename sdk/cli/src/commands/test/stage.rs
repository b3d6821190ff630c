//! The world of a scenario, on the node where it is played.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use matrix_proto::v1::{
    Address, AskRequest, ComponentKind, Content, CreateMatrixRequest, DeleteSoulRequest, SetChainRequest,
    SoulManifest, SpawnRequest, StartMatrixRequest, WantedStage,
};

use super::super::ask;
use super::super::components::{self, LocalComponent};
use super::super::{matrices, souls};
use super::told;
use crate::author::scenario::{Act, Answer, Outcome, Scenario, Step};
use crate::author::verdict::{self, Miss, Seen};
use crate::connection::Node;
use crate::errors::Error;
use crate::manifest::Source;
use crate::output::Output;
use crate::wait::Wait;
use crate::{address, content, request};

/// What the way there and back may take beside what is waited for.
const WAY: Duration = Duration::from_secs(5);

/// The most of what was said that is shown, in characters.
const SHOWN_MAX: usize = 60;

/// A step that was played.
pub(super) struct Played {
    /// What was done, on one line.
    pub(super) what: String,
    /// What was not as expected.
    pub(super) misses: Vec<Miss>,
    /// How long it took.
    pub(super) took: Duration,
}

/// The node, and what of the present scenario is on it.
pub(super) struct Stage<'a> {
    node: &'a Node,
    output: &'a Output,
    /// What is tested: its name and its kind.
    subject: (&'a str, ComponentKind),
    /// Digests by name: what is tested, and the scenario's own components.
    digests: BTreeMap<String, String>,
    souls: Vec<String>,
    matrices: Vec<String>,
    has_chain: bool,
}

impl<'a> Stage<'a> {
    /// Uploads what is tested.
    pub(super) async fn open(
        node: &'a Node,
        output: &'a Output,
        name: &'a str,
        component: &LocalComponent,
    ) -> Result<Self, Error> {
        let uploaded = components::upload(node, output, component, name).await?;
        let kind = uploaded.component.map(|component| component.kind()).unwrap_or_default();
        Ok(Self {
            node,
            output,
            subject: (name, kind),
            digests: BTreeMap::from([(name.to_owned(), component.digest.clone())]),
            souls: Vec::new(),
            matrices: Vec::new(),
            has_chain: false,
        })
    }

    /// Sets a scenario up. Its components lie where its file says, from `file` on.
    pub(super) async fn set(&mut self, scenario: &Scenario, file: &Path) -> Result<(), Error> {
        let folder = file.parent().unwrap_or(Path::new(""));
        for (name, source) in &scenario.world.components {
            let digest = match source {
                Source::Digest(digest) => digest.clone(),
                Source::File(path) => {
                    let local = LocalComponent::read(&folder.join(path))?;
                    components::upload(self.node, self.output, &local, name).await?;
                    local.digest
                }
            };
            self.digests.insert(name.clone(), digest);
        }
        let (name, kind) = self.subject;
        let own =
            SoulManifest { name: name.to_owned(), component: name.to_owned(), ..SoulManifest::default() };
        let alone = scenario.world.souls.is_empty() && kind == ComponentKind::Soul;
        for soul in scenario.world.souls.iter().chain(alone.then_some(&own)) {
            let manifest = SoulManifest { component: self.digest(&soul.component), ..soul.clone() };
            self.souls.push(manifest.name.clone());
            let message = SpawnRequest { manifest: Some(manifest), request_id: request::id()? };
            souls::spawn(self.node, message).await?;
        }
        self.set_chain(scenario).await?;
        for entry in &scenario.world.matrices {
            let mut manifest = entry.manifest.clone();
            manifest.rules = self.digest(&manifest.rules);
            self.matrices.push(manifest.name.clone());
            let message =
                CreateMatrixRequest { manifest: Some(manifest), request_id: request::id()?, start: false };
            matrices::create_matrix(self.node, message).await?;
        }
        Ok(())
    }

    async fn set_chain(&mut self, scenario: &Scenario) -> Result<(), Error> {
        let (name, kind) = self.subject;
        let own = WantedStage { component: name.to_owned(), ..WantedStage::default() };
        let alone = scenario.chain.is_empty() && kind == ComponentKind::Transport;
        let stages = scenario.chain.iter().chain(alone.then_some(&own));
        let stages: Vec<_> = stages
            .map(|stage| WantedStage { component: self.digest(&stage.component), ..stage.clone() })
            .collect();
        if stages.is_empty() {
            return Ok(());
        }
        self.has_chain = true;
        chain(self.node, stages).await
    }

    /// Takes away all that the scenario brought, so that the next one finds nothing of it.
    pub(super) async fn clear(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.has_chain) {
            chain(self.node, Vec::new()).await?;
        }
        for name in self.matrices.drain(..) {
            // One that is over cannot be stopped, and one that was refused is not there.
            drop(matrices::stop(self.node, &name).await);
            gone(matrices::delete(self.node, &name).await)?;
        }
        for name in self.souls.drain(..) {
            let message = DeleteSoulRequest { name: name.clone(), request_id: request::id()? };
            let delete = async |request| self.node.souls().delete(request).await;
            gone(self.node.call(format!("soul {name}"), message, delete).await.map(drop))?;
        }
        self.digests.retain(|name, _| name == self.subject.0);
        Ok(())
    }

    /// Plays one step.
    pub(super) async fn play(&self, step: &Step, scenario: &Scenario) -> Result<Played, Error> {
        let start = Instant::now();
        let (what, misses) = match &step.act {
            Act::Say { to, content, expected } => {
                let first = scenario.world.souls.first().map_or(self.subject.0, |soul| &soul.name);
                let to = to.clone().map_or_else(|| address::parse(first), Ok);
                let to = to.map_err(|why| Error::usage(why, "name whom to ask: `to`"))?;
                let what = format!("{} <- {}", address::text(&to), shown(content));
                (what, self.say(to, content, expected, step.within).await)
            }
            Act::Run { matrix, expected } => {
                (format!("run {matrix}"), self.run(matrix, expected, step.within).await)
            }
        };
        Ok(Played { what, misses, took: start.elapsed() })
    }

    async fn say(&self, to: Address, content: &Content, expected: &Answer, within: Duration) -> Vec<Miss> {
        let message = AskRequest {
            recipient: Some(to),
            content: Some(content.clone()),
            timeout_ms: ask::timeout_ms(within),
            request_id: String::new(),
        };
        let answer =
            request::once(message, within + WAY, async |request| self.node.souls().ask(request).await).await;
        let seen = match answer {
            Ok(answer) => answer.reply.map_or(Seen::Silence, Seen::Reply),
            Err(status) => Seen::Failure(status.message().to_owned()),
        };
        verdict::of_answer(expected, &seen).into_iter().collect()
    }

    async fn run(&self, matrix: &str, expected: &Outcome, within: Duration) -> Vec<Miss> {
        let ran = async {
            let wait = Wait::prepare(self.node, matrix).await;
            let message = StartMatrixRequest { name: matrix.to_owned(), request_id: request::id()? };
            let start = async |request| self.node.matrices().start(request).await;
            self.node.call(format!("matrix {matrix}"), message, start).await?;
            wait.until_over(self.node, self.output).await
        };
        let failed = |seen: String| vec![Miss { expected: "it runs until it is over".to_owned(), seen }];
        match tokio::time::timeout(within, ran).await {
            Ok(Ok(matrix)) => verdict::of_run(expected, &matrix),
            Ok(Err(error)) => failed(told(&error)),
            Err(_) => failed(format!("it is not over after {} ms", within.as_millis())),
        }
    }

    /// The digest that a name stands for; what the scenario does not know, the node may.
    fn digest(&self, reference: &str) -> String {
        self.digests.get(reference).cloned().unwrap_or_else(|| reference.to_owned())
    }
}

async fn chain(node: &Node, stages: Vec<WantedStage>) -> Result<(), Error> {
    let message = SetChainRequest { stages, request_id: request::id()? };
    let set = async |request| node.interceptors().set_chain(request).await;
    node.call("the interceptors", message, set).await.map(drop)
}

/// What is not there needs not be taken away.
fn gone(deleted: Result<(), Error>) -> Result<(), Error> {
    match deleted {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

fn shown(said: &Content) -> String {
    let line = content::line(said);
    match line.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
