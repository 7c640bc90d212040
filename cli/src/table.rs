//! Tables that fit the terminal: columns as wide as their cells, text shortened where it must be, and one record after
//! another where even that is too wide.

/// How a column is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// Text, to the left. May be shortened.
    Text,
    /// Numbers, to the right. Never shortened.
    Number,
}

/// The narrowest that text is shortened to.
const MIN_TEXT: usize = 10;
const GAP: usize = 2;

/// A table under construction.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with the given headings.
    pub(crate) fn new(columns: &[(&str, Align)]) -> Self {
        Self {
            columns: columns
                .iter()
                .map(|(name, align)| ((*name).to_owned(), *align))
                .collect(),
            rows: Vec::new(),
        }
    }

    /// Appends a row; missing cells are empty.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut row: Vec<String> = cells.into_iter().take(self.columns.len()).collect();
        row.resize(self.columns.len(), String::new());
        self.rows.push(row);
    }

    /// The table for a terminal of `width` columns.
    pub(crate) fn render(&self, width: usize) -> String {
        let natural: Vec<usize> = (0..self.columns.len())
            .map(|column| self.natural_width(column))
            .collect();
        match self.fit(natural, width) {
            Some(widths) => self.render_columns(&widths),
            None => self.render_records(width),
        }
    }

    fn natural_width(&self, column: usize) -> usize {
        let cells = self.rows.iter().map(|row| columns_of(&row[column]));
        cells.chain([columns_of(&self.columns[column].0)]).max().unwrap_or(0)
    }

    /// Column widths that fit, taken from the widest text column first; `None` where no shortening is enough.
    fn fit(&self, mut widths: Vec<usize>, available: usize) -> Option<Vec<usize>> {
        let gaps = GAP * widths.len().saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > available {
            let text = (0..widths.len()).filter(|&c| self.columns[c].1 == Align::Text && widths[c] > MIN_TEXT);
            let widest = text.max_by_key(|&c| widths[c])?;
            widths[widest] -= 1;
        }
        Some(widths)
    }

    fn render_columns(&self, widths: &[usize]) -> String {
        let headings: Vec<String> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        let mut out = self.render_row(&headings, widths);
        let rule: Vec<String> = widths.iter().map(|&w| "─".repeat(w)).collect();
        out.push_str(&rule.join(&" ".repeat(GAP)));
        out.push('\n');
        for row in &self.rows {
            out.push_str(&self.render_row(row, widths));
        }
        out
    }

    fn render_row(&self, cells: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for (index, (cell, &width)) in cells.iter().zip(widths).enumerate() {
            let cell = shorten(cell, width);
            let pad = " ".repeat(width - columns_of(&cell));
            let gap = if index == 0 { "" } else { "  " };
            line.push_str(gap);
            line.push_str(&match self.columns[index].1 {
                Align::Text => cell + &pad,
                Align::Number => pad + &cell,
            });
        }
        line.truncate(line.trim_end().len());
        line.push('\n');
        line
    }

    fn render_records(&self, width: usize) -> String {
        let label = self.columns.iter().map(|(name, _)| columns_of(name)).max().unwrap_or(0);
        let mut out = String::new();
        for (index, row) in self.rows.iter().enumerate() {
            if index > 0 {
                out.push('\n');
            }
            for ((name, _), cell) in self.columns.iter().zip(row).filter(|(_, cell)| !cell.is_empty()) {
                let room = width.saturating_sub(label + GAP).max(MIN_TEXT);
                out.push_str(&format!("{name:label$}  {}\n", shorten(cell, room)));
            }
        }
        out
    }
}

/// Names and values below each other, values aligned and wrapped.
pub(crate) fn pairs(entries: &[(&str, String)], width: usize) -> String {
    let label = entries.iter().map(|(name, _)| columns_of(name)).max().unwrap_or(0);
    let room = width.saturating_sub(label + GAP).max(MIN_TEXT);
    let mut out = String::new();
    for (name, value) in entries {
        for (index, line) in wrap(value, room).iter().enumerate() {
            let name = if index == 0 { name } else { "" };
            let line = format!("{name:label$}  {line}");
            out.push_str(line.trim_end());
            out.push('\n');
        }
    }
    out
}

/// Breaks text at spaces so that lines have at most `width` columns; a longer word keeps a line for itself.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            if !line.is_empty() && columns_of(&line) + 1 + columns_of(word) > width {
                lines.push(std::mem::take(&mut line));
            } else if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}

fn shorten(text: &str, width: usize) -> String {
    if columns_of(text) <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// Columns that a text takes; every character that we print takes one.
fn columns_of(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new(&[("node", Align::Text), ("rotations", Align::Number)]);
        table.row(["/network/fc1/Gemm".into(), "12".into()]);
        table.row(["fc2".into(), "7".into()]);
        table
    }

    #[test]
    fn columns_are_as_wide_as_their_cells() {
        let expected = "node               rotations\n─────────────────  ─────────\n\
                        /network/fc1/Gemm         12\nfc2                        7\n";
        assert_eq!(sample().render(80), expected);
    }

    #[test]
    fn text_is_shortened_before_anything_else() {
        let rendered = sample().render(22);
        assert!(rendered.contains("/network/f…"), "{rendered}");
        assert!(rendered.lines().all(|line| columns_of(line) <= 22), "{rendered}");
    }

    #[test]
    fn a_very_narrow_terminal_gets_records() {
        let rendered = sample().render(12);
        assert!(rendered.contains("rotations  12"), "{rendered}");
    }

    #[test]
    fn wrapping_keeps_every_word() {
        let text = "one two three four five-hundred-and-something six";
        let lines = wrap(text, 10);
        assert_eq!(lines.join(" "), text);
        assert!(
            lines.iter().all(|l| columns_of(l) <= 10 || !l.contains(' ')),
            "{lines:?}"
        );
    }
}
