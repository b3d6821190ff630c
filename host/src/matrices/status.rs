//! What a Matrix is doing, for whoever asks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::manifest::MatrixManifest;
use super::switches::Switch;
use crate::ids::StateHash;
use crate::transport::envelope::Content;

/// What a Matrix is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatrixState {
    /// Set up, or halted between two ticks.
    Paused,
    /// Running.
    Running,
    /// The rules said that it is over.
    Finished,
    /// Ended by an operator.
    Stopped,
    /// The rules or the run log failed.
    Failed,
}

impl MatrixState {
    /// Whether nothing more will happen by itself, nor when it is asked to step.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Stopped | Self::Failed)
    }
}

impl fmt::Display for MatrixState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Paused => "paused",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        })
    }
}

/// What has come of a run so far.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// Ticks done.
    pub tick: u64,
    /// Hash of the rules' state after the last of them.
    pub state_hash: StateHash,
    /// The latest value of each signal.
    pub signals: BTreeMap<String, f64>,
    /// Answers that came too late, or not at all.
    pub missed_actions: u64,
    /// The content of the rules' last event whose kind ends in `.finished`.
    pub result: Option<Content>,
}

impl Default for Figures {
    /// Before the rules have been started.
    fn default() -> Self {
        Self {
            tick: 0,
            state_hash: StateHash::from_bytes([0; 32]),
            signals: BTreeMap::new(),
            missed_actions: 0,
            result: None,
        }
    }
}

/// A Matrix, as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixView {
    /// What it is; its rules are those that run.
    pub manifest: Arc<MatrixManifest>,
    /// What it is doing.
    pub state: MatrixState,
    /// Why, where that needs saying.
    pub reason: String,
    /// Ticks done.
    pub tick: u64,
    /// The latest value of each signal.
    pub signals: BTreeMap<String, f64>,
    /// Hash of the rules' state after the last tick.
    pub state_hash: StateHash,
    /// Answers that came too late, or not at all, since the Matrix was created.
    pub missed_actions: u64,
    /// The content of the rules' last event whose kind ends in `.finished`: the result.
    pub result: Option<Content>,
    /// Where it runs.
    pub home: Home,
    /// Other rules that took over, in order.
    pub switches: Arc<[Switch]>,
}

/// Where a Matrix runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// The node.
    pub node: u64,
    /// Counts its nodes: 1 for the first.
    pub generation: u64,
    /// Nodes whose copies of its run log are in sync.
    pub copies: BTreeSet<u64>,
}

/// How a replay goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayProgress {
    /// Ticks replayed so far.
    pub tick: u64,
    /// Ticks in the run log.
    pub ticks: u64,
    /// Whether the replay is over.
    pub done: bool,
    /// The first tick whose state's hash differs from the log's; 0 is the rules' `start`.
    pub first_difference: Option<u64>,
    /// The state's hash after the last tick replayed.
    pub state_hash: StateHash,
}

/// The part of a [`MatrixView`] that changes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Progress {
    pub(crate) state: MatrixState,
    pub(crate) reason: String,
    pub(crate) figures: Figures,
    /// Other rules that took over, in order.
    pub(crate) switches: Arc<[Switch]>,
}

impl Progress {
    /// For an event that tells how a run ended.
    pub(crate) fn detail(&self) -> serde_json::Value {
        serde_json::json!({
            "tick": self.figures.tick,
            "state_hash": self.figures.state_hash.to_string(),
            "missed": self.figures.missed_actions,
            "reason": self.reason,
        })
    }

    pub(crate) fn view(&self, mut manifest: Arc<MatrixManifest>, home: Home) -> MatrixView {
        let figures = self.figures.clone();
        if let Some(last) = self.switches.last().filter(|last| last.after != manifest.rules) {
            Arc::make_mut(&mut manifest).rules = last.after;
        }
        MatrixView {
            manifest,
            state: self.state,
            reason: self.reason.clone(),
            tick: figures.tick,
            signals: figures.signals,
            state_hash: figures.state_hash,
            missed_actions: figures.missed_actions,
            result: figures.result,
            home,
            switches: self.switches.clone(),
        }
    }
}
