//! The raw side: walks a parsed TOML document, so that every problem has its line and dotted key and all are reported together.
//!
//! A table hands out each key that the parser asks for; what nobody asked for is unknown when the table is finished.
//! So the keys that the parser knows and the keys that it reads cannot drift apart.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Problem;

/// Collects problems and the keys that were asked for.
pub(super) struct Report<'t> {
    text: &'t str,
    problems: RefCell<Vec<(usize, Problem)>>,
    known: RefCell<BTreeSet<String>>,
}

impl<'t> Report<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            problems: RefCell::default(),
            known: RefCell::default(),
        }
    }

    /// Notes a problem at a byte of the text.
    pub(super) fn problem(&self, at: usize, key: &str, text: impl Into<String>) {
        let before = self
            .text
            .as_bytes()
            .get(..at)
            .unwrap_or(self.text.as_bytes());
        let line = 1 + memchr::memchr_iter(b'\n', before).count();
        let problem = Problem {
            line,
            key: key.to_owned(),
            text: text.into(),
        };
        self.problems.borrow_mut().push((at, problem));
    }

    /// All problems in the file's order, and the dotted keys that the parser knows.
    pub(super) fn finish(self) -> (Vec<Problem>, BTreeSet<String>) {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|(at, _)| *at);
        (
            problems.into_iter().map(|(_, problem)| problem).collect(),
            self.known.into_inner(),
        )
    }
}

/// One table, while it is read.
pub(super) struct Table<'r, 't, 'd> {
    report: &'r Report<'t>,
    /// Dotted key of the table, empty for the root.
    path: String,
    /// `None` if the file does not have it.
    members: Option<&'d DeTable<'t>>,
    at: usize,
    asked: BTreeSet<&'static str>,
}

/// A value with its place.
pub(super) struct Item<'r, 't, 'd> {
    report: &'r Report<'t>,
    pub(super) key: String,
    pub(super) at: usize,
    value: &'d DeValue<'t>,
}

impl<'r, 't, 'd> Table<'r, 't, 'd> {
    pub(super) fn root(report: &'r Report<'t>, root: &'d Spanned<DeTable<'t>>) -> Self {
        Self {
            report,
            path: String::new(),
            members: Some(root.get_ref()),
            at: 0,
            asked: BTreeSet::new(),
        }
    }

    /// Whether the file has this table.
    pub(super) fn is_present(&self) -> bool {
        self.members.is_some()
    }

    /// Notes that the table lacks a key.
    pub(super) fn missing(&self, name: &str, mend: &str) {
        self.report
            .problem(self.at, &self.dotted(name), format!("missing. {mend}"));
    }

    /// The value of a key, if it is there.
    pub(super) fn item(&mut self, name: &'static str) -> Option<Item<'r, 't, 'd>> {
        let key = self.know(name);
        let (at, value) = self.find(name)?;
        Some(Item {
            report: self.report,
            key,
            at: at.start,
            value,
        })
    }

    /// The value of a key, if it is there and `parse` takes it.
    pub(super) fn parse<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&Item<'r, 't, 'd>) -> Result<T, String>,
    ) -> Option<T> {
        let item = self.item(name)?;
        parse(&item).map_err(|text| item.problem(text)).ok()
    }

    /// A table inside this one; an absent one has no keys.
    pub(super) fn table(&mut self, name: &'static str) -> Self {
        let path = self.know(name);
        let found = self.find(name);
        let (at, table) = match &found {
            None => (self.at, None),
            Some((at, value)) => {
                if value.as_table().is_none() {
                    self.report
                        .problem(at.start, &path, format!("must be a table. Use [{path}]"));
                }
                (at.start, value.as_table())
            }
        };
        Self {
            report: self.report,
            path,
            members: table,
            at,
            asked: BTreeSet::new(),
        }
    }

    /// The tables of an array of tables.
    pub(super) fn tables(&mut self, name: &'static str) -> Vec<Self> {
        let path = self.know(name);
        let new = |at: usize, table| Self {
            report: self.report,
            path: path.clone(),
            members: table,
            at,
            asked: BTreeSet::new(),
        };
        let Some((at, value)) = self.find(name) else {
            return Vec::new();
        };
        let items = value
            .as_array()
            .filter(|items| items.iter().all(|item| item.get_ref().is_table()));
        let Some(items) = items else {
            self.report
                .problem(at.start, &path, format!("must be tables. Use [[{path}]]"));
            return Vec::new();
        };
        items
            .iter()
            .map(|item| new(item.span().start, item.get_ref().as_table()))
            .collect()
    }

    /// Ends the table: what was not asked for is unknown.
    pub(super) fn finish(self) {
        let Some(table) = self.members else { return };
        for key in table
            .keys()
            .filter(|key| !self.asked.contains(key.get_ref().as_ref()))
        {
            let name = key.get_ref();
            let mend = match nearest(name, &self.asked) {
                Some(known) => format!("Did you mean {known:?}?"),
                None => format!(
                    "Known keys here: {}",
                    self.asked.iter().copied().collect::<Vec<_>>().join(", ")
                ),
            };
            self.report.problem(
                key.span().start,
                &self.dotted(name),
                format!("unknown key. {mend}"),
            );
        }
    }

    fn know(&mut self, name: &'static str) -> String {
        self.asked.insert(name);
        let dotted = self.dotted(name);
        self.report.known.borrow_mut().insert(dotted.clone());
        dotted
    }

    fn find(&self, name: &str) -> Option<(Range<usize>, &'d DeValue<'t>)> {
        let (key, value) = self
            .members?
            .iter()
            .find(|(key, _)| key.get_ref() == name)?;
        // A table's own span starts at its header, or at its first dotted key.
        let span = if value.get_ref().is_table() || value.get_ref().is_array() {
            key.span()
        } else {
            value.span()
        };
        Some((span, value.get_ref()))
    }

    fn dotted(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }
}

impl<'r, 't, 'd> Item<'r, 't, 'd> {
    /// Notes a problem with it.
    pub(super) fn problem(&self, text: impl Into<String>) {
        self.report.problem(self.at, &self.key, text);
    }

    pub(super) fn text(&self) -> Result<&'d str, String> {
        self.value
            .as_str()
            .ok_or_else(|| format!("must be a text, not {}. Use quotes", article(self.value)))
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self) -> Result<bool, String> {
        self.value
            .as_bool()
            .ok_or_else(|| format!("must be true or false, not {}", article(self.value)))
    }

    /// A whole number in a range.
    pub(super) fn whole(&self, range: std::ops::RangeInclusive<u64>) -> Result<u64, String> {
        let number = self
            .value
            .as_integer()
            .and_then(|number| u64::from_str_radix(number.as_str(), number.radix()).ok());
        number
            .filter(|number| range.contains(number))
            .ok_or_else(|| {
                format!(
                    "must be a whole number. Use {} to {}",
                    range.start(),
                    range.end()
                )
            })
    }

    /// The items of a list of texts.
    pub(super) fn texts(&self) -> Result<Vec<Item<'r, 't, 'd>>, String> {
        let items = self
            .value
            .as_array()
            .filter(|items| items.iter().all(|item| item.get_ref().is_str()));
        let items =
            items.ok_or_else(|| "must be a list of texts. Use [\"…\", \"…\"]".to_owned())?;
        let item = |value: &'d Spanned<DeValue<'t>>| Item {
            report: self.report,
            key: self.key.clone(),
            at: value.span().start,
            value: value.get_ref(),
        };
        Ok(items.iter().map(item).collect())
    }
}

fn article(value: &DeValue<'_>) -> String {
    let name = value.type_str();
    let an = if name.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    };
    format!("{an} {name}")
}

/// The known key that was likely meant: one that the name begins with, or at most a third of whose letters differ.
fn nearest(name: &str, known: &BTreeSet<&'static str>) -> Option<&'static str> {
    if let Some(longer) = known.iter().find(|known| name.starts_with(**known)) {
        return Some(longer);
    }
    let (distance, best) = known
        .iter()
        .map(|known| (distance(name, known), *known))
        .min()?;
    (distance * 3 <= best.len().max(3)).then_some(best)
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.chars().enumerate() {
            let replaced = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.chars().count()]
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("", "", 0),
            ("listen", "listen", 0),
            ("lisen", "listen", 1),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }
}
