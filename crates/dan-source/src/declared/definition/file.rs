//! Reads what makes a dataset binary: its one value of that type, and the call whose answer is passed on.

use std::sync::Arc;

use super::values::Values;
use super::{File, Head};
use crate::catalog_folder::section::Section;
use crate::declared::call::{Call, How};
use crate::declared::mapping::Origin;

/// `None` where no value is binary. Takes the value from `values` and its call from `calls`.
pub(super) fn read(
    section: &Section<'_>,
    values: &mut Values,
    calls: &mut Vec<Arc<Call>>,
    head: &Head<'_>,
) -> Option<File> {
    let place = &values.binary.take()?;
    let problems = section.problems();
    if values.rules.len() > 1 {
        let what = "a value of type binary is not alone";
        let hint = "its bytes are the whole answer: make another dataset of the others";
        problems.hint(place, what, hint);
    }
    if section.has("keep") || section.has("remove") {
        let what = "nothing can be kept or removed of bytes";
        let hint = "leave [[keep]] and [[remove]] out, or let the source send less";
        problems.hint(place, what, hint);
    }
    let rule = values.rules.pop()?;
    let named = match &rule.from {
        Origin::Whole(call) if rule.each.is_none() => call.as_str(),
        Origin::Whole(_) | Origin::Found(_) | Origin::Text(_) | Origin::Link(_) => "",
    };
    let last = calls.last().is_some_and(|call| call.id == named);
    if !last {
        let what = "a value of type binary is not the answer of the last call";
        let hint = "write from = \"…\" with the id of the last [[call]]";
        problems.hint(place, what, hint);
        return None;
    }
    let call = calls.pop()?;
    let plain = call.each.is_none() && call.pages.is_none() && call.keeping.is_none();
    if !plain || matches!(call.how, How::Dataset(_)) {
        let what = format!("the call `{named}` is more than one answer of a source");
        let hint = "leave out dataset, for_each, pages and cache: bytes are passed on as they come";
        problems.hint(place, what, hint);
    }
    if call.optional {
        let what = format!("the call `{named}` is optional, and its answer is all there is");
        problems.hint(place, what, "leave `optional` out");
    }
    Some(File {
        call,
        name: rule.name,
        media_type: rule.mime_type,
        bytes_max: usize::try_from(head.bytes_max).unwrap_or(usize::MAX),
    })
}
