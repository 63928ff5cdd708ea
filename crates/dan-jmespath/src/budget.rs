//! What one search may cost, and the meter that holds it to that.

use crate::error::{EvaluationError, Resource};

/// Steps of [`Budget::default`]: measured at 5 to 60 ms of the worst work that could be thought of.
pub const STEPS_DEFAULT: u64 = 1_000_000;

/// Bytes of [`Budget::default`]: 16 MiB.
pub const OUTPUT_BYTES_DEFAULT: usize = 16 * 1024 * 1024;

/// Bytes of text that are read, compared or copied for the price of one step.
const TEXT_BYTES_PER_STEP: usize = 64;

/// Comparisons a sort may do for the price of one step.
const COMPARISONS_PER_STEP: u64 = 8;

/// The most one call of [`Expression::search`](crate::Expression::search) may use.
///
/// A step is charged for every node of the expression that is evaluated, every value that is
/// visited, compared or produced, and every 64 bytes of text that are read. A byte is charged,
/// before it is allocated, for every byte of memory that intermediate values and the result are
/// estimated to take (an element of an array costs 24 to 80 bytes beside its text). What is freed
/// again is not given back. Vectors grow by doubling, so peak memory can be twice the charge.
///
/// A document that is only read costs nothing: it is borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Steps of work, at least 1 for the smallest expression.
    pub steps: u64,
    /// Bytes of memory for everything that is built, the result included.
    pub output_bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            steps: STEPS_DEFAULT,
            output_bytes: OUTPUT_BYTES_DEFAULT,
        }
    }
}

/// What is left of a [`Budget`] during one search.
pub(crate) struct Meter {
    steps: u64,
    bytes: usize,
}

impl Meter {
    pub(crate) const fn new(budget: &Budget) -> Self {
        Self {
            steps: budget.steps,
            bytes: budget.output_bytes,
        }
    }

    /// Takes `count` steps.
    pub(crate) fn steps(&mut self, count: usize) -> Result<(), EvaluationError> {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.steps = self
            .steps
            .checked_sub(count)
            .ok_or(EvaluationError::BudgetExceeded(Resource::Steps))?;
        Ok(())
    }

    /// Takes `count` bytes; call it before allocating them.
    pub(crate) fn bytes(&mut self, count: usize) -> Result<(), EvaluationError> {
        self.bytes = self
            .bytes
            .checked_sub(count)
            .ok_or(EvaluationError::BudgetExceeded(Resource::Bytes))?;
        Ok(())
    }

    /// Takes `each` bytes `count` times.
    pub(crate) fn items(&mut self, count: usize, each: usize) -> Result<(), EvaluationError> {
        self.bytes(count.saturating_mul(each))
    }

    /// Takes the steps for looking at one value that holds `length` bytes of text.
    pub(crate) fn text(&mut self, length: usize) -> Result<(), EvaluationError> {
        self.steps(text_steps(length))
    }

    /// Takes the steps for sorting `count` values that took `weight` steps to read once.
    ///
    /// A merge sort looks at every value at most log2(count) + 1 times.
    pub(crate) fn sort(&mut self, count: usize, weight: usize) -> Result<(), EvaluationError> {
        let rounds = u64::from(count.checked_ilog2().unwrap_or(0).saturating_add(1));
        let looks = u64::try_from(weight)
            .unwrap_or(u64::MAX)
            .saturating_mul(rounds);
        let steps = looks.div_ceil(COMPARISONS_PER_STEP);
        self.steps(usize::try_from(steps).unwrap_or(usize::MAX))
    }
}

/// Steps for looking at one value that holds `length` bytes of text.
pub(crate) const fn text_steps(length: usize) -> usize {
    (length / TEXT_BYTES_PER_STEP).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(steps: u64, output_bytes: usize) -> Meter {
        Meter::new(&Budget {
            steps,
            output_bytes,
        })
    }

    #[test]
    fn a_budget_can_be_used_to_the_last_unit_and_not_beyond() {
        let mut meter = meter(2, 10);
        meter.steps(2).expect("two steps are there");
        assert_eq!(
            meter.steps(1),
            Err(EvaluationError::BudgetExceeded(Resource::Steps))
        );
        meter.items(2, 5).expect("ten bytes are there");
        assert_eq!(
            meter.bytes(1),
            Err(EvaluationError::BudgetExceeded(Resource::Bytes))
        );
    }

    #[test]
    fn a_charge_that_cannot_be_counted_is_refused() {
        let mut meter = meter(u64::MAX, usize::MAX - 1);
        assert!(meter.items(usize::MAX, 2).is_err());
        assert!(meter.sort(usize::MAX, usize::MAX).is_ok());
        assert!(meter.steps(usize::MAX).is_err());
    }

    #[test]
    fn text_costs_a_step_for_every_sixty_four_bytes() {
        assert_eq!(text_steps(0), 1);
        assert_eq!(text_steps(63), 1);
        assert_eq!(text_steps(64), 2);
    }
}
