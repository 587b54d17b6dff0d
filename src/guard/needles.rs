//! What is looked for: the values in all their forms, and the key that each goes by.
//!
//! Here values leave their wrappers, into the masker, which does not give them out.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::ops::ControlFlow;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::codes::Issued;
use super::counts::Owner;
use super::edges::Edges;
use super::forms::{self, Extent};
use crate::mask::{Builder, Masker, NameId, Rule};
use crate::secret::{self, MaskOption, Masking, Secret};

/// The maskers of some secrets.
pub struct Needles {
    /// Finds every value by its rule.
    pub masker: Masker,
    /// Finds only what counts as a value anywhere, in any case: for names that cannot be rewritten. `None`: as `masker` does.
    names: Option<Masker>,
    /// The key of each hit, by its number: the keys in order, once more for UTF-16, then twice those of the values.
    pub keys: Vec<String>,
    /// Whose each hit may be, by its number: of those of the values all, of keys none.
    pub(super) owners: Vec<Arc<[Owner]>>,
    /// What is left of values in texts that were cut.
    edges: Edges,
    /// The number of the first value's hits.
    first: usize,
}

impl Needles {
    /// The needles of these secrets; `write` spells the placeholder of a key.
    ///
    /// One value under two keys goes by that of the narrowest scope, then by the first in key order; a value goes before
    /// another's line.
    pub fn new<'a>(
        secrets: impl IntoIterator<Item = &'a Secret>,
        write: impl Fn(&str) -> String,
    ) -> Self {
        Self::with(secrets, &[], |_| false, write)
    }

    /// The same, with one-time codes that were issued. What `always` names by its key is masked even where its options say that it
    /// never is: then by its value, as by default.
    pub(super) fn with<'a>(
        secrets: impl IntoIterator<Item = &'a Secret>,
        codes: &[Issued],
        always: impl Fn(&str) -> bool,
        write: impl Fn(&str) -> String,
    ) -> Self {
        let mut secrets: Vec<&Secret> = secrets.into_iter().collect();
        secrets.sort_by(|a, b| (a.scope().rank(), a.key()).cmp(&(b.scope().rank(), b.key())));
        let mut keys: Vec<String> = secrets
            .iter()
            .map(|s| s.key().as_str().to_owned())
            .collect();
        keys.sort_unstable();
        keys.dedup();
        let (found, groups) = found(&secrets, codes, always);
        let same = found.iter().all(|f| f.rule == Rule::Anywhere && f.any_case);
        let masker = masker(&found, &keys, &groups, &write);
        let edges = Edges::of(|add| register(&found, |value, form, _| add(form, value.group)));
        let first = keys.len() * 2;
        let names = (!same).then(|| names(&found, &keys));
        let nobody: Arc<[Owner]> = Arc::new([]);
        let mut owners = vec![nobody; keys.len() * 2];
        keys.extend_from_within(..);
        for _ in 0..2 {
            keys.extend(groups.iter().map(|group| group[0].key.clone()));
            owners.extend(groups.iter().map(|group| Arc::from(group.as_slice())));
        }
        Self {
            masker,
            names,
            keys,
            owners,
            edges,
            first,
        }
    }

    /// Whose part is left beside a cut, as the number of a hit: see [`Edges::beside`].
    pub(super) fn beside(&self, text: &[u8], stops: &[usize], resumes: &[usize]) -> Option<NameId> {
        let value = self.edges.beside(text, stops, resumes)?;
        u32::try_from(self.first + value).ok().map(NameId)
    }

    /// Finds what counts as a value anywhere, in any case.
    pub fn names(&self) -> &Masker {
        self.names.as_ref().unwrap_or(&self.masker)
    }
}

/// A value that is masked.
struct Found {
    option: MaskOption,
    /// The place of its text among all that differ.
    group: usize,
    rule: Rule,
    any_case: bool,
    spellings: Vec<Zeroizing<String>>,
}

/// What is masked of each secret, superseded values, the other spellings of seeds and codes too, in the order of the secrets; and
/// whose each text is, never empty.
fn found(
    secrets: &[&Secret],
    codes: &[Issued],
    always: impl Fn(&str) -> bool,
) -> (Vec<Found>, Vec<Vec<Owner>>) {
    let mut all = Collection::default();
    for secret in secrets {
        let owner = Owner::of(secret);
        let option = match secret.options().mask {
            MaskOption::Never if always(&owner.key) => MaskOption::Auto,
            option => option,
        };
        secret.expose_each(|text, any_case| all.add(text, option, any_case, &owner));
    }
    for code in codes {
        all.add(code.text.expose(), code.option, false, &code.owner);
    }
    (all.found, all.groups)
}

#[derive(Default)]
struct Collection {
    found: Vec<Found>,
    groups: Vec<Vec<Owner>>,
    /// The first of `found` of each group, by a hash of its text.
    firsts: HashMap<u64, Vec<usize>>,
    hasher: RandomState,
}

impl Collection {
    fn add(&mut self, text: &str, option: MaskOption, any_case: bool, owner: &Owner) {
        let Some(rule) = rule(secret::rule(option, text)) else {
            return;
        };
        let firsts = self.firsts.entry(self.hasher.hash_one(text)).or_default();
        let found = &self.found;
        let first = firsts
            .iter()
            .find(|at| found[**at].spellings[0].as_str() == text);
        let group = if let Some(first) = first {
            let group = self.found[*first].group;
            if !self.groups[group].contains(owner) {
                self.groups[group].push(owner.clone());
            }
            group
        } else {
            firsts.push(self.found.len());
            self.groups.push(vec![owner.clone()]);
            self.groups.len() - 1
        };
        self.found.push(Found {
            option,
            group,
            rule,
            any_case,
            spellings: forms::spellings(text, any_case),
        });
    }
}

fn rule(masking: Masking) -> Option<Rule> {
    match masking {
        Masking::Anywhere => Some(Rule::Anywhere),
        Masking::Word => Some(Rule::Word),
        Masking::No => None,
    }
}

impl Found {
    /// Where a form counts.
    fn rule_of(&self, form: &str, extent: Extent) -> Option<Rule> {
        match extent {
            Extent::Whole => Some(self.rule),
            Extent::Bare => rule(secret::rule(self.option, form)),
            Extent::Lines => Some(Rule::Anywhere),
        }
    }

    /// Other line ends, and long lines, of each spelling.
    fn lines(&self, mut add: impl FnMut(&str, Rule)) {
        for spelling in &self.spellings {
            forms::lines(spelling, |form, extent| {
                if let Some(rule) = self.rule_of(form, extent) {
                    add(form, rule);
                }
            });
        }
    }

    /// Every other way to write each spelling, and every way to write each form of its lines; but for UTF-16.
    fn others(&self, mut add: impl FnMut(&[u8], Rule)) {
        let mut seen = Seen::default();
        let mut add = |form: &[u8], rule| {
            if seen.is_new(form, rule) {
                add(form, rule);
            }
        };
        for spelling in &self.spellings {
            forms::others(spelling).for_each(|form| add(&form, self.rule));
        }
        self.lines(|form, rule| {
            add(form.as_bytes(), rule);
            forms::others(form).for_each(|form| add(&form, rule));
        });
    }

    /// Each spelling, and each form of its lines, in UTF-16. Words of UTF-16 are none to the engine: there a value counts anywhere.
    fn wide(&self, mut add: impl FnMut(&[u8], Rule)) {
        let mut seen = Seen::default();
        let mut add = |form: &str| {
            // Several lines have `+` by themselves alone: twice a whole key more would be much.
            let plus = forms::is_one_line(form).then(|| forms::wide_plus(form));
            for form in forms::wide(form).into_iter().chain(plus.flatten()) {
                if seen.is_new(&form, Rule::Anywhere) {
                    add(&form, Rule::Anywhere);
                }
            }
        };
        self.spellings.iter().for_each(|spelling| add(spelling));
        self.lines(|form, _| add(form));
    }

    /// Short lines of each spelling, indented and written in every way, as far as there is room. Those that stand as they are go first,
    /// for these of UTF-16 with `+` are nowhere else; then those in UTF-8 with spaces.
    fn indented(&self, mut add: impl FnMut(&[u8], Rule, Width)) {
        let (mut seen, mut room) = (Seen::default(), forms::MOST_INDENTED);
        let mut add = |form: &[u8], rule, width| {
            if seen.is_new(form, rule) {
                let Some(left) = room.checked_sub(form.len()) else {
                    return ControlFlow::Break(());
                };
                room = left;
                add(form, rule, width);
            }
            ControlFlow::Continue(())
        };
        let rounds: [(&[&str], bool); 3] = [
            (&[""], false),
            (&forms::INDENTS, true),
            (&forms::FEW_INDENTS, false),
        ];
        for (indents, is_plain) in rounds {
            let flow = forms::indented(&self.spellings, indents, |form, extent| {
                let Some(rule) = self.rule_of(form, extent) else {
                    return ControlFlow::Continue(());
                };
                if is_plain {
                    return add(form.as_bytes(), rule, Width::Byte);
                }
                forms::others(form).try_for_each(|form| add(&form, rule, Width::Byte))?;
                let mut wide = forms::wide(form).into_iter().chain(forms::wide_plus(form));
                wide.try_for_each(|form| add(&form, Rule::Anywhere, Width::Wide))
            });
            if flow.is_break() {
                return;
            }
        }
    }
}

/// Whether a form is in UTF-16, as its name must be then.
#[derive(Clone, Copy)]
enum Width {
    Byte,
    Wide,
}

/// Forms of one value, so that none is looked for twice.
#[derive(Default)]
struct Seen {
    forms: Vec<(Zeroizing<Vec<u8>>, Rule)>,
    hashes: HashSet<u64>,
    hasher: RandomState,
}

impl Seen {
    fn is_new(&mut self, form: &[u8], rule: Rule) -> bool {
        let may_be_known = !self.hashes.insert(self.hasher.hash_one(form));
        let mut known = self.forms.iter();
        if may_be_known && known.any(|(known, of)| known.as_slice() == form && *of == rule) {
            return false;
        }
        self.forms.push((Zeroizing::new(form.to_vec()), rule));
        true
    }
}

/// Registers the values, then their other forms but for those with indents and in UTF-16.
fn register(found: &[Found], mut add: impl FnMut(&Found, &[u8], Rule)) {
    for value in found {
        for spelling in &value.spellings {
            add(value, spelling.as_bytes(), value.rule);
        }
    }
    for value in found {
        value.others(|form, rule| add(value, form, rule));
    }
}

fn masker(
    found: &[Found],
    keys: &[String],
    groups: &[Vec<Owner>],
    write: impl Fn(&str) -> String,
) -> Masker {
    let mut builder = Masker::builder();
    // The keys themselves, so that they are left alone where they stand.
    for key in keys {
        builder.name(key, &write(key));
    }
    for key in keys {
        builder.name(&wide_name(key), &wide_name(&write(key)));
    }
    let names: Vec<NameId> = groups
        .iter()
        .map(|group| builder.name("", &write(&group[0].key)))
        .collect();
    let wide_names: Vec<NameId> = groups
        .iter()
        .map(|group| builder.name("", &wide_name(&write(&group[0].key))))
        .collect();
    register(found, |value, form, rule| {
        add(&mut builder, names[value.group], form, rule, value.any_case);
    });
    for value in found {
        let (name, wide_name) = (names[value.group], wide_names[value.group]);
        value.indented(|form, rule, width| {
            let name = match width {
                Width::Byte => name,
                Width::Wide => wide_name,
            };
            add(&mut builder, name, form, rule, value.any_case);
        });
    }
    for value in found {
        let name = wide_names[value.group];
        value.wide(|form, rule| add(&mut builder, name, form, rule, value.any_case));
    }
    builder.build()
}

/// A masker for names of what counts anywhere. A name has neither lines nor NUL.
fn names(found: &[Found], keys: &[String]) -> Masker {
    let mut builder = Masker::builder();
    for key in keys {
        builder.name(key, key);
    }
    let name = builder.name("", "");
    register(found, |_, form, rule| {
        if rule == Rule::Anywhere {
            builder.value_any_case(name, form, rule);
        }
    });
    builder.build()
}

fn add(builder: &mut Builder, name: NameId, form: &[u8], rule: Rule, any_case: bool) {
    if any_case {
        builder.value_any_case(name, form, rule);
    } else {
        builder.value(name, form, rule);
    }
}

/// A key or a placeholder in UTF-16. Both are ASCII, of which UTF-16 is UTF-8 too; what is not stays as it is.
fn wide_name(text: &str) -> String {
    String::from_utf8(forms::utf16(text).to_vec()).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::Syntax;
    use crate::secret::{Limits, Value, parse_submission};

    /// A text, what masking makes of it, and whether it holds what counts anywhere.
    fn check(secrets: &str, rows: &[(&str, &str, bool)]) {
        check_of(&of_agent(secrets, "agent:a"), rows);
    }

    fn of_agent(secrets: &str, scope: &str) -> Vec<Secret> {
        let bytes = Zeroizing::new(secrets.as_bytes().to_vec());
        let submission =
            parse_submission(bytes, &Limits::default()).unwrap_or_else(|p| panic!("{p:?}"));
        submission.into_secrets(&scope.parse().expect("a scope"))
    }

    fn check_of(secrets: &[Secret], rows: &[(&str, &str, bool)]) {
        let needles = Needles::new(secrets, str::to_owned);
        for (text, expected, anywhere) in rows {
            let of = |masker: &Masker| {
                let masked = masker
                    .mask(text.as_bytes(), Syntax::Text)
                    .expect("not refused");
                masked.map_or((*text).to_owned(), |(bytes, _)| {
                    String::from_utf8(bytes).expect("a text")
                })
            };
            assert_eq!(of(&needles.masker), *expected, "{text}");
            assert_eq!(of(needles.names()) != *text, *anywhere, "{text}");
        }
    }

    /// How many forms a value of several lines has with indents, and their bytes.
    fn indented_of(value: &str) -> (usize, usize) {
        let found = Found {
            option: MaskOption::Auto,
            group: 0,
            rule: Rule::Anywhere,
            any_case: false,
            spellings: forms::spellings(value, false),
        };
        let (mut count, mut bytes) = (0, 0);
        found.indented(|form, _, _| {
            count += 1;
            bytes += form.len();
        });
        (count, bytes)
    }

    #[test]
    fn p8_indented_forms_are_bounded() {
        // 18 indents and two line ends; with none and 8 of them also in UTF-16, and in both with `+` where there are spaces.
        assert_eq!(indented_of("password:\nsecret").0, (18 + 9 + 6 * 2) * 2);
        assert_eq!(indented_of("the password:\nsecret").0, (18 + 9 * 3) * 2);
        let (_, bytes) = indented_of(&"a\n".repeat(2048));
        assert!((forms::MOST_INDENTED / 2..=forms::MOST_INDENTED).contains(&bytes));
        // What repeats is looked for once, and takes no room.
        let same = format!("{}\nshort\n", "long".repeat(4)).repeat(100);
        assert_eq!(indented_of(&same).0, (18 + 9 + 6 * 2) * 2);
    }

    #[test]
    fn lines_and_line_ends_go_by_the_values_key() {
        check(
            r#"{"https://example.com": {"x_note": "first line of the note\nshort\nthird line of the note"}}"#,
            &[
                (
                    "<first line of the note\nshort\nthird line of the note>",
                    "<x_note>",
                    true,
                ),
                (
                    "<first line of the note\r\nshort\r\nthird line of the note>",
                    "<x_note>",
                    true,
                ),
                ("> third line of the note", "> x_note", true),
                ("short", "short", false),
            ],
        );
    }

    #[test]
    fn the_first_key_names_a_value_and_a_value_goes_before_a_line() {
        check(
            r#"{"https://b.example.com": {"x_b": "shared-value", "x_z": "one line of a value"},
                "https://a.example.com": {"x_c": "shared-value", "x_d": "one line of a value\n"}}"#,
            &[
                ("shared-value", "x_b", true),
                ("one line of a value", "x_z", true),
            ],
        );
    }

    #[test]
    fn the_narrowest_scope_names_a_value() {
        let mut secrets = of_agent(
            r#"{"https://a.example.com": {"x_a": "shared-value"}}"#,
            "org:o",
        );
        let rest = r#"{"https://a.example.com": {"x_z": "shared-value", "x_b": "another-value"}}"#;
        secrets.extend(of_agent(rest, "user:u"));
        let rows = [("shared-value another-value", "x_z x_b", true)];
        check_of(&secrets, &rows);
        secrets.reverse();
        check_of(&secrets, &rows);
    }

    #[test]
    fn superseded_values_are_masked_by_the_rule_that_each_has() {
        let secrets = of_agent(
            r#"{"https://example.com": {"x_a": "the-new-value", "x_b": "short"}}"#,
            "agent:a",
        );
        let value = |text: &str| {
            Value::new(text.to_owned().into(), &Limits::default()).unwrap_or_else(|e| panic!("{e}"))
        };
        let former = |secret: Secret| {
            secret.with_former(vec![value("the-old-value"), value("gone"), value("abc")])
        };
        let mut secrets = secrets.into_iter();
        let secrets = [
            former(secrets.next().expect("the first")),
            secrets.next().expect("the second"),
        ];
        check_of(
            &secrets,
            &[
                ("<the-new-value> <the-old-value>", "<x_a> <x_a>", true),
                ("gone", "x_a", false),
                ("bygones", "bygones", false),
                ("abc", "abc", false),
            ],
        );
    }

    #[test]
    fn seeds_are_masked_in_their_spellings() {
        check(
            r#"{"https://example.com": {"x_otp": {"value": "otpauth://totp/a?secret=jbswy3dpehpk3pxp", "kind": "totp"}}}"#,
            &[
                (
                    "<otpauth://totp/a?secret=jbswy3dpehpk3pxp>",
                    "<x_otp>",
                    true,
                ),
                ("JBSWY3DPEHPK3PXP", "x_otp", true),
                ("the key is jbsw y3dp ehpk 3pxp.", "the key is x_otp.", true),
                (
                    "otpauth://totp/b?secret=JbswY3dpehpk3pxp&issuer=b",
                    "otpauth://totp/b?secret=x_otp&issuer=b",
                    true,
                ),
                ("JBSWY3DP", "JBSWY3DP", false),
            ],
        );
    }

    #[test]
    fn words_do_not_count_anywhere() {
        check(
            r#"{"https://example.com": {"x_group": "user", "x_token": "sk-live-0123",
                "x_ticket": {"value": "sk-live-0123", "mask": "word"}, "x_off": {"value": "never-masked", "mask": "never"}}}"#,
            &[
                ("user-agent", "x_group-agent", false),
                // Of two keys with one value, one counts anywhere: so does the value.
                ("a-sk-live-0123-b", "a-x_ticket-b", true),
                ("never-masked", "never-masked", false),
            ],
        );
    }
}
