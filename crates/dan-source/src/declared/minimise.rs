//! What is taken out of the answers before anything is made of them: `[[keep]]` and `[[remove]]`.
//!
//! In doubt it is taken out (`services.md` 12.4, 8): a condition that cannot be answered removes,
//! a list item that cannot be judged is not kept, and lists are walked into also where the
//! definition did not expect one.

use std::collections::BTreeSet;

use dan_core::jmespath::Budget;
use serde_json::Value;

use super::document::Document;
use super::expression::{Expr, is_true};
use crate::catalog_folder::problem::Mistake;

/// Most list items that one harvest judges.
pub(crate) const KEPT_ITEMS_MAX: usize = 10_000;
/// What judging one item may cost.
const ITEM_BUDGET: Budget = Budget {
    steps: 10_000,
    output_bytes: 64 * 1024,
};
/// What the condition of a removal may cost.
const CONDITION_BUDGET: Budget = Budget {
    steps: 200_000,
    output_bytes: 1024 * 1024,
};

/// `reports[].rows[].notes`: a call and the way to a member of its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldPath {
    pub(crate) call: String,
    steps: Vec<String>,
    /// It ends in `[]`: the items, not the list.
    pub(crate) items: bool,
}

impl FieldPath {
    /// Reads a path; the brackets say where the author expects lists.
    pub(crate) fn parse(text: &str) -> Result<Self, Mistake> {
        let mut names = Vec::new();
        for part in text.split('.') {
            let name = part.strip_suffix("[]").unwrap_or(part);
            if name.is_empty() || name.contains(['[', ']', '{', '}', ' ', '*', '"', '\'']) {
                return Err(Mistake::with_hint(
                    format!("`{text}` is no path"),
                    "write call.member.list[].member",
                ));
            }
            names.push(name.to_owned());
        }
        let call = names.remove(0);
        Ok(Self {
            call,
            steps: names,
            items: text.ends_with("[]"),
        })
    }
}

/// One `[[remove]]`.
pub(crate) struct Removal {
    pub(crate) paths: Vec<FieldPath>,
    pub(crate) condition: Option<Condition>,
}

/// When a removal applies.
pub(crate) struct Condition {
    pub(crate) when: Expr,
    /// Remove when the condition cannot be answered.
    pub(crate) when_missing: bool,
}

/// One `[[keep]]`: of the list at a path, only items for which the expression is true.
pub(crate) struct Keeping {
    pub(crate) path: FieldPath,
    pub(crate) when: Expr,
}

/// Too many items to judge.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

/// Carries out every `[[keep]]` and `[[remove]]`. Conditions see the answers as they came.
pub(crate) fn apply(
    document: &mut Document,
    keepings: &[Keeping],
    removals: &[Removal],
    failed: &BTreeSet<String>,
) -> Result<(), TooMany> {
    let due: Vec<&Removal> = removals
        .iter()
        .filter(|removal| removal.is_due(document, failed))
        .collect();
    let mut judged = 0;
    for keeping in keepings {
        keeping.apply(document, &mut judged)?;
    }
    for removal in due {
        for path in &removal.paths {
            document.change(&path.call, |answer| remove(answer, &path.steps, path.items));
        }
    }
    Ok(())
}

impl Removal {
    /// Whether its condition mentions this name.
    pub(crate) fn mentions(&self, name: &str) -> bool {
        let condition = self.condition.as_ref();
        condition.is_some_and(|condition| condition.when.mentions(name))
    }

    fn is_due(&self, document: &Document, failed: &BTreeSet<String>) -> bool {
        let Some(condition) = &self.condition else {
            return true;
        };
        if failed.iter().any(|call| condition.when.mentions(call)) {
            return condition.when_missing;
        }
        match condition.when.search(document.whole(), CONDITION_BUDGET) {
            Ok(Value::Null) | Err(_) => condition.when_missing,
            Ok(value) => is_true(&value),
        }
    }
}

impl Keeping {
    fn apply(&self, document: &mut Document, judged: &mut usize) -> Result<(), TooMany> {
        let mut answer = document.take(&self.path.call);
        let done = filter(&mut answer, &self.path.steps, &mut |item| {
            *judged = judged.saturating_add(1);
            if *judged > KEPT_ITEMS_MAX {
                return Err(TooMany);
            }
            document.set("item", item.take());
            let verdict = self.when.search(document.whole(), ITEM_BUDGET);
            *item = document.take("item");
            Ok(verdict.is_ok_and(|value| is_true(&value)))
        });
        document.set(&self.path.call, answer);
        done
    }
}

type Judge<'a> = dyn FnMut(&mut Value) -> Result<bool, TooMany> + 'a;

fn filter(value: &mut Value, steps: &[String], judge: &mut Judge<'_>) -> Result<(), TooMany> {
    match (value, steps.split_first()) {
        (Value::Array(items), None) => {
            let mut kept = Vec::with_capacity(items.len());
            for mut item in items.drain(..) {
                if judge(&mut item)? {
                    kept.push(item);
                }
            }
            *items = kept;
            Ok(())
        }
        (Value::Array(items), Some(_)) => items
            .iter_mut()
            .try_for_each(|item| filter(item, steps, judge)),
        (Value::Object(members), Some((name, rest))) => match members.get_mut(name) {
            Some(member) => filter(member, rest, judge),
            None => Ok(()),
        },
        // Something else stands where the list was expected: it cannot be judged, so it goes.
        (other, _) => {
            *other = Value::Null;
            Ok(())
        }
    }
}

fn remove(value: &mut Value, steps: &[String], items: bool) {
    match (value, steps.split_first()) {
        (value, None) => {
            *value = if items {
                Value::Array(Vec::new())
            } else {
                Value::Null
            }
        }
        (Value::Array(list), Some(_)) => {
            for item in list {
                remove(item, steps, items);
            }
        }
        (Value::Object(members), Some((name, rest))) => {
            if rest.is_empty() && !items {
                members.shift_remove(name);
            } else if let Some(member) = members.get_mut(name) {
                remove(member, rest, items);
            }
        }
        // What may hold the member in some other form goes as a whole.
        (other, Some(_)) => *other = Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn expr(text: &str) -> Expr {
        let roots = ["unit", "item", "param", "reports"].map(str::to_owned);
        Expr::compile(text, &roots).expect("JMESPath")
    }

    fn removal(path: &str, when: Option<(&str, bool)>) -> Removal {
        Removal {
            paths: vec![FieldPath::parse(path).expect("path")],
            condition: when.map(|(when, when_missing)| Condition {
                when: expr(when),
                when_missing,
            }),
        }
    }

    fn document() -> Document {
        Document::from(json!({
            "unit": {"form": "ENK"},
            "param": {"koder": ["A"]},
            "reports": [
                {"rows": [{"notes": "canary", "kept": 1}, {"notes": "canary", "code": "A"}]},
                {"rows": {"notes": "canary", "kept": 2}},
                {"rows": null},
            ],
        }))
    }

    fn left(removals: &[Removal], failed: &[&str]) -> String {
        let mut document = document();
        let failed = failed.iter().map(|call| (*call).to_owned()).collect();
        apply(&mut document, &[], removals, &failed).expect("few items");
        document.find("reports").to_string()
    }

    #[test]
    fn a_removed_member_is_nowhere_left_also_where_no_list_was_expected() {
        for path in ["reports[].rows[].notes", "reports.rows.notes"] {
            let left = left(&[removal(path, None)], &[]);
            assert!(!left.contains("canary"), "{left}");
            assert!(left.contains("\"kept\":2"), "{left}");
        }
    }

    #[test]
    fn a_condition_that_cannot_be_answered_does_what_is_written() {
        let sole = "unit.form == 'ENK'";
        for (when, missing, failed, removed) in [
            (sole, false, None, true),
            ("unit.form == 'AS'", true, None, false),
            (sole, true, Some("unit"), true),
            (sole, false, Some("unit"), false),
            ("unit.nothing", true, None, true),
            ("length(unit.nothing) > `1`", true, None, true),
        ] {
            let removal = removal("reports[].rows[].notes", Some((when, missing)));
            let failed: Vec<&str> = failed.into_iter().collect();
            let left = left(&[removal], &failed);
            assert_eq!(!left.contains("canary"), removed, "{when} {missing}");
        }
    }

    #[test]
    fn only_items_for_which_it_is_true_are_kept() {
        let keep = |when: &str| {
            let mut document = document();
            let keeping = Keeping {
                path: FieldPath::parse("reports[].rows[]").expect("path"),
                when: expr(when),
            };
            apply(&mut document, &[keeping], &[], &BTreeSet::new()).expect("few items");
            document.take("reports")
        };
        let kept = keep("contains(param.koder, item.code)");
        assert_eq!(
            kept,
            json!([{"rows": [{"notes": "canary", "code": "A"}]}, {"rows": null}, {"rows": null}])
        );
        // An item that cannot be judged is not kept.
        let kept = keep("starts_with(item.code, 'A')");
        assert_eq!(kept[0]["rows"].as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn conditions_see_the_answers_as_they_came() {
        let removals = [
            removal("unit.form", None),
            removal(
                "reports[].rows[].notes",
                Some(("unit.form == 'ENK'", false)),
            ),
        ];
        assert!(!left(&removals, &[]).contains("canary"));
    }

    #[test]
    fn the_order_of_members_stays() {
        let mut document = Document::from(json!({"unit": {"a": 1, "b": 2, "c": 3}}));
        let removals = [removal("unit.a", None)];
        apply(&mut document, &[], &removals, &BTreeSet::new()).expect("few items");
        assert_eq!(document.find("unit").to_string(), r#"{"b":2,"c":3}"#);
    }

    #[test]
    fn too_many_items_are_not_judged() {
        let rows = vec![json!({}); KEPT_ITEMS_MAX + 1];
        let mut document = Document::from(json!({"reports": rows}));
        let keeping = Keeping {
            path: FieldPath::parse("reports[]").expect("path"),
            when: expr("item"),
        };
        let done = apply(&mut document, &[keeping], &[], &BTreeSet::new());
        assert_eq!(done, Err(TooMany));
    }

    #[test]
    fn paths_that_are_none_are_refused() {
        for bad in ["", "a..b", "a[0].b", "a.*", "a.{b}", "a b"] {
            assert!(FieldPath::parse(bad).is_err(), "{bad}");
        }
        let path = FieldPath::parse("a.b[].c[]").expect("path");
        assert!(path.items && path.call == "a");
    }
}
