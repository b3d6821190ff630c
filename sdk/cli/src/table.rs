//! Tables with aligned columns. Pure: text in, text out.

use crate::output::Style;
use crate::text;

/// Rows under a heading. A column whose cells are all figures is aligned to the right.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    heading: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these columns.
    pub(crate) fn new<H: Into<String>>(heading: impl IntoIterator<Item = H>) -> Self {
        Self { heading: heading.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row, one cell a column; what is missing is empty, what is too much is left out.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut cells: Vec<_> = cells.into_iter().map(|cell| text::one_line(&cell)).collect();
        cells.resize(self.heading.len(), String::new());
        self.rows.push(cells);
    }

    /// The table as text: a heading, then a line a row, each with a line feed at its end. `nothing`
    /// is what an empty table says.
    pub(crate) fn render(&self, style: &Style, nothing: &str) -> String {
        if self.rows.is_empty() {
            return format!("{}\n", style.dim(nothing));
        }
        let mut lines = vec![String::new(); self.rows.len() + 1];
        let last = self.heading.len().saturating_sub(1);
        for (column, name) in self.heading.iter().enumerate() {
            let cells = || self.rows.iter().map(|row| row[column].as_str());
            let width = cells().chain([name.as_str()]).map(|cell| cell.chars().count()).max().unwrap_or(0);
            let right = cells().all(|cell| matches!(cell, "" | "-") || cell.parse::<f64>().is_ok());
            for (line, cell) in lines.iter_mut().zip([name.as_str()].into_iter().chain(cells())) {
                let space = " ".repeat(width - cell.chars().count());
                match (right, column == last) {
                    (true, _) => *line += &(space + cell),
                    (false, false) => *line += &(cell.to_owned() + &space),
                    (false, true) => *line += cell,
                }
                if column != last {
                    *line += "  ";
                }
            }
        }
        let mut lines = lines.into_iter().map(|line| line.trim_end().to_owned());
        let heading = lines.next().map(|line| style.bold(&line)).unwrap_or_default();
        std::iter::once(heading).chain(lines).map(|line| line + "\n").collect()
    }
}

/// Names and what they are, one a line, aligned; pairs without a value are left out.
pub(crate) fn fields(style: &Style, pairs: impl IntoIterator<Item = (&'static str, String)>) -> String {
    let pairs: Vec<_> = pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    pairs
        .into_iter()
        .map(|(name, value)| {
            format!("{}  {}\n", style.bold(&format!("{name:width$}")), text::one_line(&value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(["NAME", "SCORE", "NOTE"]);
        table.row(["neo".to_owned(), "2.5".to_owned()]);
        table.row(["tit-for-tat".to_owned(), "10".to_owned(), "é\u{1b}".to_owned()]);
        let text = table.render(&Style::PLAIN, "no rows");
        assert_eq!(text, "NAME         SCORE  NOTE\nneo            2.5\ntit-for-tat     10  é\\u{1b}\n");
        assert_eq!(Table::new(["NAME"]).render(&Style::PLAIN, "no rows"), "no rows\n");
    }

    #[test]
    fn fields_without_a_value_are_left_out() {
        let pairs = [("name", "neo".to_owned()), ("reason", String::new()), ("tick", "3".to_owned())];
        assert_eq!(fields(&Style::PLAIN, pairs), "name  neo\ntick  3\n");
    }
}
