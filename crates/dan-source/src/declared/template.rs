//! Templates: text with `{…}` in it. What is inserted is always encoded for its place.
//!
//! Grammar (`docs/catalog.md`): `{` alternative ( ` or ` alternative )* [ `:` format ] `}`, where an
//! alternative is a root and steps, `unit.adresse[0].poststed`; `{{` and `}}` are plain braces.
//! Settings are filled in when the file is read; everything else for each request.

use std::collections::BTreeMap;

use dan_core::time::Timestamp;
use serde_json::Value;

use super::document::Document;
use crate::catalog_folder::problem::{Mistake, suggestion};

/// Names that mean the parties and the moment in every definition.
pub(crate) const PARTY_ROOTS: [(&str, &[&str]); 3] = [
    ("subject", &["org", "id", "person"]),
    ("requestor", &["org", "id", "person"]),
    ("owner", &["org", "id"]),
];

/// The values behind `{setting.…}`.
#[derive(Clone, Copy)]
pub(crate) enum Settings<'a> {
    /// Those of the node.
    Of(&'a BTreeMap<String, String>),
    /// An invented one for every name, to check a catalogue without a node.
    Invented,
}

impl Settings<'_> {
    /// Whether there is no node behind them.
    pub(crate) const fn is_invented(&self) -> bool {
        matches!(self, Self::Invented)
    }

    /// The first setting that a text refers to and this node does not have.
    pub(crate) fn missing_in<'t>(&self, text: &'t str) -> Option<&'t str> {
        let Self::Of(settings) = self else {
            return None;
        };
        let names = text
            .split("{setting.")
            .skip(1)
            .filter_map(|rest| Some(rest.split_once('}')?.0));
        names.into_iter().find(|name| !settings.contains_key(*name))
    }

    pub(crate) fn find(&self, name: &str) -> Result<String, Mistake> {
        match self {
            Self::Invented => Ok(format!("https://{name}.invalid")),
            Self::Of(settings) => settings.get(name).cloned().ok_or_else(|| Mistake {
                what: format!("the setting `{name}` is not in the node's configuration"),
                hint: suggestion(name, settings.keys().map(String::as_str))
                    .or_else(|| Some(format!("add it under [settings]: {name} = \"…\""))),
            }),
        }
    }
}

/// What a template may refer to.
pub(crate) struct Scope<'a> {
    pub(crate) settings: Settings<'a>,
    /// Parties, `now` and parameters; false where a file is about no request.
    pub(crate) request: bool,
    pub(crate) params: &'a [String],
    pub(crate) calls: &'a [String],
    pub(crate) item: bool,
}

/// A part of a template.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    Text(String),
    /// The value of a setting.
    Setting(String),
    Insert(Insert),
}

/// One `{…}` that is filled in for each request.
#[derive(Clone, Debug)]
pub(crate) struct Insert {
    choices: Vec<Path>,
    format: Option<Format>,
}

#[derive(Clone, Debug)]
struct Path {
    root: String,
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
enum Step {
    Member(String),
    Index(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    UtcMs,
    Date,
    Year,
    Upper,
    Lower,
}

impl Format {
    const ALL: [(Self, &'static str); 5] = [
        (Self::UtcMs, "utc-ms"),
        (Self::Date, "date"),
        (Self::Year, "year"),
        (Self::Upper, "upper"),
        (Self::Lower, "lower"),
    ];

    fn parse(text: &str) -> Result<Self, Mistake> {
        let found = Self::ALL.iter().find(|(_, name)| *name == text);
        found.map(|(format, _)| *format).ok_or_else(|| Mistake {
            what: format!("unknown format `{text}`"),
            hint: suggestion(text, Self::ALL.iter().map(|(_, name)| *name)),
        })
    }

    fn apply(self, text: &str) -> Result<String, Unusable> {
        let pattern = match self {
            Self::Upper => return Ok(text.to_uppercase()),
            Self::Lower => return Ok(text.to_lowercase()),
            Self::UtcMs => "%Y-%m-%dT%H:%M:%S%.3fZ",
            Self::Date => "%Y-%m-%d",
            Self::Year => "%Y",
        };
        let moment = Timestamp::parse(text)
            .and_then(|moment| jiff::Timestamp::from_millisecond(moment.as_ms()).ok());
        let moment = moment.ok_or_else(|| Unusable("a date is needed".to_owned()))?;
        Ok(moment.strftime(pattern).to_string())
    }
}

/// Why a template cannot be filled in for this request. Names the root, never the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unusable(pub(crate) String);

/// Reads a template; mistakes are reported one by one.
pub(crate) fn parse(text: &str, scope: &Scope<'_>, report: &mut dyn FnMut(Mistake)) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            '{' | '}' if rest.as_str().starts_with(character) => {
                rest.next();
                plain.push(character);
            }
            '}' => report(Mistake::with_hint(
                "`}` without `{`",
                "write `}}` for a plain brace",
            )),
            '{' => {
                let Some((inner, after)) = rest.as_str().split_once('}') else {
                    report(Mistake::with_hint(
                        "`{` without `}`",
                        "write `{{` for a plain brace",
                    ));
                    return pieces;
                };
                if !plain.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                }
                match placeholder(inner, scope) {
                    Ok(piece) => pieces.push(piece),
                    Err(mistake) => report(mistake),
                }
                rest = after.chars();
            }
            plain_character => plain.push(plain_character),
        }
    }
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    pieces
}

fn placeholder(inner: &str, scope: &Scope<'_>) -> Result<Piece, Mistake> {
    let (choices, format) = match inner.split_once(':') {
        Some((choices, format)) => (choices, Some(Format::parse(format.trim())?)),
        None => (inner, None),
    };
    if let Some(name) = choices.trim().strip_prefix("setting.") {
        if format.is_some() || name.contains(" or ") {
            return Err(Mistake::new(
                "a setting stands alone, without `or` or format",
            ));
        }
        return scope.settings.find(name).map(Piece::Setting);
    }
    let choices = choices
        .split(" or ")
        .map(|choice| path(choice.trim(), scope))
        .collect::<Result<_, _>>()?;
    Ok(Piece::Insert(Insert { choices, format }))
}

fn path(text: &str, scope: &Scope<'_>) -> Result<Path, Mistake> {
    let malformed = || {
        Mistake::with_hint(
            format!("`{{{text}}}` is no path"),
            "write a root and its members, for instance {subject.org} or {unit.adresse[0]}",
        )
    };
    let mut steps = Vec::new();
    let mut names = text.split('.');
    let root = names.next().filter(|root| is_name(root));
    let (root, indexes) = root
        .map(|root| (root, ""))
        .or_else(|| {
            text.split('.')
                .next()?
                .split_once('[')
                .filter(|(root, _)| is_name(root))
        })
        .ok_or_else(malformed)?;
    read_indexes(indexes, &mut steps).ok_or_else(malformed)?;
    for name in names {
        let (name, indexes) = name.split_once('[').unwrap_or((name, ""));
        if !is_name(name) {
            return Err(malformed());
        }
        steps.push(Step::Member(name.to_owned()));
        read_indexes(indexes, &mut steps).ok_or_else(malformed)?;
    }
    let path = Path {
        root: root.to_owned(),
        steps,
    };
    check_root(&path, text, scope)?;
    Ok(path)
}

fn is_name(text: &str) -> bool {
    let fits = |character: char| character.is_alphanumeric() || matches!(character, '_' | '-');
    !text.is_empty() && text.chars().all(fits)
}

/// `0]`, `0][1]` and so on; nothing at all is fine.
fn read_indexes(text: &str, steps: &mut Vec<Step>) -> Option<()> {
    if text.is_empty() {
        return Some(());
    }
    for index in text.strip_suffix(']')?.split("][") {
        steps.push(Step::Index(index.parse().ok()?));
    }
    Some(())
}

fn check_root(path: &Path, text: &str, scope: &Scope<'_>) -> Result<(), Mistake> {
    let root = path.root.as_str();
    let member = match path.steps.as_slice() {
        [Step::Member(member)] => Some(member.as_str()),
        _ => None,
    };
    if scope.request {
        if let Some((_, members)) = PARTY_ROOTS.iter().find(|(name, _)| *name == root) {
            return match member {
                Some(member) if members.contains(&member) => Ok(()),
                _ => Err(Mistake {
                    what: format!("`{{{text}}}` is unknown"),
                    hint: Some(format!("{root} has {}", members.join(", "))),
                }),
            };
        }
        if root == "param" {
            let declared = scope.params.iter().map(String::as_str);
            return match member {
                Some(member) if scope.params.iter().any(|name| name == member) => Ok(()),
                _ => Err(Mistake {
                    what: format!("`{{{text}}}` names no plain [[parameter]] of this dataset"),
                    hint: suggestion(member.unwrap_or_default(), declared),
                }),
            };
        }
        if root == "now" && path.steps.is_empty() {
            return Ok(());
        }
    }
    let item = scope.item && root == "item";
    if item || scope.calls.iter().any(|call| call == root) {
        return Ok(());
    }
    Err(Mistake {
        what: format!("unknown root `{root}` in `{{{text}}}`"),
        hint: suggestion(root, scope.root_names().iter().map(String::as_str)),
    })
}

impl Scope<'_> {
    /// Every root that may be used here.
    pub(crate) fn root_names(&self) -> Vec<String> {
        let mut names = vec!["setting".to_owned()];
        if self.request {
            names.extend(["subject", "requestor", "owner", "param", "now"].map(str::to_owned));
        }
        if self.item {
            names.push("item".to_owned());
        }
        names.extend(self.calls.iter().cloned());
        names
    }
}

impl Insert {
    /// The first alternative that is there and not empty; `None` when there is none.
    pub(crate) fn value(&self, document: &Document) -> Result<Option<String>, Unusable> {
        for choice in &self.choices {
            let text = match choice.find(document) {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                Value::Bool(flag) => flag.to_string(),
                Value::Null => continue,
                Value::Array(_) | Value::Object(_) => {
                    return Err(Unusable(format!("{} is no plain value", choice.name())));
                }
            };
            if text.trim().is_empty() {
                continue;
            }
            return match self.format {
                Some(format) => format.apply(&text).map(Some),
                None => Ok(Some(text)),
            };
        }
        Ok(None)
    }

    /// What is missing, in words.
    pub(crate) fn name(&self) -> String {
        let names: Vec<String> = self.choices.iter().map(Path::name).collect();
        names.join(" or ")
    }

    /// Calls whose answers it may read.
    pub(crate) fn roots(&self) -> impl Iterator<Item = &str> {
        self.choices.iter().map(|choice| choice.root.as_str())
    }
}

impl Path {
    fn find<'v>(&self, document: &'v Document) -> &'v Value {
        let mut value = document.find(&self.root);
        for step in &self.steps {
            value = match step {
                Step::Member(name) => value.get(name),
                Step::Index(at) => value.get(at),
            }
            .unwrap_or(&Value::Null);
        }
        value
    }

    fn name(&self) -> String {
        let mut name = self.root.clone();
        for step in &self.steps {
            match step {
                Step::Member(member) => name.push_str(&format!(".{member}")),
                Step::Index(at) => name.push_str(&format!("[{at}]")),
            }
        }
        name
    }
}

/// Text that stands by itself: a header, the value of a query name, a value of a dataset.
#[derive(Clone, Debug)]
pub(crate) struct Template(pub(crate) Vec<Piece>);

impl Template {
    /// Calls whose answers it may read.
    pub(crate) fn roots(&self) -> impl Iterator<Item = &str> {
        roots(&self.0)
    }

    /// The text; `None` when everything that was to be inserted is empty.
    pub(crate) fn fill(&self, document: &Document) -> Result<Option<String>, Unusable> {
        let mut text = String::new();
        let mut inserts = 0_u32;
        let mut filled = 0_u32;
        for piece in &self.0 {
            match piece {
                Piece::Text(part) | Piece::Setting(part) => text.push_str(part),
                Piece::Insert(insert) => {
                    inserts = inserts.saturating_add(1);
                    if let Some(part) = insert.value(document)? {
                        filled = filled.saturating_add(1);
                        text.push_str(&part);
                    }
                }
            }
        }
        let empty = text.is_empty() || (inserts > 0 && filled == 0);
        Ok((!empty).then_some(text))
    }
}

/// Roots of every insert.
pub(crate) fn roots(pieces: &[Piece]) -> impl Iterator<Item = &str> {
    let inserts = pieces.iter().filter_map(|piece| match piece {
        Piece::Insert(insert) => Some(insert),
        Piece::Text(_) | Piece::Setting(_) => None,
    });
    inserts.flat_map(Insert::roots)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn document() -> Document {
        Document::from(json!({
            "subject": {"org": "991825827", "id": "991825827", "person": null},
            "param": {"fra": "2024-05-06T07:08:09+02:00", "type": "selskap", "antall": 2, "tom": " "},
            "unit": {"adresse": [{"poststed": "OSLO"}], "overordnetEnhet": null, "flagg": true},
        }))
    }

    fn read(text: &str) -> (Vec<Piece>, Vec<String>) {
        let settings = BTreeMap::from([("er".to_owned(), "https://er.example/api".to_owned())]);
        let params = ["fra", "type", "antall", "tom"].map(str::to_owned);
        let calls = ["unit".to_owned()];
        let scope = Scope {
            settings: Settings::Of(&settings),
            request: true,
            params: &params,
            calls: &calls,
            item: false,
        };
        let mut mistakes = Vec::new();
        let pieces = parse(text, &scope, &mut |mistake| {
            mistakes.push(format!(
                "{}; {}",
                mistake.what,
                mistake.hint.unwrap_or_default()
            ));
        });
        (pieces, mistakes)
    }

    fn filled(text: &str) -> Option<String> {
        let (pieces, mistakes) = read(text);
        assert_eq!(mistakes, [""; 0], "{text}");
        Template(pieces).fill(&document()).expect("usable")
    }

    #[test]
    fn values_are_found_by_path_and_alternatives_are_tried_in_order() {
        for (text, expected) in [
            ("plain", Some("plain")),
            ("{{x}}", Some("{x}")),
            ("{subject.org}", Some("991825827")),
            ("a-{unit.adresse[0].poststed}-b", Some("a-OSLO-b")),
            ("{unit.overordnetEnhet or subject.org}", Some("991825827")),
            ("{param.antall}", Some("2")),
            ("{unit.flagg}", Some("true")),
            ("{param.tom}", None),
            ("x{subject.person}", None),
            ("{subject.person}/{subject.org}", Some("/991825827")),
            ("{setting.er}/x", Some("https://er.example/api/x")),
            ("{param.fra:utc-ms}", Some("2024-05-06T05:08:09.000Z")),
            ("{param.fra:date}", Some("2024-05-06")),
            ("{param.fra:year}", Some("2024")),
            ("{param.type:upper}", Some("SELSKAP")),
        ] {
            assert_eq!(filled(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_does_not_exist_is_a_mistake_with_what_would_be_right() {
        for (text, expected) in [
            (
                "{subjekt.org}",
                "unknown root `subjekt` in `{subjekt.org}`; did you mean `subject`?",
            ),
            (
                "{subject.orgnr}",
                "`{subject.orgnr}` is unknown; subject has org, id, person",
            ),
            (
                "{subject}",
                "`{subject}` is unknown; subject has org, id, person",
            ),
            (
                "{param.typ}",
                "`{param.typ}` names no plain [[parameter]] of this dataset; did you mean `type`?",
            ),
            (
                "{units.navn}",
                "unknown root `units` in `{units.navn}`; did you mean `unit`?",
            ),
            (
                "{item.x}",
                "unknown root `item` in `{item.x}`; known here: setting, subject, requestor, owner, param, now, unit",
            ),
            (
                "{setting.err}",
                "the setting `err` is not in the node's configuration; did you mean `er`?",
            ),
            (
                "{setting.er:upper}",
                "a setting stands alone, without `or` or format; ",
            ),
            (
                "{param.fra:utc}",
                "unknown format `utc`; did you mean `utc-ms`?",
            ),
            (
                "{param.fra",
                "`{` without `}`; write `{{` for a plain brace",
            ),
            ("a}b", "`}` without `{`; write `}}` for a plain brace"),
            (
                "{}",
                "`{}` is no path; write a root and its members, for instance {subject.org} or {unit.adresse[0]}",
            ),
            (
                "{unit.a[x]}",
                "`{unit.a[x]}` is no path; write a root and its members, for instance {subject.org} or {unit.adresse[0]}",
            ),
            (
                "{unit..a}",
                "`{unit..a}` is no path; write a root and its members, for instance {subject.org} or {unit.adresse[0]}",
            ),
        ] {
            assert_eq!(read(text).1, [expected], "{text}");
        }
    }

    #[test]
    fn every_mistake_of_a_template_is_told() {
        assert_eq!(read("{a.b}{c.d}{subject.org}").1.len(), 2);
    }

    #[test]
    fn what_is_no_plain_value_or_no_date_is_unusable() {
        let (pieces, _) = read("{unit.adresse}");
        let refused = Template(pieces).fill(&document()).expect_err("a list");
        assert_eq!(
            refused,
            Unusable("unit.adresse is no plain value".to_owned())
        );
        let (pieces, _) = read("{param.type:date}");
        assert!(Template(pieces).fill(&document()).is_err());
    }
}
