//! Media types of answers: which count as JSON, XML or rows of text.

/// Type and subtype in lower case, without parameters (RFC 9110 §8.3.1).
pub(crate) fn essence(media_type: &str) -> String {
    let plain = media_type.split(';').next().unwrap_or_default().trim();
    plain.to_ascii_lowercase()
}

/// `application/json`, or any type with the `+json` suffix (RFC 6839 §3.1).
pub(crate) fn is_json(essence: &str) -> bool {
    essence == "application/json" || essence.ends_with("+json") || essence == "text/json"
}

/// RFC 7303 §9, and the `+xml` suffix.
pub(crate) fn is_xml(essence: &str) -> bool {
    matches!(essence, "application/xml" | "text/xml") || essence.ends_with("+xml")
}

/// RFC 4180 §3, and what servers call such files that do not know it.
pub(crate) fn is_rows(essence: &str) -> bool {
    matches!(
        essence,
        "text/csv" | "application/csv" | "text/plain" | "application/octet-stream"
    )
}
