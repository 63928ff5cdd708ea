//! What can be wrong with an expression, and what can go wrong while it is evaluated.
//!
//! Texts never repeat values of the document or of the expression (they may be personal data);
//! of the expression they give the position and, for an unknown function, the name.

use std::fmt;

/// Why an expression was refused before any document was read.
///
/// Positions are offsets in bytes of UTF-8, from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompileError {
    /// The expression is longer than [`EXPRESSION_BYTES_MAX`](crate::EXPRESSION_BYTES_MAX).
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// Brackets are nested deeper than [`DEPTH_MAX`](crate::DEPTH_MAX).
    TooDeep {
        /// Where the limit was passed.
        position: usize,
    },
    /// The text is not a JMESPath expression.
    Syntax {
        /// Where it stops being one.
        position: usize,
        /// What was expected there, or what is wrong.
        message: &'static str,
    },
    /// There is no function of that name among the 26 of classic JMESPath.
    UnknownFunction {
        /// Where the call begins.
        position: usize,
        /// The first 64 characters of the name.
        name: String,
    },
    /// A function got too few or too many arguments.
    InvalidArity {
        /// Where the call begins.
        position: usize,
        /// Name of the function.
        function: &'static str,
        /// The fewest it takes.
        least: usize,
        /// Whether it takes more than the fewest.
        more: bool,
        /// How many it got.
        found: usize,
    },
    /// An argument is `&expression` where a value is needed, or the other way round.
    InvalidType {
        /// Where the call begins.
        position: usize,
        /// Name of the function.
        function: &'static str,
        /// Which argument, from 1.
        argument: usize,
        /// Whether `&expression` is needed there.
        reference: bool,
    },
    /// The step of a slice is 0.
    InvalidValue {
        /// Where the bounds of the slice begin.
        position: usize,
    },
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { bytes } => write!(
                f,
                "the expression is {bytes} bytes long, at most {} are allowed",
                crate::EXPRESSION_BYTES_MAX
            ),
            Self::TooDeep { position } => write!(
                f,
                "brackets are nested deeper than {} at byte {position}",
                crate::DEPTH_MAX
            ),
            Self::Syntax { position, message } => {
                write!(f, "syntax error at byte {position}: {message}")
            }
            Self::UnknownFunction { position, name } => {
                write!(f, "unknown function {name} at byte {position}")
            }
            Self::InvalidArity {
                position,
                function,
                least,
                more,
                found,
            } => {
                let bound = if *more { "at least " } else { "" };
                write!(
                    f,
                    "{function} at byte {position} takes {bound}{least} argument(s), found {found}"
                )
            }
            Self::InvalidType {
                position,
                function,
                argument,
                reference,
            } => {
                let needed = if *reference {
                    "an expression reference, such as &name"
                } else {
                    "a value, not an expression reference (&)"
                };
                write!(
                    f,
                    "argument {argument} of {function} at byte {position} must be {needed}"
                )
            }
            Self::InvalidValue { position } => {
                write!(
                    f,
                    "the step of the slice at byte {position} must not be zero"
                )
            }
        }
    }
}

impl std::error::Error for CompileError {}

/// Which part of a [`Budget`](crate::Budget) ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// [`Budget::steps`](crate::Budget::steps).
    Steps,
    /// [`Budget::output_bytes`](crate::Budget::output_bytes).
    Bytes,
}

/// Why a compiled expression gave no result for a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvaluationError {
    /// A function got a value of a type it does not take.
    InvalidType {
        /// Name of the function.
        function: &'static str,
        /// Which argument, from 1.
        argument: usize,
        /// What it takes, such as `an array of numbers`.
        expected: &'static str,
        /// The type that was found, in the argument or as an element of it.
        found: &'static str,
    },
    /// A function's result cannot be written as JSON (the number is too large).
    InvalidValue {
        /// Name of the function.
        function: &'static str,
    },
    /// A value is nested deeper than [`VALUE_DEPTH_MAX`](crate::VALUE_DEPTH_MAX), or what the
    /// expression builds deeper than [`BUILT_DEPTH_MAX`](crate::BUILT_DEPTH_MAX).
    TooDeep,
    /// The search would cost more than its [`Budget`](crate::Budget).
    BudgetExceeded(Resource),
}

impl fmt::Display for EvaluationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidType {
                function,
                argument,
                expected,
                found,
            } => write!(
                f,
                "argument {argument} of {function} must be {expected}, found {found}"
            ),
            Self::InvalidValue { function } => {
                write!(f, "the result of {function} is too large a number")
            }
            Self::TooDeep => write!(
                f,
                "a value is nested too deeply: {} levels are allowed, {} of them made by the expression",
                crate::VALUE_DEPTH_MAX,
                crate::BUILT_DEPTH_MAX
            ),
            Self::BudgetExceeded(Resource::Steps) => f.write_str(
                "the expression needs too many steps on this document: select less, or select earlier",
            ),
            Self::BudgetExceeded(Resource::Bytes) => f.write_str(
                "the expression builds too much data from this document: select less",
            ),
        }
    }
}

impl std::error::Error for EvaluationError {}
