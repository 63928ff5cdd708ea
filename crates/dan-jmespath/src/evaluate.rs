//! Evaluates a compiled expression over borrowed values.
//!
//! Recurses only where brackets nest, at most [`DEPTH_MAX`](crate::DEPTH_MAX) times. Each kind of
//! node has a function of its own that is not inlined, so that the frames which recurse stay small.

use crate::ast::{Chain, Comparator, Expr, Start, Step};
use crate::budget::{Meter, text_steps};
use crate::data::{BuiltList, BuiltRecord, Data};
use crate::error::EvaluationError;
use crate::functions;
use crate::output::equal;
use crate::projection::Projection;

/// What a search inside a search gives.
pub(crate) type Evaluated<'a> = Result<Data<'a>, EvaluationError>;

/// Evaluates `expression` with `current` as `@`.
pub(crate) fn evaluate<'a>(
    expression: &'a Expr,
    current: &Data<'a>,
    meter: &mut Meter,
) -> Evaluated<'a> {
    meter.steps(1)?;
    match expression {
        Expr::Chain(chain) => evaluate_chain(chain, current, meter),
        Expr::Pipe(parts) => pipe(parts, current, meter),
        Expr::Or(parts) => until(parts, true, current, meter),
        Expr::And(parts) => until(parts, false, current, meter),
        Expr::Compare(first, rest) => compare(first, rest, current, meter),
        Expr::Not { inner, negate } => {
            let found = evaluate(inner, current, meter)?.is_true();
            Ok(Data::Bool(found != *negate))
        }
    }
}

#[inline(never)]
fn pipe<'a>(parts: &'a [Expr], current: &Data<'a>, meter: &mut Meter) -> Evaluated<'a> {
    let mut value = current.clone();
    for part in parts {
        value = evaluate(part, &value, meter)?;
    }
    Ok(value)
}

/// The first part whose truth is `wanted`, else the last.
#[inline(never)]
fn until<'a>(
    parts: &'a [Expr],
    wanted: bool,
    current: &Data<'a>,
    meter: &mut Meter,
) -> Evaluated<'a> {
    let mut value = Data::Null;
    for part in parts {
        value = evaluate(part, current, meter)?;
        if value.is_true() == wanted {
            break;
        }
    }
    Ok(value)
}

#[inline(never)]
fn compare<'a>(
    first: &'a Expr,
    rest: &'a [(Comparator, Expr)],
    current: &Data<'a>,
    meter: &mut Meter,
) -> Evaluated<'a> {
    let mut left = evaluate(first, current, meter)?;
    for (comparator, right) in rest {
        let right = evaluate(right, current, meter)?;
        left = compared(*comparator, &left, &right, meter)?;
    }
    Ok(left)
}

/// Ordering is for numbers alone: of anything else it is null.
fn compared<'a>(
    comparator: Comparator,
    left: &Data<'a>,
    right: &Data<'a>,
    meter: &mut Meter,
) -> Evaluated<'a> {
    let fits = match comparator {
        Comparator::Equal => return equal(left, right, meter).map(Data::Bool),
        Comparator::NotEqual => return equal(left, right, meter).map(|same| Data::Bool(!same)),
        Comparator::Less => std::cmp::Ordering::is_lt,
        Comparator::LessOrEqual => std::cmp::Ordering::is_le,
        Comparator::Greater => std::cmp::Ordering::is_gt,
        Comparator::GreaterOrEqual => std::cmp::Ordering::is_ge,
    };
    if !matches!((left, right), (Data::Number(_), Data::Number(_))) {
        return Ok(Data::Null);
    }
    Ok(left
        .order(right)
        .map_or(Data::Null, |order| Data::Bool(fits(order))))
}

#[inline(never)]
fn evaluate_chain<'a>(chain: &'a Chain, current: &Data<'a>, meter: &mut Meter) -> Evaluated<'a> {
    let mut value = match &chain.start {
        Start::Current => current.clone(),
        Start::Literal(literal) => Data::from(&**literal),
        Start::Group(inner) => evaluate(inner, current, meter)?,
    };
    let mut steps = chain.steps.iter();
    while let Some(step) = steps.as_slice().first() {
        if step.projects() {
            return project(value, steps.as_slice(), meter);
        }
        value = take_step(step, &value, meter)?;
        steps.next();
    }
    Ok(value)
}

/// Takes steps of which the first opens a projection.
#[inline(never)]
fn project<'a>(value: Data<'a>, steps: &'a [Step], meter: &mut Meter) -> Evaluated<'a> {
    let mut projection = Projection::of(value);
    for step in steps {
        projection.take(step, meter)?;
    }
    projection.close(meter)
}

/// The result of a step that does not open a projection.
pub(crate) fn take_step<'a>(step: &'a Step, value: &Data<'a>, meter: &mut Meter) -> Evaluated<'a> {
    match step {
        Step::Field(name) => {
            meter.steps(text_steps(name.len()))?;
            Ok(value.field(name))
        }
        Step::Index(index) => {
            meter.steps(1)?;
            Ok(value.element(*index))
        }
        Step::List(items) => list(items, value, meter),
        Step::Record(members) => record(members, value, meter),
        Step::Call(call) => functions::call(call, value, meter),
        // a chain gives these to its projection
        Step::Slice(_) | Step::Elements | Step::Members | Step::Filter(_) | Step::Flatten => {
            Ok(Data::Null)
        }
    }
}

#[inline(never)]
fn list<'a>(items: &'a [Expr], value: &Data<'a>, meter: &mut Meter) -> Evaluated<'a> {
    meter.steps(1)?;
    if value.is_null() {
        return Ok(Data::Null);
    }
    let mut built = BuiltList::default();
    for item in items {
        built.push(evaluate(item, value, meter)?, meter)?;
    }
    built.finish()
}

#[inline(never)]
fn record<'a>(members: &'a [(String, Expr)], value: &Data<'a>, meter: &mut Meter) -> Evaluated<'a> {
    meter.steps(1)?;
    if value.is_null() {
        return Ok(Data::Null);
    }
    let mut built = BuiltRecord::default();
    for (key, member) in members {
        built.insert(key, evaluate(member, value, meter)?, meter)?;
    }
    built.finish()
}
