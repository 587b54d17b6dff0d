//! How the demonstration looks: side by side on a wide terminal, one above the other elsewhere; or as JSON.

use std::fmt::Write as _;
use std::io;

use serde_json::json;

use super::browse::Step;
use super::check::{self, Place, Report};
use super::story::Piece;
use crate::cli::Global;

/// Columns from which on both sides fit beside each other, and how many are used at most.
const WIDE: usize = 100;
const WIDEST: usize = 160;

const RED: &str = "\u{1b}[1;31m";
const GREEN: &str = "\u{1b}[1;32m";
const BOLD: &str = "\u{1b}[1m";
const END: &str = "\u{1b}[0m";

/// What is printed on.
pub(super) struct Page {
    colour: bool,
    /// Columns; `None` where lines are not to be broken.
    width: Option<usize>,
}

/// A piece of one line: its text and its colour.
type Span = (String, &'static str);

impl Page {
    /// Standard output as it is. `NO_COLOR` counts if it is set and not empty (no-color.org).
    pub(super) fn of(is_terminal: bool) -> Self {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
        let size = is_terminal.then(|| rustix::termios::tcgetwinsize(io::stdout()).ok());
        Self {
            colour: is_terminal && !no_colour,
            width: size.flatten().map(|size| usize::from(size.ws_col)),
        }
    }

    /// The whole demonstration.
    pub(super) fn text(&self, report: &Report, global: Global) -> String {
        let mut out = String::new();
        if !global.quiet {
            self.beginning(&mut out);
            let wide = self.width.filter(|width| *width >= WIDE);
            match wide {
                Some(width) => self.side_by_side(&report.places, width.min(WIDEST), &mut out),
                None => self.stacked(&report.places, &mut out),
            }
            self.heading("The answer, streamed back through Bauta", &mut out);
            let _ = writeln!(out, "  {}\n", report.words);
            self.counts(report, &mut out);
            self.browser(report, &mut out);
            if global.verbose {
                self.heading("The last request, as the provider received it", &mut out);
                let _ = writeln!(out, "{}\n", report.raw.replace('\r', ""));
            }
        }
        self.checks(report, &mut out);
        if !global.quiet {
            self.next(&mut out);
        }
        out
    }

    fn painted(&self, text: &str, colour: &str) -> String {
        if self.colour && !colour.is_empty() {
            format!("{colour}{text}{END}")
        } else {
            text.to_owned()
        }
    }

    fn heading(&self, text: &str, out: &mut String) {
        let _ = writeln!(out, "{}", self.painted(text, BOLD));
    }

    fn beginning(&self, out: &mut String) {
        self.heading(
            "Bauta: what an agent sends, and what the model provider receives",
            out,
        );
        out.push_str(
            "Agent, sidecar and a stand-in for the provider run in this process and talk over loopback only.\n\
             The secrets are made up, which is why they can be shown here.\n\n",
        );
    }

    fn stacked(&self, places: &[Place], out: &mut String) {
        for place in places {
            self.heading(place.label, out);
            let (before, after) = sides(place);
            for (name, pieces) in [("agent sends", &before), ("provider gets", &after)] {
                for (at, line) in lines(pieces, usize::MAX).iter().enumerate() {
                    let name = if at == 0 { name } else { "" };
                    let text: String = line.iter().map(|(t, c)| self.painted(t, c)).collect();
                    let _ = writeln!(out, "  {name:<13}  {text}");
                }
            }
            out.push('\n');
        }
    }

    fn side_by_side(&self, places: &[Place], width: usize, out: &mut String) {
        let column = (width - 3) / 2;
        let _ = writeln!(
            out,
            "{} │ {}",
            self.painted(&format!("{:<column$}", "The agent sends"), BOLD),
            self.painted("The provider receives", BOLD),
        );
        for place in places {
            let _ = writeln!(out, "{}─┼─{}", "─".repeat(column), "─".repeat(column));
            let _ = writeln!(out, "{:<column$} │", place.label);
            let (before, after) = sides(place);
            let (left, right) = (lines(&before, column), lines(&after, column));
            for at in 0..left.len().max(right.len()) {
                let side = |lines: &[Vec<Span>], pad: bool| {
                    let line = lines.get(at).map_or(&[][..], Vec::as_slice);
                    let text: String = line.iter().map(|(t, c)| self.painted(t, c)).collect();
                    let used: usize = line.iter().map(|(t, _)| t.chars().count()).sum();
                    let blanks = if pad { column.saturating_sub(used) } else { 0 };
                    text + &" ".repeat(blanks)
                };
                let _ = writeln!(out, "{} │ {}", side(&left, true), side(&right, false));
            }
        }
        out.push('\n');
    }

    fn counts(&self, report: &Report, out: &mut String) {
        self.heading(
            "Found and replaced, in both requests of the conversation",
            out,
        );
        for (key, forms) in &report.counts {
            let total: u64 = forms.values().sum();
            let mut each = Vec::new();
            for (form, count) in forms {
                each.push(format!("{form} {count}"));
            }
            let key = self.painted(&format!("{key:<12}"), GREEN);
            let _ = writeln!(out, "  {key} {total:>3}   {}", each.join(", "));
        }
        out.push('\n');
    }

    fn browser(&self, report: &Report, out: &mut String) {
        let Some(act) = &report.act else {
            self.heading("In a browser: not shown, for there is none", out);
            out.push_str(
                "  With Chromium on this machine (Debian: apt install chromium) this shows a login page that is\n  \
                 filled with placeholders, and gets the real password.\n\n",
            );
            return;
        };
        self.heading(
            "In a browser: a login page that is filled with placeholders",
            out,
        );
        for Step {
            label,
            text,
            is_value,
        } in &act.rows
        {
            let colour = if *is_value { RED } else { GREEN };
            let _ = writeln!(out, "  {label:<13}  {}", self.painted(text, colour));
        }
        out.push('\n');
    }

    fn checks(&self, report: &Report, out: &mut String) {
        self.heading("Checked", out);
        for check in report.all_checks() {
            if check.holds {
                let _ = writeln!(out, "  {}  {}", self.painted("ok", GREEN), check.seen);
            } else {
                let _ = writeln!(out, "  {}  {}", self.painted("FAILED", RED), check.fault);
            }
        }
    }

    fn next(&self, out: &mut String) {
        out.push('\n');
        self.heading("Try next, with a secrets.json of your own", out);
        out.push_str(
            "  {\"https://example.com\": {\"x_password\": \"…\"}}    what such a file looks like; chmod 600 it\n\n  \
             bauta check --secrets secrets.json              says what is wrong with it\n  \
             bauta mask --count --secrets secrets.json < transcript.json > masked.json\n  \
             bauta serve --secrets secrets.json              then start the agent with\n                                                  \
             OPENAI_BASE_URL=http://127.0.0.1:8601/openai/v1\n",
        );
    }
}

/// Both sides of a place, coloured; what an encoded piece stands for is added where it is not to be read.
fn sides(place: &Place) -> (Vec<Span>, Vec<Span>) {
    let coloured = |pieces: &[Piece], colour| -> Vec<Span> {
        let span = |piece: &Piece| (piece.text.clone(), if piece.is_value { colour } else { "" });
        pieces.iter().map(span).collect()
    };
    let after = match &place.after {
        None => vec![("(something else)".to_owned(), RED)],
        Some(pieces) => {
            let mut spans = coloured(pieces, GREEN);
            for piece in pieces.iter().filter(|piece| piece.is_value) {
                let decoded = check::decoded(&piece.text);
                if decoded != piece.text {
                    let end = if spans.last().is_some_and(|(text, _)| text.ends_with('\n')) {
                        ""
                    } else {
                        "\n"
                    };
                    spans.push((format!("{end}(decoded: "), ""));
                    spans.push((decoded, GREEN));
                    spans.push((")".to_owned(), ""));
                }
            }
            spans
        }
    };
    (coloured(&place.before, RED), after)
}

/// Spans broken into lines: where the text breaks, and at a blank or anywhere to fit into `width` columns.
fn lines(spans: &[Span], width: usize) -> Vec<Vec<Span>> {
    let chars: Vec<(char, &'static str)> = spans
        .iter()
        .flat_map(|(text, colour)| text.chars().map(|char| (char, *colour)))
        .collect();
    let mut out = Vec::new();
    for line in chars.split(|(char, _)| *char == '\n') {
        let mut rest = line;
        while rest.len() > width {
            let blank = rest[..=width].iter().rposition(|(char, _)| *char == ' ');
            // A blank at the very beginning would make no progress.
            let (end, next) = match blank {
                Some(at) if at > width / 2 => (at, at + 1),
                _ => (width, width),
            };
            out.push(joined(&rest[..end]));
            rest = &rest[next..];
        }
        out.push(joined(rest));
    }
    // A text that ends with a line break has no line after it.
    if out.len() > 1 && out.last().is_some_and(Vec::is_empty) {
        out.pop();
    }
    out
}

fn joined(chars: &[(char, &'static str)]) -> Vec<Span> {
    chars
        .chunk_by(|a, b| a.1 == b.1)
        .map(|chunk| (chunk.iter().map(|(char, _)| char).collect(), chunk[0].1))
        .collect()
}

/// The result for programs, on one line: what arrived, so names only if all is well.
pub(super) fn json(report: &Report) -> String {
    let text = |pieces: &[Piece]| -> String { pieces.iter().map(|p| p.text.as_str()).collect() };
    let places: Vec<_> = report
        .places
        .iter()
        .map(|place| json!({ "place": place.label, "received": place.after.as_deref().map(text) }))
        .collect();
    let checks: Vec<_> = report
        .all_checks()
        .map(|check| json!({ "ok": check.holds, "text": if check.holds { &check.seen } else { check.fault } }))
        .collect();
    let summary = json!({
        "ok": report.failed().is_empty(), "counts": report.counts, "places": places, "checks": checks,
        "browser": report.act.is_some(),
    });
    format!("{summary}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_and_lose_nothing_but_the_blank_they_break_at() {
        type Given = &'static [(&'static str, &'static str)];
        let rows: [(Given, usize, &[&str]); 6] = [
            (&[("ab", ""), ("cd", RED)], 9, &["ab|cd"]),
            (&[("one two three", "")], 8, &["one two", "three"]),
            (&[("abcdefghij", RED)], 4, &["abcd", "efgh", "ij"]),
            (&[("a\nb\n", "")], 9, &["a", "b"]),
            (
                &[("ab", ""), ("cdef", RED), ("gh", "")],
                3,
                &["ab|c", "def", "gh"],
            ),
            (&[("", "")], 9, &[""]),
        ];
        for (spans, width, expected) in rows {
            let spans: Vec<Span> = spans.iter().map(|(t, c)| ((*t).to_owned(), *c)).collect();
            let got: Vec<String> = lines(&spans, width)
                .iter()
                .map(|line| {
                    line.iter()
                        .map(|(t, _)| t.as_str())
                        .collect::<Vec<_>>()
                        .join("|")
                })
                .collect();
            assert_eq!(got, expected, "{spans:?}");
        }
    }

    #[test]
    fn both_sides_stand_beside_each_other_in_colour_where_there_is_room() {
        let piece = |text: &str, is_value| Piece {
            text: text.to_owned(),
            is_value,
        };
        let report = Report {
            places: vec![Place {
                label: "A place",
                before: vec![piece("Basic ", false), piece("made-up", true)],
                after: Some(vec![piece("Basic ", false), piece("eF9h", true)]),
            }],
            counts: std::collections::BTreeMap::new(),
            checks: Vec::new(),
            raw: String::new(),
            words: String::new(),
            act: None,
        };
        for (colour, width, expected) in [
            (
                true,
                Some(100),
                format!(
                    "Basic {RED}made-up{END}{} │ Basic {GREEN}eF9h{END}",
                    " ".repeat(35)
                ),
            ),
            (
                false,
                Some(100),
                format!("Basic made-up{} │ Basic eF9h", " ".repeat(35)),
            ),
            (
                true,
                Some(99),
                format!(
                    "  agent sends    Basic {RED}made-up{END}\n  provider gets  Basic {GREEN}eF9h{END}\n"
                ),
            ),
            (
                false,
                None,
                "  agent sends    Basic made-up\n  provider gets  Basic eF9h\n".to_owned(),
            ),
        ] {
            let text = Page { colour, width }.text(&report, Global::default());
            assert!(text.contains(&expected), "{expected}\n{text}");
            assert_eq!(text.contains('\u{1b}'), colour);
        }
    }
}
