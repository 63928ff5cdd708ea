//! [`Timestamp`]: UTC milliseconds inside, RFC 3339 at the edge.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Milliseconds in a day.
pub const DAY_MS: i64 = 86_400_000;

/// A moment in UTC, counted in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the epoch.
    #[must_use]
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_ms(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This moment moved by `ms` milliseconds; stops at the ends of the range.
    #[must_use]
    pub const fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// This moment moved by whole days of 24 hours; stops at the ends of the range.
    #[must_use]
    pub const fn plus_days(self, days: u32) -> Self {
        Self(self.0.saturating_add(DAY_MS.saturating_mul(days as i64)))
    }

    /// Reads an ISO 8601 date-time as clients send it: with an offset, without a zone (taken as
    /// UTC), without seconds, with up to nine fractional digits (cut to milliseconds), or a bare
    /// date (midnight UTC). `None` when it is none of these. Source: `wire-api.md` §3.2, §4.2.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(moment) = text.parse::<jiff::Timestamp>() {
            return Some(Self(moment.as_millisecond()));
        }
        let civil = text.parse::<jiff::civil::DateTime>().ok()?;
        let moment = jiff::tz::Offset::UTC.to_timestamp(civil).ok()?;
        Some(Self(moment.as_millisecond()))
    }

    /// RFC 3339 with a numeric offset, as DAN writes its own clock: `2024-11-11T11:08:28.557+00:00`.
    #[must_use]
    pub fn offset_text(self) -> String {
        let mut text = self.to_string();
        if text.ends_with('Z') {
            text.pop();
        }
        text.push_str("+00:00");
        text
    }
}

/// RFC 3339 in UTC with `Z`, milliseconds only when there are any.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(moment) => write!(f, "{moment}"),
            Err(_) => write!(
                f,
                "{}",
                if self.0 < 0 {
                    jiff::Timestamp::MIN
                } else {
                    jiff::Timestamp::MAX
                }
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_dates_are_understood_w37() {
        for (text, ms) in [
            ("1970-01-01T00:00Z", 0),
            ("1970-01-01T00:00:00.123456789Z", 123),
            ("1970-01-01T01:00:00+01:00", 0),
            ("1970-01-02", DAY_MS),
            ("1970-01-01T00:00:01", 1000),
        ] {
            assert_eq!(Timestamp::parse(text), Some(Timestamp(ms)), "{text}");
        }
        for text in [
            "",
            "yesterday",
            "02.01.2020",
            "1970-13-01",
            "1970-01-01T00:00 00:00",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }

    #[test]
    fn text_has_an_offset() {
        let moment = Timestamp::from_ms(1_700_000_000_120);
        assert_eq!(moment.to_string(), "2023-11-14T22:13:20.12Z");
        assert_eq!(moment.offset_text(), "2023-11-14T22:13:20.12+00:00");
        assert_eq!(Timestamp::parse(&moment.offset_text()), Some(moment));
    }
}
