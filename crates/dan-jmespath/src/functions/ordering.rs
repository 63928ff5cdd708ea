//! `max`, `min`, `sort`, `max_by`, `min_by`, `sort_by`.
//!
//! All order either numbers or strings, never both together. Of equal ones the first is taken, and
//! sorting keeps their order.

use std::cmp::Ordering;
use std::mem::{discriminant, size_of};

use super::Given;
use crate::ast::Expr;
use crate::budget::{Meter, text_steps};
use crate::data::{BuiltList, Data};
use crate::error::EvaluationError;
use crate::evaluate::{Evaluated, evaluate};

/// Estimated bytes of an element that is being ordered, half as much again for the sort.
const KEYED_BYTES: usize = size_of::<Keyed<'_>>().saturating_mul(3) / 2;

/// What orders an element, and the element.
type Keyed<'a> = (Data<'a>, Data<'a>);

/// Elements with their keys, all numbers or all strings.
#[derive(Default)]
struct Ordered<'a> {
    elements: Vec<Keyed<'a>>,
    /// Steps it takes to look at each key once.
    weight: usize,
}

impl<'a> Ordered<'a> {
    /// Adds an element; false if its key cannot be ordered among the others.
    fn push(
        &mut self,
        key: Data<'a>,
        element: Data<'a>,
        meter: &mut Meter,
    ) -> Result<bool, EvaluationError> {
        let weight = match &key {
            Data::Number(_) => 1,
            Data::Text(text) => text_steps(text.as_str().len()),
            Data::Null | Data::Bool(_) | Data::List(_) | Data::Record(_) => return Ok(false),
        };
        let same = |(first, _): &Keyed<'_>| discriminant(first) == discriminant(&key);
        if !self.elements.first().is_none_or(same) {
            return Ok(false);
        }
        meter.steps(weight)?;
        meter.bytes(KEYED_BYTES)?;
        self.weight = self.weight.saturating_add(weight);
        self.elements.push((key, element));
        Ok(true)
    }

    fn sorted(mut self, meter: &mut Meter) -> Evaluated<'a> {
        meter.sort(self.elements.len(), self.weight)?;
        self.elements.sort_by(|(a, _), (b, _)| order(a, b));
        let mut sorted = BuiltList::default();
        for (_, element) in self.elements {
            sorted.push(element, meter)?;
        }
        sorted.finish()
    }

    /// The first element no other is `better` than.
    fn extreme(self, better: fn(Ordering) -> bool) -> Data<'a> {
        let best = self.elements.into_iter().reduce(|best, next| {
            if better(order(&next.0, &best.0)) {
                next
            } else {
                best
            }
        });
        best.map_or(Data::Null, |(_, element)| element)
    }
}

fn order(a: &Data<'_>, b: &Data<'_>) -> Ordering {
    a.order(b).unwrap_or(Ordering::Equal)
}

/// Elements that are their own keys.
fn plain<'a>(given: &Given<'a>, meter: &mut Meter) -> Result<Ordered<'a>, EvaluationError> {
    const EXPECTED: &str = "an array of numbers or an array of strings";
    let mut ordered = Ordered::default();
    for item in given.list(EXPECTED)?.iter() {
        if !ordered.push(item.clone(), item.clone(), meter)? {
            return Err(given.refuse(EXPECTED, &item));
        }
    }
    Ok(ordered)
}

/// Elements with what `by` makes of them as keys.
fn keyed<'a>(
    given: &Given<'a>,
    by: &'a Expr,
    meter: &mut Meter,
) -> Result<Ordered<'a>, EvaluationError> {
    let mut ordered = Ordered::default();
    for item in given.list("an array")?.iter() {
        let key = evaluate(by, &item, meter)?;
        if !ordered.push(key.clone(), item, meter)? {
            let reference = Given {
                function: given.function,
                number: 2,
                data: Data::Null,
            };
            return Err(reference.refuse(
                "an expression that gives a number for every element, or a string for every element",
                &key,
            ));
        }
    }
    Ok(ordered)
}

pub(super) fn sort<'a>(given: &Given<'a>, meter: &mut Meter) -> Evaluated<'a> {
    plain(given, meter)?.sorted(meter)
}

pub(super) fn sort_by<'a>(given: &Given<'a>, by: &'a Expr, meter: &mut Meter) -> Evaluated<'a> {
    keyed(given, by, meter)?.sorted(meter)
}

pub(super) fn max<'a>(given: &Given<'a>, meter: &mut Meter) -> Evaluated<'a> {
    Ok(plain(given, meter)?.extreme(Ordering::is_gt))
}

pub(super) fn min<'a>(given: &Given<'a>, meter: &mut Meter) -> Evaluated<'a> {
    Ok(plain(given, meter)?.extreme(Ordering::is_lt))
}

pub(super) fn max_by<'a>(given: &Given<'a>, by: &'a Expr, meter: &mut Meter) -> Evaluated<'a> {
    Ok(keyed(given, by, meter)?.extreme(Ordering::is_gt))
}

pub(super) fn min_by<'a>(given: &Given<'a>, by: &'a Expr, meter: &mut Meter) -> Evaluated<'a> {
    Ok(keyed(given, by, meter)?.extreme(Ordering::is_lt))
}
