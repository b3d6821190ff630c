//! What the realm holds at the end, and all that was applied to it, held against what clients saw.

use std::collections::BTreeMap;
use std::time::Duration;

use matrix_proto::v1;
use tokio::time::timeout;
use tonic::Status;

use super::client::{BUCKET, held, key_bytes, value_of};
use super::door::{Door, reason};
use super::{PATIENCE, TestRealm, until};
use crate::history::oracle::{self, Applied, Evidence, Scan};
use crate::history::{History, linearize};

/// The key that is written when all is over. No client's key is called so.
const END: &[u8] = b"the-end";
/// How long one call may take.
const CALL: Duration = Duration::from_secs(6);

/// Checks a history against the realm, by both checkers.
pub(super) async fn check(realm: &TestRealm, history: &History) -> oracle::Checked {
    let keys: BTreeMap<Vec<u8>, u32> =
        history.operations().iter().map(|operation| (key_bytes(operation.key), operation.key)).collect();
    let doors = realm.doors();
    let (scan, revision) = scan(&doors, &keys).await;
    let mut applied = applied(&doors, &keys).await;
    // What is done later belongs to no moment of the history: a call that was left open may still come through.
    applied.retain(|change| change.revision <= revision);
    let checked = |applied| oracle::check(history, Evidence { scan: Some(&scan), applied });
    checked(None).unwrap_or_else(|violations| panic!("by the answers: {violations}"));
    let checked = checked(Some(&applied)).unwrap_or_else(|violations| panic!("by the changes: {violations}"));
    linearize::check(history).unwrap_or_else(|failure| panic!("by the times: {failure}"));
    checked
}

/// Calls any node until one answers.
async fn any<T, F>(what: &str, doors: &[Door], call: impl Fn(Door) -> F) -> T
where
    F: Future<Output = Result<T, Status>>,
{
    let mut turn = 0;
    let ask = || {
        let door = doors[turn % doors.len()].clone();
        turn += 1;
        let call = call(door);
        async move { timeout(CALL, call).await.ok()?.ok() }
    };
    until(what, PATIENCE, ask).await.0
}

/// What is there, and the revision at which it is.
async fn scan(doors: &[Door], keys: &BTreeMap<Vec<u8>, u32>) -> (Scan, u64) {
    let range = |door: Door| async move {
        let range = v1::KvRangeRequest { bucket: BUCKET.to_owned(), page_size: 1_000, ..Default::default() };
        door.kv().range(door.request(range)).await
    };
    let page = any("the bucket is read", doors, range).await.into_inner();
    assert!(page.next_page_token.is_empty(), "a history has few keys");
    let mut entries = BTreeMap::new();
    // An end is there where a history was checked before.
    for entry in page.entries.iter().filter(|entry| entry.key != END) {
        let key = keys.get(&entry.key[..]).unwrap_or_else(|| panic!("nobody wrote {entry:?}"));
        entries.insert(*key, held(entry));
    }
    (Scan { log_index: page.log_index, entries }, page.revision)
}

/// All changes, by a node that still keeps the first.
async fn applied(doors: &[Door], keys: &BTreeMap<Vec<u8>, u32>) -> Vec<Applied> {
    let put = |door: Door| async move {
        let (bucket, key) = (BUCKET.to_owned(), END.to_vec().into());
        let put = v1::KvPutRequest { bucket, key, value: END.to_vec().into(), ..Default::default() };
        door.kv().put(door.request(put)).await
    };
    let end = any("the end is written", doors, put).await.into_inner().revision;
    let watch = |door: Door| async move {
        let watch =
            v1::KvWatchRequest { bucket: BUCKET.to_owned(), from_revision: Some(1), ..Default::default() };
        let opened = door.kv().watch(door.request(watch)).await;
        opened.inspect_err(|status| eprintln!("no changes from a node: {}", reason(status)))
    };
    let mut changes = any("the changes are told", doors, watch).await.into_inner();
    let mut applied = Vec::new();
    loop {
        let next = timeout(PATIENCE, changes.message()).await.expect("the end is among the changes");
        let change = next.expect("a watch goes on").expect("a watch goes on");
        let entry = change.entry.expect("a change is one of a key");
        if change.revision == end {
            return applied;
        }
        if entry.key != END {
            let key = keys.get(&entry.key[..]).unwrap_or_else(|| panic!("nobody wrote {entry:?}"));
            let left = (!change.deleted).then(|| value_of(&entry.value));
            applied.push(Applied { revision: change.revision, log_index: None, key: *key, left });
        }
    }
}
