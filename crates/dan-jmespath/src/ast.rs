//! A compiled expression: flat chains, so that only brackets nest.
//!
//! `a.b[*].c || d | e` is a pipe of two parts; its first part is an "or" of two chains; the first
//! chain has four steps. Nothing but a bracket makes one [`Expr`] hold another, so walking or
//! dropping one recurses at most [`DEPTH_MAX`](crate::DEPTH_MAX) levels, however long the text is.
//! No type here has `Debug`: literals may be personal data.

use serde_json::Value;

use crate::functions::Call;

/// An expression.
pub(crate) enum Expr {
    /// A starting value and the steps taken from it.
    Chain(Chain),
    /// `a | b | c`: each part searches the result of the one before. At least two.
    Pipe(Vec<Self>),
    /// `a || b || c`: the first that is true, else the last. At least two.
    Or(Vec<Self>),
    /// `a && b && c`: the first that is false, else the last. At least two.
    And(Vec<Self>),
    /// `a == b`, and `a == b == c` from left to right. At least one comparison.
    Compare(Box<Self>, Vec<(Comparator, Self)>),
    /// One or more `!`.
    Not {
        /// What is tested.
        inner: Box<Self>,
        /// Whether the number of `!` is odd.
        negate: bool,
    },
}

/// `start step step …`.
pub(crate) struct Chain {
    pub(crate) start: Start,
    pub(crate) steps: Vec<Step>,
}

/// Where a chain begins.
pub(crate) enum Start {
    /// `@`, written or understood.
    Current,
    /// A literal or a raw string.
    Literal(Box<Value>),
    /// `( … )`, which also ends the projections inside it.
    Group(Box<Expr>),
}

/// One step of a chain.
pub(crate) enum Step {
    /// `.name`
    Field(String),
    /// `[0]`, `[-1]`
    Index(i64),
    /// `[1:9:2]`; opens a projection.
    Slice(Slice),
    /// `[*]`; opens a projection.
    Elements,
    /// `.*`; opens a projection.
    Members,
    /// `[? … ]`; opens a projection.
    Filter(Box<Expr>),
    /// `[]`; ends the open projections, then opens one.
    Flatten,
    /// `.[a, b]`
    List(Vec<Expr>),
    /// `.{a: b}`
    Record(Vec<(String, Expr)>),
    /// `.name(…)`
    Call(Box<Call>),
}

impl Step {
    /// Whether the steps after this one apply to each of its elements.
    pub(crate) const fn projects(&self) -> bool {
        match self {
            Self::Slice(_) | Self::Elements | Self::Members | Self::Filter(_) | Self::Flatten => {
                true
            }
            Self::Field(_) | Self::Index(_) | Self::List(_) | Self::Record(_) | Self::Call(_) => {
                false
            }
        }
    }
}

/// Bounds of a slice; negative ones count from the end.
pub(crate) struct Slice {
    pub(crate) start: Option<i64>,
    pub(crate) stop: Option<i64>,
    /// Never 0.
    pub(crate) step: i64,
}

/// How two values are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}
