//! Projections, breadth first: all elements take a step before any takes the next.
//!
//! `a[*].b[*].c` holds one flat list of values and, for each projection that is open, how many
//! of them belong together. So a chain of any number of projections is a loop, not a recursion.

use std::mem::size_of;

use crate::ast::{Expr, Slice, Step};
use crate::budget::Meter;
use crate::data::{BuiltList, Children, Data, ITEM_BYTES, List};
use crate::error::EvaluationError;
use crate::evaluate::{Evaluated, evaluate, take_step};

/// Estimated bytes of a group's size.
const GROUP_BYTES: usize = size_of::<Group>();

/// How many values one value was spread into; none if it could not be, and is null.
type Group = Option<usize>;

/// The values of a chain with one or more projections open.
#[derive(Default)]
pub(crate) struct Projection<'a> {
    values: Vec<Data<'a>>,
    /// The outermost projection first.
    levels: Vec<Vec<Group>>,
}

impl<'a> Projection<'a> {
    /// No projection yet, one value.
    pub(crate) fn of(value: Data<'a>) -> Self {
        Self {
            values: vec![value],
            levels: Vec::new(),
        }
    }

    /// Applies `step` to every value.
    pub(crate) fn take(
        &mut self,
        step: &'a Step,
        meter: &mut Meter,
    ) -> Result<(), EvaluationError> {
        if matches!(step, Step::Flatten) {
            *self = Self::of(std::mem::take(self).close(meter)?);
        }
        if step.projects() {
            return self.spread(step, meter);
        }
        for value in &mut self.values {
            *value = take_step(step, value, meter)?;
        }
        Ok(())
    }

    fn spread(&mut self, step: &'a Step, meter: &mut Meter) -> Result<(), EvaluationError> {
        meter.steps(self.values.len().saturating_add(1))?;
        meter.items(self.values.len(), GROUP_BYTES)?;
        let mut level = Vec::with_capacity(self.values.len());
        let mut values = Vec::new();
        for value in std::mem::take(&mut self.values) {
            let before = values.len();
            let spread = spread_one(step, &value, &mut values, meter)?;
            level.push(spread.then(|| values.len().saturating_sub(before)));
        }
        self.values = values;
        self.levels.push(level);
        Ok(())
    }

    /// Ends all open projections.
    pub(crate) fn close(mut self, meter: &mut Meter) -> Evaluated<'a> {
        while !self.levels.is_empty() {
            self.gather(meter)?;
        }
        Ok(self.values.pop().unwrap_or(Data::Null))
    }

    /// Ends the innermost projection: it gathers its values that are not null into arrays.
    fn gather(&mut self, meter: &mut Meter) -> Result<(), EvaluationError> {
        let level = self.levels.pop().unwrap_or_default();
        if let [Some(_)] = level.as_slice() {
            // all values belong together: keep the list they are in
            let values = std::mem::take(&mut self.values);
            self.values.push(BuiltList::without_null(values, meter)?);
            return Ok(());
        }
        meter.steps(level.len())?;
        meter.items(level.len(), ITEM_BYTES)?;
        let mut gathered = Vec::with_capacity(level.len());
        let mut rest = std::mem::take(&mut self.values).into_iter();
        for group in level {
            gathered.push(match group {
                None => Data::Null,
                Some(count) => without_null(rest.by_ref().take(count), meter)?,
            });
        }
        self.values = gathered;
        Ok(())
    }
}

fn without_null<'a>(values: impl Iterator<Item = Data<'a>>, meter: &mut Meter) -> Evaluated<'a> {
    let mut list = BuiltList::default();
    for value in values.filter(|value| !value.is_null()) {
        list.push(value, meter)?;
    }
    list.finish()
}

/// Pushes what `step` makes of `value`; false if it is not of a type that can be projected.
fn spread_one<'a>(
    step: &'a Step,
    value: &Data<'a>,
    out: &mut Vec<Data<'a>>,
    meter: &mut Meter,
) -> Result<bool, EvaluationError> {
    let done = match (step, value) {
        (Step::Members, Data::Record(record)) => all(record.children(), out, meter),
        (Step::Elements, Data::List(list)) => all(list.children(), out, meter),
        (Step::Filter(condition), Data::List(list)) => filter(condition, list, out, meter),
        (Step::Slice(slice), Data::List(list)) => cut(slice, list, out, meter),
        (Step::Flatten, Data::List(list)) => flatten(list, out, meter),
        (_, _) => return Ok(false),
    };
    done.map(|()| true)
}

fn all<'a>(
    children: Children<'a>,
    out: &mut Vec<Data<'a>>,
    meter: &mut Meter,
) -> Result<(), EvaluationError> {
    for (_, child) in children {
        push(child, out, meter)?;
    }
    Ok(())
}

fn push<'a>(
    value: Data<'a>,
    out: &mut Vec<Data<'a>>,
    meter: &mut Meter,
) -> Result<(), EvaluationError> {
    meter.steps(1)?;
    meter.bytes(ITEM_BYTES)?;
    out.push(value);
    Ok(())
}

#[inline(never)]
fn filter<'a>(
    condition: &'a Expr,
    list: &List<'a>,
    out: &mut Vec<Data<'a>>,
    meter: &mut Meter,
) -> Result<(), EvaluationError> {
    for item in list.iter() {
        if evaluate(condition, &item, meter)?.is_true() {
            push(item, out, meter)?;
        }
    }
    Ok(())
}

fn flatten<'a>(
    list: &List<'a>,
    out: &mut Vec<Data<'a>>,
    meter: &mut Meter,
) -> Result<(), EvaluationError> {
    for item in list.iter() {
        meter.steps(1)?;
        match item {
            Data::List(inner) => {
                for item in inner.iter() {
                    push(item, out, meter)?;
                }
            }
            Data::Null | Data::Bool(_) | Data::Number(_) | Data::Text(_) | Data::Record(_) => {
                push(item, out, meter)?;
            }
        }
    }
    Ok(())
}

/// Elements from the start towards the stop, which is left out.
fn cut<'a>(
    slice: &Slice,
    list: &List<'a>,
    out: &mut Vec<Data<'a>>,
    meter: &mut Meter,
) -> Result<(), EvaluationError> {
    let length = i64::try_from(list.len()).unwrap_or(i64::MAX);
    let forward = slice.step > 0;
    // the places a bound may have: one before the first is where a backward slice stops
    let (lowest, highest) = if forward {
        (0, length)
    } else {
        (-1, length.saturating_sub(1))
    };
    let place = |bound: i64| {
        let from_start = if bound < 0 {
            bound.saturating_add(length)
        } else {
            bound
        };
        from_start.clamp(lowest, highest)
    };
    let (first, last) = if forward {
        (lowest, highest)
    } else {
        (highest, lowest)
    };
    let mut at = slice.start.map_or(first, place);
    let stop = slice.stop.map_or(last, place);
    while (forward && at < stop) || (!forward && at > stop) {
        if let Some(item) = usize::try_from(at).ok().and_then(|place| list.get(place)) {
            push(item, out, meter)?;
        }
        at = at.saturating_add(slice.step);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Budget;
    use serde_json::{Value, json};

    fn sliced(start: Option<i64>, stop: Option<i64>, step: i64) -> Vec<i64> {
        let document = json!([0, 1, 2, 3]);
        let Data::List(list) = Data::from(&document) else {
            panic!("an array");
        };
        let mut out = Vec::new();
        let slice = Slice { start, stop, step };
        cut(&slice, &list, &mut out, &mut Meter::new(&Budget::default())).expect("budget");
        out.iter()
            .map(|data| {
                let Data::Number(number) = data else {
                    panic!("a number");
                };
                number.as_i64().expect("an integer")
            })
            .collect()
    }

    #[test]
    fn a_slice_ends_whatever_its_bounds_and_step_are() {
        assert_eq!(sliced(None, None, 1), [0, 1, 2, 3]);
        assert_eq!(sliced(None, None, -1), [3, 2, 1, 0]);
        assert_eq!(sliced(Some(-3), Some(-1), 1), [1, 2]);
        assert_eq!(sliced(Some(1), None, -1), [1, 0]);
        assert_eq!(sliced(Some(i64::MIN), Some(i64::MAX), 1), [0, 1, 2, 3]);
        assert_eq!(sliced(Some(i64::MAX), Some(i64::MIN), -1), [3, 2, 1, 0]);
        assert_eq!(sliced(None, None, i64::MAX), [0]);
        assert_eq!(sliced(None, None, i64::MIN), [3]);
        assert_eq!(sliced(Some(3), Some(1), 1), [0_i64; 0]);
        assert_eq!(sliced(Some(-9), None, -1), [0_i64; 0]);
    }

    #[test]
    fn slices_agree_with_a_plain_count_for_all_small_bounds() {
        let bounds: Vec<Option<i64>> = (-6..=6).map(Some).chain([None]).collect();
        for step in [-3, -2, -1, 1, 2, 3] {
            for start in &bounds {
                for stop in &bounds {
                    assert_eq!(
                        sliced(*start, *stop, step),
                        counted(*start, *stop, step),
                        "{start:?} {stop:?} {step}"
                    );
                }
            }
        }
    }

    /// All places in the order of the step, kept if they are within both bounds.
    fn counted(start: Option<i64>, stop: Option<i64>, step: i64) -> Vec<i64> {
        let real = |bound: i64| bound.saturating_add(if bound < 0 { 4 } else { 0 });
        let ahead = |from: i64, to: i64| to.saturating_sub(from).saturating_mul(step);
        let mut places: Vec<i64> = (0..4).collect();
        if step < 0 {
            places.reverse();
        }
        let within = |place: &i64| {
            let after = start.is_none_or(|s| ahead(real(s), *place) >= 0);
            let before = stop.is_none_or(|s| ahead(*place, real(s)) > 0);
            after && before
        };
        let reached: Vec<i64> = places.into_iter().filter(within).collect();
        let stride = usize::try_from(step.abs()).expect("small");
        reached.into_iter().step_by(stride).collect()
    }

    #[test]
    fn null_is_dropped_where_a_projection_ends_and_only_there() {
        let document = json!({"a": [{"b": [1, null]}, {"b": null}, {"c": 1}, {"b": []}]});
        let found = |text: &str| -> Value {
            crate::Expression::compile(text)
                .expect("an expression")
                .search(&document, &Budget::default())
                .expect("a result")
        };
        assert_eq!(found("a[*].b[*]"), json!([[1], []]));
        assert_eq!(found("a[*].b[*].to_string(@)"), json!([["1", "null"], []]));
        assert_eq!(found("a[*].b[]"), json!([1]));
        assert_eq!(found("a[*].b | [0]"), json!([1, null]));
    }

    #[test]
    fn a_multi_select_does_not_end_a_projection() {
        let document = json!({"a": [{"b": [{"c": 1}, {"c": 2}]}, {"b": [{"c": 3}]}]});
        let found = |text: &str| -> Value {
            crate::Expression::compile(text)
                .expect("an expression")
                .search(&document, &Budget::default())
                .expect("a result")
        };
        assert_eq!(found("a[].b[].[c, c][0]"), json!([1, 2, 3]));
        assert_eq!(found("a[*].b[*].{x: c}.x"), json!([[1, 2], [3]]));
        assert_eq!(found("a[].b[].[c, c] | [0]"), json!([1, 1]));
        assert_eq!(found("(a[].b[].{x: c})[0].x"), json!(1));
    }
}
