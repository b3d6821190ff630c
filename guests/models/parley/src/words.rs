//! Words of a text.

/// The words of a text: its runs of letters and digits, in lower case.
pub(crate) fn words(text: &str) -> Vec<String> {
    let runs = text.split(|letter: char| !letter.is_alphanumeric()).filter(|run| !run.is_empty());
    runs.map(str::to_lowercase).collect()
}

/// Each pair of words in a row as a number; a text of one word has that one. The same pair is the same number on every
/// machine; that two pairs are one number is less likely than one in 2^40 for all that a talk may hold.
pub(crate) fn pairs(words: &[String]) -> Vec<u64> {
    if let [word] = words {
        return vec![number([word.as_str()])];
    }
    words.windows(2).map(|pair| number(pair.iter().map(String::as_str))).collect()
}

/// Fowler, Noll and Vo's hash of 64 bits, 1a, a zero behind each word.
fn number<'a>(words: impl IntoIterator<Item = &'a str>) -> u64 {
    let bytes = words.into_iter().flat_map(|word| word.bytes().chain([0]));
    bytes.fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

/// Whether a pattern occurs among words: its own words in a row, in which `*` stands for any letters.
pub(crate) fn occurs(pattern: &str, words: &[String]) -> bool {
    let pattern: Vec<String> = pattern.split_whitespace().map(str::to_lowercase).collect();
    let fits = |window: &[String]| pattern.iter().zip(window).all(|(like, word)| matches(like, word));
    !pattern.is_empty() && words.windows(pattern.len()).any(fits)
}

/// Whether a word is like a pattern. The parts between stars are looked for in order, each as early as it is found.
fn matches(like: &str, word: &str) -> bool {
    let Some((first, rest)) = like.split_once('*') else { return like == word };
    let Some(mut left) = word.strip_prefix(first) else { return false };
    let parts: Vec<&str> = rest.split('*').collect();
    let (last, middle) = parts.split_last().map_or(("", &[][..]), |(last, middle)| (*last, middle));
    for part in middle {
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_found_where_they_are() {
        let said = words("Buy NOW, buy cheap-watches; spamming is spam!");
        assert_eq!(said, ["buy", "now", "buy", "cheap", "watches", "spamming", "is", "spam"]);
        for pattern in ["spam", "SPAM*", "*amm*", "buy cheap", "b*y n*w", "*", "s*p*m"] {
            assert!(occurs(pattern, &said), "{pattern}");
        }
        for pattern in [
            "",
            "pam",
            "spam is",
            "cheap buy",
            "*x*",
            "spamm",
            "s*q",
            "buy now buy cheap watches spamming is spam too",
        ] {
            assert!(!occurs(pattern, &said), "{pattern}");
        }
        assert!(!matches("a*a", "a"), "both ends are letters of their own");
    }

    #[test]
    fn pairs_are_of_words_in_a_row() {
        let of = |text: &str| pairs(&words(text));
        assert_eq!(of("a b c").len(), 2);
        assert_eq!(of("a, B")[0], of("A b")[0]);
        assert_ne!(of("ab c"), of("a bc"));
        assert_eq!((of("one").len(), of("...").len()), (1, 0));
    }
}
