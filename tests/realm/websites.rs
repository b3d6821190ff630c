//! Souls of every language that send requests to a host outside the realm.

use matrix_tests::website::Website;

use crate::languages::{built, push_all, start_with};

#[test]
fn souls_in_every_language_send_requests() {
    let languages = built();
    let site = Website::start();
    let url = format!("http://localhost:{}", site.port());
    let settings = format!("[http]\nhosts = [\"{url}\"]\nprivate = [\"localhost\"]\n");
    let realm = start_with(1, |_| settings.clone());
    push_all(&realm, languages);
    for language in languages {
        let component = format!("courier-{language}");
        let spawn = |soul: &str, more: &[&str]| {
            let arguments = [&["souls", "spawn", soul, "--component", &component], more].concat();
            realm.matrix(1, &arguments).ok();
        };
        spawn(language, &["--http", &url]);
        let says = |request: &str, answer: &str| {
            assert_eq!(realm.ask(1, language, request).as_deref(), Ok(answer), "{language}: {request}");
        };
        says(&format!("GET {url}/there?x=1#part"), "200\nyou asked for /there?x=1");
        says(&format!("GET {url}/header/x-key\nx-key: secret"), "200\nx-key: secret");
        says(&format!("POST {url}/length\n\n{}", "Zürich ".repeat(10_000)), "200\n80000");
        // Where there is no body, that is said, and nothing sent in chunks.
        says(&format!("POST {url}/header/content-length"), "200\ncontent-length: 0");
        says(&format!("GET {url}/elsewhere/x"), "302\n");
        let fails = |soul: &str, request: &str, words: &str| {
            let failed = realm.ask(1, soul, request).expect_err(request);
            assert!(failed.contains(words), "{language}: {request}: {failed}");
        };
        fails(language, "GET http://localhost:1/x", "was denied");
        fails(language, "GET nowhere", "`nowhere` is no URL");
        fails(language, &format!("G(T {url}/x"), "`G(T` is no method");
        fails(language, &format!("GET {url}/x\nhost: evil.org"), "the header `host` cannot be set so");
        let denied = format!("{language}-denied");
        spawn(&denied, &[]);
        fails(&denied, &format!("GET {url}/x"), "was denied");
        assert_eq!(realm.matrix(1, &["souls", "show", language]).ok().json()["crashes"], 0, "{language}");
    }
    assert_eq!(site.heard().len(), 5 * languages.len());
}
