//! The messages of RFC 3161, as far as we need them: a question, and what of the answer must be ours.
//!
//! The signature of a token is not checked here. Whoever rests a case on it does, with the
//! certificates of the authority (`docs/operating.md`).

use der::asn1::{Any, ObjectIdentifier, OctetString};
use der::{Decode as _, Encode as _, Sequence, Tag, Tagged as _};

/// SHA-256 (RFC 5754 §2.2).
const SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
/// `id-signedData` (RFC 5652 §5.1).
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
/// `id-ct-TSTInfo` (RFC 3161 §2.4.2).
const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
/// `granted` and `grantedWithMods`.
const GRANTED_MAX: u8 = 1;

#[derive(Sequence)]
struct Algorithm {
    oid: ObjectIdentifier,
    #[asn1(optional = "true")]
    parameters: Option<Any>,
}

#[derive(Sequence)]
struct MessageImprint {
    algorithm: Algorithm,
    digest: OctetString,
}

#[derive(Sequence)]
struct TimeStampReq {
    version: u8,
    imprint: MessageImprint,
    nonce: u64,
    cert_req: bool,
}

/// A question about a digest. The certificates are wanted too, so that the answer can be verified for
/// as long as anybody has a root.
///
/// # Errors
/// What could not be encoded.
pub(super) fn query(digest: &[u8; 32], nonce: u64) -> Result<Vec<u8>, String> {
    let encoded = OctetString::new(digest.as_slice()).and_then(|digest| {
        TimeStampReq {
            version: 1,
            imprint: MessageImprint {
                algorithm: Algorithm {
                    oid: SHA_256,
                    parameters: None,
                },
                digest,
            },
            nonce,
            cert_req: true,
        }
        .to_der()
    });
    encoded.map_err(|error| format!("the question: {error}"))
}

/// The token of an answer, if it says yes to this digest and this question.
///
/// # Errors
/// What does not hold.
pub(super) fn token_of(answer: &[u8], digest: &[u8; 32], nonce: u64) -> Result<Vec<u8>, String> {
    let parts = parts(answer, "the answer")?;
    let status = parts.first().ok_or("the answer is empty")?;
    let status = items(status, "its status")?;
    let status = status.first().ok_or("it has no status")?;
    let status: u8 = status.decode_as().map_err(|_large| "its status is none")?;
    if status > GRANTED_MAX {
        return Err(format!("the authority said no (status {status})"));
    }
    let token = parts.get(1).ok_or("it has no token")?;
    let info = tst_info(token)?;
    check_imprint(&info, digest)?;
    // Behind the serial number and the time, the nonce is the only integer.
    let mut rest = info.iter().skip(5);
    let answered = rest.find(|item| item.tag() == Tag::Integer);
    if answered.and_then(|item| item.decode_as::<u64>().ok()) != Some(nonce) {
        return Err("its token answers another question".to_owned());
    }
    token
        .to_der()
        .map_err(|error| format!("its token: {error}"))
}

/// Whether this is a token about this digest. Whose it is, is not looked at.
pub(super) fn is_about(token: &[u8], digest: &[u8; 32]) -> bool {
    let token = Any::from_der(token).map_err(|error| error.to_string());
    let info = token.and_then(|token| tst_info(&token));
    info.and_then(|info| check_imprint(&info, digest)).is_ok()
}

fn check_imprint(info: &[Any], digest: &[u8; 32]) -> Result<(), String> {
    let imprint = info.get(2).ok_or("its token has no imprint")?;
    let imprint: MessageImprint = imprint
        .decode_as()
        .map_err(|error| format!("its imprint: {error}"))?;
    if imprint.algorithm.oid != SHA_256 || imprint.digest.as_bytes() != digest {
        return Err("its token is about something else".to_owned());
    }
    Ok(())
}

/// Members of the `TSTInfo` inside a `TimeStampToken`: `ContentInfo` around `SignedData` around it.
fn tst_info(token: &Any) -> Result<Vec<Any>, String> {
    let content = wrapped(token, SIGNED_DATA, "its token")?;
    let signed = parts(&content, "its signed data")?;
    let encapsulated = signed.get(2).ok_or("its signed data has no content")?;
    let content = wrapped(encapsulated, TST_INFO, "its content")?;
    let content =
        OctetString::from_der(&content).map_err(|error| format!("its content: {error}"))?;
    parts(content.as_bytes(), "what it says")
}

/// What stands behind this object identifier, in `[0]`.
fn wrapped(outer: &Any, expected: ObjectIdentifier, what: &str) -> Result<Vec<u8>, String> {
    let items = items(outer, what)?;
    let oid = items.first().and_then(|item| item.decode_as().ok());
    let (Some(oid), Some(content)) = (oid, items.get(1)) else {
        return Err(format!("{what} is none"));
    };
    let oid: ObjectIdentifier = oid;
    if oid != expected {
        return Err(format!("{what} is of another kind"));
    }
    Ok(content.value().to_vec())
}

fn items(sequence: &Any, what: &str) -> Result<Vec<Any>, String> {
    sequence
        .decode_as()
        .map_err(|error| format!("{what}: {error}"))
}

fn parts(bytes: &[u8], what: &str) -> Result<Vec<Any>, String> {
    Vec::from_der(bytes).map_err(|error| format!("{what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: [u8; 32] = [0xAB; 32];
    const NONCE: u64 = 0x0102_0304_0506_0708;

    fn any(value: &impl der::Encode) -> Any {
        Any::from_der(&value.to_der().unwrap()).unwrap()
    }

    fn explicit(bytes: Vec<u8>) -> Any {
        let tag = Tag::ContextSpecific {
            constructed: true,
            number: der::TagNumber(0),
        };
        Any::new(tag, bytes).unwrap()
    }

    fn imprint(digest: &[u8], oid: ObjectIdentifier) -> Any {
        any(&MessageImprint {
            algorithm: Algorithm {
                oid,
                parameters: Some(Any::null()),
            },
            digest: OctetString::new(digest).unwrap(),
        })
    }

    /// An answer with this status and these members of its `TSTInfo`.
    fn answer(status: u8, info: &Vec<Any>, kind: ObjectIdentifier) -> Vec<u8> {
        let info = OctetString::new(info.to_der().unwrap()).unwrap();
        let content = vec![any(&kind), explicit(info.to_der().unwrap())];
        let empty = Any::new(Tag::Set, Vec::new()).unwrap();
        let signed = vec![any(&3_u8), empty.clone(), any(&content), empty];
        let token = vec![any(&SIGNED_DATA), explicit(signed.to_der().unwrap())];
        vec![any(&vec![any(&status)]), any(&token)]
            .to_der()
            .unwrap()
    }

    fn info(imprint: Any, nonce: Option<u64>) -> Vec<Any> {
        let time = Any::new(Tag::GeneralizedTime, b"20261124120000Z".to_vec()).unwrap();
        let mut info = vec![any(&1_u8), any(&TST_INFO), imprint, any(&77_u8), time];
        // Accuracy, a sequence, and ordering stand before the nonce.
        info.push(any(&vec![any(&1_u8)]));
        info.push(any(&true));
        info.extend(nonce.map(|nonce| any(&nonce)));
        info
    }

    fn told(answer: &[u8]) -> String {
        token_of(answer, &DIGEST, NONCE).unwrap_err()
    }

    #[test]
    fn a_question_is_what_rfc_3161_says() {
        let question = parts(&query(&DIGEST, NONCE).unwrap(), "a question").unwrap();
        let tags: Vec<Tag> = question.iter().map(der::Tagged::tag).collect();
        let expected = [Tag::Integer, Tag::Sequence, Tag::Integer, Tag::Boolean];
        assert_eq!(tags, expected);
        let imprint: MessageImprint = question[1].decode_as().unwrap();
        assert_eq!(imprint.digest.as_bytes(), DIGEST);
        assert_eq!(imprint.algorithm.oid, SHA_256);
    }

    #[test]
    fn a_token_about_our_digest_and_question_is_taken_as_it_is() {
        for status in 0..=1 {
            let info = info(imprint(&DIGEST, SHA_256), Some(NONCE));
            let answer = answer(status, &info, TST_INFO);
            let token = token_of(&answer, &DIGEST, NONCE).unwrap();
            assert!(answer.ends_with(&token));
            assert!(is_about(&token, &DIGEST));
            assert!(!is_about(&token, &[0; 32]));
            assert!(!is_about(&token[1..], &DIGEST) && !is_about(&answer, &DIGEST));
        }
    }

    #[test]
    fn an_answer_that_does_not_fit_is_refused() {
        let good = || info(imprint(&DIGEST, SHA_256), Some(NONCE));
        let other_digest = info(imprint(&[0; 32], SHA_256), Some(NONCE));
        let other_kind = info(imprint(&DIGEST, SIGNED_DATA), Some(NONCE));
        let other_nonce = info(imprint(&DIGEST, SHA_256), Some(NONCE + 1));
        let no_nonce = info(imprint(&DIGEST, SHA_256), None);
        for (answer, expected) in [
            (answer(2, &good(), TST_INFO), "said no (status 2)"),
            (answer(0, &good(), SIGNED_DATA), "of another kind"),
            (answer(0, &other_digest, TST_INFO), "about something else"),
            (answer(0, &other_kind, TST_INFO), "about something else"),
            (answer(0, &other_nonce, TST_INFO), "another question"),
            (answer(0, &no_nonce, TST_INFO), "another question"),
            (vec![any(&vec![any(&0_u8)])].to_der().unwrap(), "no token"),
            (Vec::new(), "the answer"),
            (b"<html>".to_vec(), "the answer"),
        ] {
            let told = told(&answer);
            assert!(told.contains(expected), "{told}");
        }
    }

    #[test]
    fn a_cut_answer_is_refused_wherever_it_is_cut() {
        let whole = answer(0, &info(imprint(&DIGEST, SHA_256), Some(NONCE)), TST_INFO);
        for end in 0..whole.len() {
            assert!(token_of(&whole[..end], &DIGEST, NONCE).is_err(), "{end}");
        }
    }
}
