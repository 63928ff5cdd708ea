//! `abs`, `avg`, `ceil`, `floor`, `sum`, `to_number`.

use serde_json::Number;

use super::Given;
use crate::budget::Meter;
use crate::data::Data;
use crate::error::EvaluationError;
use crate::evaluate::Evaluated;
use crate::number::Numeric;

pub(super) fn abs<'a>(given: &Given<'a>, _: &mut Meter) -> Evaluated<'a> {
    given.result(given.number()?.absolute())
}

pub(super) fn ceil<'a>(given: &Given<'a>, _: &mut Meter) -> Evaluated<'a> {
    given.result(given.number()?.rounded(f64::ceil))
}

pub(super) fn floor<'a>(given: &Given<'a>, _: &mut Meter) -> Evaluated<'a> {
    given.result(given.number()?.rounded(f64::floor))
}

/// 0 for an empty array.
pub(super) fn sum<'a>(given: &Given<'a>, meter: &mut Meter) -> Evaluated<'a> {
    given.result(total(given, meter)?)
}

/// Null for an empty array.
pub(super) fn avg<'a>(given: &Given<'a>, meter: &mut Meter) -> Evaluated<'a> {
    let sum = total(given, meter)?;
    let count = given.list("an array of numbers")?.len();
    sum.divided_by(count)
        .map_or(Ok(Data::Null), |average| given.result(average))
}

fn total(given: &Given<'_>, meter: &mut Meter) -> Result<Numeric, EvaluationError> {
    const EXPECTED: &str = "an array of numbers";
    let mut sum = Numeric::Integer(0);
    for item in given.list(EXPECTED)?.iter() {
        meter.steps(1)?;
        let Data::Number(number) = &item else {
            return Err(given.refuse(EXPECTED, &item));
        };
        sum = sum.plus(Numeric::from_json(number));
    }
    Ok(sum)
}

/// A string that is a JSON number and nothing else, or a number; null for anything else.
pub(super) fn to_number<'a>(given: &Given<'a>, meter: &mut Meter) -> Evaluated<'a> {
    let text = match &given.data {
        Data::Number(_) => return Ok(given.data.clone()),
        Data::Text(text) => text.as_str(),
        Data::Null | Data::Bool(_) | Data::List(_) | Data::Record(_) => return Ok(Data::Null),
    };
    meter.text(text.len())?;
    // the parser of JSON would skip white space around it
    if !text.ends_with(|last: char| last.is_ascii_digit())
        || text.starts_with([' ', '\t', '\r', '\n'])
    {
        return Ok(Data::Null);
    }
    let number: Option<Number> = serde_json::from_str(text).ok();
    Ok(number.map_or(Data::Null, Data::Number))
}
