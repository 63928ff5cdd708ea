//! What every [`Signer`] must do, as tests that an adapter of ours or anybody else's can run.
//!
//! An adapter ends with [`signer_conformance!`](crate::signer_conformance), which makes one test of
//! each case. Whether an envelope verifies, the suite cannot tell: the [`Bench`] brings a verifier.
//! A case panics where the signer does not do what the port promises.
//!
//! ```text
//! dan_core::signer_conformance!(in_memory, async { (bench(MySigner::new()), ()) });
//! ```
#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a suite is made of assertions"
)]

mod envelopes;
mod keys;

pub use envelopes::*;
pub use keys::*;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::ports::{CallContext, EnvelopeFormat, EvidencePart, Signable, Signer};
use crate::statement::{hex, sha256};
use crate::time::Timestamp;

/// When the suite signs.
pub const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_500);

/// Formats of the port.
const FORMATS: [EnvelopeFormat; 3] = [
    EnvelopeFormat::Jwt,
    EnvelopeFormat::Jose,
    EnvelopeFormat::Cose,
];
/// How long a signature may take here, a device included.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a verifier finds in an envelope that holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// Name of the key.
    pub kid: String,
    /// The signed members, evidence among them.
    pub claims: Map<String, Value>,
    /// The evidence byte for byte, where the envelope tells it.
    pub body: Option<Vec<u8>>,
}

/// Checks an envelope of a body against a key set, as somebody who has nothing else.
pub type Verify = fn(EnvelopeFormat, &[u8], &[u8], &str) -> Result<Opened, String>;

/// A signer under test.
pub struct Bench {
    /// The signer; some key of it may sign at [`NOW`].
    pub signer: Arc<dyn Signer>,
    /// The formats its keys can make.
    pub formats: Vec<EnvelopeFormat>,
    /// A verifier that knows nothing of it.
    pub verify: Verify,
}

/// Makes a module of tests, one for each case of the suite.
///
/// The second argument is a future, evaluated once for each test, that gives a
/// [`Bench`](crate::testkit::signer_suite::Bench) and something that lives as long as the signer.
#[macro_export]
macro_rules! signer_conformance {
    ($module:ident, $make:expr) => {
        $crate::signer_conformance!(@cases $module, $make,
            what_is_signed_verifies_with_what_is_published,
            the_members_of_a_statement_come_out_as_they_went_in,
            evidence_of_every_kind_comes_out,
            no_changed_byte_goes_unnoticed,
            another_body_does_not_verify,
            a_format_is_not_taken_for_another,
            a_statement_that_is_none_carries_no_evidence,
            a_header_carries_no_evidence,
            many_at_once_are_signed,
            a_dropped_signature_leaves_the_signer_as_it_was,
            what_cannot_be_made_is_said_before,
            the_published_keys_are_public_and_have_names,
            another_key_of_that_name_does_not_verify,
        );
    };
    (@cases $module:ident, $make:expr, $($case:ident,)*) => {
        mod $module {
            use super::*;
            $(
                #[tokio::test]
                async fn $case() {
                    let (bench, _alive) = $make.await;
                    $crate::testkit::signer_suite::$case(bench).await;
                }
            )*
        }
    };
}

impl Bench {
    async fn sign(
        &self,
        signable: Signable<'_>,
        format: EnvelopeFormat,
    ) -> Result<Vec<u8>, String> {
        let ctx = context();
        let signed = self.signer.sign(signable, format, NOW, &ctx).await;
        signed.map_err(|error| error.0)
    }

    /// The envelope of a body, with its statement.
    async fn envelope(&self, body: EvidencePart<'_>, format: EnvelopeFormat) -> Vec<u8> {
        let statement = statement(bytes_of(body));
        let evidence = (format != EnvelopeFormat::Jwt).then_some(body);
        let signable = Signable {
            statement: &statement,
            evidence,
        };
        let signed = self.sign(signable, format).await;
        signed.unwrap_or_else(|why| panic!("{format:?}: {why}"))
    }

    fn open(&self, format: EnvelopeFormat, body: &[u8], envelope: &[u8]) -> Result<Opened, String> {
        (self.verify)(format, body, envelope, &self.signer.key_set(NOW))
    }
}

fn context() -> CallContext {
    CallContext {
        request_id: Arc::from("suite"),
        deadline: tokio::time::Instant::now() + PATIENCE,
    }
}

const fn bytes_of(body: EvidencePart<'_>) -> &[u8] {
    match body {
        EvidencePart::Json(bytes) | EvidencePart::Bytes(bytes) => bytes,
    }
}

/// A statement about a body with members of every JSON kind.
fn statement(body: &[u8]) -> String {
    format!(
        r#"{{"SHA256PayloadDigest":"{}","iat":{},"dataset":"Bås","n":[1,-2,1.5,true,null],"o":{{"b":1,"aa":2}}}}"#,
        hex(&sha256(body)),
        NOW.as_seconds(),
    )
}
