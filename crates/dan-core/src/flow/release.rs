//! Shape, sign, hand out. What leaves is what was hashed, byte for byte.

use bytes::Bytes;

use super::gate::Permit;
use super::stream::Streamed;
use super::{Exchange, Ports};
use crate::audit::{AuditRecord, Phase, kid_of};
use crate::dataset::Dataset;
use crate::error::{Code, Fault};
use crate::evidence::{DatasetStatus, Evidence, Harvest, SourceCall};
use crate::inquiry::OfferedTokens;
use crate::party::Party;
use crate::ports::{CallContext, EnvelopeFormat, EvidencePart, SignError, Signable, Write};
use crate::statement::{
    SUBJECT_SALT_BYTES, Statement, hex, parameters_digest, party_claim, sha256, source_claims,
    view_digest,
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
}

/// Turns evidence into the bytes of an answer. Lives with the wire shapes, not here.
pub trait Presenter: Send + Sync {
    /// How to wrap an answer of this dataset; asked before anything happens.
    ///
    /// # Errors
    /// 1014 with 406 when the client accepts no form that there is.
    fn form(&self, dataset: &Dataset) -> Result<Form, Fault> {
        let _ = dataset;
        Ok(Form::Plain)
    }

    /// Whether the peer can be told at the end of an answer that it is whole. Else it gets no stream.
    fn streams(&self) -> bool {
        true
    }

    /// Shapes the body.
    ///
    /// # Errors
    /// 1027 when a query cannot be applied; 3003 when the evidence does not fit its type.
    fn present(&self, answer: &Answer<'_>) -> Result<Presented, Fault>;
}

/// An answer that may leave; its intent is durable.
#[derive(Debug)]
pub enum Released {
    /// All of it is here.
    Whole(Envelope),
    /// It is still arriving, and is signed at its end.
    Streamed(Box<Streamed>),
}

impl Released {
    /// The answer where it is whole.
    #[must_use]
    pub fn whole(self) -> Option<Envelope> {
        match self {
            Self::Whole(envelope) => Some(envelope),
            Self::Streamed(_) => None,
        }
    }
}

/// A signed answer, ready to leave.
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

impl Form {
    /// How it is signed, and its media type; `None` for the plain form.
    const fn envelope(self) -> Option<(EnvelopeFormat, &'static str)> {
        match self {
            Self::Plain => None,
            Self::Jose => Some((EnvelopeFormat::Jose, "application/jose")),
            Self::Cose => Some((EnvelopeFormat::Cose, "application/cose")),
        }
    }
}

impl Exchange {
    /// The permit with the form its answer is to have; asked before anything happens.
    pub(super) fn formed(
        &self,
        permit: Permit,
        presenter: &dyn Presenter,
    ) -> Result<(Permit, Form), Fault> {
        let form = presenter.form(&permit.offer().dataset)?;
        self.check_signable(form)?;
        Ok((permit, form))
    }

    /// Whether there is a key for it.
    fn check_signable(&self, form: Form) -> Result<(), Fault> {
        match form.envelope() {
            Some((format, media_type)) if !self.ports.signer.can_sign(format, self.now()) => {
                Err(not_signable(media_type))
            }
            Some(_) | None => Ok(()),
        }
    }

    pub(super) async fn release(
        &self,
        permit: &Permit,
        harvest: Harvest,
        (presenter, form): (&dyn Presenter, Form),
        ctx: &CallContext,
    ) -> Result<Envelope, Fault> {
        let presented = presenter.present(&Answer {
            dataset: &permit.offer().name,
            status: DatasetStatus::Available,
            valid_from: permit.valid_from(),
            valid_to: permit.valid_to(),
            evidence: &harvest.evidence,
        })?;
        let presented = self.wrap(permit, &harvest, (presented, form), ctx).await?;
        let digest = sha256(&presented.body);
        let said = Said::of(permit, &harvest, &presented, ctx);
        let claims = statement(&self.ports, &self.settings.public_url, &said);
        let signature = sign_statement(&self.ports, &claims, ctx).await?;
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
        (presented, form): (Presented, Form),
        ctx: &CallContext,
    ) -> Result<Presented, Fault> {
        let Some((format, media_type)) = form.envelope() else {
            return Ok(presented);
        };
        let now = self.now();
        self.check_signable(form)?;
        let said = Said::of(permit, harvest, &presented, ctx);
        let statement = to_json(&statement(&self.ports, &self.settings.public_url, &said))?;
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

    async fn record_delivery(&self, permit: &Permit, delivered: Phase, ctx: &CallContext) {
        self.meter.harvests.count();
        let record = self.harvest_record(permit, delivered, ctx);
        let counted = usage_key(&record);
        let writes = vec![
            Write::AppendAudit(Box::new(record)),
            Write::CountUse(counted),
        ];
        self.recorder.write(writes).await;
    }
}

/// Under what a delivery counts.
pub(super) fn usage_key(record: &AuditRecord) -> UsageKey {
    UsageKey {
        month: month_of(record.at),
        context: record.context.clone(),
        dataset: record.dataset.clone(),
        owner: record
            .owner
            .map(|owner| owner.to_string())
            .unwrap_or_default(),
    }
}

/// What a statement is about.
pub(super) struct Said<'a> {
    pub(super) permit: &'a Permit,
    pub(super) calls: &'a [SourceCall],
    /// SHA-256 of the body.
    pub(super) digest: [u8; 32],
    /// Of the body; `None` for an empty one.
    pub(super) media_type: Option<&'a str>,
    pub(super) query: Option<&'a str>,
    pub(super) request_id: &'a str,
}

impl<'a> Said<'a> {
    fn of(
        permit: &'a Permit,
        harvest: &'a Harvest,
        presented: &'a Presented,
        ctx: &'a CallContext,
    ) -> Self {
        Self {
            permit,
            calls: &harvest.calls,
            digest: sha256(&presented.body),
            media_type: presented.media_type.as_deref(),
            query: presented.query.as_deref(),
            request_id: &ctx.request_id,
        }
    }
}

/// The claims of `contracts.md` §6.
pub(super) fn statement(ports: &Ports, public_url: &str, said: &Said<'_>) -> Statement {
    let now = ports.clock.now();
    let permit = said.permit;
    let mut salt = [0; SUBJECT_SALT_BYTES];
    ports.entropy.fill(&mut salt);
    // Of open data the subject may be free text, which is not named in clear either.
    let free = permit
        .subject_text()
        .map(|text| Party::Custom(text.to_owned()));
    let subject = permit.subject().or(free.as_ref());
    let subject = subject.map(|party| party_claim(party, salt));
    let requestor = permit.requestor().map(|party| party_claim(party, salt));
    let hidden = [&subject, &requestor].into_iter().flatten();
    let sub_salt = hidden.filter_map(|(_, salt)| salt.clone()).next();
    let (retrieved_at, source_digest, sources) = source_claims(said.calls, now);
    Statement {
        payload_digest: hex(&said.digest),
        iss: public_url.to_owned(),
        iat: now.as_seconds(),
        jti: said.request_id.to_owned(),
        aud: permit.owner().map(|owner| owner.actor_id()),
        sub: subject.map(|(claim, _)| claim),
        sub_salt,
        dataset: permit.offer().name.clone(),
        context: permit.context().map(str::to_owned),
        accreditation: permit
            .accreditation()
            .filter(|_| permit.is_stored())
            .map(str::to_owned),
        requestor: requestor.map(|(claim, _)| claim),
        legal_basis: permit.basis().to_vec(),
        parameters: parameters_digest(permit.parameters()),
        retrieved_at,
        source: permit.offer().dataset.publisher.clone(),
        source_digest,
        sources,
        view: view_digest(&permit.offer().dataset.mapping, said.query),
        media_type: said.media_type.unwrap_or_default().to_owned(),
    }
}

/// The value of `X-Signature-JWT`.
pub(super) async fn sign_statement(
    ports: &Ports,
    statement: &Statement,
    ctx: &CallContext,
) -> Result<String, Fault> {
    let claims = to_json(statement)?;
    let now = ports.clock.now();
    let signing = ports
        .signer
        .sign(claims.as_str().into(), EnvelopeFormat::Jwt, now, ctx);
    let signature = signing.await.map_err(sign_fault)?;
    String::from_utf8(signature)
        .map_err(|error| Fault::new(Code::InternalServerError).because(error))
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
