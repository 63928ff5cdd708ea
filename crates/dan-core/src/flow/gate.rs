//! [`Permit`], and the only ways to get one. No permit, no harvest.
//!
//! Every permit is made here from state read now: the grant, the catalogue, the facts.

use std::sync::Arc;

use super::decide::{Verdict, refusal_fault};
use super::{Call, Exchange};
use crate::accreditation::{Accreditation, AccreditationId, GrantedDataset};
use crate::caller::Caller;
use crate::catalog::Offer;
use crate::error::{Code, Fault};
use crate::inquiry::{
    Application, Asked, DatasetRequest, Inquiry, OfferedTokens, Origin, Parameter,
};
use crate::party::{OrgNumber, Party, PartyError};
use crate::ports::{CallContext, ConsentState, Stored};
use crate::secret::Secret;
use crate::time::Timestamp;
use tokio::time::timeout_at;

/// Leave to harvest one dataset, once, now. Cannot be made outside this file, nor copied.
#[derive(Debug)]
pub struct Permit {
    offer: Arc<Offer>,
    origin: Option<Origin>,
    key_id: String,
    accreditation: Option<String>,
    owner: Option<OrgNumber>,
    supplier: Option<OrgNumber>,
    system_user: Option<String>,
    requestor: Option<Party>,
    subject: Option<Party>,
    subject_text: Option<String>,
    parameters: Vec<Parameter>,
    tokens: OfferedTokens,
    caller_token: Option<Arc<Secret>>,
    basis: Vec<String>,
    external_reference: Option<String>,
    valid_from: Timestamp,
    valid_to: Timestamp,
}

impl Permit {
    /// What may be harvested.
    #[must_use]
    pub const fn offer(&self) -> &Arc<Offer> {
        &self.offer
    }

    /// Name of the context; `None` for open data.
    #[must_use]
    pub fn context(&self) -> Option<&str> {
        self.origin.map(|_| self.offer.context.as_str())
    }

    /// True when it rests on a stored grant.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        self.origin == Some(Origin::StoredHarvest)
    }

    /// Public identifier of the API key; empty for open data.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Identifier of the grant, or of the one that lives for a direct harvest only.
    #[must_use]
    pub fn accreditation(&self) -> Option<&str> {
        self.accreditation.as_deref()
    }

    /// For whom.
    #[must_use]
    pub const fn owner(&self) -> Option<OrgNumber> {
        self.owner
    }

    /// Who acts for the owner.
    #[must_use]
    pub const fn supplier(&self) -> Option<OrgNumber> {
        self.supplier
    }

    /// The system user that asks.
    #[must_use]
    pub fn system_user(&self) -> Option<&str> {
        self.system_user.as_deref()
    }

    /// The requesting party.
    #[must_use]
    pub const fn requestor(&self) -> Option<&Party> {
        self.requestor.as_ref()
    }

    /// The party asked about.
    #[must_use]
    pub const fn subject(&self) -> Option<&Party> {
        self.subject.as_ref()
    }

    /// Identifier of open data that is no party.
    #[must_use]
    pub fn subject_text(&self) -> Option<&str> {
        self.subject_text.as_deref()
    }

    /// Parameters, as they were sent.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Tokens the caller offers for the source.
    #[must_use]
    pub const fn tokens(&self) -> &OfferedTokens {
        &self.tokens
    }

    /// The caller's own token.
    #[must_use]
    pub const fn caller_token(&self) -> Option<&Arc<Secret>> {
        self.caller_token.as_ref()
    }

    /// Identifiers of the legal bases it rests on.
    #[must_use]
    pub fn basis(&self) -> &[String] {
        &self.basis
    }

    /// The caller's own reference.
    #[must_use]
    pub fn external_reference(&self) -> Option<&str> {
        self.external_reference.as_deref()
    }

    /// Since when the grant holds.
    #[must_use]
    pub const fn valid_from(&self) -> Timestamp {
        self.valid_from
    }

    /// Until when the grant holds.
    #[must_use]
    pub const fn valid_to(&self) -> Timestamp {
        self.valid_to
    }
}

impl Exchange {
    /// The caller's own grant, made under the context it calls from now. Anything else does not
    /// exist (`engine.md` W-40). A token that stands for a person opens that person's grants only.
    pub(super) async fn own_accreditation(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<Stored<Accreditation>, Fault> {
        let absent = || {
            Fault::with(
                Code::NonExistentAccreditation,
                "unknown, deleted, or not yours",
            )
        };
        let id = AccreditationId::parse(id).ok_or_else(absent)?;
        let stored = self
            .ports
            .store
            .accreditation(&id)
            .await
            .map_err(super::store_fault)?;
        let stored = stored.ok_or_else(absent)?;
        let context = self
            .catalog()
            .context_by_id(caller.context_id())
            .ok_or_else(absent)?;
        if stored.value.owner != caller.owner() || stored.value.context != context.name {
            return Err(absent());
        }
        caller.check_subject(stored.value.subject.as_ref())?;
        Ok(stored)
    }

    /// A permit from a stored grant: owner, context, validity, and the rules of exactly the dataset
    /// asked for, decided again from state read now (`engine.md` W-03, W-04, W-21).
    pub(super) async fn permit_stored(
        &self,
        call: Call<'_>,
        id: &str,
        dataset: &str,
        tokens: OfferedTokens,
    ) -> Result<Permit, Fault> {
        let grant = self.own_accreditation(call.caller, id).await?.value;
        grant.check_validity(self.now())?;
        let granted = grant.dataset(dataset).ok_or_else(|| {
            Fault::with(
                Code::InvalidEvidenceRequest,
                "the accreditation does not hold that dataset",
            )
        })?;
        let inquiry = self.inquiry_of_grant(call.caller, &grant, granted, tokens)?;
        let needs_consent = inquiry.asked.iter().any(|one| one.offer.requires_consent());
        let permit = self.permit(call, inquiry, Some(&grant)).await?;
        if needs_consent {
            self.check_consent(&grant, &permit.offer.name, call.ctx)
                .await?;
        }
        Ok(permit)
    }

    /// The consent that counts is the one of now, from the authority (`engine.md` W-18).
    async fn check_consent(
        &self,
        grant: &Accreditation,
        dataset: &str,
        ctx: &CallContext,
    ) -> Result<(), Fault> {
        let asked = timeout_at(ctx.deadline, self.ports.consents.state(grant, dataset, ctx)).await;
        let late =
            |_elapsed| Fault::with(Code::ServiceNotAvailable, "the consent authority is late");
        let state = asked.map_err(late)?.map_err(|error| {
            Fault::with(Code::ServiceNotAvailable, error.authority).because(error.cause)
        })?;
        let refuse = |text: &str| Err(Fault::with(Code::RequiresConsent, text));
        match state {
            ConsentState::Granted => Ok(()),
            ConsentState::Pending => refuse("the subject has not answered yet"),
            ConsentState::Denied => refuse("the subject has denied or withdrawn it"),
            ConsentState::Expired => refuse("it has run out"),
        }
    }

    /// A permit for one dataset without a stored grant.
    pub(super) async fn permit_direct(
        &self,
        call: Call<'_>,
        application: Application,
        tokens: OfferedTokens,
    ) -> Result<Permit, Fault> {
        let catalog = self.catalog();
        let inquiry = Inquiry::new(
            application,
            call.caller,
            tokens,
            Origin::Direct,
            self.reading(&catalog),
        )?;
        let consent_or_later =
            |one: &Asked| one.offer.dataset.asynchronous || one.offer.requires_consent();
        if inquiry.asked.iter().any(consent_or_later) {
            return Err(Fault::with(
                Code::InvalidEvidenceRequest,
                "the dataset needs consent or answers later; create an accreditation with POST authorization",
            ));
        }
        self.permit(call, inquiry, None).await
    }

    /// A permit for open data: public datasets have no rules, and nobody is asked who they are.
    pub(super) fn permit_open(
        &self,
        dataset: &str,
        identifier: Option<&str>,
    ) -> Result<Permit, Fault> {
        let now = self.now();
        let offer = self.catalog().open(dataset, now)?;
        let subject = match identifier.map(|text| Party::parse(text, self.settings.realm)) {
            Some(Ok(party)) => Some(party),
            // A person of the other kind is never passed on as mere text.
            Some(Err(error @ PartyError::WrongRealm)) => {
                return Err(Fault::with(Code::InvalidSubject, error.to_string()));
            }
            Some(Err(_)) | None => None,
        };
        if identifier.is_some_and(|text| text.len() > crate::party::IDENTIFIER_BYTES_MAX) {
            return Err(Fault::with(
                Code::InvalidSubject,
                "the identifier is longer than 256 bytes",
            ));
        }
        Ok(Permit {
            offer,
            origin: None,
            key_id: String::new(),
            accreditation: None,
            owner: None,
            supplier: None,
            system_user: None,
            requestor: None,
            subject_text: identifier.filter(|_| subject.is_none()).map(str::to_owned),
            subject,
            parameters: Vec::new(),
            tokens: OfferedTokens::default(),
            caller_token: None,
            basis: Vec::new(),
            external_reference: None,
            valid_from: now,
            valid_to: now,
        })
    }

    /// What was granted, as an inquiry about one dataset. Parties are read from the grant, not
    /// parsed again, so foreign ones work too (`wire-api.md` §16, 16).
    fn inquiry_of_grant(
        &self,
        caller: &Caller,
        grant: &Accreditation,
        granted: &GrantedDataset,
        tokens: OfferedTokens,
    ) -> Result<Inquiry, Fault> {
        let catalog = self.catalog();
        let gone = || {
            Fault::with(
                Code::ServiceNotAvailable,
                "the dataset is not offered any more",
            )
        };
        let context = catalog
            .context_by_id(caller.context_id())
            .ok_or_else(gone)?;
        let offer = catalog
            .resolve(&context.name, &granted.name, self.now())
            .map_err(|_gone| gone())?;
        let request = DatasetRequest {
            name: granted.name.clone(),
            parameters: granted.parameters.clone(),
            legal_basis_id: granted.legal_basis_id.clone(),
            request_consent: granted.request_consent,
        };
        Ok(Inquiry {
            origin: Origin::StoredHarvest,
            context,
            owner: grant.owner,
            scopes: caller.scopes().to_vec(),
            requestor: grant.requestor.clone(),
            subject: grant.subject.clone(),
            asked: vec![Asked { request, offer }],
            legal_bases: grant.legal_bases.clone(),
            valid_to: Some(grant.valid_to),
            consent_reference: grant.consent_reference.clone(),
            external_reference: grant.external_reference.clone(),
            language: None,
            consent_receipt_redirect_url: None,
            skip_notification: false,
            tokens,
        })
    }

    async fn permit(
        &self,
        call: Call<'_>,
        mut inquiry: Inquiry,
        grant: Option<&Accreditation>,
    ) -> Result<Permit, Fault> {
        // Asked where applications and grants are read already; no permit is made without it.
        call.caller.check_subject(inquiry.subject.as_ref())?;
        let Verdict { refused, skipped } = self.decide(&inquiry, call.ctx).await?;
        // A soft rule that is not met leaves nothing to harvest (`engine.md` W-04).
        if !refused.is_empty() || !skipped.is_empty() {
            return Err(refusal_fault(if refused.is_empty() {
                &skipped
            } else {
                &refused
            }));
        }
        let asked = inquiry
            .asked
            .pop()
            .ok_or_else(|| Fault::new(Code::InvalidEvidenceRequest))?;
        let now = self.now();
        Ok(Permit {
            offer: asked.offer,
            origin: Some(inquiry.origin),
            key_id: call.caller.key_id().to_owned(),
            accreditation: Some(grant.map_or_else(|| self.new_id(), |grant| grant.id.to_string())),
            owner: Some(inquiry.owner),
            supplier: call.caller.supplier(),
            system_user: call.caller.system_user().map(str::to_owned),
            requestor: Some(inquiry.requestor),
            subject: inquiry.subject,
            subject_text: None,
            parameters: asked.request.parameters,
            tokens: inquiry.tokens,
            caller_token: call.caller.token().cloned(),
            basis: asked.request.legal_basis_id.into_iter().collect(),
            external_reference: inquiry.external_reference,
            valid_from: grant.map_or(now, |grant| grant.issued),
            valid_to: grant.map_or_else(
                || now.plus_days(self.settings.validity.default),
                |grant| grant.valid_to,
            ),
        })
    }
}
