//! The chain, as it is kept: what each stage judges by, what is to take its place, and what it was before.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::error::InterceptorError;
use crate::clock;
use crate::ids::Digest;
use crate::kv::Entry;

/// The most versions of a stage that are remembered; the oldest is forgotten for a new one.
pub const VERSIONS_MAX: usize = 32;

/// One stage, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// What errors call it: its component's name when the chain was set, or its digest.
    pub name: String,
    /// Its component.
    pub component: Digest,
    /// Its settings.
    #[serde(default)]
    pub config: BTreeMap<String, String>,
    /// Counts the chains that were set: two that are alike are two.
    #[serde(default)]
    pub chain: u64,
    /// Code that is to take its component's place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Next>,
    /// The components that it had, the present one last; empty: it was set before this was remembered.
    #[serde(default)]
    pub versions: Vec<Version>,
}

/// Code that is on trial: it judges on some nodes, with the code before it at its back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// Its component.
    pub component: Digest,
    /// What brought it.
    pub cause: Cause,
    /// The nodes.
    pub nodes: BTreeSet<u64>,
}

/// What brought a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The chain was set with it.
    Set,
    /// The code was swapped.
    Swap,
    /// The swap before was taken back.
    Rollback,
}

/// Code that a stage has had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Counts them, from 1.
    pub number: u64,
    /// The code.
    pub component: Digest,
    /// What brought it.
    pub cause: Cause,
    /// Milliseconds since the Unix epoch at which it was made the realm's; 0: not known.
    pub at_ms: u64,
}

/// What is to be changed: new code for some places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The places, from 0, with what they are called and the code that they have.
    pub(super) places: Vec<(usize, String, Digest)>,
    /// The code that they are to have.
    pub to: Digest,
    /// What brings it.
    pub cause: Cause,
}

impl Stage {
    /// A stage of the chain that is set after `before`.
    pub(super) fn new(
        name: String,
        component: Digest,
        config: BTreeMap<String, String>,
        before: &[Self],
    ) -> Self {
        let chain = before.iter().map(|stage| stage.chain).max().unwrap_or(0) + 1;
        let known = before.iter().find(|stage| stage.name == name && stage.component == component);
        let mut stage = Self { name, component, config, chain, next: None, versions: Vec::new() };
        match known {
            Some(known) => stage.versions.clone_from(&known.versions),
            None => stage.begin(component, Cause::Set),
        }
        stage
    }

    /// The code that judges, or is to, on a node.
    pub(super) fn next_on(&self, node: u64) -> Option<Digest> {
        self.next.as_ref().filter(|next| next.nodes.contains(&node)).map(|next| next.component)
    }

    /// The code before the present one.
    pub(super) fn earlier(&self) -> Option<Digest> {
        self.versions.iter().rev().nth(1).map(|version| version.component)
    }

    /// Whether it needs a component, now or to go back to.
    pub(super) fn needs(&self, component: Digest) -> bool {
        let next = self.next.as_ref().map(|next| next.component);
        self.component == component || next == Some(component) || self.earlier() == Some(component)
    }

    fn begin(&mut self, component: Digest, cause: Cause) {
        if cause != Cause::Set && self.versions.is_empty() {
            let (component, cause) = (self.component, Cause::Set);
            self.versions.push(Version { number: 1, component, cause, at_ms: 0 });
        }
        let number = self.versions.last().map_or(1, |version| version.number + 1);
        self.component = component;
        self.versions.push(Version { number, component, cause, at_ms: clock::now_ms() });
        let forgotten = self.versions.len().saturating_sub(VERSIONS_MAX);
        self.versions.drain(..forgotten);
    }
}

impl Change {
    /// What the places are called in errors.
    pub fn name(&self) -> String {
        let names: Vec<_> = self.places.iter().map(|(_, name, _)| name.as_str()).collect();
        names.join("`, `")
    }

    /// The code of the first place before it.
    pub fn before(&self) -> Option<Digest> {
        self.places.first().map(|(.., before)| *before)
    }

    /// The places, from 0.
    pub fn places(&self) -> impl Iterator<Item = usize> + '_ {
        self.places.iter().map(|(place, ..)| *place)
    }

    /// Lets the new code judge on a node.
    pub(super) fn advance(&self, stages: &mut [Stage], node: u64) -> Result<(), InterceptorError> {
        self.each(stages, |stage| {
            let fresh = Next { component: self.to, cause: self.cause, nodes: BTreeSet::new() };
            let next = stage.next.take().filter(|next| next.component == self.to);
            stage.next.insert(next.unwrap_or(fresh)).nodes.insert(node);
            Ok(())
        })
    }

    /// Lets the old code judge on a node.
    pub(super) fn retreat(&self, stages: &mut [Stage], node: u64) -> Result<(), InterceptorError> {
        self.each(stages, |stage| {
            if let Some(next) = stage.next.as_mut().filter(|next| next.component == self.to) {
                next.nodes.remove(&node);
            }
            stage.next.take_if(|next| next.nodes.is_empty());
            Ok(())
        })
    }

    /// Makes the new code the realm's.
    pub(super) fn settle(&self, stages: &mut [Stage]) -> Result<(), InterceptorError> {
        self.each(stages, |stage| {
            let next = stage.next.take_if(|next| next.component == self.to);
            let next = next.ok_or(InterceptorError::Changed)?;
            stage.begin(next.component, next.cause);
            Ok(())
        })
    }

    /// Changes the places, as long as they are what they were.
    fn each(
        &self,
        stages: &mut [Stage],
        mut change: impl FnMut(&mut Stage) -> Result<(), InterceptorError>,
    ) -> Result<(), InterceptorError> {
        for (place, name, from) in &self.places {
            let stage =
                stages.get_mut(*place).filter(|stage| stage.name == *name && stage.component == *from);
            change(stage.ok_or(InterceptorError::Changed)?)?;
        }
        Ok(())
    }
}

/// The place of the stage that is called so: by its name, or by its number, from 1.
pub(super) fn place_of(stages: &[Stage], name: &str) -> Result<usize, InterceptorError> {
    let named: Vec<_> = (0..stages.len()).filter(|place| stages[*place].name == name).collect();
    match named[..] {
        [place] => return Ok(place),
        [] => {}
        _ => {
            let places = named.iter().map(|place| place + 1).collect();
            return Err(InterceptorError::Several(name.to_owned(), places));
        }
    }
    let place = name.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    let place = place.filter(|place| *place < stages.len());
    place.ok_or_else(|| InterceptorError::Unknown(name.to_owned()))
}

pub(super) fn parse(entry: &Entry) -> Result<Vec<Stage>, InterceptorError> {
    serde_json::from_slice(&entry.value).map_err(|error| InterceptorError::Damaged(error.to_string()))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn entry(text: &str) -> Entry {
        let value = Bytes::copy_from_slice(text.as_bytes());
        Entry { value, revision: 1, created_revision: 1, version: 1, lease: None }
    }

    fn stage(name: &str, code: &str) -> Stage {
        Stage::new(name.to_owned(), Digest::of(code.as_bytes()), BTreeMap::new(), &[])
    }

    fn change(stages: &[Stage], places: &[usize], to: &str, cause: Cause) -> Change {
        let place = |place: &usize| (*place, stages[*place].name.clone(), stages[*place].component);
        Change { places: places.iter().map(place).collect(), to: Digest::of(to.as_bytes()), cause }
    }

    #[test]
    fn a_chain_is_read_as_it_was_written() {
        let config = BTreeMap::from([("mask".to_owned(), "email".to_owned())]);
        let stage = Stage::new("redact".into(), Digest::of(b"redact"), config, &[]);
        let text = serde_json::to_string(&[&stage]).expect("plain data");
        assert_eq!(parse(&entry(&text)).ok(), Some(vec![stage.clone()]));
        assert_eq!(parse(&entry("[]")).ok(), Some(Vec::new()));
        let before = format!(r#"[{{"name":"redact","component":"{}"}}]"#, stage.component);
        let read = parse(&entry(&before)).expect("as it was kept before there were swaps");
        assert_eq!((read[0].next.as_ref(), read[0].earlier()), (None, None));
        for damaged in ["", "{}", r#"[{"name":"redact"}]"#] {
            assert!(matches!(parse(&entry(damaged)), Err(InterceptorError::Damaged(_))), "{damaged}");
        }
    }

    #[test]
    fn new_code_comes_node_by_node_and_stays_or_goes() {
        let mut stages = vec![stage("redact", "old"), stage("other", "x")];
        let (old, new) = (Digest::of(b"old"), Digest::of(b"new"));
        let swap = change(&stages, &[0], "new", Cause::Swap);
        swap.advance(&mut stages, 2).expect("nobody changed it");
        swap.advance(&mut stages, 2).expect("once more is no error");
        assert_eq!((stages[0].next_on(1), stages[0].next_on(2)), (None, Some(new)));
        assert_eq!((stages[0].component, stages[0].needs(new)), (old, true));
        swap.retreat(&mut stages, 1).expect("it never came there");
        swap.retreat(&mut stages, 2).expect("it was there");
        assert_eq!((stages[0].next.as_ref(), stages[0].needs(new)), (None, false));
        assert!(matches!(swap.settle(&mut stages), Err(InterceptorError::Changed)), "it is on no node");
        swap.advance(&mut stages, 1).expect("again");
        swap.settle(&mut stages).expect("it is there");
        assert_eq!(
            (stages[0].component, stages[0].earlier(), stages[0].next.as_ref()),
            (new, Some(old), None)
        );
        assert!(stages[0].needs(old), "it may go back");
        assert!(matches!(swap.advance(&mut stages, 1), Err(InterceptorError::Changed)), "it has that code");
        let causes: Vec<_> = stages[0].versions.iter().map(|it| (it.number, it.cause)).collect();
        assert_eq!((causes, &stages[1]), (vec![(1, Cause::Set), (2, Cause::Swap)], &stage_like(&stages[1])));
    }

    fn stage_like(like: &Stage) -> Stage {
        Stage { versions: like.versions.clone(), ..stage("other", "x") }
    }

    #[test]
    fn other_code_takes_the_place_of_what_was_on_trial() {
        let mut stages = vec![stage("redact", "old")];
        let (first, second) =
            (change(&stages, &[0], "a", Cause::Swap), change(&stages, &[0], "b", Cause::Swap));
        first.advance(&mut stages, 1).expect("it is free");
        second.advance(&mut stages, 2).expect("who comes last counts");
        assert_eq!((stages[0].next_on(1), stages[0].next_on(2)), (None, Some(second.to)));
        first.retreat(&mut stages, 2).expect("nothing of its own is there");
        assert_eq!(stages[0].next_on(2), Some(second.to));
        assert!(matches!(first.settle(&mut stages), Err(InterceptorError::Changed)));
        assert_eq!(stages[0].next_on(2), Some(second.to), "and the other goes on");
    }

    #[test]
    fn versions_are_bounded_and_go_along_with_a_chain_that_is_set_anew() {
        let mut stages = vec![stage("redact", "0")];
        for number in 1..VERSIONS_MAX + 5 {
            let swap = change(&stages, &[0], &number.to_string(), Cause::Swap);
            swap.advance(&mut stages, 1).and_then(|()| swap.settle(&mut stages)).expect("alone");
        }
        assert_eq!(stages[0].versions.len(), VERSIONS_MAX);
        let again = Stage::new("redact".into(), stages[0].component, BTreeMap::new(), &stages);
        assert_eq!((&again.versions, again.chain), (&stages[0].versions, 2));
        let other = Stage::new("redact".into(), Digest::of(b"y"), BTreeMap::new(), &stages);
        assert_eq!((other.versions.len(), other.earlier()), (1, None));
    }

    #[test]
    fn stages_are_found_by_name_and_by_place() {
        let stages = [stage("a", "x"), stage("b", "x"), stage("a", "y"), stage("1", "x")];
        assert_eq!((place_of(&stages, "b").ok(), place_of(&stages, "3").ok()), (Some(1), Some(2)));
        assert_eq!(place_of(&stages, "1").ok(), Some(3), "a name comes first");
        assert!(
            matches!(place_of(&stages, "a"), Err(InterceptorError::Several(_, places)) if places == [1, 3])
        );
        for unknown in ["c", "0", "5", "-1", ""] {
            assert!(matches!(place_of(&stages, unknown), Err(InterceptorError::Unknown(_))), "{unknown}");
        }
    }
}
