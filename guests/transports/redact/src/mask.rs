//! What is masked, by which words and patterns.

use regex_lite::{NoExpand, Regex, RegexBuilder};

/// The largest pattern, compiled, in bytes: a pattern must not take the stage's memory.
const PATTERN_BYTES_MAX: usize = 256 << 10;
/// An address of e-mail, as far as anybody writes them in texts.
const EMAIL: &str = r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+";
/// Telephone numbers, account numbers, card numbers.
const NUMBER: &str = r"\d(?:[ .-]?\d){6,}";

/// What is masked, and which way.
#[derive(Debug)]
pub(crate) struct Mask {
    patterns: Vec<Regex>,
    with: String,
    /// Whether it applies to messages that leave.
    pub(crate) outbound: bool,
    /// Whether it applies to messages that come.
    pub(crate) inbound: bool,
}

impl Mask {
    /// Reads settings; an error names the one that is wrong.
    pub(crate) fn new(settings: &[(String, String)]) -> Result<Self, String> {
        let mut mask =
            Self { patterns: Vec::new(), with: "[redacted]".to_owned(), outbound: true, inbound: true };
        for (key, value) in settings {
            match key.as_str() {
                "mask" => {
                    for word in value.split_whitespace() {
                        mask.patterns.push(compiled(named(word)?)?);
                    }
                }
                "patterns" => {
                    for line in value.lines().filter(|line| !line.trim().is_empty()) {
                        mask.patterns.push(compiled(line)?);
                    }
                }
                "with" => mask.with.clone_from(value),
                "direction" => (mask.outbound, mask.inbound) = directions(value)?,
                other => {
                    return Err(format!(
                        "it has no setting `{other}`: use mask, patterns, with or direction"
                    ));
                }
            }
        }
        if mask.patterns.is_empty() {
            return Err("it has nothing to mask: set `mask` or `patterns`".to_owned());
        }
        Ok(mask)
    }

    /// The text with everything masked; none: there is nothing to mask in it.
    pub(crate) fn apply(&self, text: &str) -> Option<String> {
        let mut masked: Option<String> = None;
        for pattern in &self.patterns {
            let now = masked.as_deref().unwrap_or(text);
            if let std::borrow::Cow::Owned(next) = pattern.replace_all(now, NoExpand(&self.with)) {
                masked = Some(next);
            }
        }
        masked
    }
}

fn named(word: &str) -> Result<&'static str, String> {
    match word {
        "email" => Ok(EMAIL),
        "number" => Ok(NUMBER),
        other => Err(format!("its setting `mask` has `{other}`: use email or number, or write a pattern")),
    }
}

fn compiled(pattern: &str) -> Result<Regex, String> {
    let regex = RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build();
    let regex = regex.map_err(|error| format!("its pattern `{pattern}` is none: {error}"))?;
    // It would stand between all letters.
    if regex.is_match("") {
        return Err(format!(
            "its pattern `{pattern}` matches nothing at all: make it match a letter at least"
        ));
    }
    Ok(regex)
}

fn directions(word: &str) -> Result<(bool, bool), String> {
    match word {
        "both" => Ok((true, true)),
        "outbound" => Ok((true, false)),
        "inbound" => Ok((false, true)),
        other => Err(format!("its setting `direction` is `{other}`: use outbound, inbound or both")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(settings: &[(&str, &str)]) -> Result<Mask, String> {
        let settings: Vec<_> = settings.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        Mask::new(&settings)
    }

    fn masked(settings: &[(&str, &str)], text: &str) -> String {
        mask(settings).unwrap().apply(text).unwrap_or_else(|| "-".to_owned())
    }

    #[test]
    fn addresses_and_numbers_are_found() {
        let both = [("mask", "email number"), ("with", "#")];
        assert_eq!(masked(&both, "Mail a.b+c@x-y.example.org, or call 030 123-45-67!"), "Mail #, or call #!");
        assert_eq!(masked(&both, "4111111111111111"), "#");
        for plain in ["", "in 2026", "123 456", "a@b", "@x.org", "1 2  3 4 5 6 7"] {
            assert_eq!(masked(&both, plain), "-", "{plain}");
        }
        assert_eq!(masked(&[("mask", "number")], "a@b.cd"), "-");
    }

    #[test]
    fn patterns_are_masked_one_after_another_and_taken_literally() {
        let patterns = [("patterns", "secret \\w+\n\n(?i)ZION\n"), ("with", "$0")];
        assert_eq!(masked(&patterns, "secret word of Zion"), "$0 of $0");
    }

    #[test]
    fn settings_that_are_wrong_are_named() {
        for (settings, named) in [
            (&[("mask", "phone")][..], "phone"),
            (&[("patterns", "(")], "pattern `(`"),
            (&[("patterns", "a*")], "matches nothing"),
            (&[("mask", "email"), ("direction", "up")], "direction"),
            (&[("masks", "email")], "masks"),
            (&[("with", "x")], "nothing to mask"),
            (&[], "nothing to mask"),
        ] {
            let problem = mask(settings).unwrap_err();
            assert!(problem.contains(named), "{problem}");
        }
        assert!(mask(&[("patterns", &"(a{100}){100}".repeat(9))]).is_err(), "it is too large");
    }
}
