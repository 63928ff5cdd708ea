//! TOML read key by key, so that every mistake of a file is found in one run, each with its line.
//!
//! The parser's own derive stops at the first mistake; this asks for keys by name instead, and what
//! nobody asked for is unknown.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use dan_core::time::Timestamp;
use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{At, Marked, Place, Problems, suggestion};

/// How deep tables and arrays of a file may nest.
const NESTING_MAX: usize = 16;

/// A value of a file.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Text(String),
    Number(Number),
    Flag(bool),
    Moment(String),
    List(Vec<At<Self>>),
    Table(Vec<Member>),
}

/// A key and its value, in the order of the file.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) key: At<String>,
    pub(crate) item: At<Node>,
}

impl Node {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Number(_) => "a number",
            Self::Flag(_) => "true or false",
            Self::Moment(_) => "a date",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }

    /// The same as JSON; dates become text.
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Text(text) | Self::Moment(text) => Value::from(text.as_str()),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Flag(flag) => Value::Bool(*flag),
            Self::List(items) => items.iter().map(|item| item.value.to_json()).collect(),
            Self::Table(members) => {
                let members = members
                    .iter()
                    .map(|member| (member.key.value.clone(), member.item.value.to_json()));
                Value::Object(members.collect::<Map<_, _>>())
            }
        }
    }
}

/// Reads a file into its outermost section. What is no TOML is reported, all of it, and gives
/// `None`: what a broken text might have meant is not guessed.
pub(crate) fn read<'a>(file: &str, text: &str, problems: &'a Problems) -> Option<Section<'a>> {
    let reader = Reader {
        file: Arc::from(file),
        starts: line_starts(text),
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let place = reader.place(error.span().unwrap_or(0..0));
        problems.hint(
            &place,
            format!("not TOML: {}", error.message()),
            "the form of the files is described in docs/catalog.md",
        );
    }
    if !errors.is_empty() {
        return None;
    }
    let members = reader.members(table.get_ref(), NESTING_MAX, problems);
    Some(Section {
        title: "this file".to_owned(),
        place: reader.place(0..0),
        members,
        known: Vec::new(),
        problems,
    })
}

struct Reader {
    file: Arc<str>,
    starts: Vec<usize>,
}

fn line_starts(text: &str) -> Vec<usize> {
    let after_newlines = text
        .bytes()
        .enumerate()
        .filter(|(_, byte)| *byte == b'\n')
        .map(|(at, _)| at.saturating_add(1));
    std::iter::once(0).chain(after_newlines).collect()
}

impl Reader {
    fn place(&self, span: Range<usize>) -> Place {
        let line = self.starts.partition_point(|start| *start <= span.start);
        let begins = line.checked_sub(1).and_then(|at| self.starts.get(at));
        let small = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Place {
            file: Arc::clone(&self.file),
            line: small(line),
            marked: Marked {
                from: small(span.start.saturating_sub(begins.copied().unwrap_or(0))),
                bytes: small(span.end.saturating_sub(span.start)),
            },
        }
    }

    fn members(&self, table: &DeTable<'_>, depth: usize, problems: &Problems) -> Vec<Member> {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        entries
            .into_iter()
            .map(|(key, value)| {
                let place = self.place(key.span());
                let item = self.item(value, depth, problems);
                Member {
                    key: At::new(key.get_ref().clone().into_owned(), place.clone()),
                    // A header [x] and its key stand on one line; an implied table has none.
                    item: At::new(item.value, place.later_of(item.place)),
                }
            })
            .collect()
    }

    fn item(&self, value: &Spanned<DeValue<'_>>, depth: usize, problems: &Problems) -> At<Node> {
        let place = self.place(value.span());
        let Some(below) = depth.checked_sub(1) else {
            problems.add(&place, format!("nested deeper than {NESTING_MAX} levels"));
            return At::new(Node::Flag(false), place);
        };
        let node = match value.get_ref() {
            DeValue::String(text) => Node::Text(text.clone().into_owned()),
            DeValue::Boolean(flag) => Node::Flag(*flag),
            DeValue::Datetime(moment) => Node::Moment(moment.to_string()),
            DeValue::Integer(digits) => {
                match i64::from_str_radix(digits.as_str(), digits.radix()) {
                    Ok(number) => Node::Number(Number::from(number)),
                    Err(_) => Self::odd_number(digits.as_str(), &place, problems),
                }
            }
            DeValue::Float(digits) => {
                let number = digits.as_str().parse().ok().and_then(Number::from_f64);
                number.map_or_else(
                    || Self::odd_number(digits.as_str(), &place, problems),
                    Node::Number,
                )
            }
            DeValue::Array(items) => Node::List(
                items
                    .iter()
                    .map(|item| self.item(item, below, problems))
                    .collect(),
            ),
            DeValue::Table(table) => Node::Table(self.members(table, below, problems)),
        };
        At::new(node, place)
    }

    fn odd_number(digits: &str, place: &Place, problems: &Problems) -> Node {
        problems.add(place, format!("{digits} is not a number of JSON"));
        Node::Number(Number::from(0))
    }
}

impl Place {
    /// The value's place, unless it is implied by a header further up.
    fn later_of(&self, value: Self) -> Self {
        if value.line >= self.line {
            value
        } else {
            self.clone()
        }
    }
}

/// A table of a file, asked key by key. [`Section::finish`] reports the keys nobody asked for.
pub(crate) struct Section<'a> {
    title: String,
    place: Place,
    members: Vec<Member>,
    known: Vec<&'static str>,
    problems: &'a Problems,
}

impl<'a> Section<'a> {
    /// Where it begins.
    pub(crate) const fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) const fn problems(&self) -> &'a Problems {
        self.problems
    }

    /// Whether the key is there and not taken yet.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.members.iter().any(|member| member.key.value == key)
    }

    /// The value as JSON, without taking it; null when absent.
    pub(crate) fn json(&self, key: &str) -> Value {
        self.members
            .iter()
            .find(|member| member.key.value == key)
            .map_or(Value::Null, |member| member.item.value.to_json())
    }

    /// Takes a value as it is.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<At<Node>> {
        self.known.push(key);
        let at = self
            .members
            .iter()
            .position(|member| member.key.value == key)?;
        Some(self.members.remove(at).item)
    }

    /// Takes everything that is left, for tables whose keys are the author's own.
    pub(crate) fn rest(&mut self) -> Vec<(At<String>, At<Node>)> {
        std::mem::take(&mut self.members)
            .into_iter()
            .map(|member| (member.key, member.item))
            .collect()
    }

    fn wrong(&self, key: &str, item: &At<Node>, wanted: &str) {
        self.problems.hint(
            &item.place,
            format!("`{key}` in {} is {}", self.title, item.value.kind()),
            format!("it must be {wanted}"),
        );
    }

    /// Text, also of blanks.
    pub(crate) fn text_as_it_is(&mut self, key: &'static str) -> Option<At<String>> {
        let item = self.take(key)?;
        if let Node::Text(text) = item.value {
            return Some(At::new(text, item.place));
        }
        self.wrong(key, &item, "text in quotes");
        None
    }

    /// Text that is not empty.
    pub(crate) fn text(&mut self, key: &'static str) -> Option<At<String>> {
        let item = self.take(key)?;
        match item.value {
            Node::Text(text) if !text.trim().is_empty() => Some(At::new(text, item.place)),
            Node::Text(_) => {
                let what = format!("`{key}` in {} is empty", self.title);
                self.problems
                    .hint(&item.place, what, "write the text or leave the key out");
                None
            }
            Node::Number(_) | Node::Flag(_) | Node::Moment(_) | Node::List(_) | Node::Table(_) => {
                self.wrong(key, &item, "text in quotes");
                None
            }
        }
    }

    /// Text that must be there.
    pub(crate) fn required_text(&mut self, key: &'static str) -> Option<At<String>> {
        if !self.has(key) {
            self.known.push(key);
            self.missing(key);
            return None;
        }
        self.text(key)
    }

    pub(crate) fn missing(&self, key: &str) {
        self.problems.hint(
            &self.place,
            format!("{} has no `{key}`", self.title),
            format!("add `{key} = …`"),
        );
    }

    /// One text, or a list of texts; empty when absent.
    pub(crate) fn texts(&mut self, key: &'static str) -> Vec<At<String>> {
        if !matches!(
            self.member(key).map(|item| &item.value),
            Some(Node::List(_))
        ) {
            return self.text(key).into_iter().collect();
        }
        let Some(At {
            value: Node::List(items),
            ..
        }) = self.take(key)
        else {
            return Vec::new();
        };
        items
            .into_iter()
            .filter_map(|item| {
                if let Node::Text(text) = item.value {
                    return Some(At::new(text, item.place));
                }
                self.wrong(key, &item, "a list of texts in quotes");
                None
            })
            .collect()
    }

    fn member(&self, key: &str) -> Option<&At<Node>> {
        self.members
            .iter()
            .find(|member| member.key.value == key)
            .map(|member| &member.item)
    }

    pub(crate) fn flag(&mut self, key: &'static str) -> Option<bool> {
        let item = self.take(key)?;
        if let Node::Flag(flag) = item.value {
            return Some(flag);
        }
        self.wrong(key, &item, "true or false, without quotes");
        None
    }

    /// A whole number within bounds.
    pub(crate) fn number(
        &mut self,
        key: &'static str,
        bounds: RangeInclusive<u32>,
    ) -> Option<At<u32>> {
        let item = self.take(key)?;
        let number = match &item.value {
            Node::Number(number) => number
                .as_u64()
                .and_then(|number| u32::try_from(number).ok()),
            Node::Text(_) | Node::Flag(_) | Node::Moment(_) | Node::List(_) | Node::Table(_) => {
                None
            }
        };
        match number.filter(|number| bounds.contains(number)) {
            Some(number) => Some(At::new(number, item.place)),
            None => {
                let (least, most) = (bounds.start(), bounds.end());
                self.wrong(
                    key,
                    &item,
                    &format!("a whole number from {least} to {most}"),
                );
                None
            }
        }
    }

    /// A time of whole seconds, written `"20s"` or `"2m"`.
    pub(crate) fn seconds(&mut self, key: &'static str, most: u32) -> Option<At<u32>> {
        let text = self.text(key)?;
        let seconds = text
            .value
            .strip_suffix('s')
            .map(|digits| (digits, 1_u32))
            .or_else(|| text.value.strip_suffix('m').map(|digits| (digits, 60)))
            .and_then(|(digits, unit)| digits.parse::<u32>().ok()?.checked_mul(unit))
            .filter(|seconds| (1..=most).contains(seconds));
        if let Some(seconds) = seconds {
            return Some(At::new(seconds, text.place));
        }
        self.problems.hint(
            &text.place,
            format!(
                "`{key}` in {} is `{}`, which is no time",
                self.title, text.value
            ),
            format!("write seconds as \"20s\", from \"1s\" to \"{most}s\""),
        );
        None
    }

    /// A date or date-time, as TOML has it or as text.
    pub(crate) fn moment(&mut self, key: &'static str) -> Option<Timestamp> {
        let item = self.take(key)?;
        let moment = match &item.value {
            Node::Moment(text) | Node::Text(text) => Timestamp::parse(text),
            Node::Number(_) | Node::Flag(_) | Node::List(_) | Node::Table(_) => None,
        };
        if moment.is_none() {
            self.wrong(key, &item, "a date such as 2026-01-31");
        }
        moment
    }

    /// A table within this one.
    pub(crate) fn section(&mut self, key: &'static str) -> Option<Self> {
        let item = self.take(key)?;
        if let Node::Table(members) = item.value {
            return Some(self.inner(format!("[{key}]"), item.place, members));
        }
        self.wrong(key, &item, &format!("a table [{key}]"));
        None
    }

    /// Tables written `[[key]]`, in the order of the file.
    pub(crate) fn sections(&mut self, key: &'static str) -> Vec<Self> {
        let Some(item) = self.take(key) else {
            return Vec::new();
        };
        let Node::List(items) = item.value else {
            self.wrong(key, &item, &format!("one or more tables [[{key}]]"));
            return Vec::new();
        };
        let mut sections = Vec::new();
        for item in items {
            if let Node::Table(members) = item.value {
                sections.push(self.inner(format!("[[{key}]]"), item.place, members));
            } else {
                self.wrong(key, &item, &format!("a table [[{key}]]"));
            }
        }
        sections
    }

    const fn inner(&self, title: String, place: Place, members: Vec<Member>) -> Self {
        Section {
            title,
            place,
            members,
            known: Vec::new(),
            problems: self.problems,
        }
    }

    /// Refuses keys that the form has but this version does not carry out.
    pub(crate) fn not_built(&mut self, keys: &[&'static str]) {
        for key in keys {
            let found = self
                .members
                .iter()
                .position(|member| member.key.value == *key);
            if let Some(at) = found {
                let member = self.members.remove(at);
                let what = format!("`{key}` in {} is not built yet", self.title);
                self.problems.hint(
                    &member.key.place,
                    what,
                    "leave it out, or let a plugin serve this dataset",
                );
            }
        }
    }

    /// Reports every key that nobody asked for, with the nearest one that exists.
    pub(crate) fn finish(self) {
        for member in &self.members {
            let key = &member.key.value;
            let known = self.known.iter().copied();
            self.problems.report(
                &member.key.place,
                super::problem::Mistake {
                    what: format!("unknown key `{key}` in {}", self.title),
                    hint: suggestion(key, known),
                },
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems_of(text: &str, ask: impl FnOnce(&mut Section<'_>)) -> Vec<String> {
        let problems = Problems::default();
        if let Some(mut section) = read("f.toml", text, &problems) {
            ask(&mut section);
            section.finish();
        }
        let sorted = problems.into_sorted();
        sorted.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_mistake_is_found_in_one_run_with_its_line() {
        let text = "about = 5\ntimeout = \"soon\"\n\npubic = true\n[[call]]\nid = \"\"\n";
        let found = problems_of(text, |section| {
            assert!(section.text("about").is_none());
            assert!(section.seconds("timeout", 600).is_none());
            assert!(section.flag("public").is_none());
            for mut call in section.sections("call") {
                assert!(call.text("id").is_none());
                assert!(call.required_text("source").is_none());
                call.finish();
            }
        });
        assert_eq!(
            found,
            [
                "f.toml:1: `about` in this file is a number; it must be text in quotes",
                "f.toml:2: `timeout` in this file is `soon`, which is no time; write seconds as \"20s\", from \"1s\" to \"600s\"",
                "f.toml:4: unknown key `pubic` in this file; did you mean `public`?",
                "f.toml:5: [[call]] has no `source`; add `source = …`",
                "f.toml:6: `id` in [[call]] is empty; write the text or leave the key out",
            ]
        );
    }

    #[test]
    fn all_that_is_no_toml_is_told_and_nothing_is_guessed() {
        let found = problems_of("a = \nb = 1\nb = 2\n", |_| panic!("nothing to ask"));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("f.toml:1: not TOML:"), "{found:?}");
        assert!(found[1].starts_with("f.toml:3: not TOML:"), "{found:?}");
    }

    #[test]
    fn values_are_read_as_their_type() {
        let found = problems_of(
            "n = 7\nt = [\"a\", \"b\"]\none = \"x\"\nd = 2026-01-31\nm = \"2m\"\nq = { w = 1.5 }",
            |section| {
                assert_eq!(section.number("n", 1..=9).map(|n| n.value), Some(7));
                assert_eq!(section.texts("t").len(), 2);
                assert_eq!(section.texts("one").len(), 1);
                assert!(section.moment("d").is_some());
                assert_eq!(section.seconds("m", 120).map(|s| s.value), Some(120));
                assert_eq!(section.json("q"), serde_json::json!({"w": 1.5}));
                section.section("q").map(|mut q| q.rest().len());
            },
        );
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn what_is_not_built_is_refused_by_name() {
        let found = problems_of("for_each = \"x\"\n", |section| {
            section.not_built(&["for_each", "width"]);
        });
        assert_eq!(
            found,
            [
                "f.toml:1: `for_each` in this file is not built yet; leave it out, or let a plugin serve this dataset"
            ]
        );
    }

    #[test]
    fn numbers_out_of_bounds_and_deep_nests_are_refused() {
        let found = problems_of("n = 10\n", |section| {
            assert!(section.number("n", 1..=9).is_none());
        });
        assert_eq!(found.len(), 1);
        let deep = format!("a = {}{}", "[".repeat(40), "]".repeat(40));
        let found = problems_of(&deep, |section| {
            section.take("a");
        });
        assert!(found.iter().any(|text| text.contains("nested deeper")));
    }
}
