//! Numbers: exact comparison, and integers that stay integers.

use std::cmp::Ordering;

use serde_json::Number;

/// The largest integer below which every integer is exactly one `f64`: 2^53.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Above this no `f64` is an integer of 64 bits: 2^64.
const INTEGER_MAX: f64 = 18_446_744_073_709_551_616.0;

/// A JSON number to calculate with.
#[derive(Clone, Copy)]
pub(crate) enum Numeric {
    /// Anything written without a fraction or exponent that fits 64 bits.
    Integer(i128),
    /// Anything else; finite.
    Float(f64),
}

impl Numeric {
    pub(crate) fn from_json(number: &Number) -> Self {
        if let Some(integer) = number.as_i64() {
            return Self::Integer(i128::from(integer));
        }
        if let Some(integer) = number.as_u64() {
            return Self::Integer(i128::from(integer));
        }
        Self::Float(number.as_f64().unwrap_or_default())
    }

    /// The JSON number; none if it is not finite.
    pub(crate) fn to_json(self) -> Option<Number> {
        let Self::Integer(integer) = self else {
            return Number::from_f64(self.to_float());
        };
        if let Ok(small) = i64::try_from(integer) {
            return Some(Number::from(small));
        }
        if let Ok(large) = u64::try_from(integer) {
            return Some(Number::from(large));
        }
        Number::from_f64(self.to_float())
    }

    pub(crate) fn to_float(self) -> f64 {
        match self {
            Self::Integer(integer) => float(integer),
            Self::Float(float) => float,
        }
    }

    pub(crate) fn absolute(self) -> Self {
        match self {
            Self::Integer(integer) => Self::Integer(integer.saturating_abs()),
            Self::Float(float) => Self::Float(float.abs()),
        }
    }

    /// Applies `round` to a float; the result is an integer where that is exact.
    pub(crate) fn rounded(self, round: fn(f64) -> f64) -> Self {
        match self {
            Self::Integer(_) => self,
            Self::Float(float) => {
                let whole = round(float);
                if whole.abs() <= EXACT_MAX {
                    Self::Integer(truncated(whole))
                } else {
                    Self::Float(whole)
                }
            }
        }
    }

    /// An exact sum of integers, else a sum of floats.
    pub(crate) fn plus(self, other: Self) -> Self {
        if let (Self::Integer(a), Self::Integer(b)) = (self, other)
            && let Some(sum) = a.checked_add(b)
        {
            return Self::Integer(sum);
        }
        Self::Float(self.to_float() + other.to_float())
    }

    /// An integer if the division has no rest, else a float; none for a `count` of 0.
    pub(crate) fn divided_by(self, count: usize) -> Option<Self> {
        let count = i128::try_from(count).ok().filter(|count| *count > 0)?;
        if let Self::Integer(sum) = self
            && sum.checked_rem(count) == Some(0)
        {
            return sum.checked_div(count).map(Self::Integer);
        }
        Some(Self::Float(self.to_float() / float(count)))
    }

    /// The order of the exact values: total, so it may be sorted by.
    pub(crate) fn order(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a.cmp(&b),
            (Self::Integer(a), Self::Float(b)) => integer_to_float(a, b),
            (Self::Float(a), Self::Integer(b)) => integer_to_float(b, a).reverse(),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
        }
    }
}

/// `integer` has at most 65 bits, `other` is finite.
fn integer_to_float(integer: i128, other: f64) -> Ordering {
    if other.abs() > INTEGER_MAX {
        return if other > 0.0 {
            Ordering::Less
        } else {
            Ordering::Greater
        };
    }
    let whole = other.trunc();
    integer.cmp(&truncated(whole)).then_with(|| {
        // `whole` lies between 0 and `other`
        whole.partial_cmp(&other).unwrap_or(Ordering::Equal)
    })
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the callers give whole numbers of at most 65 bits"
)]
const fn truncated(whole: f64) -> i128 {
    whole as i128
}

const fn float(integer: i128) -> f64 {
    integer as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric(text: &str) -> Numeric {
        Numeric::from_json(&serde_json::from_str(text).expect("a number"))
    }

    fn written(number: Numeric) -> String {
        number.to_json().expect("finite").to_string()
    }

    #[test]
    fn the_order_is_that_of_the_exact_values() {
        let ascending = [
            "-1e300",
            "-9223372036854775809.0",
            "-9223372036854775807",
            "-1.5",
            "-1",
            "-0.5",
            "0",
            "1e-300",
            "1",
            "1.5",
            "9007199254740992.0",
            "9007199254740993",
            "18446744073709551615",
            "18446744073709551616.0",
            "1e300",
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(numeric(a).order(numeric(b)), i.cmp(&j), "{a} and {b}");
            }
        }
        assert_eq!(numeric("1").order(numeric("1.0")), Ordering::Equal);
        assert_eq!(numeric("-0.0").order(numeric("0")), Ordering::Equal);
        assert_eq!(numeric("1e0").order(numeric("1")), Ordering::Equal);
    }

    #[test]
    fn integers_stay_integers_while_they_fit() {
        assert_eq!(written(numeric("1").plus(numeric("2"))), "3");
        assert_eq!(written(numeric("1").plus(numeric("2.5"))), "3.5");
        assert_eq!(
            written(numeric("18446744073709551615").plus(numeric("-1"))),
            "18446744073709551614"
        );
        assert_eq!(written(numeric("6").divided_by(3).expect("a number")), "2");
        assert_eq!(
            written(numeric("7").divided_by(2).expect("a number")),
            "3.5"
        );
        assert!(numeric("7").divided_by(0).is_none());
        assert_eq!(
            written(numeric("-9223372036854775808").absolute()),
            "9223372036854775808"
        );
        assert_eq!(written(numeric("-1.5").rounded(f64::ceil)), "-1");
        assert_eq!(written(numeric("-0.5").rounded(f64::ceil)), "0");
        assert_eq!(written(numeric("1e300").rounded(f64::floor)), "1e+300");
    }

    #[test]
    fn numbers_are_held_as_bits_not_as_text() {
        // serde_json's arbitrary_precision, switched on anywhere in the build, would make cloning
        // a number allocate without a charge
        let number: Number = serde_json::from_str("1.10").expect("a number");
        assert_eq!(number.to_string(), "1.1");
    }

    #[test]
    fn a_sum_beyond_the_range_of_floats_is_no_json() {
        let large = numeric("1.7e308");
        assert!(large.plus(large).to_json().is_none());
        let integers = numeric("18446744073709551615").plus(numeric("18446744073709551615"));
        assert!(integers.to_json().expect("finite").is_f64());
    }
}
