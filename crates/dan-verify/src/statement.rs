//! [`Statement`]: what was signed, with a type for every claim (`contracts.md` §6).
//!
//! Claims that are not known here are passed over, so that a node may say more one day. A claim that
//! is known and of another form is an error: nothing is guessed about what was signed.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dan_json::canonical::canonical_json;
use dan_json::digest::{hex, sha256};
use serde_json::{Map, Value};

use crate::error::VerifyError;
use crate::payload;
use crate::verify::Verified;

/// How a Norwegian organisation begins in a claim (ISO 6523: 0192).
pub const ORGANISATION_PREFIX: &str = "0192:";
/// How a subject begins that is not named in clear.
pub const DIGEST_PREFIX: &str = "sha-256:";

/// The claims of a statement. `Debug` names only dataset and release: the rest may be about a person.
#[derive(Clone, PartialEq, Eq)]
pub struct Statement {
    /// `SHA256PayloadDigest`: lower-case hex SHA-256 of the body bytes.
    pub payload_digest: String,
    /// `iss`: the node that answered, as its public address.
    pub issuer: String,
    /// `iat`: second of signing, since 1970.
    pub issued_at: i64,
    /// `jti`: identifier of this release, unique at the node.
    pub release: String,
    /// `aud`: who was given the answer, `0192:<org>`; `None` for open data.
    pub audience: Option<String>,
    /// `sub`: whom it is about, `0192:<org>` or a digest (see [`Self::subject_is`]); `None` where the
    /// dataset is about nobody.
    pub subject: Option<String>,
    /// `sub_salt`: what was hashed together with a subject that is not named in clear, base64url.
    pub subject_salt: Option<String>,
    /// Name of the dataset.
    pub dataset: String,
    /// Name of the service; `None` for open data.
    pub context: Option<String>,
    /// The grant it was handed out by; `None` for direct harvests and open data.
    pub accreditation: Option<String>,
    /// For whom, `0192:<org>`; `None` for open data.
    pub requestor: Option<String>,
    /// Identifiers of the legal bases or the consent it rests on.
    pub legal_basis: Vec<String>,
    /// When the source answered, RFC 3339 in UTC; of several answers, the oldest.
    pub retrieved_at: String,
    /// `parameters`: digest of what the caller said beside the subject; `None`: nothing. See
    /// [`Statement::parameters_are`].
    pub parameters: Option<String>,
    /// Name of the source as in the metadata.
    pub source: String,
    /// Lower-case hex SHA-256 of what the source answered; of several answers, of their digests in
    /// a row.
    pub source_digest: String,
    /// Each answer, where there were several, in the order of the definition.
    pub sources: Vec<SourceAnswer>,
    /// Lower-case hex SHA-256 of the transformation applied.
    pub view: String,
    /// Media type of the body; empty for an empty body.
    pub media_type: String,
}

/// One of several answers that a statement rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceAnswer {
    /// Identifier of the call in the definition of the dataset.
    pub id: String,
    /// When it was answered, RFC 3339 in UTC.
    pub retrieved_at: String,
    /// Lower-case hex SHA-256 of the answer.
    pub digest: String,
}

impl Verified {
    /// The claims with their types.
    ///
    /// # Errors
    /// [`VerifyError::NoStatement`] when a claim that every statement has is missing, or one has another form.
    pub fn statement(&self) -> Result<Statement, VerifyError> {
        Statement::read(&self.claims)
    }

    /// The evidence inside a JOSE or COSE answer.
    ///
    /// # Errors
    /// [`VerifyError::NoEvidence`] when there is none inside, as beside a signature of its own.
    pub fn evidence(&self) -> Result<Enclosed, VerifyError> {
        let bytes = payload::body(&self.claims).ok_or(VerifyError::NoEvidence)?;
        let stated = self.statement()?.payload_digest;
        Ok(Enclosed {
            is_original: hex(&sha256(&bytes)) == stated,
            bytes,
        })
    }
}

/// Evidence that was inside what was signed. It has no `Debug`: it may be about a person.
pub struct Enclosed {
    /// The evidence as a body.
    pub bytes: Vec<u8>,
    /// True when it is the body byte for byte, of which the statement has the digest. False where
    /// COSE holds it as a value: the signature covers the value, and these bytes are that value as
    /// JSON, with members in another order and numbers perhaps written otherwise.
    pub is_original: bool,
}

impl Statement {
    /// Reads the claims of a statement.
    ///
    /// # Errors
    /// [`VerifyError::NoStatement`].
    pub fn read(claims: &Map<String, Value>) -> Result<Self, VerifyError> {
        let claims = Claims(claims);
        Ok(Self {
            payload_digest: claims.text("SHA256PayloadDigest")?,
            issuer: claims.text("iss")?,
            issued_at: claims.seconds("iat")?,
            release: claims.text("jti")?,
            audience: claims.maybe("aud")?,
            subject: claims.maybe("sub")?,
            subject_salt: claims.maybe("sub_salt")?,
            dataset: claims.text("dataset")?,
            context: claims.maybe("context")?,
            accreditation: claims.maybe("accreditation")?,
            requestor: claims.maybe("requestor")?,
            legal_basis: claims.texts("legal_basis")?,
            parameters: claims.maybe("parameters")?,
            retrieved_at: claims.text("retrieved_at")?,
            source: claims.text("source")?,
            source_digest: claims.text("source_digest")?,
            sources: claims.sources()?,
            view: claims.text("view")?,
            media_type: claims.text("media_type")?,
        })
    }

    /// Whether it is about this subject: an organisation number with or without `0192:`, a national
    /// identity number, or whatever else the subject was asked by.
    ///
    /// A subject that is not named in clear stands as SHA-256 of salt and number. That keeps the number
    /// out of sight, not secret: there are few numbers, and whoever has the statement can try them all.
    #[must_use]
    pub fn subject_is(&self, number: &str) -> bool {
        self.subject
            .as_deref()
            .is_some_and(|subject| same_party(subject, number, self.subject_salt.as_deref()))
    }

    /// Whether the answer was asked for with these parameters, by name and value as text, and no
    /// others. Defaults of the definition are no parameters.
    #[must_use]
    pub fn parameters_are(&self, parameters: &[(&str, &str)]) -> bool {
        let named: Map<String, Value> = parameters
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Value::from(*value)))
            .collect();
        let digest = |named| {
            let text = canonical_json(&Value::Object(named)).ok()?;
            Some(hex(&sha256(text.as_bytes())))
        };
        let expected = if named.is_empty() {
            None
        } else {
            digest(named)
        };
        self.parameters == expected
    }

    /// Whether the answer was given to this organisation.
    #[must_use]
    pub fn audience_is(&self, number: &str) -> bool {
        let audience = self.audience.as_deref();
        audience.is_some_and(|audience| same_party(audience, number, None))
    }

    /// Whether the answer is for this organisation.
    #[must_use]
    pub fn requestor_is(&self, number: &str) -> bool {
        let requestor = self.requestor.as_deref();
        requestor
            .is_some_and(|requestor| same_party(requestor, number, self.subject_salt.as_deref()))
    }

    /// Open data: given to nobody in particular.
    #[must_use]
    pub const fn is_open_data(&self) -> bool {
        self.audience.is_none()
    }

    /// Whether these answers of the source, in the order of the definition, are those the statement
    /// rests on. SHA-256 of each is compared with `sources`, or with `source_digest` where there was
    /// one answer.
    #[must_use]
    pub fn rests_on(&self, answers: &[&[u8]]) -> bool {
        let digests: Vec<[u8; 32]> = answers.iter().map(|answer| sha256(answer)).collect();
        if self.sources.is_empty() {
            return matches!(digests.as_slice(), [only] if hex(only) == self.source_digest);
        }
        let each = digests.len() == self.sources.len()
            && digests
                .iter()
                .zip(&self.sources)
                .all(|(digest, source)| hex(digest) == source.digest);
        each && hex(&sha256(&digests.concat())) == self.source_digest
    }
}

/// Without parties: they may be persons.
impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statement")
            .field("dataset", &self.dataset)
            .field("release", &self.release)
            .finish_non_exhaustive()
    }
}

/// Compares a claim with what a reader knows.
fn same_party(claim: &str, number: &str, salt: Option<&str>) -> bool {
    if let Some(digest) = claim.strip_prefix(DIGEST_PREFIX) {
        let salt = salt.and_then(|salt| URL_SAFE_NO_PAD.decode(salt).ok());
        return salt.is_some_and(|salt| {
            let hashed = sha256(&[salt.as_slice(), number.as_bytes()].concat());
            URL_SAFE_NO_PAD.encode(hashed) == digest
        });
    }
    claim == number
        || claim
            .strip_prefix(ORGANISATION_PREFIX)
            .is_some_and(|bare| bare == number)
}

struct Claims<'a>(&'a Map<String, Value>);

impl Claims<'_> {
    fn maybe(&self, name: &'static str) -> Result<Option<String>, VerifyError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(VerifyError::NoStatement { claim: name }),
        }
    }

    fn text(&self, name: &'static str) -> Result<String, VerifyError> {
        self.maybe(name)?
            .ok_or(VerifyError::NoStatement { claim: name })
    }

    fn seconds(&self, name: &'static str) -> Result<i64, VerifyError> {
        let seconds = self.0.get(name).and_then(Value::as_i64);
        seconds.ok_or(VerifyError::NoStatement { claim: name })
    }

    fn items(&self, name: &'static str) -> Result<&[Value], VerifyError> {
        match self.0.get(name) {
            None => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(VerifyError::NoStatement { claim: name }),
        }
    }

    fn texts(&self, name: &'static str) -> Result<Vec<String>, VerifyError> {
        let items = self.items(name)?.iter();
        items
            .map(|item| item.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or(VerifyError::NoStatement { claim: name })
    }

    fn sources(&self) -> Result<Vec<SourceAnswer>, VerifyError> {
        const NAME: &str = "sources";
        let member = |source: &Value, name: &str| source.get(name)?.as_str().map(str::to_owned);
        self.items(NAME)?
            .iter()
            .map(|source| {
                Some(SourceAnswer {
                    id: member(source, "id")?,
                    retrieved_at: member(source, "retrieved_at")?,
                    digest: member(source, "digest")?,
                })
            })
            .collect::<Option<_>>()
            .ok_or(VerifyError::NoStatement { claim: NAME })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::claims;

    fn with(name: &str, value: Value) -> Map<String, Value> {
        let mut all = claims();
        all.insert(name.to_owned(), value);
        all
    }

    fn verified(claims: Map<String, Value>) -> Verified {
        Verified {
            claims,
            kid: "k".to_owned(),
            validity: crate::jwk::Validity::default(),
        }
    }

    #[test]
    fn claims_that_are_not_known_are_passed_over() {
        let more = Statement::read(&with("more", json!({"said": 1}))).unwrap();
        assert_eq!(more, Statement::read(&claims()).unwrap());
        assert_eq!(more.dataset, "UnitBasicInformation");
        assert_eq!(more.issued_at, 1_795_521_601);
        assert_eq!(
            format!("{more:?}"),
            "Statement { dataset: \"UnitBasicInformation\", release: \"r-1\", .. }"
        );
    }

    #[test]
    fn a_claim_of_another_form_is_no_statement() {
        for (name, value) in [
            ("dataset", json!(1)),
            ("iat", json!("1795521601")),
            ("iat", json!(1.5)),
            ("aud", json!(["0192:958935420"])),
            ("sub", Value::Null),
            ("legal_basis", json!("a")),
            ("legal_basis", json!([1])),
            ("sources", json!([{"id": "a"}])),
            ("sources", json!({})),
        ] {
            let outcome = Statement::read(&with(name, value));
            assert!(
                matches!(outcome, Err(VerifyError::NoStatement { claim }) if claim == name),
                "{name}"
            );
        }
        for name in [
            "SHA256PayloadDigest",
            "iss",
            "iat",
            "jti",
            "dataset",
            "retrieved_at",
            "source",
            "source_digest",
            "view",
            "media_type",
        ] {
            let mut less = claims();
            less.shift_remove(name);
            assert!(Statement::read(&less).is_err(), "{name}");
        }
    }

    #[test]
    fn an_organisation_is_known_by_its_number_with_or_without_scheme() {
        let statement = Statement::read(&claims()).unwrap();
        for (number, is) in [
            ("991825827", true),
            ("0192:991825827", true),
            ("91825827", false),
            ("9918258270", false),
            ("", false),
            ("0192:", false),
            ("958935420", false),
        ] {
            assert_eq!(statement.subject_is(number), is, "{number}");
        }
        assert!(statement.audience_is("974760673") && statement.requestor_is("958935420"));
        assert!(!statement.audience_is("958935420") && !statement.requestor_is("974760673"));
    }

    #[test]
    fn a_person_is_known_to_who_knows_the_number() {
        let hashed = sha256(&[&[1; 16][..], b"07056120453"].concat());
        let subject = format!("sha-256:{}", URL_SAFE_NO_PAD.encode(hashed));
        let mut person = with("sub", json!(subject));
        person.insert("sub_salt".to_owned(), json!("AQEBAQEBAQEBAQEBAQEBAQ"));
        let known = Statement::read(&person).unwrap();
        assert!(known.subject_is("07056120453"));
        assert!(!known.subject_is("07056120454") && !known.subject_is(&subject));
        person.insert("sub_salt".to_owned(), json!("AgEBAQEBAQEBAQEBAQEBAQ"));
        assert!(!Statement::read(&person).unwrap().subject_is("07056120453"));
        person.shift_remove("sub_salt");
        assert!(!Statement::read(&person).unwrap().subject_is("07056120453"));
        person.shift_remove("sub");
        assert!(!Statement::read(&person).unwrap().subject_is(""));
    }

    #[test]
    fn evidence_inside_is_told_to_be_the_body_or_not() {
        for (name, value, body) in [
            ("evidence", json!({"a": [1, "å"]}), r#"{"a":[1,"å"]}"#),
            ("evidence", Value::Null, "null"),
            ("evidence_base64", json!("JVBERi0="), "%PDF-"),
            ("evidence_base64", json!(""), ""),
        ] {
            let mut claims = with(name, value);
            let digest = hex(&sha256(body.as_bytes()));
            claims.insert("SHA256PayloadDigest".to_owned(), json!(digest));
            let inside = verified(claims.clone()).evidence().ok().unwrap();
            assert_eq!(inside.bytes, body.as_bytes(), "{body}");
            assert!(inside.is_original);
            claims.insert("SHA256PayloadDigest".to_owned(), json!("00"));
            assert!(!verified(claims).evidence().ok().unwrap().is_original);
        }
        let none = verified(claims()).evidence();
        assert_eq!(none.err(), Some(VerifyError::NoEvidence));
        let mut both = with("evidence", json!(1));
        both.insert("evidence_base64".to_owned(), json!("MQ=="));
        let both = verified(both).evidence();
        assert_eq!(both.err(), Some(VerifyError::NoEvidence));
    }

    #[test]
    fn the_answers_of_sources_are_told_by_their_digests() {
        let one = hex(&sha256(b"one"));
        let single = Statement::read(&with("source_digest", json!(one))).unwrap();
        assert!(single.rests_on(&[b"one"]));
        assert!(!single.rests_on(&[b"two"]) && !single.rests_on(&[]));
        assert!(!single.rests_on(&[b"one", b"one"]));
        let all = hex(&sha256(&[sha256(b"one"), sha256(b"two")].concat()));
        let mut several = with("source_digest", json!(all));
        let source = |id: &str, bytes: &[u8]| {
            json!({
                "id": id, "retrieved_at": "2026-11-24T12:00:00Z", "digest": hex(&sha256(bytes)),
            })
        };
        let sources = json!([source("a", b"one"), source("b", b"two")]);
        several.insert("sources".to_owned(), sources);
        let several = Statement::read(&several).unwrap();
        assert!(several.rests_on(&[b"one", b"two"]));
        assert!(!several.rests_on(&[b"two", b"one"]) && !several.rests_on(&[b"one"]));
    }
}
