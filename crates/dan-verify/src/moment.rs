//! Moments as statements write them (RFC 3339, UTC), without a clock and without a calendar library.

/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_1970: i64 = 719_468;
const DAY_SECONDS: i64 = 86_400;
/// Days of 400 years, of 100, and of 4.
const DAYS: [i64; 3] = [146_097, 36_524, 1_461];
/// Moments that can be written with four digits of a year: 0000-01-01 to 9999-12-31.
const WRITABLE: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

/// Seconds since 1970 as `2026-11-24T12:00:00Z`; as the bare number outside the years 0 to 9999.
#[must_use]
pub fn rfc3339(seconds: i64) -> String {
    if !WRITABLE.contains(&seconds) {
        return seconds.to_string();
    }
    let (year, month, day) = date_of(seconds.div_euclid(DAY_SECONDS));
    let second = seconds.rem_euclid(DAY_SECONDS);
    let (hour, minute) = (
        second.div_euclid(3600),
        second.div_euclid(60).rem_euclid(60),
    );
    let second = second.rem_euclid(60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The whole second of a moment in UTC, `2026-11-24T12:00:00Z` or with a fraction; `None` for any
/// other text. A fraction is cut off; a leap second (`:60`) counts as the second after it.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let text = text.strip_suffix(['Z', 'z'])?;
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let time = match time.split_once('.') {
        None => time,
        Some((time, fraction)) => {
            let digits = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
            digits.then_some(time)?
        }
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    if !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0..=60).contains(&second) {
        return None;
    }
    let days = days_of(year, month, day)?;
    // Every day has one date and every date one day: 30 February comes back as another.
    if date_of(days) != (year, month, day) {
        return None;
    }
    let of_day = hour
        .checked_mul(3600)?
        .checked_add(minute.checked_mul(60)?)?
        .checked_add(second)?;
    days.checked_mul(DAY_SECONDS)?.checked_add(of_day)
}

/// Three numbers of exactly these lengths.
fn numbers(text: &str, between: char, lengths: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(between);
    let mut found = [0; 3];
    for (place, length) in found.iter_mut().zip(lengths) {
        let part = parts.next()?;
        let digits = part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
        *place = digits.then(|| part.parse().ok()).flatten()?;
    }
    parts.next().is_none().then_some(found)
}

/// Days since 1970 of a date of the Gregorian calendar; years begin in March, so that the day that
/// comes and goes is the last.
fn days_of(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 {
        year.checked_sub(1)?
    } else {
        year
    };
    let from_march = month.checked_add(9)?.rem_euclid(12);
    let of_year = from_march
        .checked_mul(153)?
        .checked_add(2)?
        .div_euclid(5)
        .checked_add(day)?
        .checked_sub(1)?;
    let leap_days = year
        .div_euclid(4)
        .checked_sub(year.div_euclid(100))?
        .checked_add(year.div_euclid(400))?;
    year.checked_mul(365)?
        .checked_add(leap_days)?
        .checked_add(of_year)?
        .checked_sub(DAYS_TO_1970)
}

/// Year, month and day of a day since 1970.
fn date_of(days: i64) -> (i64, i64, i64) {
    let [era_days, century_days, four_years_days] = DAYS;
    let days = days.saturating_add(DAYS_TO_1970);
    let (era, of_era) = (days.div_euclid(era_days), days.rem_euclid(era_days));
    // The last day of 4 years, and of 400, would else begin a year too many.
    let year_of_era = of_era
        .saturating_sub(of_era.div_euclid(four_years_days.saturating_sub(1)))
        .saturating_add(of_era.div_euclid(century_days))
        .saturating_sub(of_era.div_euclid(era_days.saturating_sub(1)))
        .div_euclid(365);
    let before = year_of_era
        .saturating_mul(365)
        .saturating_add(year_of_era.div_euclid(4))
        .saturating_sub(year_of_era.div_euclid(100));
    let of_year = of_era.saturating_sub(before);
    let from_march = of_year.saturating_mul(5).saturating_add(2).div_euclid(153);
    let month_start = from_march
        .saturating_mul(153)
        .saturating_add(2)
        .div_euclid(5);
    let day = of_year.saturating_sub(month_start).saturating_add(1);
    let month = from_march
        .saturating_add(2)
        .rem_euclid(12)
        .saturating_add(1);
    let next = i64::from(month <= 2);
    let year = era
        .saturating_mul(400)
        .saturating_add(year_of_era)
        .saturating_add(next);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_and_read_again() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_521_600, "2026-11-24T12:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
            (-62_167_219_200, "0000-01-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(seconds), text);
            assert_eq!(parse_rfc3339(text), Some(seconds), "{text}");
        }
        assert_eq!(rfc3339(i64::MAX), i64::MAX.to_string());
        assert_eq!(parse_rfc3339("1970-01-01t00:00:01.999z"), Some(1));
    }

    #[test]
    fn every_day_of_a_thousand_years_is_itself() {
        for day in -200_000..200_000 {
            let (year, month, date) = date_of(day);
            assert_eq!(days_of(year, month, date), Some(day));
        }
    }

    #[test]
    fn what_is_no_moment_in_utc_is_none() {
        for text in [
            "",
            "Z",
            "2026-11-24",
            "2026-11-24T12:00:00",
            "2026-11-24T12:00:00+01:00",
            "2026-11-24T12:00Z",
            "2026-11-24T12:00:00.Z",
            "2026-11-24T12:00:00.xZ",
            "2026-02-29T12:00:00Z",
            "2026-13-01T12:00:00Z",
            "2026-00-01T12:00:00Z",
            "2026-01-00T12:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:61Z",
            "+026-01-01T00:00:00Z",
            "2026-01-01-01T00:00:00Z",
            "26-01-01T00:00:00Z",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }
}
