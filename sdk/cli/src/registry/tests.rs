use super::*;

fn registry(reference: &Reference, in_the_clear: bool) -> Registry<'_> {
    let way = Way { credentials: None, ca: None, in_the_clear, deadline: Duration::from_secs(1) };
    Registry::new(reference, way, false).expect("it can be reached")
}

fn reference(text: &str) -> Reference {
    text.parse().expect("a reference")
}

#[test]
fn nothing_goes_in_the_clear_but_on_this_machine_or_where_it_was_allowed() {
    let scheme = |host: &str, allowed| {
        let reference = reference(&format!("{host}/a:1"));
        registry(&reference, allowed).base.scheme_str().map(str::to_owned)
    };
    for here in ["localhost:5000", "127.0.0.1:5000", "[::1]:5000"] {
        assert_eq!(scheme(here, false).as_deref(), Some("http"), "{here}");
    }
    for elsewhere in ["ghcr.io", "10.0.0.1:5000", "localhost.example.org", "127.0.0.1.example.org"] {
        assert_eq!(scheme(elsewhere, false).as_deref(), Some("https"), "{elsewhere}");
        assert_eq!(scheme(elsewhere, true).as_deref(), Some("http"), "{elsewhere}");
    }
}

#[test]
fn one_is_sent_on_only_to_where_it_is_safe() {
    let (tls, here) = (reference("ghcr.io/a:1"), reference("127.0.0.1:5000/a:1"));
    let next = |of: &Reference, allowed, location: &str| {
        let registry = registry(of, allowed);
        let mut headers = hyper::HeaderMap::new();
        headers.insert(LOCATION, location.parse().expect("a header"));
        let answer = Answer { status: StatusCode::TEMPORARY_REDIRECT, headers, body: Bytes::new() };
        registry.next(&registry.base, &answer).ok().map(|url| url.to_string())
    };
    assert_eq!(next(&tls, false, "/x?y").as_deref(), Some("https://ghcr.io/x?y"));
    assert_eq!(next(&tls, false, "https://cdn.example.org/x").as_deref(), Some("https://cdn.example.org/x"));
    for unsafe_one in
        ["http://ghcr.io/x", "http://127.0.0.1/x", "file:///etc/passwd", "//evil.example.org/x", "x", ""]
    {
        assert_eq!(next(&tls, false, unsafe_one), None, "{unsafe_one}");
    }
    assert_eq!(next(&here, false, "http://10.0.0.1/x"), None);
    assert!(next(&here, false, "http://localhost:9/x").is_some());
    assert!(next(&here, true, "http://10.0.0.1/x").is_some());
}

#[test]
fn what_a_registry_says_is_made_safe_to_show() {
    let answer = |body: &'static str| Answer {
        status: StatusCode::BAD_REQUEST,
        headers: hyper::HeaderMap::new(),
        body: Bytes::from_static(body.as_bytes()),
    };
    let told = said(&answer("{\"errors\": [{\"code\": \"DENIED\", \"message\": \"no\\u001b[2J\"}]}"));
    assert_eq!(told, ": DENIED no\\u{1b}[2J");
    assert_eq!(said(&answer("<html>")), "");
}
