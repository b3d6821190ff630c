//! The lines of a node's audit log: JSON objects, each of which holds the hash of the one before and ends in its own. It
//! is here because both programs read it.
//!
//! A line's hash is the BLAKE3 of its bytes before `,"hash":`. Whoever can write the file can make a new chain, but not
//! one that ends in a hash that was noted elsewhere.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// What the first line has in place of the hash of the one before.
const NOTHING: blake3::Hash = blake3::Hash::from_bytes([0; blake3::OUT_LEN]);
/// What stands before the hash of the line before.
const PREV_KEY: &str = ",\"prev\":\"";
/// What stands before a line's own hash.
const HASH_KEY: &str = ",\"hash\":\"";
/// What stands after it.
const END: &str = "\"}";
/// Hexadecimal digits of a hash.
const HASH_DIGITS: usize = 2 * blake3::OUT_LEN;

/// What a line says, without its hash.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The line's number, from 1 on.
    pub seq: u64,
    /// Milliseconds since the Unix epoch at which it was written.
    pub at_ms: u64,
    /// The line of the attempt that this is the outcome of; 0: it is an attempt.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub call: u64,
    /// The method, as `Service/Method`.
    pub method: Cow<'static, str>,
    /// Who called.
    pub caller: String,
    /// What the caller may do.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub role: Cow<'static, str>,
    /// The peer that passed the call on; empty: the caller was here.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub via: String,
    /// What the call is about.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// The call's request id.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request_id: String,
    /// The status code; empty for an attempt.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub outcome: Cow<'static, str>,
    /// The hash of the line before, in hexadecimal digits. [`Chain::seal`] writes it.
    #[serde(skip_serializing)]
    pub prev: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Why a line does not follow the one before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is no line of an audit log.
    #[error("it is no line of an audit log")]
    Malformed,
    /// It was changed.
    #[error("its hash is not that of its bytes: it was changed")]
    Changed,
    /// The one before is another.
    #[error("it does not follow the line before: lines are missing, or were changed")]
    Link,
}

/// A place in the log: what the next line must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    next: u64,
    prev: blake3::Hash,
}

impl Default for Chain {
    fn default() -> Self {
        Self { next: 1, prev: NOTHING }
    }
}

impl Chain {
    /// The place after `line`, of which only its own hash is checked.
    ///
    /// # Errors
    /// `Malformed` or `Changed`.
    pub fn after(line: &str) -> Result<(Self, Entry), Fault> {
        let (entry, hash) = open(line)?;
        Ok((Self { next: entry.seq.saturating_add(1), prev: hash }, entry))
    }

    /// A place that follows nothing that is known: the line with the number `next` comes there.
    pub const fn anew(next: u64) -> Self {
        Self { next, prev: NOTHING }
    }

    /// The number of the next line.
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// The hash of the last line, in hexadecimal digits: whoever notes it elsewhere can tell later that nothing before
    /// was changed.
    pub fn head(&self) -> String {
        self.prev.to_string()
    }

    /// Appends the next line to `text`, with a line feed. The number of `entry` is filled in.
    pub fn seal(&mut self, entry: &mut Entry, text: &mut Vec<u8>) {
        entry.seq = self.next;
        let start = text.len();
        serde_json::to_writer(&mut *text, entry).expect("numbers and texts have a form in JSON");
        text.truncate(text.len() - 1);
        for part in [PREV_KEY, &self.prev.to_hex(), "\""] {
            text.extend_from_slice(part.as_bytes());
        }
        self.prev = blake3::hash(&text[start..]);
        self.next += 1;
        for part in [HASH_KEY, &self.prev.to_hex(), END, "\n"] {
            text.extend_from_slice(part.as_bytes());
        }
    }

    /// What the next line says, which must follow.
    ///
    /// # Errors
    /// Whatever [`Fault`] names.
    pub fn follow(&mut self, line: &str) -> Result<Entry, Fault> {
        let (after, entry) = Self::after(line)?;
        if entry.seq != self.next || entry.prev != self.prev.to_string() {
            return Err(Fault::Link);
        }
        *self = after;
        Ok(entry)
    }
}

/// What a line says, and its hash.
fn open(line: &str) -> Result<(Entry, blake3::Hash), Fault> {
    let rest = line.strip_suffix(END).ok_or(Fault::Malformed)?;
    let at = rest
        .len()
        .checked_sub(HASH_DIGITS)
        .filter(|at| rest.is_char_boundary(*at))
        .ok_or(Fault::Malformed)?;
    let (body, digits) = rest.split_at(at);
    let body = body.strip_suffix(HASH_KEY).ok_or(Fault::Malformed)?;
    let hash = blake3::Hash::from_hex(digits).map_err(|_| Fault::Malformed)?;
    if blake3::hash(body.as_bytes()) != hash {
        return Err(Fault::Changed);
    }
    let entry = serde_json::from_str(&format!("{body}}}")).map_err(|_| Fault::Malformed)?;
    Ok((entry, hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(chain: &mut Chain, entry: &mut Entry) -> String {
        let mut text = Vec::new();
        chain.seal(entry, &mut text);
        assert_eq!(text.pop(), Some(b'\n'));
        String::from_utf8(text).expect("JSON is text")
    }

    fn lines(count: u64) -> Vec<String> {
        let mut chain = Chain::default();
        let entry = |number: u64| Entry {
            at_ms: number,
            method: "Kv/Put".into(),
            caller: "local".into(),
            target: format!("notes/\"{number}"),
            ..Entry::default()
        };
        (1..=count).map(|number| seal(&mut chain, &mut entry(number))).collect()
    }

    /// The number of the first line that does not follow, and why.
    fn fault(lines: &[String]) -> Option<(usize, Fault)> {
        let mut chain = Chain::default();
        (1..).zip(lines).find_map(|(number, line)| chain.follow(line).err().map(|fault| (number, fault)))
    }

    #[test]
    fn a_chain_holds_until_something_is_changed_taken_or_put_in() {
        let sound = lines(4);
        assert_eq!(fault(&sound), None);
        let mut changed = sound.clone();
        changed[1] = changed[1].replace("\"at_ms\":2", "\"at_ms\":3");
        assert_eq!(fault(&changed), Some((2, Fault::Changed)));
        let mut taken = sound.clone();
        taken.remove(2);
        assert_eq!(fault(&taken), Some((3, Fault::Link)));
        let mut twice = sound.clone();
        twice.insert(1, sound[0].clone());
        assert_eq!(fault(&twice), Some((2, Fault::Link)));
        let mut cut = sound.clone();
        cut[3].truncate(40);
        assert_eq!(fault(&cut), Some((4, Fault::Malformed)));
        // One that was made anew in its place no longer is what the next one follows.
        let mut forged = sound.clone();
        let mut chain = Chain::after(&sound[0]).expect("sound").0;
        forged[1] = seal(&mut chain, &mut Entry { method: "Kv/Get".into(), ..Entry::default() });
        assert_eq!(fault(&forged), Some((3, Fault::Link)));
    }

    #[test]
    fn lines_have_the_bytes_that_they_always_had() {
        const ATTEMPT: &str = concat!(
            r#"{"seq":3,"at_ms":1795891429097,"method":"Access/RevokeToken","caller":"local","role":"admin","target":"ci","#,
            r#""request_id":"68b3fd2c9c51ac9580eeffbe198138d9","#,
            r#""prev":"aa97e2901495b662115227c13f9768db5dcf451d61c8a9c5845eeed249bdec9d","#,
            r#""hash":"d7e1a8fed3215bc201568c8db11cf18b0bc78a4454be2c16e4b5fbd7222e3501"}"#,
        );
        const OUTCOME: &str = concat!(
            r#"{"seq":4,"at_ms":1795891429098,"call":3,"method":"Access/RevokeToken","caller":"local","outcome":"NOT_FOUND","#,
            r#""prev":"d7e1a8fed3215bc201568c8db11cf18b0bc78a4454be2c16e4b5fbd7222e3501","#,
            r#""hash":"e12db70cf1370fb99973015d44f71d055a73c31d9c75d17d94e22362813892e6"}"#,
        );
        let prev = blake3::Hash::from_hex("aa97e2901495b662115227c13f9768db5dcf451d61c8a9c5845eeed249bdec9d");
        let mut chain = Chain { next: 3, prev: prev.expect("a hash") };
        for line in [ATTEMPT, OUTCOME] {
            let mut entry = Chain::after(line).expect("sound").1;
            assert_eq!(seal(&mut chain, &mut entry), line);
        }
    }

    #[test]
    fn a_chain_goes_on_from_its_last_line() {
        let sound = lines(3);
        let (mut chain, last) = Chain::after(&sound[2]).expect("sound");
        assert_eq!((last.seq, chain.next(), last.target.as_str()), (3, 4, "notes/\"3"));
        let next = seal(&mut chain, &mut Entry::default());
        let mut reading = Chain::after(&sound[2]).expect("sound").0;
        assert!(reading.follow(&next).is_ok());
        assert_eq!(reading.head(), chain.head());
        assert!(Chain::after("").is_err() && Chain::after("{}").is_err() && Chain::after("é\"}").is_err());
    }
}
