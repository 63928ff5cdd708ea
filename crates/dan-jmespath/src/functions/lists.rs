//! `contains`, `keys`, `length`, `map`, `merge`, `not_null`, `reverse`, `to_array`, `values`.

use super::Given;
use crate::ast::Expr;
use crate::budget::Meter;
use crate::data::{BuiltList, BuiltRecord, Data};
use crate::evaluate::{Evaluated, evaluate};
use crate::number::Numeric;
use crate::output::equal;

/// Whether an array has an element equal to `wanted`, or a string has it as a part.
///
/// A string contains nothing but strings.
pub(super) fn contains<'a>(
    subject: &Given<'a>,
    wanted: &Given<'a>,
    meter: &mut Meter,
) -> Evaluated<'a> {
    let found = match (&subject.data, &wanted.data) {
        (Data::List(list), wanted) => {
            let mut found = false;
            for item in list.iter() {
                found = equal(&item, wanted, meter)?;
                if found {
                    break;
                }
            }
            found
        }
        (Data::Text(text), Data::Text(part)) => {
            let (text, part) = (text.as_str(), part.as_str());
            meter.text(text.len().saturating_add(part.len()))?;
            text.contains(part)
        }
        (Data::Text(_), _) => false,
        (other, _) => return Err(subject.refuse("an array or a string", other)),
    };
    Ok(Data::Bool(found))
}

/// In the order they were written.
pub(super) fn keys<'a>(given: &Given<'a>, meter: &mut Meter) -> Evaluated<'a> {
    let mut keys = BuiltList::default();
    for (key, _) in given.record()?.children() {
        keys.push(Data::borrowed(key), meter)?;
    }
    keys.finish()
}

/// In the order they were written.
pub(super) fn values<'a>(given: &Given<'a>, meter: &mut Meter) -> Evaluated<'a> {
    let mut values = BuiltList::default();
    for (_, value) in given.record()?.children() {
        values.push(value, meter)?;
    }
    values.finish()
}

/// Characters of a string, elements of an array, members of an object.
pub(super) fn length<'a>(given: &Given<'a>, meter: &mut Meter) -> Evaluated<'a> {
    let length = match &given.data {
        Data::List(list) => list.len(),
        Data::Record(record) => record.len(),
        Data::Text(text) => {
            meter.text(text.as_str().len())?;
            text.as_str().chars().count()
        }
        other @ (Data::Null | Data::Bool(_) | Data::Number(_)) => {
            return Err(given.refuse("a string, an array or an object", other));
        }
    };
    given.result(Numeric::Integer(
        i128::try_from(length).unwrap_or(i128::MAX),
    ))
}

/// Keeps nulls, unlike a projection.
pub(super) fn map<'a>(given: &Given<'a>, by: &'a Expr, meter: &mut Meter) -> Evaluated<'a> {
    let mut mapped = BuiltList::default();
    for item in given.list("an array")?.iter() {
        mapped.push(evaluate(by, &item, meter)?, meter)?;
    }
    mapped.finish()
}

/// A later member replaces an earlier one of the same name.
pub(super) fn merge<'a>(given: Vec<Given<'a>>, meter: &mut Meter) -> Evaluated<'a> {
    let mut merged = BuiltRecord::default();
    for given in given {
        for (key, value) in given.record()?.children() {
            merged.insert(key, value, meter)?;
        }
    }
    merged.finish()
}

pub(super) fn not_null<'a>(given: Vec<Given<'a>>, _: &mut Meter) -> Evaluated<'a> {
    let found = given
        .into_iter()
        .map(|given| given.data)
        .find(|data| !data.is_null());
    Ok(found.unwrap_or(Data::Null))
}

/// Elements of an array or characters of a string, last first.
pub(super) fn reverse<'a>(given: &Given<'a>, meter: &mut Meter) -> Evaluated<'a> {
    match &given.data {
        Data::List(list) => {
            let mut reversed = BuiltList::default();
            for item in list.iter().rev() {
                reversed.push(item, meter)?;
            }
            reversed.finish()
        }
        Data::Text(text) => {
            let text = text.as_str();
            meter.text(text.len())?;
            meter.bytes(text.len())?;
            Ok(Data::built(text.chars().rev().collect()))
        }
        other @ (Data::Null | Data::Bool(_) | Data::Number(_) | Data::Record(_)) => {
            Err(given.refuse("an array or a string", other))
        }
    }
}

pub(super) fn to_array<'a>(given: &Given<'a>, meter: &mut Meter) -> Evaluated<'a> {
    if matches!(given.data, Data::List(_)) {
        return Ok(given.data.clone());
    }
    let mut array = BuiltList::default();
    array.push(given.data.clone(), meter)?;
    array.finish()
}
