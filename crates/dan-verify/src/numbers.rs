//! Whether the numbers of a JSON text survive being read: digits that neither a 64-bit integer nor a
//! double can hold would come out as others.

/// True when every number in `json`, a valid JSON text, is what reading it gives.
pub(crate) fn survive(json: &[u8]) -> bool {
    let mut rest = json;
    while let Some((number, after)) = next_number(rest) {
        if !survives(number) {
            return false;
        }
        rest = after;
    }
    true
}

/// The next number outside a string, and what follows it.
fn next_number(json: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = json;
    loop {
        let start = rest
            .iter()
            .position(|byte| matches!(byte, b'"' | b'-' | b'0'..=b'9'))?;
        let found = rest.get(start..)?;
        if found.first() == Some(&b'"') {
            rest = after_string(found.get(1..)?)?;
            continue;
        }
        let length = found
            .iter()
            .position(|byte| !matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'))
            .unwrap_or(found.len());
        return found.split_at_checked(length);
    }
}

/// What follows the end of a string that has begun.
fn after_string(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text;
    loop {
        let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        let skipped = if rest.get(end) == Some(&b'"') { 1 } else { 2 };
        let is_end = skipped == 1;
        rest = rest.get(end.checked_add(skipped)?..)?;
        if is_end {
            return Some(rest);
        }
    }
}

fn survives(number: &[u8]) -> bool {
    let Ok(number) = std::str::from_utf8(number) else {
        return false;
    };
    if number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok() {
        return true;
    }
    // As the reader of the whole text does it, not as the standard library would.
    serde_json::from_str::<f64>(number)
        .is_ok_and(|read| decimal(number) == decimal(&format!("{read:e}")))
}

/// Sign, digits without zeros at either end, and the power of ten that the first of them counts.
fn decimal(number: &str) -> Option<(bool, String, i64)> {
    let (is_negative, number) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number),
    };
    let (digits, exponent) = match number.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.trim_start_matches('+').parse().ok()?),
        None => (number, 0_i64),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    let significant = all.trim_start_matches('0');
    let leading = all.len().checked_sub(significant.len())?;
    let digits = significant.trim_end_matches('0').to_owned();
    if digits.is_empty() {
        return Some((is_negative, digits, 0));
    }
    let before_point = i64::try_from(whole.len()).ok()?;
    let first = before_point.checked_sub(i64::try_from(leading).ok()?)?;
    Some((is_negative, digits, exponent.checked_add(first)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reader_would_change_is_found() {
        for (json, good) in [
            ("0", true),
            ("-0", true),
            ("0.0", true),
            ("0e5", true),
            ("1.0", true),
            ("1E2", true),
            ("100.0", true),
            ("0.1", true),
            ("-123.456e-7", true),
            ("1e308", true),
            ("5e-324", true),
            ("18446744073709551615", true),
            ("-9223372036854775808", true),
            ("9007199254740993", true),
            // Beyond 64 bits, but a double holds it.
            ("1e19", true),
            ("100000000000000000000", true),
            ("18446744073709551616", false),
            ("-9223372036854775809", false),
            ("9007199254740993.0", false),
            ("0.1000000000000000055511151231257827", false),
            ("3.141592653589793238462643383279", false),
            ("1e-400", false),
            ("123456789012345678901234567890", false),
            (r#"{"a":[1,2.5,"x"],"b":-3}"#, true),
            (r#"{"18446744073709551616":"18446744073709551616"}"#, true),
            (r#"{"a\"18446744073709551616":"\\","b":1}"#, true),
            (r#"{"a":"\\","b":18446744073709551616}"#, false),
            (r#"[1,[2,{"x":0.30000000000000004441}]]"#, false),
            ("\"å\"", true),
            ("null", true),
        ] {
            assert_eq!(survive(json.as_bytes()), good, "{json}");
        }
    }
}
