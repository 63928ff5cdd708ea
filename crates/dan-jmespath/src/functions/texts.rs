//! `ends_with`, `starts_with`, `join`, `to_string`, `type`.

use super::Given;
use crate::budget::Meter;
use crate::data::Data;
use crate::evaluate::Evaluated;
use crate::output::to_json_text;

pub(super) fn starts_with<'a>(
    subject: &Given<'a>,
    start: &Given<'a>,
    meter: &mut Meter,
) -> Evaluated<'a> {
    let (subject, start) = (subject.text()?, start.text()?);
    meter.text(start.len())?;
    Ok(Data::Bool(subject.starts_with(start)))
}

pub(super) fn ends_with<'a>(
    subject: &Given<'a>,
    end: &Given<'a>,
    meter: &mut Meter,
) -> Evaluated<'a> {
    let (subject, end) = (subject.text()?, end.text()?);
    meter.text(end.len())?;
    Ok(Data::Bool(subject.ends_with(end)))
}

pub(super) fn join<'a>(glue: &Given<'a>, parts: &Given<'a>, meter: &mut Meter) -> Evaluated<'a> {
    const EXPECTED: &str = "an array of strings";
    let glue = glue.text()?;
    let mut joined = String::new();
    for (place, part) in parts.list(EXPECTED)?.iter().enumerate() {
        let Data::Text(text) = &part else {
            return Err(parts.refuse(EXPECTED, &part));
        };
        let text = text.as_str();
        let glue = if place == 0 { "" } else { glue };
        let added = glue.len().saturating_add(text.len());
        meter.text(added)?;
        meter.bytes(added)?;
        joined.push_str(glue);
        joined.push_str(text);
    }
    Ok(Data::built(joined))
}

/// A string as it is; anything else as compact JSON.
pub(super) fn to_string<'a>(given: &Given<'a>, meter: &mut Meter) -> Evaluated<'a> {
    match &given.data {
        Data::Text(_) => Ok(given.data.clone()),
        Data::Null | Data::Bool(_) | Data::Number(_) | Data::List(_) | Data::Record(_) => {
            to_json_text(&given.data, meter).map(Data::built)
        }
    }
}

pub(super) fn kind<'a>(given: &Given<'a>, _: &mut Meter) -> Evaluated<'a> {
    Ok(Data::borrowed(given.data.kind()))
}
