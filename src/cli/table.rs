//! Aligned tables for people, and text that somebody else wrote made fit to be shown.
//!
//! Invariants: a line has at most [`WIDTH`] characters unless keys alone are wider; nothing that a cell holds can move the cursor,
//! change colours or reorder the line.

/// Characters of a line.
pub(super) const WIDTH: usize = 100;

/// Between two columns.
const GAP: &str = "  ";

/// Narrowest that a column is cut to.
const LEAST: usize = 12;

/// Longest text of a cell or field that is looked at.
const MOST_CHARS: usize = 1024;

/// A column: its title, and whether its texts may be cut to fit.
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) cut: bool,
}

/// A column whose texts always stand in full.
pub(super) const fn whole(title: &'static str) -> Column {
    Column { title, cut: false }
}

/// A column whose texts are cut where the line would be too long.
pub(super) const fn cut(title: &'static str) -> Column {
    Column { title, cut: true }
}

/// The lines of a table, its header first.
pub(super) fn lines(columns: &[Column], rows: &[Vec<String>]) -> Vec<String> {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| clean(cell)).collect())
        .collect();
    let widths = widths(columns, &rows);
    let header: Vec<String> = columns
        .iter()
        .map(|column| column.title.to_owned())
        .collect();
    std::iter::once(&header)
        .chain(&rows)
        .map(|row| line(row, &widths))
        .collect()
}

/// As wide as the widest cell; where that is too much, the widest column that may be cut gives way, again and again.
fn widths(columns: &[Column], rows: &[Vec<String>]) -> Vec<usize> {
    let mut widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let cells = rows.iter().filter_map(|row| row.get(at));
            cells
                .map(|cell| cell.chars().count())
                .chain([column.title.len()])
                .max()
                .unwrap_or(0)
        })
        .collect();
    let gaps = GAP.len() * columns.len().saturating_sub(1);
    loop {
        let total: usize = widths.iter().sum::<usize>() + gaps;
        if total <= WIDTH {
            return widths;
        }
        let widest = (0..columns.len())
            .filter(|at| columns[*at].cut && widths[*at] > LEAST)
            .max_by_key(|at| widths[*at]);
        match widest {
            Some(at) => widths[at] -= 1,
            None => return widths,
        }
    }
}

fn line(row: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (at, (cell, width)) in row.iter().zip(widths).enumerate() {
        if at > 0 {
            line.push_str(GAP);
        }
        let shown = shorten(cell, *width);
        let blanks = width.saturating_sub(shown.chars().count());
        line.push_str(&shown);
        line.extend(std::iter::repeat_n(' ', blanks));
    }
    line.truncate(line.trim_end().len());
    line
}

/// At most `width` characters, with `…` where something was cut.
pub(super) fn shorten(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// One line that leaves the terminal as it is: control characters, and those that reorder a line, are escaped.
pub(super) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars().take(MOST_CHARS) {
        if character.is_control() || reorders(character) {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

/// Line and paragraph separators, and characters that change the direction of writing (Unicode 16, UAX 9).
fn reorders(character: char) -> bool {
    matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[&[&str]]) -> Vec<Vec<String>> {
        rows.iter()
            .map(|row| row.iter().map(|cell| (*cell).to_owned()).collect())
            .collect()
    }

    #[test]
    fn columns_are_aligned_without_blanks_at_the_end() {
        let got = lines(
            &[whole("KEY"), cut("DOMAIN"), whole("USES")],
            &rows(&[&["x_a", "https://example.com", ""], &["x_longer", "b", "2"]]),
        );
        assert_eq!(
            got,
            [
                "KEY       DOMAIN               USES",
                "x_a       https://example.com",
                "x_longer  b                    2",
            ]
        );
    }

    #[test]
    fn wide_columns_give_way_and_keys_do_not() {
        let key = "k".repeat(64);
        let domain = format!("https://{}", "d".repeat(200));
        let scope = format!("agent:{}", "s".repeat(60));
        let got = lines(
            &[whole("KEY"), cut("DOMAIN"), cut("SCOPE")],
            &rows(&[&[&key, &domain, &scope]]),
        );
        assert!(got.iter().all(|line| line.chars().count() <= WIDTH));
        assert!(got[1].starts_with(&key));
        assert!(got[1].contains("https://ddd") && got[1].contains("…  agent:sss"));
    }

    #[test]
    fn nothing_reaches_the_terminal_but_text() {
        assert_eq!(
            clean("a\u{1b}[31mb\r\nc\u{202e}d\u{9b}ü"),
            "a\\u{1b}[31mb\\r\\nc\\u{202e}d\\u{9b}ü"
        );
        assert_eq!(clean(&"ä".repeat(2000)).chars().count(), MOST_CHARS);
    }
}
