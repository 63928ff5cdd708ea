//! Shape, sign, hand out. What leaves is what was hashed, byte for byte.

use bytes::Bytes;
use serde_json::Value;

use super::Exchange;
use super::gate::Permit;
use crate::audit::{Phase, kid_of};
use crate::error::{Code, Fault};
use crate::evidence::{DatasetStatus, Evidence, Harvest};
use crate::inquiry::OfferedTokens;
use crate::ports::{CallContext, EnvelopeFormat, SignError, Write};
use crate::statement::{
    SUBJECT_SALT_BYTES, Statement, hex, party_claim, sha256, source_claims, view_digest,
};
use crate::time::Timestamp;
use crate::usage::{UsageKey, month_of};

/// How the whole answer is wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Form {
    /// The body as shaped, signature beside it.
    #[default]
    Plain,
    /// One self-contained JWS.
    Jose,
    /// One self-contained `COSE_Sign1`.
    Cose,
}

/// What the client wants of a harvest.
#[derive(Clone, Copy)]
pub struct Wish<'a> {
    /// Tokens offered for the source.
    pub tokens: &'a OfferedTokens,
    /// Shapes the body.
    pub presenter: &'a dyn Presenter,
}

/// What there is to shape.
#[derive(Debug)]
pub struct Answer<'a> {
    /// Name of the dataset, as in the grant.
    pub dataset: &'a str,
    /// Always available: otherwise there is no answer.
    pub status: DatasetStatus,
    /// Since when the grant holds.
    pub valid_from: Timestamp,
    /// Until when the grant holds.
    pub valid_to: Timestamp,
    /// What the source gave.
    pub evidence: &'a Evidence,
}

/// A shaped body.
#[derive(Debug)]
pub struct Presented {
    /// The bytes.
    pub body: Bytes,
    /// Media type; `None` for an empty body.
    pub media_type: Option<String>,
    /// The query that was applied, for the `view` of the statement.
    pub query: Option<String>,
    /// How to wrap it.
    pub form: Form,
}

/// Turns evidence into the bytes of an answer. Lives with the wire shapes, not here.
pub trait Presenter: Send + Sync {
    /// Shapes the body.
    ///
    /// # Errors
    /// 1027 when a query cannot be applied; 3003 when the evidence does not fit its type.
    fn present(&self, answer: &Answer<'_>) -> Result<Presented, Fault>;
}

/// A signed answer, ready to leave; its intent is durable.
#[derive(Debug)]
pub struct Envelope {
    /// Exactly these bytes.
    pub body: Bytes,
    /// Media type; `None` for an empty body.
    pub media_type: Option<String>,
    /// SHA-256 of the body, for `Content-Digest`.
    pub digest: [u8; 32],
    /// Value of `X-Signature-JWT`.
    pub signature: String,
}

impl Exchange {
    pub(super) async fn release(
        &self,
        permit: &Permit,
        harvest: Harvest,
        presenter: &dyn Presenter,
        ctx: &CallContext,
    ) -> Result<Envelope, Fault> {
        let presented = presenter.present(&Answer {
            dataset: &permit.offer().name,
            status: DatasetStatus::Available,
            valid_from: permit.valid_from(),
            valid_to: permit.valid_to(),
            evidence: &harvest.evidence,
        })?;
        let presented = self.wrap(permit, &harvest, presented, ctx).await?;
        let digest = sha256(&presented.body);
        let statement = self.statement(permit, &harvest, &presented, ctx);
        let claims = to_json(&statement)?;
        let now = self.now();
        let signature = self
            .ports
            .signer
            .sign(claims.as_bytes(), EnvelopeFormat::Jwt, now, ctx)
            .await
            .map_err(sign_fault)?;
        let signature = String::from_utf8(signature)
            .map_err(|error| Fault::new(Code::InternalServerError).because(error))?;
        let delivered = Phase::Delivered {
            digest,
            body_bytes: u64::try_from(presented.body.len()).unwrap_or(u64::MAX),
            kid: kid_of(&signature),
        };
        self.record_delivery(permit, delivered, ctx).await;
        Ok(Envelope {
            body: presented.body,
            media_type: presented.media_type,
            digest,
            signature,
        })
    }

    /// For JOSE and COSE: statement and evidence inside one signed object.
    async fn wrap(
        &self,
        permit: &Permit,
        harvest: &Harvest,
        presented: Presented,
        ctx: &CallContext,
    ) -> Result<Presented, Fault> {
        let (format, media_type) = match presented.form {
            Form::Plain => return Ok(presented),
            Form::Jose => (EnvelopeFormat::Jose, "application/jose"),
            Form::Cose => (EnvelopeFormat::Cose, "application/cose"),
        };
        let statement = self.statement(permit, harvest, &presented, ctx);
        let payload = payload_of(&statement, &presented)?;
        let now = self.now();
        let body = self
            .ports
            .signer
            .sign(payload.as_bytes(), format, now, ctx)
            .await
            .map_err(sign_fault)?;
        Ok(Presented {
            body: Bytes::from(body),
            media_type: Some(media_type.to_owned()),
            ..presented
        })
    }

    fn statement(
        &self,
        permit: &Permit,
        harvest: &Harvest,
        presented: &Presented,
        ctx: &CallContext,
    ) -> Statement {
        let now = self.now();
        let mut salt = [0; SUBJECT_SALT_BYTES];
        self.ports.entropy.fill(&mut salt);
        let (sub, sub_salt) = permit.subject().map_or((None, None), |party| {
            let (claim, salt) = party_claim(party, salt);
            (Some(claim), salt)
        });
        let (retrieved_at, source_digest, sources) = source_claims(&harvest.calls, now);
        Statement {
            payload_digest: hex(&sha256(&presented.body)),
            iss: self.settings.public_url.clone(),
            iat: now.as_seconds(),
            jti: ctx.request_id.to_string(),
            aud: permit.owner().map(|owner| owner.actor_id()),
            sub,
            sub_salt,
            dataset: permit.offer().name.clone(),
            context: permit.context().map(str::to_owned),
            accreditation: permit
                .accreditation()
                .filter(|_| permit.is_stored())
                .map(str::to_owned),
            requestor: permit.requestor().map(|party| party_claim(party, salt).0),
            legal_basis: permit.basis().to_vec(),
            retrieved_at,
            source: permit.offer().dataset.publisher.clone(),
            source_digest,
            sources,
            view: view_digest(&permit.offer().dataset.mapping, presented.query.as_deref()),
            media_type: presented.media_type.clone().unwrap_or_default(),
        }
    }

    async fn record_delivery(&self, permit: &Permit, delivered: Phase, ctx: &CallContext) {
        self.meter.harvests.count();
        let record = self.harvest_record(permit, delivered, ctx);
        let counted = UsageKey {
            month: month_of(record.at),
            context: record.context.clone(),
            dataset: record.dataset.clone(),
            owner: record
                .owner
                .map(|owner| owner.to_string())
                .unwrap_or_default(),
        };
        let writes = vec![
            Write::AppendAudit(Box::new(record)),
            Write::CountUse(counted),
        ];
        self.recorder.write(writes).await;
    }
}

/// The statement with the body as a further member: JSON as it is, anything else as base64.
fn payload_of(statement: &Statement, presented: &Presented) -> Result<String, Fault> {
    let broken = |error: serde_json::Error| Fault::new(Code::InternalServerError).because(error);
    let Value::Object(mut members) = serde_json::to_value(statement).map_err(broken)? else {
        return Err(Fault::new(Code::InternalServerError));
    };
    let (name, evidence) = evidence_member(presented);
    members.insert(name.to_owned(), evidence);
    to_json(&members)
}

/// JSON stands as it is only where it comes out byte for byte as it was answered: numbers written
/// otherwise, spaces or a member that stands twice would not match `payload_digest`.
fn evidence_member(presented: &Presented) -> (&'static str, Value) {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let is_json = presented.media_type.as_deref() == Some("application/json");
    let read = is_json
        .then(|| serde_json::from_slice::<Value>(&presented.body).ok())
        .flatten();
    match read {
        Some(value) if value.to_string().as_bytes() == &presented.body[..] => ("evidence", value),
        _ => (
            "evidence_base64",
            Value::from(STANDARD.encode(&presented.body)),
        ),
    }
}

fn to_json(value: &impl serde::Serialize) -> Result<String, Fault> {
    serde_json::to_string(value)
        .map_err(|error| Fault::new(Code::InternalServerError).because(error))
}

fn sign_fault(error: SignError) -> Fault {
    Fault::with(Code::InternalServerError, "the answer could not be signed").because(error.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_stands_as_json_only_where_it_comes_out_as_it_was_answered() {
        for (body, expected) in [
            (r#"{"b":1,"a":"sj\u00f8"}"#, "evidence_base64"),
            (r#"{"b":1,"a":[true,null,"x"]}"#, "evidence"),
            ("null", "evidence"),
            (r#"{"a": 1}"#, "evidence_base64"),
            (r#"{"a":1,"a":2}"#, "evidence_base64"),
            (r#"{"a":1E2}"#, "evidence_base64"),
            (r#"{"a":123456789012345678901234567890}"#, "evidence_base64"),
            ("{", "evidence_base64"),
            ("", "evidence_base64"),
        ] {
            let presented = Presented {
                body: Bytes::from_static(body.as_bytes()),
                media_type: Some("application/json".to_owned()),
                query: None,
                form: Form::Plain,
            };
            assert_eq!(evidence_member(&presented).0, expected, "{body}");
        }
    }
}
