//! Reads `[[parameter]]`.

use dan_core::dataset::{ParameterSpec, ValueType};
use serde_json::Value;

use crate::catalog_folder::problem::{At, suggestion};
use crate::catalog_folder::section::{Node, Section};
use crate::declared::parameter::ParameterRule;

/// Most parameters of one dataset; a request may send as many (`inquiry.rs`).
const PARAMETERS_MAX: usize = 64;

/// Types a parameter may have (`wire-api.md` §6).
const TYPES: [ValueType; 6] = [
    ValueType::Boolean,
    ValueType::Number,
    ValueType::String,
    ValueType::DateTime,
    ValueType::Attachment,
    ValueType::Uri,
];

/// Parameters as metadata tells them, and as the definition sees them.
pub(super) struct Parameters {
    pub(super) specs: Vec<ParameterSpec>,
    pub(super) rules: Vec<ParameterRule>,
}

pub(super) fn read(section: &mut Section<'_>) -> Parameters {
    let sections = section.sections("parameter");
    let problems = section.problems();
    super::check_count(
        sections.len(),
        PARAMETERS_MAX,
        "parameters",
        section.place(),
        problems,
    );
    let mut read = Parameters {
        specs: Vec::new(),
        rules: Vec::new(),
    };
    for mut one in sections {
        let name = one.required_text("name");
        let kind = kind(&mut one);
        let required = one.flag("required").unwrap_or(false);
        let rule = ParameterRule {
            name: String::new(),
            kind: kind.unwrap_or(ValueType::String),
            default: default(&mut one, kind),
            split: one.text("split").map(|separator| separator.value),
            clamp: clamp(&mut one, kind),
        };
        if rule.split.is_some() && kind.is_some_and(|kind| kind != ValueType::String) {
            let place = one.place();
            problems.hint(place, "only text can be split", "use type = \"string\"");
        }
        one.not_built(&["min", "max", "pattern", "values"]);
        if let Some(name) = name {
            if read.rules.iter().any(|known| known.name == name.value) {
                let what = format!("the parameter `{}` is there twice", name.value);
                problems.add(&name.place, what);
            }
            read.specs.push(ParameterSpec {
                name: name.value.clone(),
                parameter_type: kind,
                required,
            });
            read.rules.push(ParameterRule {
                name: name.value,
                ..rule
            });
        }
        one.finish();
    }
    read
}

fn kind(section: &mut Section<'_>) -> Option<ValueType> {
    let text = section.required_text("type")?;
    let found = TYPES.iter().find(|kind| kind.wire_name() == text.value);
    if found.is_none() {
        let names = TYPES.iter().map(|kind| kind.wire_name());
        section.problems().report(
            &text.place,
            crate::catalog_folder::problem::Mistake {
                what: format!("`{}` is no type of a parameter", text.value),
                hint: suggestion(&text.value, names),
            },
        );
    }
    found.copied()
}

fn default(section: &mut Section<'_>, kind: Option<ValueType>) -> Option<Value> {
    let item = section.take("default")?;
    let fits = matches!(
        (&item.value, kind),
        (Node::Number(_), Some(ValueType::Number))
            | (Node::Flag(_), Some(ValueType::Boolean))
            | (
                Node::Text(_),
                Some(
                    ValueType::String
                        | ValueType::DateTime
                        | ValueType::Attachment
                        | ValueType::Uri
                ) | None
            )
    );
    if !fits {
        let hint = "write a value of the parameter's type";
        let what = "`default` in [[parameter]] is of another type";
        section.problems().hint(&item.place, what, hint);
    }
    Some(item.value.to_json())
}

fn clamp(section: &mut Section<'_>, kind: Option<ValueType>) -> Option<(i64, i64)> {
    let At { value, place } = section.take("clamp")?;
    let bounds = match &value {
        Node::List(items) => match items.as_slice() {
            [
                At {
                    value: Node::Number(least),
                    ..
                },
                At {
                    value: Node::Number(most),
                    ..
                },
            ] => least.as_i64().zip(most.as_i64()),
            _ => None,
        },
        Node::Text(_) | Node::Number(_) | Node::Flag(_) | Node::Moment(_) | Node::Table(_) => None,
    };
    let bounds = bounds.filter(|(least, most)| least <= most && kind == Some(ValueType::Number));
    if bounds.is_none() {
        let hint = "write clamp = [1, 5] on a parameter of type number";
        let what = "`clamp` in [[parameter]] is no pair of whole numbers";
        section.problems().hint(&place, what, hint);
    }
    bounds
}
