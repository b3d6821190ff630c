//! Sentences and paragraphs.

/// Words behind which a point ends no sentence.
const ABBREVIATIONS: [&str; 12] =
    ["Mr", "Mrs", "Ms", "Dr", "St", "Rev", "Prof", "Capt", "Col", "Gen", "etc", "vs"];

/// Whether what is written so far ends a sentence, if a space follows.
pub(crate) fn ends_sentence(text: &[u8]) -> bool {
    let closing = |byte: &u8| matches!(byte, b'"' | b'\'' | b')' | b']');
    let open = text.len() - text.iter().rev().take_while(|byte| closing(byte)).count();
    match text[..open].split_last() {
        Some((b'!' | b'?', _)) => true,
        Some((b'.', before)) => {
            let letters = before.iter().rev().take_while(|byte| byte.is_ascii_alphabetic()).count();
            let word = &before[before.len() - letters..];
            let initial = letters == 1 && word[0].is_ascii_uppercase() && word[0] != b'I';
            !initial && !ABBREVIATIONS.iter().any(|known| known.as_bytes() == word)
        }
        // Typographic marks: ” and ’ behind a point.
        Some((0x9d | 0x99, [before @ .., 0xe2, 0x80])) => ends_sentence(before),
        _ => false,
    }
}

/// The paragraphs of a text: what blank lines part.
pub(crate) fn paragraphs(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n\n")
        .map(|paragraph| paragraph.trim_matches('\n'))
        .filter(|paragraph| !paragraph.trim().is_empty())
}

/// The sentences of a paragraph.
pub(crate) fn sentences(paragraph: &str) -> Vec<&str> {
    let bytes = paragraph.as_bytes();
    let mut sentences = Vec::new();
    let mut from = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if byte.is_ascii_whitespace() && ends_sentence(&bytes[from..at]) {
            sentences.push(paragraph[from..at].trim());
            from = at;
        }
    }
    sentences.push(paragraph[from..].trim());
    sentences.retain(|sentence| !sentence.is_empty());
    sentences
}

/// A text in one line: where it was broken there are spaces.
pub(crate) fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text without a quotation mark that has no partner.
pub(crate) fn closed(text: String) -> String {
    match text.matches('"').count() % 2 {
        0 => text,
        _ if text.starts_with('"') => format!("{text}\""),
        _ => text.replacen('"', "", 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_end_where_they_end() {
        let text = "Mr. Tilney said, \"Is it so?\" He laughed. J. Thorpe (who\nknew.) did not... \u{201c}No.\u{201d} And then";
        let expected = [
            "Mr. Tilney said, \"Is it so?\"",
            "He laughed.",
            "J. Thorpe (who\nknew.)",
            "did not...",
            "\u{201c}No.\u{201d}",
            "And then",
        ];
        assert_eq!(sentences(text), expected);
        assert_eq!(sentences(" \n"), Vec::<&str>::new());
    }

    #[test]
    fn paragraphs_are_parted_by_blank_lines() {
        assert_eq!(paragraphs("\n\na\nb\n\n\nc\n").collect::<Vec<_>>(), ["a\nb", "c"]);
    }
}
