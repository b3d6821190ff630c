//! What must not be written anywhere.

use crate::tree::File;

/// The endings of files that people write and read.
pub(crate) const TEXTS: [&str; 16] = [
    "rs", "toml", "md", "wit", "proto", "py", "js", "ts", "c", "h", "sh", "yml", "yaml", "json", "Makefile",
    "txt",
];

/// The beginnings of paths that exist on one machine only, in halves, so that this file passes.
const MACHINE_PATHS: [(&str, &str); 5] =
    [("/ho", "me/"), ("/ro", "ot/"), ("/wo", "rk/"), ("/Us", "ers/"), ("C:\\", "Users")];

/// What stands for work not done, in halves.
const LATER: [(&str, &str); 4] = [("TO", "DO"), ("FIX", "ME"), ("XX", "X"), ("HA", "CK")];

/// That the file has more than `lines_max` lines.
pub(crate) fn too_long(file: &File, lines_max: usize) -> Option<String> {
    let lines = file.text.lines().count();
    (lines > lines_max)
        .then(|| file.finding(lines, &format!("{lines} lines: at most {lines_max} are allowed")))
}

/// Where something is left for later.
pub(crate) fn left_for_later(file: &File) -> Vec<String> {
    let is_part =
        |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    let later = |line: &str, word: &str| {
        line.match_indices(word).any(|(at, _)| {
            !is_part(line[..at].chars().next_back()) && !is_part(line[at + word.len()..].chars().next())
        })
    };
    find(file, &LATER, later, "left for later")
}

/// Where a path of one machine is written: one that begins there, not one in the midst of another.
pub(crate) fn machine_paths(file: &File) -> Vec<String> {
    let begins = |line: &str, path: &str| {
        line.match_indices(path).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            !before.is_some_and(|letter| letter.is_alphanumeric() || "._-~}$>*/".contains(letter))
        })
    };
    find(file, &MACHINE_PATHS, begins, "a path of one machine")
}

fn find(
    file: &File,
    needles: &[(&str, &str)],
    holds: impl Fn(&str, &str) -> bool,
    what: &str,
) -> Vec<String> {
    let mut found = vec![];
    for (number, line) in file.text.lines().enumerate() {
        for (head, tail) in needles {
            let needle = format!("{head}{tail}");
            if holds(line, &needle) {
                found.push(file.finding(number + 1, &format!("{what}: `{needle}`")));
            }
        }
    }
    found
}

/// That the file's name has letters that some system cannot write.
pub(crate) fn odd_name(file: &File) -> Option<String> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./".contains(letter);
    (!file.path.chars().all(plain)).then(|| file.finding(1, "an odd file name"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::sample;

    #[test]
    fn long_files_are_found() {
        let file = sample("a.rs", "\n\n\n");
        assert_eq!(too_long(&file, 2), Some("a.rs:3: 3 lines: at most 2 are allowed".to_owned()));
        assert_eq!(too_long(&file, 3), None);
    }

    #[test]
    fn forbidden_words_are_found() {
        let later: String = ["// TO", "DO: more\nlet HA", "CKS = 1;"].concat();
        assert_eq!(left_for_later(&sample("a.rs", &later)).len(), 1);
        let paths: String =
            ["see \"/ho", "me/x\" and\nhttps://example.org/ho", "me/x\n$TOP/wo", "rk/"].concat();
        let found = machine_paths(&sample("a.md", &paths));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("a.md:1: a path of one machine"), "{found:?}");
    }

    #[test]
    fn odd_names_are_found() {
        assert!(odd_name(&sample("docs/my file.md", "")).is_some());
        assert!(odd_name(&sample("docs/my-file_2.md", "")).is_none());
    }
}
