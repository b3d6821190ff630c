//! What should run: one record a Matrix in the KV, which outlives the node. It changes only when what is
//! wanted changes, or where it runs; what happened tick by tick is in the run log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::manifest::MatrixManifest;
use super::status::{Figures, MatrixState, Progress};
use super::switches::Switch;
use crate::ids::{Digest, MatrixName, StateHash};
use crate::kv::{Consistency, Kv, KvError};
use crate::transport::envelope::Content;

/// The bucket of the KV that holds one record a Matrix.
pub(crate) const BUCKET: &str = "sys/matrices";
/// Records that are read at once.
const PAGE: usize = 500;

/// A Matrix, as it is wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) manifest: MatrixManifest,
    pub(crate) run: String,
    pub(crate) wanted: Wanted,
    /// The node on which it runs.
    #[serde(default = "first_node")]
    pub(crate) node: u64,
    /// Counts its nodes: 1 for the first.
    #[serde(default = "first_node")]
    pub(crate) generation: u64,
    /// Nodes whose copy of the run log has all that was ever told of the run.
    #[serde(default)]
    pub(crate) copies: BTreeSet<u64>,
    /// Other rules that took over, in order; `manifest.rules` is the last of them.
    #[serde(default)]
    pub(crate) switches: Vec<Switch>,
    /// What the run log may say next, or already does: whole, so that there is room for it among `switches`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) claimed: Option<Switch>,
}

impl Record {
    /// What a Matrix is doing of which this was kept.
    pub(crate) fn progress(&self) -> Progress {
        Progress { switches: self.switches.clone().into(), ..self.wanted.clone().progress() }
    }

    /// Names the rules that a run has by now, and those that it had; `first` is what it began with.
    pub(crate) fn name_rules(&mut self, first: Digest, switches: &[Switch]) {
        self.manifest.rules = switches.last().map_or(first, |switch| switch.after);
        self.switches = switches.to_vec();
    }

    /// Keeps what a Matrix is doing, or how it ended. Whoever sees how it goes may see it late: switches are only added.
    pub(crate) fn keep(&mut self, wanted: &Wanted, progress: &Progress) {
        self.wanted = wanted.clone();
        if progress.switches.len() > self.switches.len() {
            self.name_rules(self.first_rules(), &progress.switches);
        }
    }

    /// The component with which the run began.
    pub(crate) fn first_rules(&self) -> Digest {
        self.switches.first().map_or(self.manifest.rules, |switch| switch.before)
    }

    /// Whether the run, or going through its log again, needs this component.
    pub(crate) fn needs(&self, component: Digest) -> bool {
        self.manifest.rules == component
            || self.claimed.is_some_and(|switch| switch.after == component)
            || self.switches.iter().any(|switch| switch.before == component)
    }
}

/// A record, and its bytes in the KV: what a change of it is conditional on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Filed {
    pub(crate) record: Record,
    pub(crate) value: Bytes,
}

impl Filed {
    pub(crate) fn of(record: Record) -> Result<Self, KvError> {
        let value = serde_json::to_vec(&record);
        let value = value.map_err(|error| KvError::corrupt(what(record.manifest.name.as_str()), error))?;
        Ok(Self { record, value: value.into() })
    }

    pub(crate) fn read(name: &str, value: Bytes) -> Result<Self, KvError> {
        let record = serde_json::from_slice(&value).map_err(|error| KvError::corrupt(what(name), error))?;
        Ok(Self { record, value })
    }
}

fn what(name: &str) -> String {
    format!("{BUCKET}/{name}")
}

/// Where a Matrix runs of which a node was kept that was alone.
fn first_node() -> u64 {
    1
}

/// What is wanted of a Matrix, or how it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub(crate) enum Wanted {
    Running,
    Paused,
    Finished { summary: Summary },
    Stopped { summary: Summary },
    Failed { reason: String, summary: Summary },
}

/// What came of a run that is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summary {
    tick: u64,
    state_hash: StateHash,
    signals: BTreeMap<String, f64>,
    missed_actions: u64,
    result: Option<Kept>,
}

/// Content as JSON: nearly all results are texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Kept {
    content_type: String,
    body: KeptBody,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KeptBody {
    Text(String),
    Bytes(Vec<u8>),
}

impl From<&Figures> for Summary {
    fn from(figures: &Figures) -> Self {
        Self {
            tick: figures.tick,
            state_hash: figures.state_hash,
            signals: figures.signals.clone(),
            missed_actions: figures.missed_actions,
            result: figures.result.as_ref().map(|content| Kept {
                content_type: content.content_type.to_string(),
                body: match std::str::from_utf8(&content.body) {
                    Ok(text) => KeptBody::Text(text.to_owned()),
                    Err(_) => KeptBody::Bytes(content.body.to_vec()),
                },
            }),
        }
    }
}

impl From<Summary> for Figures {
    fn from(summary: Summary) -> Self {
        let content = |kept: Kept| Content {
            content_type: kept.content_type.into(),
            body: match kept.body {
                KeptBody::Text(text) => text.into(),
                KeptBody::Bytes(bytes) => bytes.into(),
            },
        };
        Self {
            tick: summary.tick,
            state_hash: summary.state_hash,
            signals: summary.signals,
            missed_actions: summary.missed_actions,
            result: summary.result.map(content),
        }
    }
}

impl Wanted {
    /// What is kept of a Matrix that is doing this.
    pub(crate) fn of(progress: &Progress) -> Self {
        let summary = || Summary::from(&progress.figures);
        match progress.state {
            MatrixState::Running => Self::Running,
            MatrixState::Paused => Self::Paused,
            MatrixState::Finished => Self::Finished { summary: summary() },
            MatrixState::Stopped => Self::Stopped { summary: summary() },
            MatrixState::Failed => Self::Failed { reason: progress.reason.clone(), summary: summary() },
        }
    }

    /// What a Matrix is doing of which this was kept. Of one that is not over, the run log knows the figures.
    pub(crate) fn progress(self) -> Progress {
        let (state, reason, figures) = match self {
            Self::Running => (MatrixState::Running, String::new(), Figures::default()),
            Self::Paused => (MatrixState::Paused, String::new(), Figures::default()),
            Self::Finished { summary } => (MatrixState::Finished, String::new(), summary.into()),
            Self::Stopped { summary } => (MatrixState::Stopped, String::new(), summary.into()),
            Self::Failed { reason, summary } => (MatrixState::Failed, reason, summary.into()),
        };
        Progress { state, reason, figures, switches: Arc::default() }
    }
}

/// The Matrices of the realm that are not over and have one of these components as rules, in the order of their names.
///
/// # Errors
/// Where the KV fails.
pub async fn ruled_by(kv: &Kv, rules: &BTreeSet<Digest>) -> Result<Vec<MatrixName>, KvError> {
    let goes_on = |record: &Record| matches!(record.wanted, Wanted::Running | Wanted::Paused);
    let (all, _) = load_all(kv).await?;
    let records = all.into_iter().map(|filed| filed.record);
    let ruled = records.filter(|record| goes_on(record) && rules.contains(&record.manifest.rules));
    Ok(ruled.map(|record| record.manifest.name).collect())
}

/// The record of a Matrix, read linearizably.
pub(crate) async fn load(kv: &Kv, matrix: &MatrixName) -> Result<Option<Filed>, KvError> {
    let entry = kv.get(BUCKET, matrix.as_str().as_bytes(), Consistency::Linearizable).await?;
    entry.map(|entry| Filed::read(matrix.as_str(), entry.value)).transpose()
}

/// All Matrices, in the order of their names, and a revision from which on a watch misses nothing; read linearizably.
pub(crate) async fn load_all(kv: &Kv) -> Result<(Vec<Filed>, u64), KvError> {
    let (mut all, mut start, mut revision) = (Vec::new(), Bytes::new(), None);
    loop {
        let page = kv.range(BUCKET, &start, None, PAGE, Consistency::Linearizable).await?;
        // Of the first page: what changes while the others are read is seen again.
        let first = *revision.get_or_insert(page.revision);
        for (key, entry) in &page.entries {
            all.push(Filed::read(&String::from_utf8_lossy(key), entry.value.clone())?);
        }
        match page.next {
            Some(next) => start = next,
            None => return Ok((all, first)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::manifest::tests::manifest;
    use super::*;

    fn switch(tick: u64, before: &str, after: &str) -> Switch {
        let [before, after] = [before, after].map(|name| Digest::of(name.as_bytes()));
        Switch { tick, before, after, state: StateHash::of(b"state") }
    }

    #[test]
    fn every_component_that_its_log_needs_is_needed() {
        let mut record = Record {
            manifest: manifest(&["neo"]),
            run: "1".to_owned(),
            wanted: Wanted::Running,
            node: 1,
            generation: 1,
            copies: BTreeSet::new(),
            switches: Vec::new(),
            claimed: None,
        };
        let first = record.manifest.rules;
        let needed = |record: &Record, name: &str| record.needs(Digest::of(name.as_bytes()));
        assert!(record.needs(first) && !needed(&record, "b"));
        record.claimed = Some(switch(1, "a", "b"));
        assert!(needed(&record, "b"), "the log may name it before the record does");
        record.claimed = None;
        let switches = [Switch { before: first, ..switch(2, "a", "b") }, switch(9, "b", "c")];
        record.name_rules(first, &switches);
        assert_eq!((record.manifest.rules, record.first_rules()), (Digest::of(b"c"), first));
        assert!(record.needs(first) && needed(&record, "b") && needed(&record, "c") && !needed(&record, "d"));
        record.name_rules(first, &[]);
        assert!(record.needs(first) && !needed(&record, "c"), "the log is the truth");
    }

    fn round_trip(progress: &Progress) -> Progress {
        let record = Record {
            manifest: manifest(&["neo"]),
            run: "1".to_owned(),
            wanted: Wanted::of(progress),
            node: 1,
            generation: 1,
            copies: BTreeSet::from([2]),
            switches: progress.switches.to_vec(),
            claimed: None,
        };
        let json = serde_json::to_vec(&record).expect("JSON");
        let again: Record = serde_json::from_slice(&json).expect("the same");
        assert_eq!(again, record);
        again.progress()
    }

    #[test]
    fn how_a_run_ended_is_kept_whole() {
        for body in [&b"{\"winner\":\"neo\"}"[..], &[0xff, 0]] {
            let result = Content { content_type: "x/y".into(), body: bytes::Bytes::copy_from_slice(body) };
            let figures = Figures {
                tick: 9,
                state_hash: StateHash::of(b"state"),
                signals: BTreeMap::from([("rate".to_owned(), 0.1)]),
                missed_actions: 3,
                result: Some(result),
            };
            for state in [MatrixState::Finished, MatrixState::Stopped, MatrixState::Failed] {
                let reason = if state == MatrixState::Failed { "it broke" } else { "" };
                let switches = [switch(2, "a", "b"), switch(9, "b", "a")].into();
                let progress =
                    Progress { state, reason: reason.to_owned(), figures: figures.clone(), switches };
                assert_eq!(round_trip(&progress), progress);
            }
        }
    }

    #[test]
    fn what_goes_on_keeps_no_figures() {
        let figures = Figures { tick: 5, ..Figures::default() };
        for state in [MatrixState::Running, MatrixState::Paused] {
            let (figures, switches) = (figures.clone(), Arc::default());
            let kept = round_trip(&Progress { state, reason: String::new(), figures, switches });
            assert_eq!((kept.state, kept.figures), (state, Figures::default()));
        }
    }
}
