//! Checks signed answers with the published keys and nothing else: offline, years later.
//!
//! No async, no network, no clock: the reader brings the answer, its signature and the key set.
//! [`verify_detached`] checks a body against the value of its `X-Signature-JWT`, [`verify_jose`] and
//! [`verify_cose`] an answer that carries its evidence within. The formats themselves, both ways,
//! are in [`jws`], [`cose`], [`payload`] and [`jwk`]; private keys are elsewhere, behind [`Sign`].

mod cbor;
pub mod cose;
mod error;
pub mod jwk;
pub mod jws;
mod numbers;
pub mod payload;
pub mod public_key;
mod sign;
#[cfg(test)]
mod testing;
mod verify;

pub use error::{VerifyError, quoted};
pub use sign::Sign;
pub use verify::{EARLY_SECONDS_MAX, Verified, verify_cose, verify_detached, verify_jose};
