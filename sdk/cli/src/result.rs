//! What a Matrix found out, as tables. Pure but for the last step.

use std::collections::BTreeSet;

use matrix_proto::v1::{Content, Metric};
use serde_json::{Map, Value};

use crate::content;
use crate::output::Style;
use crate::table::Table;
use crate::text;

/// Columns that name what a row is about come first, in this order; the others follow as they come.
const FIRST_COLUMNS: [&str; 8] = ["rank", "place", "name", "player", "soul", "strategy", "id", "score"];

/// A result for people. JSON objects become fields and tables, the ranking first; arrays of objects
/// become tables; everything else is shown as it is.
pub(crate) fn human(style: &Style, result: &Content) -> String {
    match content::as_json(result) {
        Some(Value::Object(object)) => object_text(style, &object),
        Some(Value::Array(rows)) => table_text(style, &rows).unwrap_or_else(|| content::line(result) + "\n"),
        _ => content::line(result) + "\n",
    }
}

/// Signals for people; empty if there are none.
pub(crate) fn signals(style: &Style, signals: &[Metric]) -> String {
    if signals.is_empty() {
        return String::new();
    }
    let mut table = Table::new(["SIGNAL", "VALUE"]);
    for signal in signals {
        table.row([signal.name.clone(), text::figure(signal.value)]);
    }
    table.render(style, "")
}

fn object_text(style: &Style, object: &Map<String, Value>) -> String {
    let tables = |name: &String| object[name].as_array().and_then(|rows| table_text(style, rows));
    let (mut names, scalars): (Vec<_>, Vec<_>) = object.keys().partition(|name| tables(name).is_some());
    names.sort_by_key(|name| *name != "ranking");
    let mut parts = Vec::new();
    for name in names {
        let heading =
            if name == "ranking" { String::new() } else { style.bold(&text::one_line(name)) + "\n" };
        parts.push(heading + &tables(name).unwrap_or_default());
    }
    if !scalars.is_empty() {
        let mut table = Table::new(["RESULT", "VALUE"]);
        for name in scalars {
            table.row([name.clone(), cell(&object[name])]);
        }
        parts.push(table.render(style, ""));
    }
    parts.join("\n")
}

/// A table of objects; none if these are not all objects, or there are none.
fn table_text(style: &Style, rows: &[Value]) -> Option<String> {
    let rows: Vec<_> = rows.iter().map(Value::as_object).collect::<Option<_>>()?;
    let mut seen = BTreeSet::new();
    let mut columns: Vec<_> =
        rows.iter().flat_map(|row| row.keys()).filter(|name| seen.insert(name.as_str())).collect();
    if columns.is_empty() {
        return None;
    }
    let place = |name: &str| FIRST_COLUMNS.iter().position(|first| *first == name);
    columns.sort_by_key(|name| place(name).unwrap_or(FIRST_COLUMNS.len()));
    let mut table = Table::new(columns.iter().map(|name| name.to_uppercase().replace('_', " ")));
    for row in rows {
        table.row(columns.iter().map(|name| row.get(*name).map(cell).unwrap_or_default()));
    }
    Some(table.render(style, ""))
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => text::figure(number.as_f64().unwrap_or(f64::NAN)),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(json: &str) -> String {
        let body = bytes::Bytes::copy_from_slice(json.as_bytes());
        human(&Style::PLAIN, &Content { content_type: "application/json".to_owned(), body })
    }

    #[test]
    fn the_ranking_comes_first() {
        let text = shown(
            r#"{"matches":[{"a":1}],"turns":200,
                "ranking":[{"score":3.0,"name":"tit-for-tat"},{"score":2.25,"name":"defector","lost":1}]}"#,
        );
        let ranking = "NAME         SCORE  LOST\ntit-for-tat      3\ndefector      2.25     1\n";
        assert_eq!(text, format!("{ranking}\nmatches\nA\n1\n\nRESULT  VALUE\nturns     200\n"));
    }

    #[test]
    fn any_other_shape_is_shown() {
        assert_eq!(shown(r#"[{"x":null}]"#), "X\n-\n");
        assert_eq!(shown("[1,2]"), "[1,2]\n");
        assert_eq!(shown("not json\u{1b}"), "not json\\u{1b}\n");
        assert_eq!(shown("{}"), "");
    }
}
