//! The 26 functions of classic JMESPath: names, arguments, and where the work is done.
//!
//! Source: jmespath.org, Specification, "Built-in Functions". Names, numbers of arguments and
//! references are checked when an expression is compiled, types when it is evaluated.

mod lists;
mod numbers;
mod ordering;
mod texts;

use crate::ast::Expr;
use crate::budget::Meter;
use crate::data::{Data, List, Record};
use crate::error::{CompileError, EvaluationError};
use crate::evaluate::{Evaluated, evaluate};
use crate::number::Numeric;

type One = for<'a> fn(&Given<'a>, &mut Meter) -> Evaluated<'a>;
type Two = for<'a> fn(&Given<'a>, &Given<'a>, &mut Meter) -> Evaluated<'a>;
type By = for<'a> fn(&Given<'a>, &'a Expr, &mut Meter) -> Evaluated<'a>;
type Any = for<'a> fn(Vec<Given<'a>>, &mut Meter) -> Evaluated<'a>;

/// What a function takes, and its body.
#[derive(Clone, Copy)]
enum Function {
    One(One),
    Two(Two),
    /// `&expression`, then an array.
    ReferenceFirst(By),
    /// An array, then `&expression`.
    ReferenceSecond(By),
    /// One value or more.
    Any(Any),
}

const FUNCTIONS: [(&str, Function); 26] = [
    ("abs", Function::One(numbers::abs)),
    ("avg", Function::One(numbers::avg)),
    ("ceil", Function::One(numbers::ceil)),
    ("contains", Function::Two(lists::contains)),
    ("ends_with", Function::Two(texts::ends_with)),
    ("floor", Function::One(numbers::floor)),
    ("join", Function::Two(texts::join)),
    ("keys", Function::One(lists::keys)),
    ("length", Function::One(lists::length)),
    ("map", Function::ReferenceFirst(lists::map)),
    ("max", Function::One(ordering::max)),
    ("max_by", Function::ReferenceSecond(ordering::max_by)),
    ("merge", Function::Any(lists::merge)),
    ("min", Function::One(ordering::min)),
    ("min_by", Function::ReferenceSecond(ordering::min_by)),
    ("not_null", Function::Any(lists::not_null)),
    ("reverse", Function::One(lists::reverse)),
    ("sort", Function::One(ordering::sort)),
    ("sort_by", Function::ReferenceSecond(ordering::sort_by)),
    ("starts_with", Function::Two(texts::starts_with)),
    ("sum", Function::One(numbers::sum)),
    ("to_array", Function::One(lists::to_array)),
    ("to_number", Function::One(numbers::to_number)),
    ("to_string", Function::One(texts::to_string)),
    ("type", Function::One(texts::kind)),
    ("values", Function::One(lists::values)),
];

/// Characters of an unknown function's name that an error repeats.
const NAME_SHOWN_MAX: usize = 64;

/// An argument as it is written.
pub(crate) enum Argument {
    Value(Expr),
    /// `&expression`
    Reference(Expr),
}

/// A call whose function, number of arguments and references have been checked.
pub(crate) struct Call {
    name: &'static str,
    bound: Bound,
}

/// A function and its arguments.
enum Bound {
    One(One, Expr),
    Two(Two, Expr, Expr),
    By {
        function: By,
        reference: Expr,
        /// Which argument the other one is, from 1.
        number: usize,
        value: Expr,
    },
    Any(Any, Vec<Expr>),
}

impl Call {
    /// Finds the function and gives it its arguments; `position` is where the call begins.
    pub(crate) fn bind(
        name: &str,
        arguments: Vec<Argument>,
        position: usize,
    ) -> Result<Self, CompileError> {
        let Some((name, function)) = FUNCTIONS.iter().find(|(known, _)| *known == name) else {
            return Err(CompileError::UnknownFunction {
                position,
                name: name.chars().take(NAME_SHOWN_MAX).collect(),
            });
        };
        let mut given = Arguments {
            function: name,
            position,
            found: arguments.len(),
            rest: arguments.into_iter(),
            number: 0,
        };
        let bound = match *function {
            Function::One(function) => Bound::One(function, given.value(1)?),
            Function::Two(function) => Bound::Two(function, given.value(2)?, given.value(2)?),
            Function::ReferenceFirst(function) => Bound::By {
                function,
                reference: given.reference(2)?,
                number: 2,
                value: given.value(2)?,
            },
            Function::ReferenceSecond(function) => Bound::By {
                function,
                number: 1,
                value: given.value(2)?,
                reference: given.reference(2)?,
            },
            Function::Any(function) => Bound::Any(function, given.values()?),
        };
        Ok(Self { name, bound })
    }
}

/// Arguments of one call as they are taken.
struct Arguments {
    function: &'static str,
    position: usize,
    found: usize,
    rest: std::vec::IntoIter<Argument>,
    number: usize,
}

impl Arguments {
    /// The next of `count` arguments.
    fn next(&mut self, count: usize) -> Result<Argument, CompileError> {
        if self.found == count
            && let Some(argument) = self.rest.next()
        {
            self.number = self.number.saturating_add(1);
            return Ok(argument);
        }
        Err(self.arity(count, false))
    }

    fn value(&mut self, count: usize) -> Result<Expr, CompileError> {
        match self.next(count)? {
            Argument::Value(expression) => Ok(expression),
            Argument::Reference(_) => Err(self.misplaced(false)),
        }
    }

    fn reference(&mut self, count: usize) -> Result<Expr, CompileError> {
        match self.next(count)? {
            Argument::Reference(expression) => Ok(expression),
            Argument::Value(_) => Err(self.misplaced(true)),
        }
    }

    /// One value or more.
    fn values(&mut self) -> Result<Vec<Expr>, CompileError> {
        if self.found == 0 {
            return Err(self.arity(1, true));
        }
        (0..self.found).map(|_| self.value(self.found)).collect()
    }

    const fn arity(&self, least: usize, more: bool) -> CompileError {
        CompileError::InvalidArity {
            position: self.position,
            function: self.function,
            least,
            more,
            found: self.found,
        }
    }

    const fn misplaced(&self, reference: bool) -> CompileError {
        CompileError::InvalidType {
            position: self.position,
            function: self.function,
            argument: self.number,
            reference,
        }
    }
}

/// Evaluates the arguments with `current` as `@`, then the function.
#[inline(never)]
pub(crate) fn call<'a>(call: &'a Call, current: &Data<'a>, meter: &mut Meter) -> Evaluated<'a> {
    meter.steps(1)?;
    let site = Site {
        function: call.name,
        current,
    };
    match &call.bound {
        Bound::One(function, value) => site.one(*function, value, meter),
        Bound::Two(function, first, second) => site.two(*function, [first, second], meter),
        Bound::By {
            function,
            reference,
            number,
            value,
        } => {
            let given = site.give(*number, value, meter)?;
            function(&given, reference, meter)
        }
        Bound::Any(function, values) => site.any(*function, values, meter),
    }
}

/// Where arguments are evaluated.
struct Site<'a, 'c> {
    function: &'static str,
    current: &'c Data<'a>,
}

impl<'a> Site<'a, '_> {
    fn give(
        &self,
        number: usize,
        argument: &'a Expr,
        meter: &mut Meter,
    ) -> Result<Given<'a>, EvaluationError> {
        Ok(Given {
            function: self.function,
            number,
            data: evaluate(argument, self.current, meter)?,
        })
    }

    #[inline(never)]
    fn one(&self, function: One, value: &'a Expr, meter: &mut Meter) -> Evaluated<'a> {
        let given = self.give(1, value, meter)?;
        function(&given, meter)
    }

    #[inline(never)]
    fn two(&self, function: Two, values: [&'a Expr; 2], meter: &mut Meter) -> Evaluated<'a> {
        let [first, second] = values;
        let first = self.give(1, first, meter)?;
        let second = self.give(2, second, meter)?;
        function(&first, &second, meter)
    }

    #[inline(never)]
    fn any(&self, function: Any, values: &'a [Expr], meter: &mut Meter) -> Evaluated<'a> {
        meter.items(values.len(), size_of::<Given<'_>>())?;
        let mut given = Vec::with_capacity(values.len());
        for (number, value) in (1_usize..).zip(values) {
            given.push(self.give(number, value, meter)?);
        }
        function(given, meter)
    }
}

/// An evaluated argument, which knows how to complain.
struct Given<'a> {
    function: &'static str,
    /// Which argument, from 1.
    number: usize,
    data: Data<'a>,
}

impl<'a> Given<'a> {
    /// The error for a value, this one or an element of it, that is not `expected`.
    const fn refuse(&self, expected: &'static str, found: &Data<'_>) -> EvaluationError {
        EvaluationError::InvalidType {
            function: self.function,
            argument: self.number,
            expected,
            found: found.kind(),
        }
    }

    fn number(&self) -> Result<Numeric, EvaluationError> {
        if let Data::Number(number) = &self.data {
            return Ok(Numeric::from_json(number));
        }
        Err(self.refuse("a number", &self.data))
    }

    fn text(&self) -> Result<&str, EvaluationError> {
        if let Data::Text(text) = &self.data {
            return Ok(text.as_str());
        }
        Err(self.refuse("a string", &self.data))
    }

    const fn list(&self, expected: &'static str) -> Result<&List<'a>, EvaluationError> {
        if let Data::List(list) = &self.data {
            return Ok(list);
        }
        Err(self.refuse(expected, &self.data))
    }

    const fn record(&self) -> Result<&Record<'a>, EvaluationError> {
        if let Data::Record(record) = &self.data {
            return Ok(record);
        }
        Err(self.refuse("an object", &self.data))
    }

    /// The number as a result of the function.
    fn result(&self, number: Numeric) -> Evaluated<'a> {
        match number.to_json() {
            Some(number) => Ok(Data::Number(number)),
            None => Err(EvaluationError::InvalidValue {
                function: self.function,
            }),
        }
    }
}
