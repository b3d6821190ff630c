//! Nodes that are killed while a Soul gets other code: afterwards it has the old code or the new, and all that is kept of
//! it agrees; what was told has happened, and what was saved is there.

mod load;
mod stages;

use matrix_proto::v1;
use matrix_tests::realm::{Door, Plan, TestRealm};
use matrixd::ids::Digest;
use serde_json::Value;

/// How long code that holds a swap up may do so: far longer than a test takes to kill its node.
const CALL_MS: u32 = 5_000;

/// One node, whose guests may take their time.
async fn alone(faulty: bool) -> TestRealm {
    let settings = format!("[limits.default]\ncall_ms = {CALL_MS}\ncall_fuel = 1000000000000");
    TestRealm::start_with(Plan { nodes: 1, hosts: 1, settings, faulty, ..Plan::default() }).await
}

/// Starts the node of a realm of one again, after it was killed.
async fn again(realm: &mut TestRealm) {
    realm.restart(0);
    realm.until_up(0).await;
}

/// What a checkpoint says beside the state, which has the digest that it says.
fn header(bytes: &[u8]) -> Value {
    let (length, rest) = bytes.split_first_chunk::<4>().expect("a length");
    let (header, state) = rest.split_at(u32::from_be_bytes(*length) as usize);
    let header: Value = serde_json::from_slice(header).expect("a header is JSON");
    assert_eq!(header["state"], Digest::of(state).to_string(), "{header}");
    header
}

/// The versions of a Soul, after it was seen that its record, its checkpoint, the state that is kept of the code before,
/// and what the node says of it agree.
async fn whole(door: &Door, soul: &str) -> Vec<v1::SoulVersion> {
    let kept = async |bucket: &str| door.value(bucket, soul).await.expect("the KV answers");
    let record = kept("sys/souls").await.expect("it has a record");
    let record: Value = serde_json::from_slice(&record).expect("a record is JSON");
    let versions = door.versions(soul).await.expect("the node answers");
    let (last, before) = versions.split_last().expect("there is one");
    assert_eq!(record["manifest"]["component"], last.component, "{versions:?}");
    assert_eq!(door.soul(soul).await.expect("it is known").digest, last.component, "{versions:?}");
    let numbers: Vec<_> = versions.iter().map(|version| version.number).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{versions:?}");
    if let Some(checkpoint) = kept("sys/checkpoints").await {
        assert_eq!(header(&checkpoint)["component"], last.component, "{versions:?}");
    }
    let left = kept("sys/kept").await.map(|bytes| header(&bytes)["component"].clone());
    assert_eq!(left, before.last().map(|version| version.component.as_str().into()), "{versions:?}");
    versions
}
