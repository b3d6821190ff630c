//! Just enough of Rust's grammar to read what code names, and not what comments and texts say.

/// The code with comments, texts and characters blanked out; lines stay where they are.
pub(crate) fn code(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < letters.len() {
        let rest = &letters[at..];
        let skipped = comment(rest).or_else(|| raw_text(rest, &out)).or_else(|| quoted(rest));
        match skipped {
            Some(length) => {
                let length = length.min(rest.len());
                out.extend(rest[..length].iter().map(|&letter| if letter == '\n' { '\n' } else { ' ' }));
                at += length;
            }
            None => {
                out.push(rest[0]);
                at += 1;
            }
        }
    }
    out
}

/// The length of the comment that `rest` begins with.
fn comment(rest: &[char]) -> Option<usize> {
    match rest {
        ['/', '/', ..] => Some(rest.iter().position(|&letter| letter == '\n').unwrap_or(rest.len())),
        ['/', '*', ..] => {
            let (mut depth, mut at) = (0, 0);
            while at < rest.len() {
                match rest[at..] {
                    ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
                    ['*', '/', ..] if depth == 1 => return Some(at + 2),
                    ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
                    _ => at += 1,
                }
            }
            Some(rest.len())
        }
        _ => None,
    }
}

/// The length of the raw text, such as `r#"…"#`, that `rest` begins with, after the code `before`.
fn raw_text(rest: &[char], before: &str) -> Option<usize> {
    let starts_word = !before.ends_with(|letter: char| letter.is_alphanumeric() || letter == '_')
        || before.ends_with('b') && !before[..before.len() - 1].ends_with(char::is_alphanumeric);
    if rest[0] != 'r' || !starts_word {
        return None;
    }
    let fence = rest[1..].iter().take_while(|&&letter| letter == '#').count();
    if rest.get(1 + fence) != Some(&'"') {
        return None;
    }
    let body = fence + 2;
    let closes = |at: usize| {
        rest[at] == '"' && rest[at + 1..].iter().take(fence).filter(|&&letter| letter == '#').count() == fence
    };
    Some((body..rest.len()).find(|&at| closes(at)).map_or(rest.len(), |at| at + 1 + fence))
}

/// The length of the text or character that `rest` begins with; a lifetime is neither.
fn quoted(rest: &[char]) -> Option<usize> {
    let quote = rest[0];
    let is_character = matches!(rest, ['\'', '\\', ..]) || matches!(rest, ['\'', _, '\'', ..]);
    if quote != '"' && !is_character {
        return None;
    }
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    Some(at + 1)
}

/// A path in code, such as `crate::kv::Store`: its line, the first being 1, and its segments. The
/// branches of `crate::{kv, p2p::Peer}` are paths of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    /// Where its first segment stands.
    pub(crate) line: usize,
    /// At least one.
    pub(crate) segments: Vec<String>,
}

/// All paths in `code`, single names included.
pub(crate) fn paths(code: &str) -> Vec<Path> {
    let tokens = tokens(code);
    let mut found = vec![];
    let mut at = 0;
    while at < tokens.len() {
        at = match tokens[at].1 {
            name if is_name(name) => read_path(&tokens, at, &[], &mut found),
            _ => at + 1,
        };
    }
    found
}

/// Reads the path, with its branches, whose first name is `tokens[at]`; returns where it ends.
fn read_path(tokens: &[(usize, &str)], mut at: usize, stem: &[String], found: &mut Vec<Path>) -> usize {
    let line = tokens[at].0;
    let mut segments = stem.to_vec();
    let text = |at: usize| tokens.get(at).map_or("", |token| token.1);
    while is_name(text(at)) || text(at) == "*" {
        segments.push(text(at).to_owned());
        at += 1;
        if text(at) != "::" {
            break;
        }
        at += 1;
        if text(at) == "{" {
            at += 1;
            while at < tokens.len() && text(at) != "}" {
                at = if is_name(text(at)) { read_path(tokens, at, &segments, found) } else { at + 1 };
            }
            return at + 1;
        }
    }
    found.push(Path { line, segments });
    at.max(1)
}

fn is_name(token: &str) -> bool {
    token.starts_with(|letter: char| letter.is_alphabetic() || letter == '_')
}

/// Names, `::`, and every other character, each with its line.
fn tokens(code: &str) -> Vec<(usize, &str)> {
    let mut found = vec![];
    for (number, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let word = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
            let length = match word {
                Some(0) if rest.starts_with("::") => 2,
                Some(0) => first.len_utf8(),
                Some(length) => length,
                None => rest.len(),
            };
            found.push((number + 1, &rest[..length]));
            rest = rest[length..].trim_start();
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_is_left() {
        let text = "a // b\n/* c /* d */ e */ f \"g\\\"h\" 'i' '\\'' &'j k r#\"l\"m\"# br\"n\" for o";
        let left = code(text);
        assert_eq!(left.split_whitespace().collect::<Vec<_>>(), ["a", "f", "&'j", "k", "b", "for", "o"]);
        assert_eq!(left.lines().count(), 2);
        assert_eq!(code("x(\"unclosed"), "x(         ");
    }

    #[test]
    fn branches_are_paths_of_their_own() {
        let found: Vec<_> = paths("use crate::{kv::{A, B}, p2p};\nx::y(z); use q::*;")
            .into_iter()
            .map(|path| format!("{}:{}", path.line, path.segments.join("::")))
            .collect();
        assert_eq!(
            found,
            ["1:use", "1:crate::kv::A", "1:crate::kv::B", "1:crate::p2p", "2:x::y", "2:z", "2:use", "2:q::*"]
        );
    }
}
