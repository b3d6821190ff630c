//! A report in the form of JUnit, which services that build code know how to show.

use crate::report::{Checked, Finding, Outcome, Report};

/// The report as one suite: what is wrong is a failure, what was left out is skipped.
pub fn junit(report: &Report) -> String {
    let checks = &report.checks;
    let failures = report.wrong().count();
    let skipped = checks.iter().filter(|one| matches!(one.outcome, Outcome::LeftOut { .. })).count();
    let took: f64 = checks.iter().map(|one| one.took.as_secs_f64()).sum();
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\" time=\"{took:.3}\">\n",
        escaped(&report.component),
        checks.len()
    );
    for checked in checks {
        text += &case(checked);
    }
    text + "</testsuite>\n"
}

fn case(Checked { id, title, outcome, took, .. }: &Checked) -> String {
    let class = id.split('.').next().unwrap_or(id);
    let title = escaped(title);
    let start = format!(
        "  <testcase classname=\"{class}\" name=\"{id}: {title}\" time=\"{:.3}\"",
        took.as_secs_f64()
    );
    let told = |Finding { expected, seen, mend }: &Finding| {
        escaped(&format!("expected: {expected}\nseen: {seen}\nmend: {mend}"))
    };
    match outcome {
        Outcome::Right => format!("{start}/>\n"),
        Outcome::Noted(finding) => {
            format!("{start}>\n    <system-out>{}</system-out>\n  </testcase>\n", told(finding))
        }
        Outcome::Wrong(finding) => format!(
            "{start}>\n    <failure message=\"{}\">{}</failure>\n  </testcase>\n",
            escaped(&finding.seen),
            told(finding)
        ),
        Outcome::LeftOut { reason } => {
            format!("{start}>\n    <skipped message=\"{}\"/>\n  </testcase>\n", escaped(reason))
        }
    }
}

/// Text as it may stand in XML: what a guest said has passed by here, and XML has no place for control characters.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\n' => safe += "&#10;",
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            letter if letter.is_control() => safe.push('\u{fffd}'),
            letter => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_outcome_has_its_element_and_nothing_breaks_out() {
        let finding = Finding { expected: "<a>".into(), seen: "\"b\"\u{1b}".into(), mend: "c & d".into() };
        let took = Duration::from_millis(5);
        let checked = |id, outcome| Checked { id, title: "a title", needs: &[], outcome, took };
        let left_out = Outcome::LeftOut { reason: "no <reason>".into() };
        let checks = vec![
            checked("world.admit", Outcome::Right),
            checked("soul.batch", Outcome::Wrong(finding.clone())),
            checked("soul.state", Outcome::Noted(finding)),
            checked("soul.kv", left_out),
        ];
        let report = Report { component: "a&b.wasm".into(), kind: None, seed: 7, checks };
        let text = junit(&report);
        assert!(
            text.contains("name=\"a&amp;b.wasm\" tests=\"4\" failures=\"1\" errors=\"0\" skipped=\"1\""),
            "{text}"
        );
        assert!(
            text.contains("<failure message=\"&quot;b&quot;\u{fffd}\">expected: &lt;a&gt;&#10;seen:"),
            "{text}"
        );
        assert!(text.contains("<skipped message=\"no &lt;reason&gt;\"/>"), "{text}");
        assert!(text.contains("<system-out>") && text.contains("c &amp; d"), "{text}");
        assert_eq!(text.matches("<testcase ").count(), 4);
    }
}
