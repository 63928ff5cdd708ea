//! Reads `[[value]]`: what comes out, for metadata and for the harvest alike.

use dan_core::dataset::{ValueSpec, ValueType};

use super::{Head, Roots};
use crate::catalog_folder::problem::{At, Mistake, Place, Problems, suggestion};
use crate::catalog_folder::section::{Node, Section};
use crate::declared::expression::Expr;
use crate::declared::json;
use crate::declared::mapping::{Origin, ValueRule};
use crate::declared::template::{Template, parse};
use crate::declared::url::{Base, UrlTemplate};

/// Most values of one dataset.
pub(crate) const VALUES_MAX: usize = 256;
/// What stands for the text of a written-out `each`.
const EACH: &str = "{each}";

/// Values as metadata tells them, and as they are made.
pub(super) struct Values {
    pub(super) specs: Vec<ValueSpec>,
    pub(super) rules: Vec<ValueRule>,
    /// Where the last value of type binary is.
    pub(super) binary: Option<Place>,
}

/// One `[[value]]` as it is written.
struct Draft {
    name: Option<At<String>>,
    kind: Option<ValueType>,
    unit: Option<At<String>>,
    from: Option<At<String>>,
    text: Option<At<String>>,
    source: Option<At<String>>,
    description: Option<At<String>>,
    mime_type: Option<At<String>>,
    json_schema: Option<At<String>>,
    keep_empty: bool,
    skip_if_missing: Vec<String>,
}

pub(super) fn read(section: &mut Section<'_>, roots: &Roots<'_>, head: &Head<'_>) -> Values {
    let problems = section.problems();
    let sections = section.sections("value");
    if sections.is_empty() {
        section.missing("value");
    }
    let mut values = Values {
        specs: Vec::new(),
        rules: Vec::new(),
        binary: None,
    };
    for mut one in sections {
        let (texts, list) = each(&mut one, roots);
        let draft = draft(&mut one, roots);
        one.finish();
        if texts.is_empty() {
            add(&mut values, &draft, list, (roots, head, problems));
        }
        for text in texts {
            let expanded = draft.expand(&text);
            add(&mut values, &expanded, None, (roots, head, problems));
        }
    }
    super::check_count(
        values.specs.len(),
        VALUES_MAX,
        "values",
        section.place(),
        problems,
    );
    values
}

/// A list of words to write out, or an expression that gives the items.
fn each(section: &mut Section<'_>, roots: &Roots<'_>) -> (Vec<String>, Option<Expr>) {
    let problems = section.problems();
    let is_list = section.json("each").is_array();
    let texts = section.texts("each");
    if is_list {
        let word = |text: &&At<String>| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            let fits = !text.value.is_empty() && text.value.bytes().all(plain);
            if !fits {
                let what = format!("`{}` in `each` is no word", text.value);
                problems.hint(&text.place, what, "use letters a to z, digits and _");
            }
            fits
        };
        let words = texts.iter().filter(word).map(|text| text.value.clone());
        return (words.collect(), None);
    }
    let expr = texts.first().and_then(|text| {
        Expr::compile(&text.value, &roots.expressions(false))
            .map_err(|mistake| problems.report(&text.place, mistake))
            .ok()
    });
    (Vec::new(), expr)
}

fn draft(section: &mut Section<'_>, roots: &Roots<'_>) -> Draft {
    let problems = section.problems();
    let name = section.required_text("name");
    let kind = kind(section);
    let unit = section.text("unit");
    let mime_type = section.text("mime_type");
    let json_schema = section.text("json_schema");
    for (key, item, wanted) in [
        ("unit", &unit, ValueType::Amount),
        ("mime_type", &mime_type, ValueType::Attachment),
        ("json_schema", &json_schema, ValueType::JsonSchema),
    ] {
        if let (Some(item), Some(kind)) = (item, kind)
            && kind != wanted
            && !(kind == ValueType::Binary && wanted == ValueType::Attachment)
        {
            let what = format!(
                "`{key}` in [[value]] is for values of type {}",
                wanted.wire_name()
            );
            problems.hint(&item.place, what, "leave it out");
        }
    }
    if let Some(schema) = &json_schema
        && json::read(schema.value.as_bytes()).is_err()
    {
        problems.add(&schema.place, "`json_schema` in [[value]] is no JSON");
    }
    Draft {
        name,
        kind,
        unit,
        from: section.text("from"),
        text: section.text("text"),
        source: section.text("source"),
        description: section.text("description"),
        mime_type,
        json_schema,
        keep_empty: keep_empty(section, kind),
        skip_if_missing: skip_if_missing(section, roots),
    }
}

fn kind(section: &mut Section<'_>) -> Option<ValueType> {
    let text = section.required_text("type")?;
    let known = ValueType::ALL
        .iter()
        .find(|(_, name)| *name == text.value)
        .map(|(kind, _)| *kind);
    let names = ValueType::ALL.iter().map(|(_, name)| *name);
    match known {
        Some(kind) => Some(kind),
        None => {
            section.problems().report(
                &text.place,
                Mistake {
                    what: format!("`{}` is no type of a value", text.value),
                    hint: suggestion(&text.value, names),
                },
            );
            None
        }
    }
}

fn keep_empty(section: &mut Section<'_>, kind: Option<ValueType>) -> bool {
    let Some(item) = section.take("keep_empty") else {
        return false;
    };
    let problems = section.problems();
    match item.value {
        Node::Flag(false) => false,
        Node::Flag(true) if kind.is_none_or(|kind| kind == ValueType::String) => true,
        Node::Flag(true) => {
            let what = "`keep_empty` in [[value]] is for values of type string";
            problems.hint(&item.place, what, "leave it out");
            false
        }
        Node::Text(_) | Node::Number(_) | Node::Moment(_) | Node::List(_) | Node::Table(_) => {
            let what = "`keep_empty` in [[value]] is neither true nor false";
            problems.add(&item.place, what);
            false
        }
    }
}

fn skip_if_missing(section: &mut Section<'_>, roots: &Roots<'_>) -> Vec<String> {
    let problems = section.problems();
    let calls = section.texts("skip_if_missing");
    for call in &calls {
        if !roots.calls.contains(&call.value) {
            problems.report(
                &call.place,
                Mistake {
                    what: format!("`skip_if_missing` names no call: `{}`", call.value),
                    hint: suggestion(&call.value, roots.calls.iter().map(String::as_str)),
                },
            );
        }
    }
    calls.into_iter().map(|call| call.value).collect()
}

impl Draft {
    /// The same with a word in place of `{each}`.
    fn expand(&self, word: &str) -> Self {
        let filled = |text: &Option<At<String>>| {
            text.clone()
                .map(|text| text.map(|text| text.replace(EACH, word)))
        };
        Self {
            name: filled(&self.name),
            kind: self.kind,
            unit: self.unit.clone(),
            from: filled(&self.from),
            text: filled(&self.text),
            source: filled(&self.source),
            description: filled(&self.description),
            mime_type: self.mime_type.clone(),
            json_schema: self.json_schema.clone(),
            keep_empty: self.keep_empty,
            skip_if_missing: self.skip_if_missing.clone(),
        }
    }
}

fn add(
    values: &mut Values,
    draft: &Draft,
    each: Option<Expr>,
    (roots, head, problems): (&Roots<'_>, &Head<'_>, &Problems),
) {
    let (Some(name), Some(kind)) = (&draft.name, draft.kind) else {
        return;
    };
    if name.value.contains(['{', '}']) {
        let what = format!("`{}` cannot name a value", name.value);
        problems.hint(&name.place, what, "{each} needs a list of words in `each`");
        return;
    }
    if values.specs.iter().any(|spec| spec.name == name.value) {
        let what = format!("the value `{}` is there twice", name.value);
        problems.add(&name.place, what);
    }
    if kind == ValueType::Binary {
        values.binary = Some(name.place.clone());
    }
    let item = each.is_some();
    let source = draft.source.as_ref().map(|text| {
        let pieces = parse(&text.value, &roots.scope(item), &mut |mistake| {
            problems.report(&text.place, mistake);
        });
        (text, Template(pieces))
    });
    let Some(from) = origin(draft, kind, item, (roots, problems)) else {
        return;
    };
    let plain = |value: &Option<At<String>>| value.as_ref().map(|text| text.value.clone());
    let listed = source
        .as_ref()
        .filter(|(_, template)| template.roots().next().is_none())
        .map(|(text, _)| text.value.clone());
    values.specs.push(ValueSpec {
        name: name.value.clone(),
        value_type: kind,
        source: listed.unwrap_or_else(|| head.publisher.to_owned()),
        description: plain(&draft.description),
        mime_type: plain(&draft.mime_type),
        json_schema: plain(&draft.json_schema),
    });
    values.rules.push(ValueRule {
        name: name.value.clone(),
        kind,
        unit: plain(&draft.unit),
        from,
        each,
        source: source.map(|(_, template)| template),
        mime_type: plain(&draft.mime_type),
        keep_empty: draft.keep_empty,
        skip_if_missing: draft.skip_if_missing.clone(),
    });
}

fn origin(
    draft: &Draft,
    kind: ValueType,
    item: bool,
    (roots, problems): (&Roots<'_>, &Problems),
) -> Option<Origin> {
    let report = |at: &At<String>, mistake| problems.report(&at.place, mistake);
    match (&draft.from, &draft.text) {
        (Some(from), None) => {
            let whole = from.value.trim();
            let is_root = roots.calls.iter().any(|call| call == whole) || (item && whole == "item");
            if is_root {
                return Some(Origin::Whole(whole.to_owned()));
            }
            Expr::compile(&from.value, &roots.expressions(item))
                .map_err(|mistake| report(from, mistake))
                .map(Origin::Found)
                .ok()
        }
        (None, Some(text)) => {
            let before = problems.count();
            let pieces = parse(&text.value, &roots.scope(item), &mut |mistake| {
                report(text, mistake);
            });
            if problems.count() > before {
                return None;
            }
            if kind != ValueType::Uri {
                return Some(Origin::Text(Template(pieces)));
            }
            UrlTemplate::compile(&pieces, Base::Anywhere)
                .map_err(|mistake| report(text, mistake))
                .map(Origin::Link)
                .ok()
        }
        (from, _) => {
            let place = from.as_ref().or(draft.name.as_ref()).map(|at| &at.place)?;
            let what = "[[value]] needs either `from` or `text`";
            let hint = "from = a JMESPath expression, text = a template";
            problems.hint(place, what, hint);
            None
        }
    }
}
