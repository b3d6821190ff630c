//! The log on a real disk.

use std::fs;

use matrix_proto::audit::Chain;

use super::*;
use crate::tasks::Tasks;

fn attempt(target: &str) -> Entry {
    let (method, caller) = ("Kv/Put".into(), "token/ci".to_owned());
    Entry { method, caller, role: "operate".into(), target: target.into(), ..Entry::default() }
}

async fn read(audit: &Audit, filter: Filter) -> Vec<v1::AuditRecord> {
    let (mut records, mut found) = (audit.read(filter), Vec::new());
    while let Some(record) = records.recv().await {
        found.push(record.expect("it can be read"));
    }
    found
}

/// Writes `count` changes down, and closes the log.
async fn change(data: &Path, config: &AuditConfig, count: usize) {
    let tasks = Tasks::new();
    let audit = Audit::open(data, config.clone(), &tasks).expect("it opens");
    for number in 0..count {
        audit.attempt(attempt(&number.to_string())).await.expect("written").ended(Code::Ok);
    }
    assert!(tasks.stop(Duration::from_secs(10)).await, "the writer ends");
}

fn small() -> AuditConfig {
    AuditConfig { file_bytes: 2_000, files: 3 }
}

#[tokio::test]
async fn an_attempt_comes_before_its_outcome_and_what_is_given_up_has_one_too() {
    let (data, tasks) = (tempfile::tempdir().expect("a folder"), Tasks::new());
    let audit = Audit::open(data.path(), AuditConfig::default(), &tasks).expect("it opens");
    let first = audit.attempt(attempt("a")).await.expect("written");
    let second = audit.attempt(attempt("b")).await.expect("written");
    second.ended(Code::NotFound);
    drop(first);
    let records = read(&audit, Filter::default()).await;
    let shown: Vec<_> =
        records.iter().map(|line| (line.sequence, line.call, &*line.target, &*line.outcome)).collect();
    assert_eq!(shown, [(1, 0, "a", ""), (2, 0, "b", ""), (3, 2, "", "NOT_FOUND"), (4, 1, "", "CANCELLED")]);
    let last = read(&audit, Filter { caller: "token/ci".into(), last: 1, ..Filter::default() }).await;
    assert_eq!((last.len(), last[0].sequence), (1, 4));
    assert!(read(&audit, Filter { method: "Kv/Get".into(), ..Filter::default() }).await.is_empty());
    // Those under way when the node stops have their place.
    let under_way = audit.attempt(attempt("c")).await.expect("written");
    tasks.stopping().cancel();
    assert_eq!(audit.attempt(attempt("d")).await.err().map(|status| status.code()), Some(Code::Unavailable));
    under_way.ended(Code::Ok);
    assert!(tasks.stop(Duration::from_secs(10)).await);
    let (count, head) = check(&folder(data.path())).expect("it can be read").expect("it holds");
    assert_eq!((count, head.len()), (6, 64));
}

#[tokio::test]
async fn the_chain_goes_on_across_files_and_starts() {
    let data = tempfile::tempdir().expect("a folder");
    change(data.path(), &small(), 4).await;
    // What a power cut left of a line.
    let (_, newest) = disk::files(&folder(data.path())).expect("a folder").pop().expect("a file");
    let whole = fs::read(&newest).expect("it is there");
    fs::write(&newest, [&whole[..], b"{\"seq\":9"].concat()).expect("ours");
    change(data.path(), &small(), 1).await;
    let held = check(&folder(data.path())).expect("it can be read");
    assert_eq!(held.map(|(count, _)| count), Ok(10));
    change(data.path(), &small(), 60).await;
    let files = disk::files(&folder(data.path())).expect("a folder");
    assert_eq!(files.len(), 3);
    assert!(files[0].0 > 1, "the oldest went");
    let held = check(&folder(data.path())).expect("it can be read");
    assert!(held.is_ok_and(|(count, _)| count < 130), "the chain holds without them");
}

#[tokio::test]
async fn what_was_changed_is_named() {
    let data = tempfile::tempdir().expect("a folder");
    change(data.path(), &AuditConfig::default(), 2).await;
    let (_, file) = disk::files(&folder(data.path())).expect("a folder").pop().expect("a file");
    let text = fs::read_to_string(&file).expect("text");
    fs::write(&file, text.replacen("token/ci", "token/xy", 1)).expect("ours");
    let fault = check(&folder(data.path())).expect("it can be read").expect_err("it was changed");
    assert!(fault.starts_with("line 1 of") && fault.contains("changed"), "{fault}");
    fs::write(&file, text.lines().skip(1).map(|line| format!("{line}\n")).collect::<String>()).expect("ours");
    // The first that is kept may follow one that is not.
    assert!(check(&folder(data.path())).expect("it can be read").is_ok());
    let damaged = text.replace("}\n", "]\n");
    fs::write(&file, damaged).expect("ours");
    change(data.path(), &AuditConfig::default(), 1).await;
    let files = disk::files(&folder(data.path())).expect("a folder");
    assert_eq!(files.len(), 2, "after a damaged end a new chain begins");
    assert!(
        disk::lines(&files[1].1)
            .expect("it is there")
            .all(|line| line.is_ok_and(|line| Chain::after(&line).is_ok()))
    );
}

#[tokio::test]
async fn what_cannot_be_written_down_is_not_done() {
    let (data, tasks) = (tempfile::tempdir().expect("a folder"), Tasks::new());
    let audit = Audit::open(data.path(), small(), &tasks).expect("it opens");
    let under_way = audit.attempt(attempt("a")).await.expect("written");
    // The next file cannot be made.
    fs::rename(folder(data.path()), data.path().join("elsewhere")).expect("ours");
    let refused = loop {
        match audit.attempt(attempt("b")).await {
            Ok(attempt) => attempt.ended(Code::Ok),
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().contains("audit"), "{refused}");
    under_way.ended(Code::Ok);
    fs::rename(data.path().join("elsewhere"), folder(data.path())).expect("ours");
    audit.attempt(attempt("c")).await.expect("there is room again").ended(Code::Ok);
    assert!(tasks.stop(Duration::from_secs(10)).await);
    let (_, newest) = disk::files(&folder(data.path())).expect("a folder").pop().expect("a file");
    let text = fs::read_to_string(newest).expect("text");
    assert!(text.contains("\"call\":1,"), "the outcome that found no room was kept: {text}");
    assert!(check(&folder(data.path())).expect("it can be read").is_ok());
}

#[tokio::test]
async fn attempts_that_come_together_are_written_together_and_none_waits_for_one_that_is_given_up() {
    let (data, tasks) = (tempfile::tempdir().expect("a folder"), Tasks::new());
    let audit = Audit::open(data.path(), AuditConfig::default(), &tasks).expect("it opens");
    let alone = audit.attempt(attempt("alone")).await.expect("written");
    let mut given_up = Box::pin(audit.attempt(attempt("given up")));
    assert!(futures::poll!(&mut given_up).is_pending(), "it lets others go first");
    let mut others: Vec<_> =
        (0..30).map(|number| Box::pin(audit.attempt(attempt(&number.to_string())))).collect();
    for other in &mut others {
        assert!(futures::poll!(other).is_pending());
    }
    assert_eq!(read(&audit, Filter::default()).await.len(), 1);
    drop(given_up);
    for other in others {
        other.await.expect("written").ended(Code::Ok);
    }
    alone.ended(Code::Ok);
    let records = read(&audit, Filter::default()).await;
    let targets: Vec<_> = records.iter().take(32).map(|line| &*line.target).collect();
    assert_eq!((targets[..3].to_vec(), targets[31]), (vec!["alone", "given up", "0"], "29"));
    let ends = |outcome| records.iter().filter(|line| line.outcome == outcome).count();
    assert_eq!((ends("CANCELLED"), ends("OK"), records.len()), (1, 31, 64));
    assert!(tasks.stop(Duration::from_secs(10)).await);
    assert!(check(&folder(data.path())).expect("it can be read").is_ok());
}
