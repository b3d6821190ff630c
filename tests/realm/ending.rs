//! Nodes that are asked to end while messages wait on them: what was accepted is handled, once.

use std::thread;
use std::time::Duration;

use crate::matrices::tally;
use crate::processes::Realm;

/// How long a node may take to end.
const END: Duration = Duration::from_secs(10);

#[test]
fn what_waits_on_a_node_that_ends_is_handled_once() {
    let mut realm = Realm::start(3);
    tally(&realm);
    realm.until(1, &["matrices", "show", "tally"], |matrix| matrix["copies"][0].is_u64());
    realm.push(1, "counter");
    realm.matrix(1, &["souls", "spawn", "sum", "--component", "counter", "--every-turns", "1"]).ok();
    realm.matrix(1, &["souls", "move", "sum", "1"]).ok();
    let (clients, each) = (6, 20);
    thread::scope(|scope| {
        for client in 0..clients {
            let (realm, to) = (&realm, if client % 2 == 0 { "matrix:tally" } else { "sum" });
            scope.spawn(move || {
                for _ in 0..each {
                    realm.matrix(1, &["send", to, "add 1"]).ok();
                }
            });
        }
    });
    let took = realm.stop(1, END);
    println!("it ended after {took:?}");
    let sum = |to: &str, word: &str| realm.ask(2, to, word).ok()?.parse::<u64>().ok();
    let expected = Some(clients / 2 * each);
    realm.eventually("all that the Matrix was sent is there", |_| sum("matrix:tally", "sum") >= expected);
    realm.eventually("all that the Soul was sent is there", |_| sum("sum", "get") >= expected);
    assert_eq!((sum("matrix:tally", "sum"), sum("sum", "get")), (expected, expected), "once");
    realm.restart(1);
    assert_eq!(realm.ask(1, "matrix:tally", "sum").ok(), expected.map(|sum| sum.to_string()));
}
