//! Reads what `dan verify` is given: files of bounded size, and a key set that may be an address.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use dan_core::ports::{CallContext, Fetch as _, FetchRequest};
use dan_http::client::HttpClient;
use dan_verify::jwk::KEY_SET_BYTES_MAX;
use tokio::time::Instant;

use crate::output::Misuse;

/// Largest file that is verified, in bytes.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Longest line that is read from standard input, in bytes.
const LINE_BYTES_MAX: u64 = 1024;
/// How long fetching a key set may take.
const FETCH_TIME_MAX: Duration = Duration::from_secs(10);

/// A file.
///
/// # Errors
/// When it cannot be read or is too large.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, Misuse> {
    let failed = |error: std::io::Error| Misuse(format!("cannot read {}: {error}", path.display()));
    if std::fs::metadata(path).map_err(failed)?.len() > FILE_BYTES_MAX {
        return Err(Misuse(format!("{} is larger than 256 MiB", path.display())));
    }
    std::fs::read(path).map_err(failed)
}

/// A file with text.
///
/// # Errors
/// When it cannot be read, is too large, or is no UTF-8.
pub(super) fn text(path: &Path) -> Result<String, Misuse> {
    String::from_utf8(bytes(path)?)
        .map_err(|_utf8| Misuse(format!("{} is no text", path.display())))
}

/// A key set, from a file or from its address.
///
/// # Errors
/// When there is none.
pub(super) async fn key_set(place: &str) -> Result<String, Misuse> {
    if !place.starts_with("http://") && !place.starts_with("https://") {
        return text(Path::new(place));
    }
    let client = HttpClient::new()?;
    let now = Instant::now();
    let deadline = now.checked_add(FETCH_TIME_MAX).unwrap_or(now);
    let ctx = CallContext {
        request_id: "dan-verify".into(),
        deadline,
    };
    let request = FetchRequest::get("jwks", place.to_owned(), KEY_SET_BYTES_MAX);
    let failed = |what: &str| Misuse(format!("{place}: {what}; or give the key set as a file"));
    let reply = client
        .fetch(request, &ctx)
        .await
        .map_err(|error| failed(&error.to_string()))?;
    if reply.status != 200 {
        return Err(failed(&format!("answered {}", reply.status)));
    }
    String::from_utf8(reply.body.to_vec()).map_err(|_utf8| failed("is no JSON"))
}

/// The number of a subject: as given, or from standard input, so that the number of a person stands
/// in no list of processes.
///
/// # Errors
/// When standard input gives none.
pub(super) fn subject(given: Option<&str>) -> Result<Option<String>, Misuse> {
    if given != Some("-") {
        return Ok(given.map(str::to_owned));
    }
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .take(LINE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|error| Misuse(format!("cannot read the subject: {error}")))?;
    let number = text.trim();
    if number.is_empty() {
        let text = "standard input gives no subject; write its number and a line end";
        return Err(Misuse(text.to_owned()));
    }
    Ok(Some(number.to_owned()))
}
