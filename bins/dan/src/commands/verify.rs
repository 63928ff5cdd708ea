//! `dan verify`: checks an answer offline, with the published keys and nothing else.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dan_core::ports::{CallContext, Fetch as _, FetchRequest};
use dan_http::client::HttpClient;
use dan_verify::{Verified, verify_cose, verify_detached, verify_jose};
use serde_json::json;
use tokio::time::Instant;

use crate::output::{Ending, Misuse, Outcome, say, say_json};

/// Largest file that is verified, in bytes.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Largest key set that is fetched, in bytes.
const KEY_SET_BYTES_MAX: usize = 256 * 1024;
/// How long fetching a key set may take.
const FETCH_TIME_MAX: Duration = Duration::from_secs(10);

/// What is to be verified.
#[derive(Debug)]
pub enum Evidence {
    /// A body, and the value of its `X-Signature-JWT` header in a file.
    Detached {
        /// File of the body.
        body: PathBuf,
        /// File of the header's value.
        signature: PathBuf,
    },
    /// A file with one compact JWS.
    Jose(PathBuf),
    /// A file with one `COSE_Sign1`.
    Cose(PathBuf),
}

/// Verifies and says what the statement claims.
///
/// # Errors
/// A file or key set that cannot be read. "Does not verify" is no error but the answer no.
pub async fn run(evidence: Evidence, jwks: &str, as_json: bool) -> Ending {
    let keys = key_set(jwks).await?;
    let verdict = match &evidence {
        Evidence::Detached { body, signature } => {
            verify_detached(&bytes(body)?, text(signature)?.trim(), &keys)
        }
        Evidence::Jose(file) => verify_jose(text(file)?.trim(), &keys),
        Evidence::Cose(file) => verify_cose(&bytes(file)?, &keys),
    };
    match verdict {
        Ok(verified) => {
            if as_json {
                say_json(
                    &json!({"verified": true, "kid": verified.kid, "claims": verified.claims}),
                );
            } else {
                say(describe(&verified));
            }
            Ok(Outcome::Yes)
        }
        Err(error) => {
            if as_json {
                say_json(&json!({"verified": false, "reason": error.to_string()}));
            } else {
                say(format!("NOT VERIFIED: {error}"));
            }
            Ok(Outcome::No)
        }
    }
}

fn describe(verified: &Verified) -> String {
    let mut page = format!("verified, signed with key {}\n", verified.kid);
    for (name, value) in &verified.claims {
        // The evidence itself stands in the file; the statement is what a person wants to read.
        if name.starts_with("evidence") {
            continue;
        }
        let shown = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        writeln!(page, "  {name}: {shown}").unwrap_or_default();
    }
    page.trim_end().to_owned()
}

async fn key_set(place: &str) -> Result<String, Misuse> {
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

fn bytes(path: &Path) -> Result<Vec<u8>, Misuse> {
    let failed = |error: std::io::Error| Misuse(format!("cannot read {}: {error}", path.display()));
    if std::fs::metadata(path).map_err(failed)?.len() > FILE_BYTES_MAX {
        return Err(Misuse(format!("{} is larger than 256 MiB", path.display())));
    }
    std::fs::read(path).map_err(failed)
}

fn text(path: &Path) -> Result<String, Misuse> {
    String::from_utf8(bytes(path)?)
        .map_err(|_utf8| Misuse(format!("{} is no text", path.display())))
}
