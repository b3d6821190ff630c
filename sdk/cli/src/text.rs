//! Small pure helpers: text that is safe to show, figures that people read, base64.

use std::time::Duration;

/// `text` with control characters (but line feeds and tabs) escaped: what Souls and nodes say must
/// not drive the reader's terminal.
pub(crate) fn printable(text: &str) -> String {
    escaped(text, |c| c == '\n' || c == '\t')
}

/// `text` on one line, every control character escaped.
pub(crate) fn one_line(text: &str) -> String {
    escaped(text, |_| false)
}

fn escaped(text: &str, kept: impl Fn(char) -> bool) -> String {
    // Characters that reorder what is around them can make a line read as something else.
    let reorders =
        |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if (c.is_control() || reorders(c)) && !kept(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// A number of bytes, such as `1.5 MiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A span of time, its two largest units, such as `2 d 3 h` or `350 ms`.
pub(crate) fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0 => format!("{ms} ms"),
        1..60 => format!("{seconds}.{} s", ms % 1000 / 100),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// A moment in milliseconds since the Unix epoch, as RFC 3339 in UTC; `-` for 0, which the
/// interface uses for "never".
pub(crate) fn moment(at_ms: u64) -> String {
    if at_ms == 0 {
        return "-".to_owned();
    }
    let (days, ms) = (at_ms / 86_400_000, at_ms % 86_400_000);
    let (year, month, day) = civil(days);
    let (h, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{:03}Z", ms % 1000)
}

/// The Gregorian date of a day, counted from 1970-01-01. Years are reckoned from March, so that the
/// leap day comes last.
fn civil(days: u64) -> (u64, u64, u64) {
    // 719,468 days from 0000-03-01 to 1970-01-01; 146,097 days in 400 years.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + carry, month, date)
}

/// A rounded figure, without zeros that say nothing.
pub(crate) fn figure(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A digest, shortened for tables: `sha256:` and 12 digits tell a few thousand components apart.
pub(crate) fn short_digest(digest: &str) -> String {
    one_line(digest).chars().take("sha256:".len() + 12).collect()
}

/// Base64 with padding (RFC 4648, section 4).
pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            out.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

/// `KEY=VALUE`, in its parts.
pub(crate) fn parse_pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    pair.map(|(key, value)| (key.to_owned(), value.to_owned())).ok_or_else(|| "write KEY=VALUE".to_owned())
}

/// A time limit given in seconds, with or without a fraction; at most a day.
pub(crate) fn parse_seconds(text: &str) -> Result<Duration, String> {
    const SECONDS_MAX: f64 = 86_400.0;
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= SECONDS_MAX => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(format!("give seconds above 0, at most {SECONDS_MAX}")),
    }
}

/// A span of time, such as `30d`, `12h`, `5m` or `90s`; at least a second.
pub(crate) fn parse_span(text: &str) -> Result<Duration, String> {
    const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];
    let span = UNITS.iter().find_map(|(unit, seconds)| {
        let count: u64 = text.strip_suffix(*unit)?.parse().ok()?;
        count.checked_mul(*seconds).filter(|seconds| *seconds > 0)
    });
    span.map(Duration::from_secs).ok_or_else(|| "write a number and d, h, m or s, such as 30d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\u{9b}"), "a\\u{1b}[2Jb\nc\\u{9b}");
        assert_eq!(one_line("a\nb\tñ"), "a\\nb\\tñ");
        assert_eq!(one_line("abc\u{202e}txt"), "abc\\u{202e}txt");
    }

    #[test]
    fn figures_are_short() {
        assert_eq!([bytes(1023), bytes(1536), bytes(64 << 20)], ["1023 B", "1.5 KiB", "64.0 MiB"]);
        assert_eq!([duration(350), duration(61_000)], ["350 ms", "1 min 1 s"]);
        assert_eq!([duration(1500), duration(93_600_000)], ["1.5 s", "1 d 2 h"]);
        assert_eq!([figure(0.5), figure(3.0), figure(2.0 / 3.0)], ["0.5", "3", "0.6667"]);
    }

    #[test]
    fn moments_are_gregorian() {
        assert_eq!(moment(0), "-");
        assert_eq!(moment(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(moment(1_709_251_199_999), "2024-02-29T23:59:59.999Z");
        assert_eq!(moment(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn base64_has_the_golden_texts_of_its_rfc() {
        let golden = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (bytes, text) in golden {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn spans_have_units() {
        let span = |text| parse_span(text).map(|span| span.as_secs()).ok();
        assert_eq!(
            [span("30d"), span("12h"), span("5m"), span("90s")],
            [Some(2_592_000), Some(43_200), Some(300), Some(90)]
        );
        for wrong in ["", "d", "0d", "30", "1.5h", "-1s", "99999999999999999999d"] {
            assert_eq!(span(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn seconds_are_bounded() {
        assert_eq!(parse_seconds("1.5"), Ok(Duration::from_millis(1500)));
        for wrong in ["", "0", "-1", "NaN", "inf", "86401", "5s"] {
            assert!(parse_seconds(wrong).is_err(), "{wrong}");
        }
    }
}
