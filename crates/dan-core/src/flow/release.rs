//! Shape, sign, hand out. What leaves is what was hashed, byte for byte.

use bytes::Bytes;

use super::Exchange;
use super::gate::Permit;
use crate::audit::Phase;
use crate::error::{Code, Fault};
use crate::evidence::{DatasetStatus, Evidence, Harvest};
use crate::inquiry::OfferedTokens;
use crate::ports::{CallContext, EnvelopeFormat, EvidencePart, SignError, Signable, Write};
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
            .sign(claims.as_str().into(), EnvelopeFormat::Jwt, now, ctx)
            .await
            .map_err(sign_fault)?;
        let signature = String::from_utf8(signature)
            .map_err(|error| Fault::new(Code::InternalServerError).because(error))?;
        self.record_delivery(permit, digest, presented.body.len(), ctx)
            .await;
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
        let now = self.now();
        if !self.ports.signer.can_sign(format, now) {
            return Err(not_signable(media_type));
        }
        let statement = to_json(&self.statement(permit, harvest, &presented, ctx))?;
        let signable = Signable {
            statement: &statement,
            evidence: Some(evidence_part(&presented)),
        };
        let body = self
            .ports
            .signer
            .sign(signable, format, now, ctx)
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

    async fn record_delivery(
        &self,
        permit: &Permit,
        digest: [u8; 32],
        body_bytes: usize,
        ctx: &CallContext,
    ) {
        self.meter.harvests.count();
        let body_bytes = u64::try_from(body_bytes).unwrap_or(u64::MAX);
        let record = self.harvest_record(permit, Phase::Delivered { digest, body_bytes }, ctx);
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

/// The body as the signer is to take it.
fn evidence_part(presented: &Presented) -> EvidencePart<'_> {
    if presented.media_type.as_deref() == Some("application/json") {
        EvidencePart::Json(&presented.body)
    } else {
        EvidencePart::Bytes(&presented.body)
    }
}

/// No key of this node makes what the client asks for; another form it can have.
fn not_signable(media_type: &str) -> Fault {
    /// RFC 9110 §15.5.7.
    const NOT_ACCEPTABLE: u16 = 406;
    let text = format!(
        "this node has no key that signs {media_type}; ask for application/jose, or leave Accept out and take the \
         signature from X-Signature-JWT"
    );
    Fault::with(Code::InvalidEvidenceRequest, text).status(NOT_ACCEPTABLE)
}

fn to_json(value: &impl serde::Serialize) -> Result<String, Fault> {
    serde_json::to_string(value)
        .map_err(|error| Fault::new(Code::InternalServerError).because(error))
}

fn sign_fault(error: SignError) -> Fault {
    Fault::with(Code::InternalServerError, "the answer could not be signed").because(error.0)
}
