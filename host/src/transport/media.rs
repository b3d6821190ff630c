//! Media types: nearly all messages have one of a few.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Those that need no memory of their own, and are copied without counting who holds them.
const COMMON: [&str; 4] = ["text/plain", "application/json", "application/octet-stream", "image/svg+xml"];

/// The media type of some content, as text; by convention within 128 visible ASCII characters, which is checked
/// where it comes in.
#[derive(Clone)]
pub struct MediaType(Text);

#[derive(Clone)]
enum Text {
    Common(&'static str),
    Other(Arc<str>),
}

impl From<&str> for MediaType {
    fn from(text: &str) -> Self {
        let common = COMMON.iter().find(|common| **common == text);
        Self(common.map_or_else(|| Text::Other(text.into()), |common| Text::Common(common)))
    }
}

impl From<String> for MediaType {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl Deref for MediaType {
    type Target = str;

    fn deref(&self) -> &str {
        match &self.0 {
            Text::Common(text) => text,
            Text::Other(text) => text,
        }
    }
}

impl PartialEq for MediaType {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for MediaType {}

impl fmt::Debug for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_or_not_they_are_their_text() {
        for text in ["text/plain", "x/y", ""] {
            let media = MediaType::from(text);
            assert_eq!(&*media, text);
            assert_eq!(media.clone(), MediaType::from(text.to_owned()));
        }
        assert_ne!(MediaType::from("x/y"), MediaType::from("text/plain"));
    }
}
