//! `matrix send`, `ask` and `chat`.

use crate::fake::Fake;

#[test]
fn ask_shows_text_as_text() {
    let fake = Fake::start();
    assert_eq!(fake.matrix(&["ask", "counter", "add 3"]).ends(0).stdout, "ADD 3\n");
    let call = &fake.calls("Ask")[0];
    assert!(call.contains(r#"Soul("counter")"#) && call.contains("timeout_ms: 10000"), "{call}");
    assert!(call.contains(r#"content_type: "text/plain""#), "{call}");
    let run = fake.json(&["ask", "matrix:market", "hi", "--timeout", "2"]).ends(0);
    assert_eq!(run.json()[0]["reply"]["text"], "HI");
    let call = &fake.calls("Ask")[1];
    assert!(call.contains(r#"Matrix("market")"#) && call.contains("timeout_ms: 2000"), "{call}");
}

#[test]
fn ask_reads_files_and_stdin() {
    let fake = Fake::start();
    fake.file("q.json", r#"{"add":3}"#);
    let indented = fake.matrix(&["ask", "counter", "--file", "q.json"]).ends(0);
    assert_eq!(indented.stdout, "{\n  \"add\": 3\n}\n");
    fake.file("q.bin", [0, 1, 2]);
    assert_eq!(fake.matrix(&["ask", "counter", "--file", "q.bin"]).ends(0).stdout, "\u{0}\u{1}\u{2}");
    assert_eq!(fake.matrix_with(&["ask", "counter", "-"], "from stdin").ends(0).stdout, "FROM STDIN\n");
    assert_eq!(fake.matrix(&["ask", "counter", "x", "--type", "a/b"]).ends(0).stdout, "x");
}

#[test]
fn no_reply_is_an_answer_and_lateness_an_error() {
    let fake = Fake::start();
    let silent = fake.matrix(&["ask", "deaf", "hi"]).ends(0);
    assert_eq!((silent.stdout.as_str(), silent.stderr.as_str()), ("", "(no reply)\n"));
    let late = fake.matrix(&["ask", "slow", "hi"]).ends(7);
    assert!(late.stderr.contains("where: soul:slow") && late.stderr.contains("--timeout"), "{}", late.stderr);
    fake.state().unavailable = 1;
    fake.matrix(&["ask", "counter", "hi"]).ends(6);
    assert_eq!(fake.calls("Ask").len(), 3, "a question is never asked twice");
}

#[test]
fn send_carries_a_request_id() {
    let fake = Fake::start();
    let sent = fake.matrix(&["send", "topic:news", "hello"]).ends(0);
    assert_eq!(sent.stdout, "sent 01ARZ3NDEKTSV4RRFFQ69G5FAV\n");
    let call = &fake.calls("Send")[0];
    assert!(call.contains(r#"Topic("news")"#) && !call.contains(r#"request_id: """#), "{call}");
    fake.matrix(&["send", "client:me", "hello"]).ends(2);
}

#[test]
fn chat_asks_line_by_line_in_one_conversation() {
    let fake = Fake::start();
    let run = fake.matrix_with(&["chat", "neo"], "wake up\n\nfollow the rabbit\nknock").ends(0);
    assert_eq!(run.stdout, "WAKE UP\nFOLLOW THE RABBIT\nKNOCK\n");
    assert_eq!((fake.calls("Converse").len(), fake.calls("ConverseAsk").len()), (1, 3));
    let failed = fake.matrix_with(&["chat", "nobody"], "hi\nthere\n").ends(3);
    assert!(failed.stderr.contains("there is no Soul `nobody`"), "{}", failed.stderr);
    assert_eq!(
        fake.matrix_with(&["--output", "json", "chat", "deaf"], "hi\n").ends(0).json()[0]["reply"],
        serde_json::Value::Null
    );
}
