//! Whether a view can be looked at.

use serde_json::Value;

/// What is wrong with a view; none: nothing.
pub(crate) fn malformed(media_type: &str, body: &[u8]) -> Option<String> {
    let text = match std::str::from_utf8(body) {
        Ok(text) => text,
        Err(error) => return Some(format!("the view is no text: {error}")),
    };
    match media_type.split(';').next().unwrap_or_default() {
        "application/json" => {
            serde_json::from_str::<Value>(text).err().map(|error| format!("the view is no JSON: {error}"))
        }
        "image/svg+xml" => unbalanced(text),
        other => Some(format!("the view is `{other}`")),
    }
}

/// What is wrong with the elements of a picture in XML; none: each is closed, and the outermost is `svg`.
fn unbalanced(text: &str) -> Option<String> {
    let (mut open, mut root): (Vec<&str>, Option<&str>) = (Vec::new(), None);
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let (end, skip) = match rest {
            _ if rest.starts_with("!--") => (rest.find("-->"), true),
            _ if rest.starts_with(['?', '!']) => (rest.find('>'), true),
            _ => (tag_end(rest), false),
        };
        let Some(end) = end else { return Some("a tag has no end".to_owned()) };
        let tag = &rest[..end];
        rest = &rest[end..];
        if skip {
            continue;
        }
        let name =
            |tag: &'_ str| tag.len() - tag.trim_start_matches(|c: char| !c.is_whitespace() && c != '/').len();
        if let Some(closed) = tag.strip_prefix('/') {
            match open.pop() {
                Some(opened) if opened == closed.trim_end() => {}
                opened => return Some(format!("`</{closed}>` closes `{}`", opened.unwrap_or("nothing"))),
            }
            continue;
        }
        let element = &tag[..name(tag)];
        root.get_or_insert(element);
        if !tag.ends_with('/') {
            open.push(element);
        }
    }
    match (root, open.pop()) {
        (_, Some(opened)) => Some(format!("`<{opened}>` is never closed")),
        (Some("svg"), None) => None,
        (other, None) => Some(format!("the outermost element is `{}`", other.unwrap_or("none"))),
    }
}

/// Where a tag ends: the first `>` that stands in no quotes.
fn tag_end(text: &str) -> Option<usize> {
    let mut quote = None;
    text.char_indices().find_map(|(at, letter)| match (quote, letter) {
        (None, '>') => Some(at),
        (None, '"' | '\'') => {
            quote = Some(letter);
            None
        }
        (Some(open), _) if open == letter => {
            quote = None;
            None
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_held_to_their_elements() {
        let fine =
            "<?xml version=\"1.0\"?><svg a=\"1 > 0\"><!-- <b> --><g><path d='<'/></g><text>x</text ></svg>";
        assert_eq!(unbalanced(fine), None);
        for broken in [
            "<svg><g></svg>",
            "<svg>",
            "</svg>",
            "<html></html>",
            "text",
            "<svg></svg></svg>",
            "<svg",
            "<svg/><!--",
        ] {
            assert!(unbalanced(broken).is_some(), "{broken}");
        }
        assert!(malformed("image/svg+xml", b"<svg/>").is_none());
        assert!(
            malformed("application/json", b"{}").is_none() && malformed("application/json", b"{").is_some()
        );
        assert!(malformed("text/plain", b"x").is_some() && malformed("image/svg+xml", b"\xff").is_some());
    }
}
