//! Components that chance makes, or spoils: each is refused, or taken and run, and the node lives on.

use arbitrary::Unstructured;
use matrix_tests::by_hand::ByHand;
use matrix_tests::node::{TestNode, manifest, name};
use matrix_tests::realm::Chance;
use wasm_smith::{Component, Config, Module};

/// What is tried here is told from what is tried elsewhere by its seed; each time it is the same.
const SEED: u64 = 20_260;
/// How much chance a component is made of, in bytes.
const CHANCE_BYTES: usize = 4_096;
/// What a component that is taken may use for one call, in milliseconds: most of what it does makes no sense.
const CALL_MS: u32 = 50;

/// What became of what was tried.
#[derive(Debug, Default)]
struct Tally {
    refused: usize,
    taken: usize,
    lived: usize,
}

impl Tally {
    /// Uploads a component. One that is taken is brought to life, told something, and deleted.
    async fn tries(&mut self, node: &TestNode, bytes: &[u8]) {
        let digest = match node.upload(bytes).await {
            Ok(digest) => digest,
            Err(refusal) => {
                assert!(!refusal.is_empty() && !refusal.contains("the compiler died"), "{refusal}");
                self.refused += 1;
                return;
            }
        };
        self.taken += 1;
        let mut random = manifest("random", digest, &[]);
        random.limits.call_ms = CALL_MS;
        if node.spawn(random).await.is_ok() {
            self.lived += 1;
            // It may answer, refuse or crash.
            let _ = node.ask("random", "ping").await;
            node.node().souls().delete(&name("random"), None).await.expect("it can be deleted");
        }
        node.node().catalog().remove(digest).await.expect("nobody uses it any more");
    }
}

/// Lets a node try what `make` gives, so many times.
async fn try_all(what: &str, rounds: u64, make: impl Fn(&mut Chance) -> Option<Vec<u8>>) -> Tally {
    let node = TestNode::start().await;
    node.neighbour().await;
    let mut tally = Tally::default();
    for round in 0..rounds {
        if let Some(bytes) = make(&mut Chance::new(SEED + round)) {
            tally.tries(&node, &bytes).await;
        }
        if round % 16 == 0 {
            node.assert_lives().await;
        }
    }
    println!("{what}: {tally:?} in {rounds} rounds");
    node.assert_lives().await;
    node.end().await;
    tally
}

fn bytes_of(chance: &mut Chance) -> Vec<u8> {
    (0..CHANCE_BYTES / 8).flat_map(|_| chance.draw().to_le_bytes()).collect()
}

/// A component of random types, imports, modules and components.
fn component(chance: &mut Chance) -> Option<Vec<u8>> {
    let bytes = bytes_of(chance);
    let component = Component::new(Config::default(), &mut Unstructured::new(&bytes)).ok()?;
    Some(component.to_bytes())
}

/// A sound Soul with a random core module beside it, which is compiled and never instantiated.
fn soul_beside_module(chance: &mut Chance) -> Option<Vec<u8>> {
    let config = Config {
        exceptions_enabled: false,
        gc_enabled: false,
        reference_types_enabled: false,
        threads_enabled: false,
        max_table_elements: 10_000,
        ..Config::default()
    };
    let bytes = bytes_of(chance);
    let module = Module::new(config, &mut Unstructured::new(&bytes)).ok()?.to_bytes();
    let mut soul = ByHand::default().build();
    // A section with the number of core modules, and its length in LEB128.
    soul.push(1);
    let mut length = module.len();
    while length >= 0x80 {
        soul.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    soul.push(length as u8);
    soul.extend(module);
    Some(soul)
}

/// Spoils a component: flips bits, cuts it off, or puts one part of it in the place of another.
fn spoiled(sound: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    for _ in 0..=chance.below(3) {
        let at = chance.below(bytes.len());
        match chance.below(8) {
            0 => bytes.truncate(at.max(1)),
            1 => {
                let (from, length) = (chance.below(bytes.len()), 1 + chance.below(64));
                let part: Vec<u8> = bytes.iter().copied().skip(from).take(length).collect();
                let end = (at + part.len()).min(bytes.len());
                bytes.splice(at..end, part);
            }
            2 => bytes.insert(at, chance.draw() as u8),
            _ => bytes[at] ^= 1 << chance.below(8),
        }
    }
    bytes
}

async fn spoil_guests(rounds: u64) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("programs/out");
    let read = |name: &str| std::fs::read(folder.join(name)).expect("the programs are built");
    let guests = ["citizen.wasm", "misrule.wasm", "judge.wasm"].map(read);
    let spoil = |chance: &mut Chance| Some(spoiled(&guests[chance.below(guests.len())], chance));
    let tally = try_all("guests that were spoiled", rounds, spoil).await;
    assert!(tally.refused > 0);
}

async fn spoil_souls(rounds: u64) {
    let sound = ByHand::default().build();
    let tally = try_all("Souls that were spoiled", rounds, |chance| Some(spoiled(&sound, chance))).await;
    assert!(tally.refused > 0 && tally.taken > 0, "{tally:?}");
}

async fn random_components(rounds: u64) {
    assert!(try_all("random components", rounds, component).await.refused > 0);
}

async fn random_modules(rounds: u64) {
    let tally = try_all("random modules", rounds, soul_beside_module).await;
    assert!(tally.lived > 0, "the compiler never saw any: {tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_random_component_is_refused_or_taken() {
    random_components(300).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_random_module_is_refused_or_compiled() {
    random_modules(40).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoiled_soul_is_refused_or_taken() {
    spoil_souls(200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoiled_guest_is_refused_or_taken() {
    spoil_guests(25).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: `make soak`"]
async fn many_that_chance_makes_or_spoils() {
    random_components(10_000).await;
    random_modules(1_000).await;
    spoil_souls(5_000).await;
    spoil_guests(500).await;
}
