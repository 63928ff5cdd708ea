//! Checks signed answers with the published keys and nothing else: offline, years later.
//!
//! No async, no network, no clock: the reader brings the answer, its signature and the key set.
//! [`verify_detached`] checks a body against the value of its `X-Signature-JWT`, [`verify_jose`] and
//! [`verify_cose`] an answer that carries its evidence within. The formats themselves, both ways,
//! are in [`jws`], [`cose`], [`payload`] and [`jwk`]; private keys are elsewhere, behind [`Sign`].
//!
//! ```
//! use dan_verify::{Expect, Language, VerifyError, verify_detached};
//!
//! fn check(body: &[u8], signature: &str, jwks: &str) -> Result<String, VerifyError> {
//!     let statement = verify_detached(body, signature, jwks)?.statement()?;
//!     let expect = Expect {
//!         subject: Some("991825827"),
//!         dataset: Some("UnitBasicInformation"),
//!         ..Expect::default()
//!     };
//!     for difference in statement.differences(&expect) {
//!         return Ok(format!("not what I asked for: {difference}"));
//!     }
//!     Ok(statement.sentence(Language::English))
//! }
//! # assert!(check(b"", "", "{}").is_err());
//! ```
//!
//! To add a claim, add it to [`Statement`] and say it in `sentence.rs` if people should read it; to
//! add a language, add it to [`Language`]; to add an algorithm, see [`jwk`] and [`public_key`].

mod cbor;
pub mod cose;
mod error;
mod expect;
pub mod jwk;
pub mod jws;
pub mod moment;
mod numbers;
pub mod payload;
pub mod public_key;
mod sentence;
mod sign;
mod statement;
#[cfg(test)]
mod testing;
mod verify;

pub use error::{VerifyError, quoted};
pub use expect::{Difference, Expect};
pub use sentence::Language;
pub use sign::Sign;
pub use statement::{DIGEST_PREFIX, Enclosed, ORGANISATION_PREFIX, SourceAnswer, Statement};
pub use verify::{
    EARLY_SECONDS_MAX, Verified, verify_cose, verify_detached, verify_head, verify_jose,
};
