//! Which node suits a Soul: a pure choice.

use std::collections::BTreeMap;

use super::manifest::Placement;

/// A node that takes work.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'a> {
    pub(super) node: u64,
    pub(super) labels: &'a BTreeMap<String, String>,
    /// How many Souls live there.
    pub(super) load: usize,
    /// How many of the Soul's own group.
    pub(super) shares: usize,
}

/// The node with the labels asked for, the fewest Souls of the same group, and the fewest Souls; of equals this one,
/// and then the one with the smallest number.
pub(super) fn choose(candidates: &[Candidate<'_>], placement: &Placement, here: u64) -> Option<u64> {
    let fits = |candidate: &&Candidate<'_>| {
        placement.labels.iter().all(|(name, value)| candidate.labels.get(name) == Some(value))
    };
    let best = candidates
        .iter()
        .filter(fits)
        .min_by_key(|candidate| (candidate.shares, candidate.load, candidate.node != here, candidate.node));
    best.map(|candidate| candidate.node)
}

/// Why no node suits.
pub(super) fn why_not(placement: &Placement, candidates: usize) -> String {
    if candidates == 0 {
        return "no node takes work: all are draining, or not alive".to_owned();
    }
    let labels: Vec<_> = placement.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("no node that takes work has the labels {}: set them under [realm] labels", labels.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_then_groups_then_load_then_here() {
        let (plain, zone) = (BTreeMap::new(), BTreeMap::from([("zone".to_owned(), "a".to_owned())]));
        let candidate = |node, labels, load, shares| Candidate { node, labels, load, shares };
        let nodes = [candidate(1, &plain, 5, 0), candidate(2, &zone, 9, 0), candidate(3, &plain, 5, 1)];
        let anywhere = Placement::default();
        assert_eq!(choose(&nodes, &anywhere, 9), Some(1));
        assert_eq!(choose(&[candidate(1, &plain, 5, 0), candidate(3, &plain, 5, 0)], &anywhere, 3), Some(3));
        let in_zone = Placement { labels: zone.clone(), ..Placement::default() };
        assert_eq!(choose(&nodes, &in_zone, 1), Some(2));
        assert_eq!(choose(&nodes[..1], &in_zone, 1), None);
        assert!(why_not(&in_zone, 1).contains("zone=a"));
        assert_eq!(choose(&[candidate(1, &plain, 0, 2), candidate(2, &plain, 9, 1)], &anywhere, 1), Some(2));
        assert_eq!(choose(&[], &anywhere, 1), None);
    }
}
