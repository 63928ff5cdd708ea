//! `COSE_Sign1` with ES256 (RFC 9052 §4.2, RFC 9053 §2.1): made and checked, nothing else.
//!
//! Made: `18([<< {1: -7, 3: 60, 4: kid} >>, {}, payload, signature])`, payload attached and
//! itself CBOR (content format 60, RFC 7252 §12.3) as [`payload::cose`] makes it, no external data.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::error::VerifyError;
use crate::payload;
use crate::public_key::{Algorithm, PublicKey, SIGNATURE_BYTES};
use crate::sign::Sign;

/// Longest `COSE_Sign1` that is read, in bytes.
pub const SIGN1_BYTES_MAX: usize = 96 * 1024 * 1024;
/// How many parameters a header may have.
pub const PARAMETERS_MAX: usize = 16;

/// RFC 9052 §2.
const TAG_SIGN1: u64 = 18;
/// Header parameters: RFC 9052 §3.1.
const ALG: Scalar = Scalar::Number(1);
const CRIT: Scalar = Scalar::Number(2);
const CONTENT_TYPE: Scalar = Scalar::Number(3);
const KID: Scalar = Scalar::Number(4);
/// RFC 9053 §2.1.
const ES256: i64 = -7;
/// `application/cbor` as a `CoAP` content format.
const CBOR: i64 = 60;
/// Heads, header and signature around the payload, in bytes; a guess that spares copying.
const AROUND_BYTES: usize = 256;
/// Array, tag and map around the signed parts.
const SHELL_DEPTH_MAX: usize = 8;

const WHAT: &str = "a COSE_Sign1";

type Shell = ciborium::tag::Required<(Bytes, Parameters, Bytes, Bytes), TAG_SIGN1>;

/// The encoded protected header. Made once a key, used for every signature.
///
/// # Errors
/// When it cannot be encoded, which never happens in memory.
pub fn protected_header(kid: &str) -> Result<Vec<u8>, String> {
    encode(&Parameters(vec![
        (ALG, Scalar::Number(ES256)),
        (CONTENT_TYPE, Scalar::Number(CBOR)),
        (KID, Scalar::Bytes(kid.as_bytes().to_vec())),
    ]))
}

/// `statement`, the text of one JSON object, as CBOR under `protected` as [`protected_header`] made
/// it, signed.
///
/// # Errors
/// When the payload is no JSON object or names a member twice, or the key does not sign.
pub fn sign(protected: &[u8], statement: &[u8], key: &dyn Sign) -> Result<Vec<u8>, String> {
    let statement = std::str::from_utf8(statement).map_err(|error| error.to_string())?;
    let payload = payload::cose(statement, None)?;
    let signature = key.sign(&signing_input(protected, &payload)?)?;
    attach(protected, &payload, &signature)
}

/// What is signed: the `Sig_structure` (RFC 9052 §4.4) with empty external data.
///
/// # Errors
/// When it cannot be encoded, which never happens in memory.
pub fn signing_input(protected: &[u8], payload: &[u8]) -> Result<Vec<u8>, String> {
    let value = ("Signature1", Raw(protected), Raw(&[]), Raw(payload));
    encode_into(&value, payload.len())
}

/// The `COSE_Sign1`: the parts of [`signing_input`], and the signature over it.
///
/// # Errors
/// When it cannot be encoded, which never happens in memory.
pub fn attach(protected: &[u8], payload: &[u8], signature: &[u8]) -> Result<Vec<u8>, String> {
    let parts = (
        Raw(protected),
        Parameters::default(),
        Raw(payload),
        Raw(signature),
    );
    encode_into(
        &ciborium::tag::Required::<_, TAG_SIGN1>(parts),
        payload.len(),
    )
}

/// A `COSE_Sign1` that says ES256. Not yet believed: see [`Sign1::verify`].
pub struct Sign1 {
    /// Name of the key, from the protected header; the bytes are UTF-8.
    pub kid: Option<String>,
    /// True when there is nothing outside the signature.
    pub all_protected: bool,
    protected: Vec<u8>,
    payload: Vec<u8>,
    signature: [u8; SIGNATURE_BYTES],
}

/// Takes a `COSE_Sign1` apart.
///
/// Refused: another tag or none, other algorithms than ES256 or one that is not protected, `crit`,
/// a parameter named twice, a payload that is detached, anything after the end, and every encoding
/// but the shortest with known lengths (RFC 8949 §4.2.1), so that no byte can change unnoticed.
///
/// # Errors
/// [`VerifyError`]: `TooLarge`, `Malformed`, `Algorithm` or `Critical`.
pub fn parse(bytes: &[u8]) -> Result<Sign1, VerifyError> {
    if bytes.len() > SIGN1_BYTES_MAX {
        return Err(VerifyError::TooLarge {
            what: "the COSE_Sign1",
            bytes_max: SIGN1_BYTES_MAX,
        });
    }
    let shell: Shell = decode(bytes)?;
    let (Bytes(protected), unprotected, Bytes(payload), Bytes(signature)) = shell.0;
    let header: Parameters = decode(&protected)?;
    match header.get(&ALG) {
        Some(Scalar::Number(ES256)) => {}
        Some(other) => {
            let found = other.to_string();
            return Err(VerifyError::Algorithm { found });
        }
        None => return Err(malformed("its protected header names no algorithm")),
    }
    if header.get(&CRIT).is_some() {
        return Err(VerifyError::Critical);
    }
    if unprotected
        .0
        .iter()
        .any(|(label, _)| header.get(label).is_some())
    {
        return Err(malformed("a header parameter is named twice"));
    }
    let kid = match header.get(&KID) {
        None => None,
        Some(Scalar::Bytes(kid)) => {
            let kid = String::from_utf8(kid.clone());
            Some(kid.map_err(|error| malformed(format!("its key identifier: {error}")))?)
        }
        Some(Scalar::Number(_) | Scalar::Text(_)) => {
            return Err(malformed("its key identifier is not a byte string"));
        }
    };
    Ok(Sign1 {
        kid,
        all_protected: unprotected.0.is_empty(),
        signature: signature.try_into().map_err(|bytes: Vec<u8>| {
            malformed(format!(
                "an ES256 signature has 64 bytes, not {}",
                bytes.len()
            ))
        })?,
        protected,
        payload,
    })
}

impl Sign1 {
    /// Believes it, if `key` made the signature: its payload.
    ///
    /// # Errors
    /// [`VerifyError::BadSignature`], or `OtherAlgorithm` when the key is none for ES256.
    pub fn verify(self, key: &PublicKey) -> Result<Vec<u8>, VerifyError> {
        let wanted = key.algorithm();
        if wanted != Algorithm::Es256 {
            let found = Algorithm::Es256;
            return Err(VerifyError::OtherAlgorithm { found, wanted });
        }
        let signed = signing_input(&self.protected, &self.payload).map_err(malformed)?;
        if key.verifies(&signed, &self.signature) {
            Ok(self.payload)
        } else {
            Err(VerifyError::BadSignature)
        }
    }
}

/// Without the payload: it may be about a person.
impl fmt::Debug for Sign1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sign1")
            .field("kid", &self.kid)
            .field("all_protected", &self.all_protected)
            .finish_non_exhaustive()
    }
}

fn encode(value: &impl Serialize) -> Result<Vec<u8>, String> {
    encode_into(value, 0)
}

/// `payload_bytes`: how much of it is payload.
fn encode_into(value: &impl Serialize, payload_bytes: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(payload_bytes.saturating_add(AROUND_BYTES));
    ciborium::into_writer(value, &mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// One item that fills `bytes` and is written the only way we write it.
fn decode<T: for<'de> Deserialize<'de> + Serialize>(bytes: &[u8]) -> Result<T, VerifyError> {
    let value: T = ciborium::de::from_reader_with_recursion_limit(bytes, SHELL_DEPTH_MAX)
        .map_err(|error| malformed(error.to_string()))?;
    let again = encode(&value).map_err(malformed)?;
    if again != bytes {
        return Err(malformed(
            "it is not written in the shortest form, or something follows it",
        ));
    }
    Ok(value)
}

fn malformed(why: impl Into<String>) -> VerifyError {
    VerifyError::malformed(WHAT, why)
}

/// A byte string to write.
struct Raw<'a>(&'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// A byte string that was read.
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Raw(&self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Scalar::deserialize(deserializer)? {
            Scalar::Bytes(bytes) => Ok(Self(bytes)),
            Scalar::Number(_) | Scalar::Text(_) => {
                Err(D::Error::custom("a byte string is expected"))
            }
        }
    }
}

/// A header, in the order it was written.
#[derive(Debug, Default)]
struct Parameters(Vec<(Scalar, Scalar)>);

impl Parameters {
    fn get(&self, label: &Scalar) -> Option<&Scalar> {
        let (_, value) = self.0.iter().find(|(known, _)| known == label)?;
        Some(value)
    }
}

impl Serialize for Parameters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(label, value)| (label, value)))
    }
}

impl<'de> Deserialize<'de> for Parameters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ParametersVisitor)
    }
}

struct ParametersVisitor;

impl<'de> Visitor<'de> for ParametersVisitor {
    type Value = Parameters;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a header")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Parameters, A::Error> {
        let mut parameters = Parameters::default();
        while let Some((label, value)) = access.next_entry()? {
            if parameters.get(&label).is_some() {
                return Err(A::Error::custom("a header parameter is named twice"));
            }
            if parameters.0.len() >= PARAMETERS_MAX {
                return Err(A::Error::custom("too many header parameters"));
            }
            parameters.0.push((label, value));
        }
        Ok(parameters)
    }
}

/// What a header may say here: lists and maps (certificates, counter-signatures) are refused.
#[derive(Debug, PartialEq, Eq)]
enum Scalar {
    Number(i64),
    Bytes(Vec<u8>),
    Text(String),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
            Self::Bytes(_) => f.write_str("a byte string"),
        }
    }
}

impl Serialize for Scalar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a text or a byte string")
    }

    fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar::Number(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Scalar, E> {
        i64::try_from(value).map(Scalar::Number).map_err(E::custom)
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Scalar, E> {
        Ok(Scalar::Bytes(value.to_vec()))
    }

    fn visit_byte_buf<E>(self, value: Vec<u8>) -> Result<Scalar, E> {
        Ok(Scalar::Bytes(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Scalar, E> {
        Ok(Scalar::Text(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor;
    use crate::testing::key;

    /// `payload` under any header, really signed: what a careless or hostile signer would make.
    fn shell(protected: &[u8], unprotected: Parameters, payload: &[u8]) -> Vec<u8> {
        let signed = signing_input(protected, payload).unwrap();
        let signature = key(1).sign(&signed).unwrap();
        encode(&ciborium::tag::Required::<_, TAG_SIGN1>((
            Raw(protected),
            unprotected,
            Raw(payload),
            Raw(&signature),
        )))
        .unwrap()
    }

    fn good() -> Vec<u8> {
        let protected = protected_header("k1").unwrap();
        sign(
            &protected,
            br#"{"b":1,"a":[null,true,-2,1.5,"x"]}"#,
            &key(1),
        )
        .unwrap()
    }

    #[test]
    fn what_is_signed_comes_back_as_cbor_in_the_one_order() {
        let sign1 = parse(&good()).unwrap();
        assert_eq!(sign1.kid.as_deref(), Some("k1"));
        assert!(sign1.all_protected);
        let payload = sign1.verify(key(1).public()).unwrap();
        assert_eq!(
            payload,
            b"\xa2\x61a\x85\xf6\xf5\x21\xf9\x3e\x00\x61x\x61b\x01"
        );
        let object = cbor::object_from_cbor(&payload).unwrap();
        let text = serde_json::to_string(&object).unwrap();
        assert_eq!(text, r#"{"a":[null,true,-2,1.5,"x"],"b":1}"#);
    }

    #[test]
    fn numbers_survive_the_way_through_cbor() {
        let text =
            r#"{"a":18446744073709551615,"b":-9223372036854775808,"c":0.1,"d":1e300,"e":1.0}"#;
        let protected = protected_header("k").unwrap();
        let bytes = sign(&protected, text.as_bytes(), &key(1)).unwrap();
        let payload = parse(&bytes).unwrap().verify(key(1).public()).unwrap();
        let object = cbor::object_from_cbor(&payload).unwrap();
        let same: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::Value::Object(object), same);
    }

    #[test]
    fn the_protected_header_is_es256_cbor_and_the_kid() {
        assert_eq!(
            protected_header("k1").unwrap(),
            b"\xa3\x01\x26\x03\x18\x3c\x04\x42k1"
        );
    }

    #[test]
    fn every_changed_lost_or_added_byte_is_noticed() {
        let good = good();
        for place in 0..good.len() {
            for flip in [1, 2, 0x20, 0x80, 0xff] {
                let mut changed = good.clone();
                changed[place] ^= flip;
                let outcome = parse(&changed).and_then(|sign1| {
                    let all_protected = sign1.all_protected;
                    sign1.verify(key(1).public()).map(|_| all_protected)
                });
                assert!(outcome.is_err(), "{place} {flip}");
            }
            assert!(parse(&good[..place]).is_err(), "cut at {place}");
            let mut longer = good.clone();
            longer.insert(place, 0);
            let outcome = parse(&longer).and_then(|sign1| sign1.verify(key(1).public()));
            assert!(outcome.is_err(), "a byte more at {place}");
        }
        assert!(parse(&[good.as_slice(), &[0]].concat()).is_err());
    }

    #[test]
    fn another_key_does_not_verify() {
        let outcome = parse(&good()).unwrap().verify(key(2).public());
        assert_eq!(outcome, Err(VerifyError::BadSignature));
    }

    #[test]
    fn strange_headers_are_refused_although_signed() {
        for (protected, why) in [
            (&b""[..], "empty"),
            (b"\xa0", "no alg"),
            (b"\x80", "no map"),
            (b"\xa1\x01\x27", "EdDSA"),
            (b"\xa1\x01\x38\x22", "ES384"),
            (b"\xa1\x01\x65ES256", "alg as text"),
            (b"\xa2\x01\x26\x01\x26", "alg twice"),
            (b"\xa2\x01\x26\x02\x81\x04", "crit"),
            (b"\xa2\x01\x26\x02\x01", "crit, not even a list"),
            (b"\xa2\x01\x26\x04\x62k1", "kid as text"),
            (b"\xa2\x01\x26\x04\x41\xff", "kid not UTF-8"),
            (b"\xa2\x01\x26\x18\x21\x80", "certificates"),
            (b"\xa1\x18\x01\x26", "a long number"),
            (b"\xa1\xc1\x01\x26", "a tag"),
            (b"\xbf\x01\x26\xff", "no length"),
            (b"\xa1\x01\x26\x00", "something after it"),
        ] {
            let bytes = shell(protected, Parameters::default(), b"\xa0");
            assert!(parse(&bytes).is_err(), "{why}");
        }
        assert!(parse(&shell(b"\xa1\x01\x26", Parameters::default(), b"\xa0")).is_ok());
    }

    #[test]
    fn the_algorithm_is_named_when_it_is_another() {
        for (protected, found) in [
            (&b"\xa1\x01\x27"[..], "-8"),
            (b"\xa1\x01\x65ES256", "ES256"),
        ] {
            let outcome = parse(&shell(protected, Parameters::default(), b"\xa0"));
            let found = found.to_owned();
            assert_eq!(outcome.unwrap_err(), VerifyError::Algorithm { found });
        }
    }

    #[test]
    fn the_unprotected_header_is_shown_and_cannot_repeat_a_label() {
        let outside = |label| Parameters(vec![(label, Scalar::Number(1))]);
        let bytes = shell(b"\xa1\x01\x26", outside(Scalar::Number(99)), b"\xa0");
        assert!(!parse(&bytes).unwrap().all_protected);
        assert!(parse(&shell(b"\xa1\x01\x26", outside(ALG), b"\xa0")).is_err());
        let many = (0..=PARAMETERS_MAX).map(|n| (Scalar::Text(n.to_string()), ALG));
        let many = Parameters(many.collect());
        assert!(parse(&shell(b"\xa1\x01\x26", many, b"\xa0")).is_err());
    }

    #[test]
    fn other_shells_are_refused() {
        let good = good();
        let untagged = &good[1..];
        let detached = {
            let protected = b"\xa1\x01\x26";
            let signature = key(1)
                .sign(&signing_input(protected, b"").unwrap())
                .unwrap();
            let none: Option<()> = None;
            encode(&ciborium::tag::Required::<_, TAG_SIGN1>((
                Raw(protected),
                Parameters::default(),
                none,
                Raw(&signature),
            )))
            .unwrap()
        };
        for (bytes, why) in [
            (untagged.to_vec(), "no tag"),
            ([b"\xd1", untagged].concat(), "tag 17"),
            ([b"\xd8\x12", untagged].concat(), "tag 18, long"),
            ([b"\xd2", good.as_slice()].concat(), "tag 18 twice"),
            (
                [b"\xd9\xd9\xf7", good.as_slice()].concat(),
                "self-described",
            ),
            (detached, "detached payload"),
            (Vec::new(), "nothing"),
            (vec![0x9b; 100], "an array of unbelievable length"),
            (vec![0xd2; 10_000], "tags without end"),
            (vec![0x81; 10_000], "arrays without end"),
        ] {
            assert!(parse(&bytes).is_err(), "{why}");
        }
        assert!(matches!(
            parse(&vec![0; SIGN1_BYTES_MAX + 1]),
            Err(VerifyError::TooLarge { .. })
        ));
    }

    #[test]
    fn what_is_no_json_object_is_not_signed() {
        let protected = protected_header("k").unwrap();
        for payload in ["", "[]", "1", "{\"a\":1,\"a\":1}", "{} {}"] {
            assert!(
                sign(&protected, payload.as_bytes(), &key(1)).is_err(),
                "{payload}"
            );
        }
    }
}
