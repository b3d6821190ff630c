//! The log that `Logs.Tail` reads: what Souls, rules and the node itself wrote last, in bounded memory.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer};

use super::pattern::Pattern;
use super::ring::{Fill, Reader, Ring, Step};
use crate::clock;

/// The most bytes in a line's text, what [`sanitize`] adds included: a line is read by people, and
/// 4 KiB fill their screen.
pub const LINE_BYTES_MAX: usize = 4096;

/// What a cut line ends with.
const CUT_MARK: &str = "… (cut)";

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Values of variables, flow of control.
    Trace,
    /// For whoever debugs.
    Debug,
    /// For whoever watches.
    Info,
    /// Something may be wrong.
    Warn,
    /// Something is wrong.
    Error,
}

impl From<tracing::Level> for LogLevel {
    fn from(level: tracing::Level) -> Self {
        match level {
            tracing::Level::TRACE => Self::Trace,
            tracing::Level::DEBUG => Self::Debug,
            tracing::Level::INFO => Self::Info,
            tracing::Level::WARN => Self::Warn,
            tracing::Level::ERROR => Self::Error,
        }
    }
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// How much it matters.
    pub level: LogLevel,
    /// Whose it is: `soul:NAME`, `matrix:NAME` or `node`.
    pub source: Arc<str>,
    /// What [`sanitize`] made of the text.
    pub text: Box<str>,
}

/// The last lines of the node and its guests. Clones are the same log.
#[derive(Debug, Clone)]
pub struct LogRing {
    ring: Arc<Ring<LogLine>>,
}

impl LogRing {
    /// An empty log that keeps at most `lines_max` lines and `bytes_max` bytes.
    pub fn new(lines_max: usize, bytes_max: usize) -> Self {
        Self { ring: Arc::new(Ring::new(lines_max, bytes_max)) }
    }

    /// Appends a line. `source` is written by the node, and is one of `soul:NAME`, `matrix:NAME` or
    /// `node`; `text` may be anything. Never waits for a reader.
    pub fn push(&self, level: LogLevel, source: Arc<str>, text: &str) {
        let text: Box<str> = sanitize(text).into();
        let bytes = size_of::<LogLine>() + text.len();
        self.ring.push(LogLine { at_ms: clock::now_ms(), level, source, text }, bytes);
    }

    /// A reader of the latest `lines` lines that pass `filter`, as far as they are kept, and of those
    /// that follow.
    pub fn tail(&self, filter: LogFilter, lines: usize) -> LogTail {
        let mut next = self.ring.fill().latest + 1;
        let mut wanted = lines;
        let mut end = next;
        'pieces: while wanted > 0 {
            // Piece by piece, so that writers are not held up by a search of the whole log.
            let piece = self.ring.before(end, usize::MAX);
            let Some(&(first, _)) = piece.first() else { break };
            for (sequence, _) in piece.iter().rev().filter(|(_, line)| filter.passes(line)) {
                next = *sequence;
                wanted -= 1;
                if wanted == 0 {
                    break 'pieces;
                }
            }
            end = first;
        }
        LogTail { reader: self.ring.reader(next), filter, dropped: 0 }
    }

    /// How full the log is.
    pub fn fill(&self) -> Fill {
        self.ring.fill()
    }
}

/// Which lines a reader wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter {
    /// Only lines of these sources; none: of all.
    pub source: Option<Pattern>,
    /// Only lines that matter at least this much.
    pub level: LogLevel,
}

impl LogFilter {
    /// Whether a line is wanted.
    pub fn passes(&self, line: &LogLine) -> bool {
        line.level >= self.level
            && self.source.as_ref().is_none_or(|pattern| pattern.matches("", &line.source))
    }
}

/// What a reader of the log receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tailed {
    /// The line.
    pub line: Arc<LogLine>,
    /// Lines that this reader was too slow for, since the line that it got before; some of them may
    /// have passed its filter.
    pub dropped: u64,
}

/// A reader of the log.
#[derive(Debug)]
pub struct LogTail {
    reader: Reader<LogLine>,
    filter: LogFilter,
    dropped: u64,
}

impl LogTail {
    /// The next line, once there is one. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Tailed {
        loop {
            let step = self.reader.next().await;
            if let Some(tailed) = self.take(step) {
                return tailed;
            }
            // A filter that lets little pass must not keep its thread from other tasks.
            tokio::task::coop::consume_budget().await;
        }
    }

    /// The next line, if there is one now.
    pub fn try_next(&mut self) -> Option<Tailed> {
        loop {
            let step = self.reader.try_next()?;
            if let Some(tailed) = self.take(step) {
                return Some(tailed);
            }
        }
    }

    fn take(&mut self, step: Step<LogLine>) -> Option<Tailed> {
        match step {
            Step::Missed(from, to) => {
                self.dropped += to - from + 1;
                None
            }
            Step::Item(_, line) if self.filter.passes(&line) => {
                Some(Tailed { line, dropped: std::mem::take(&mut self.dropped) })
            }
            Step::Item(..) => None,
        }
    }
}

/// Makes a text one harmless line: what is no printable character is escaped as Rust does
/// (`\n`, `\u{1b}`), also what would turn the direction of writing or cannot be seen; what exceeds
/// [`LINE_BYTES_MAX`] is cut, and marked so. A sound text comes back as it is.
pub fn sanitize(text: &str) -> Cow<'_, str> {
    if text.len() <= LINE_BYTES_MAX && !text.chars().any(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len().min(LINE_BYTES_MAX) + 16);
    let mut cut_at = 0;
    for letter in text.chars() {
        if is_harmful(letter) {
            line.extend(letter.escape_default());
        } else {
            line.push(letter);
        }
        if line.len() > LINE_BYTES_MAX {
            line.truncate(cut_at);
            line.push_str(CUT_MARK);
            break;
        }
        if line.len() <= LINE_BYTES_MAX - CUT_MARK.len() {
            cut_at = line.len();
        }
    }
    Cow::Owned(line)
}

/// Control characters; separators that some readers take for an end of line; marks that change the
/// direction of what follows, or that nobody sees.
fn is_harmful(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// Mirrors the node's own events of the level INFO and above into the log, under the source `node`.
#[derive(Debug)]
pub struct MirrorLayer {
    logs: LogRing,
    source: Arc<str>,
}

impl MirrorLayer {
    /// A layer that writes to `logs`.
    pub fn new(logs: LogRing) -> Self {
        Self { logs, source: "node".into() }
    }
}

impl<S: tracing::Subscriber> Layer<S> for MirrorLayer {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let level = LogLevel::from(*event.metadata().level());
        if level >= LogLevel::Info {
            let mut line = Line::default();
            event.record(&mut line);
            self.logs.push(level, Arc::clone(&self.source), &line.text());
        }
    }
}

/// The message of an event, and its other fields as `name=value`.
#[derive(Default)]
struct Line {
    message: Bounded,
    fields: Bounded,
}

impl Line {
    fn text(self) -> String {
        let mut text = self.message.0;
        text.push_str(&self.fields.0);
        text
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // An error means that the line is full: the rest is cut.
        let _full = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

/// A text that stops growing a little above what a line may hold, so that [`sanitize`] marks it as cut.
#[derive(Default)]
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        let room = (LINE_BYTES_MAX + 1).saturating_sub(self.0.len());
        self.0.push_str(&piece[..piece.ceil_char_boundary(room)]);
        if piece.len() > room { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use proptest::prelude::*;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    fn filter(source: Option<&str>, level: LogLevel) -> LogFilter {
        LogFilter { source: source.map(|text| Pattern::parse(text).expect("a pattern")), level }
    }

    fn texts(mut tail: LogTail) -> Vec<(String, u64)> {
        std::iter::from_fn(|| tail.try_next()).map(|t| (t.line.text.to_string(), t.dropped)).collect()
    }

    #[test]
    fn what_could_forge_a_line_is_escaped() {
        assert!(matches!(sanitize("plain – ünïcode \\ 世界"), Cow::Borrowed(_)));
        assert_eq!(sanitize("a\nnode ERROR b\r\t\0"), "a\\nnode ERROR b\\r\\t\\u{0}");
        assert_eq!(sanitize("\u{1b}[2J\u{9b}\u{202e}\u{2028}"), "\\u{1b}[2J\\u{9b}\\u{202e}\\u{2028}");
        assert_eq!(sanitize(&"x".repeat(LINE_BYTES_MAX)).len(), LINE_BYTES_MAX);
        let cut = sanitize(&"é".repeat(LINE_BYTES_MAX)).into_owned();
        assert!(cut.ends_with(CUT_MARK) && cut.len() <= LINE_BYTES_MAX && cut.len() > LINE_BYTES_MAX - 4);
    }

    #[tokio::test]
    async fn the_tail_starts_at_the_latest_lines_that_pass() {
        let logs = LogRing::new(300, 1 << 20);
        for number in 0..290 {
            let source = if number % 100 == 0 { "soul:neo" } else { "soul:smith" };
            logs.push(LogLevel::Info, source.into(), &number.to_string());
        }
        logs.push(LogLevel::Debug, "soul:neo".into(), "quiet");
        let neo = |lines| texts(logs.tail(filter(Some("soul:n*"), LogLevel::Info), lines));
        assert_eq!(neo(2), [("100".to_owned(), 0), ("200".to_owned(), 0)]);
        assert_eq!(neo(9).len(), 3);
        assert!(neo(0).is_empty());
        let mut following = logs.tail(filter(None, LogLevel::Trace), 0);
        assert!(following.next().now_or_never().is_none());
        logs.push(LogLevel::Trace, "node".into(), "new");
        assert_eq!(&*following.next().await.line.text, "new");
    }

    #[test]
    fn a_slow_reader_is_told_how_many_it_lost() {
        let logs = LogRing::new(3, 1 << 20);
        let tail = logs.tail(filter(None, LogLevel::Info), 0);
        for number in 0..5 {
            logs.push(LogLevel::Warn, "node".into(), &number.to_string());
        }
        assert_eq!(texts(tail), [("2".to_owned(), 2), ("3".to_owned(), 0), ("4".to_owned(), 0)]);
    }

    #[test]
    fn the_nodes_own_events_are_mirrored() {
        let logs = LogRing::new(9, 1 << 20);
        let subscriber = tracing_subscriber::registry().with(MirrorLayer::new(logs.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(count = 3, name = "a\nb", "something {}", "odd");
            tracing::debug!("not this");
            tracing::info!(huge = "y".repeat(1 << 20), "big");
        });
        let mut tail = logs.tail(filter(Some("node"), LogLevel::Trace), 9);
        let first = tail.try_next().expect("the warning").line;
        assert_eq!((first.level, &*first.text), (LogLevel::Warn, "something odd count=3 name=a\\nb"));
        let big = tail.try_next().expect("the large one").line;
        assert!(big.text.starts_with("big huge=yy") && big.text.ends_with(CUT_MARK));
        assert!(tail.try_next().is_none());
    }

    proptest! {
        #[test]
        fn a_sanitized_text_is_one_short_harmless_line(text in "(?s).{0,3000}") {
            let line = sanitize(&text).into_owned();
            prop_assert!(line.len() <= LINE_BYTES_MAX);
            prop_assert!(!line.chars().any(is_harmful));
            prop_assert_eq!(&*sanitize(&line), &line);
        }
    }
}
