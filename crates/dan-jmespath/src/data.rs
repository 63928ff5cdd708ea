//! Values while a search runs: borrowed from the document or the expression, or built and shared.
//!
//! Cloning a [`Data`] never copies what it holds. What is built is counted: a value the expression
//! makes nests at most [`BUILT_DEPTH_MAX`] levels above the document's own, so dropping one
//! recurses no deeper.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::mem::size_of;
use std::rc::Rc;

use serde_json::{Map, Number, Value};

use crate::BUILT_DEPTH_MAX;
use crate::budget::{Meter, text_steps};
use crate::error::EvaluationError;
use crate::number::Numeric;

/// Members from which a built object is indexed; a shorter one is scanned.
const INDEXED_FROM: usize = 16;

/// Estimated bytes of one element of a built array.
pub(crate) const ITEM_BYTES: usize = size_of::<Data<'_>>();

/// Estimated bytes of one member of a built object, its share of the index included.
const MEMBER_BYTES: usize = size_of::<(&str, Data<'_>)>().saturating_mul(2);

/// A value.
#[derive(Clone)]
pub(crate) enum Data<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Text<'a>),
    List(List<'a>),
    Record(Record<'a>),
}

#[derive(Clone)]
pub(crate) enum Text<'a> {
    Borrowed(&'a str),
    Built(Rc<String>),
}

#[derive(Clone)]
pub(crate) enum List<'a> {
    Borrowed(&'a [Value]),
    Built(Rc<BuiltList<'a>>),
}

#[derive(Clone)]
pub(crate) enum Record<'a> {
    Borrowed(&'a Map<String, Value>),
    Built(Rc<BuiltRecord<'a>>),
}

impl<'a> From<&'a Value> for Data<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(flag) => Self::Bool(*flag),
            Value::Number(number) => Self::Number(number.clone()),
            Value::String(text) => Self::Text(Text::Borrowed(text)),
            Value::Array(items) => Self::List(List::Borrowed(items)),
            Value::Object(members) => Self::Record(Record::Borrowed(members)),
        }
    }
}

impl<'a> Data<'a> {
    pub(crate) const fn borrowed(text: &'a str) -> Self {
        Self::Text(Text::Borrowed(text))
    }

    /// Text whose bytes have been charged.
    pub(crate) fn built(text: String) -> Self {
        Self::Text(Text::Built(Rc::new(text)))
    }

    /// The name JMESPath has for the type.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Number(_) => "number",
            Self::Text(_) => "string",
            Self::List(_) => "array",
            Self::Record(_) => "object",
        }
    }

    pub(crate) const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// False for null, false, and an empty string, array or object; 0 is true.
    pub(crate) fn is_true(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(flag) => *flag,
            Self::Number(_) => true,
            Self::Text(text) => !text.as_str().is_empty(),
            Self::List(list) => list.len() != 0,
            Self::Record(record) => record.len() != 0,
        }
    }

    /// The member `name`; null if there is none.
    pub(crate) fn field(&self, name: &str) -> Self {
        match self {
            Self::Record(record) => record.get(name).unwrap_or(Self::Null),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::List(_) => {
                Self::Null
            }
        }
    }

    /// The element at `index`, from the end if negative; null if there is none.
    pub(crate) fn element(&self, index: i64) -> Self {
        let Self::List(list) = self else {
            return Self::Null;
        };
        let place = match usize::try_from(index) {
            Ok(place) => Some(place),
            Err(_negative) => usize::try_from(index.unsigned_abs())
                .ok()
                .and_then(|back| list.len().checked_sub(back)),
        };
        place
            .and_then(|place| list.get(place))
            .unwrap_or(Self::Null)
    }

    /// Order among numbers, and among strings by code point; none for anything else.
    pub(crate) fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => {
                Some(Numeric::from_json(a).order(Numeric::from_json(b)))
            }
            (Self::Text(a), Self::Text(b)) => Some(a.as_str().cmp(b.as_str())),
            (_, _) => None,
        }
    }

    /// Levels of arrays and objects that the expression built.
    fn built_depth(&self) -> usize {
        match self {
            Self::List(List::Built(list)) => list.depth,
            Self::Record(Record::Built(record)) => record.depth,
            Self::Null
            | Self::Bool(_)
            | Self::Number(_)
            | Self::Text(_)
            | Self::List(List::Borrowed(_))
            | Self::Record(Record::Borrowed(_)) => 0,
        }
    }
}

/// What is directly in an array or object, in order; it holds on to what it goes through.
pub(crate) enum Children<'a> {
    BorrowedItems(std::slice::Iter<'a, Value>),
    BuiltItems(Rc<BuiltList<'a>>, usize),
    BorrowedMembers(serde_json::map::Iter<'a>),
    BuiltMembers(Rc<BuiltRecord<'a>>, usize),
}

impl<'a> Iterator for Children<'a> {
    /// The key, empty for elements of an array, and the value.
    type Item = (&'a str, Data<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::BorrowedItems(items) => items.next().map(|item| ("", Data::from(item))),
            Self::BuiltItems(list, place) => {
                let item = list.items.get(*place)?;
                *place = place.saturating_add(1);
                Some(("", item.clone()))
            }
            Self::BorrowedMembers(members) => members
                .next()
                .map(|(key, value)| (key.as_str(), Data::from(value))),
            Self::BuiltMembers(record, place) => {
                let (key, value) = record.members.get(*place)?;
                *place = place.saturating_add(1);
                Some((key, value.clone()))
            }
        }
    }
}

impl Text<'_> {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Built(text) => text,
        }
    }
}

impl<'a> List<'a> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Borrowed(items) => items.len(),
            Self::Built(list) => list.items.len(),
        }
    }

    pub(crate) fn get(&self, place: usize) -> Option<Data<'a>> {
        match self {
            Self::Borrowed(items) => items.get(place).map(Data::from),
            Self::Built(list) => list.items.get(place).cloned(),
        }
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = Data<'a>> + '_ {
        (0..self.len()).filter_map(|place| self.get(place))
    }

    pub(crate) fn children(&self) -> Children<'a> {
        match self {
            Self::Borrowed(items) => Children::BorrowedItems(items.iter()),
            Self::Built(list) => Children::BuiltItems(Rc::clone(list), 0),
        }
    }
}

impl<'a> Record<'a> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Borrowed(members) => members.len(),
            Self::Built(record) => record.members.len(),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<Data<'a>> {
        match self {
            Self::Borrowed(members) => members.get(name).map(Data::from),
            Self::Built(record) => record
                .place(name)
                .and_then(|place| record.members.get(place))
                .map(|(_, value)| value.clone()),
        }
    }

    /// Members in the order they were written.
    pub(crate) fn children(&self) -> Children<'a> {
        match self {
            Self::Borrowed(members) => Children::BorrowedMembers(members.iter()),
            Self::Built(record) => Children::BuiltMembers(Rc::clone(record), 0),
        }
    }
}

/// An array in the making; every element is charged as it comes.
#[derive(Default)]
pub(crate) struct BuiltList<'a> {
    items: Vec<Data<'a>>,
    depth: usize,
}

impl<'a> BuiltList<'a> {
    pub(crate) fn push(
        &mut self,
        item: Data<'a>,
        meter: &mut Meter,
    ) -> Result<(), EvaluationError> {
        meter.steps(1)?;
        meter.bytes(ITEM_BYTES)?;
        self.depth = self.depth.max(item.built_depth());
        self.items.push(item);
        Ok(())
    }

    /// An array of the values that are not null; they have been charged where they are.
    pub(crate) fn without_null(
        mut items: Vec<Data<'a>>,
        meter: &mut Meter,
    ) -> Result<Data<'a>, EvaluationError> {
        meter.steps(items.len())?;
        items.retain(|item| !item.is_null());
        let depth = items.iter().map(Data::built_depth).max().unwrap_or(0);
        Self { items, depth }.finish()
    }

    pub(crate) fn finish(mut self) -> Result<Data<'a>, EvaluationError> {
        self.depth = level_above(self.depth)?;
        Ok(Data::List(List::Built(Rc::new(self))))
    }
}

/// An object in the making; every member is charged as it comes.
///
/// Keys are borrowed: no function of classic JMESPath makes new ones.
#[derive(Default)]
pub(crate) struct BuiltRecord<'a> {
    members: Vec<(&'a str, Data<'a>)>,
    /// Place of each key, once there are more than [`INDEXED_FROM`].
    index: BTreeMap<&'a str, usize>,
    depth: usize,
}

impl<'a> BuiltRecord<'a> {
    /// Sets a member; one that was there keeps its place.
    pub(crate) fn insert(
        &mut self,
        key: &'a str,
        value: Data<'a>,
        meter: &mut Meter,
    ) -> Result<(), EvaluationError> {
        // once to find its place, once to keep the index
        meter.steps(text_steps(key.len()).saturating_mul(2))?;
        self.depth = self.depth.max(value.built_depth());
        if let Some(place) = self.place(key) {
            if let Some((_, old)) = self.members.get_mut(place) {
                *old = value;
            }
            return Ok(());
        }
        meter.bytes(MEMBER_BYTES)?;
        self.members.push((key, value));
        if self.members.len() > INDEXED_FROM {
            self.extend_index();
        }
        Ok(())
    }

    fn extend_index(&mut self) {
        let indexed = self.index.len();
        for (place, (key, _)) in self.members.iter().enumerate().skip(indexed) {
            self.index.insert(key, place);
        }
    }

    fn place(&self, name: &str) -> Option<usize> {
        if self.index.is_empty() {
            return self.members.iter().position(|(key, _)| *key == name);
        }
        self.index.get(name).copied()
    }

    pub(crate) fn finish(mut self) -> Result<Data<'a>, EvaluationError> {
        self.depth = level_above(self.depth)?;
        Ok(Data::Record(Record::Built(Rc::new(self))))
    }
}

fn level_above(depth: usize) -> Result<usize, EvaluationError> {
    let above = depth.saturating_add(1);
    if above > BUILT_DEPTH_MAX {
        return Err(EvaluationError::TooDeep);
    }
    Ok(above)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Budget;
    use serde_json::json;

    #[test]
    fn a_built_object_keeps_order_and_the_last_value_at_any_size() {
        let names: Vec<String> = (0..40).map(|n| format!("k{n}")).collect();
        for size in [1, INDEXED_FROM, INDEXED_FROM + 1, 40] {
            let mut meter = Meter::new(&Budget::default());
            let mut record = BuiltRecord::default();
            for round in [false, true] {
                for name in names.iter().take(size) {
                    record
                        .insert(name, Data::Bool(round), &mut meter)
                        .expect("budget");
                }
            }
            let Ok(Data::Record(record)) = record.finish() else {
                panic!("an object");
            };
            assert_eq!(record.len(), size);
            let keys: Vec<&str> = record.children().map(|(key, _)| key).collect();
            assert_eq!(keys, names.iter().take(size).collect::<Vec<_>>());
            assert!(record.children().all(|(_, value)| value.is_true()));
            assert!(record.get("k0").is_some_and(|value| value.is_true()));
            assert!(record.get("absent").is_none());
        }
    }

    #[test]
    fn what_is_built_nests_to_the_limit_and_no_further() {
        let mut meter = Meter::new(&Budget::default());
        let document = json!([[[]]]);
        let mut value = Data::from(&document);
        for _ in 0..BUILT_DEPTH_MAX {
            let mut list = BuiltList::default();
            list.push(value, &mut meter).expect("budget");
            value = list.finish().expect("within the limit");
        }
        let mut list = BuiltList::default();
        list.push(value, &mut meter).expect("budget");
        assert_eq!(list.finish().err(), Some(EvaluationError::TooDeep));
    }

    #[test]
    fn an_index_counts_from_either_end_and_is_null_outside() {
        let document = json!([10, 11, 12]);
        let data = Data::from(&document);
        for (index, expected) in [(0, "10"), (2, "12"), (-1, "12"), (-3, "10")] {
            let Data::Number(found) = data.element(index) else {
                panic!("a number at {index}");
            };
            assert_eq!(found.to_string(), expected);
        }
        for index in [3, -4, i64::MAX, i64::MIN] {
            assert!(data.element(index).is_null(), "{index}");
        }
    }

    #[test]
    fn a_value_is_small_enough_to_be_copied_around() {
        assert!(size_of::<Data<'_>>() <= 32);
    }
}
