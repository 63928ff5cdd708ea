//! A ring under the suite of the signer port, with the offline verifier to judge it.

use std::sync::Arc;

use dan_core::ports::{Entropy, EnvelopeFormat};
use dan_core::testkit::signer_suite::{Bench, NOW, Opened};
use dan_sign::RingSigner;
use dan_sign::key_ring::{KeyRing, KeySpec};
use dan_sign::soft_key::SoftKey;
use dan_verify::payload::body;
use dan_verify::{verify_cose, verify_detached, verify_jose};

/// Every format.
pub(crate) const ALL: [EnvelopeFormat; 3] = [
    EnvelopeFormat::Jwt,
    EnvelopeFormat::Jose,
    EnvelopeFormat::Cose,
];

struct Stuck(u8);

impl Entropy for Stuck {
    fn fill(&self, out: &mut [u8]) {
        out.fill(self.0);
    }
}

/// A key of its own for every seed between 1 and 254.
pub(crate) fn soft(seed: u8) -> SoftKey {
    SoftKey::generate(&Stuck(seed)).unwrap()
}

/// A signer with these keys, which make these formats.
pub(crate) fn bench(keys: &[KeySpec], formats: &[EnvelopeFormat]) -> Bench {
    let ring = KeyRing::new(keys, NOW).unwrap();
    Bench {
        signer: Arc::new(RingSigner::of(ring)),
        formats: formats.to_vec(),
        verify,
    }
}

fn verify(
    format: EnvelopeFormat,
    plain: &[u8],
    envelope: &[u8],
    keys: &str,
) -> Result<Opened, String> {
    let text = std::str::from_utf8(envelope).map_err(|error| error.to_string());
    let verified = match format {
        EnvelopeFormat::Jwt => verify_detached(plain, text?, keys),
        EnvelopeFormat::Jose => verify_jose(text?, keys),
        EnvelopeFormat::Cose => verify_cose(envelope, keys),
    };
    let verified = verified.map_err(|error| error.to_string())?;
    let tells = match format {
        EnvelopeFormat::Jwt => false,
        EnvelopeFormat::Jose => true,
        EnvelopeFormat::Cose => verified.claims.contains_key("evidence_base64"),
    };
    Ok(Opened {
        body: tells.then(|| body(&verified.claims)).flatten(),
        kid: verified.kid,
        claims: verified.claims,
    })
}
