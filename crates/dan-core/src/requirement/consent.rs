//! Consent of the subject.

use super::Unmet;
use crate::inquiry::{Asked, Inquiry, Origin};

/// The subject must consent. Here is only decided what an application must supply so that consent
/// can be asked for; whether it is in force is asked live by the gate, at every harvest.
#[derive(Clone, Debug, Default)]
pub struct ConsentRule {
    /// Resource in Altinn 3.
    pub resource: Option<String>,
    /// Scope of the consent token.
    pub token_scope: Option<String>,
    /// How long a consent is asked for, in days.
    pub days: Option<u32>,
    /// Legacy service code, shown in metadata.
    pub service_code: Option<String>,
    /// Legacy service edition, shown in metadata.
    pub service_edition: u32,
    /// Legacy flag, shown in metadata.
    pub requires_srr: bool,
}

impl ConsentRule {
    /// Every input that is missing is named at once (`engine.md` §3.2).
    #[expect(clippy::unused_self, reason = "all kinds are checked the same way")]
    pub(super) fn check(&self, inquiry: &Inquiry, asked: &Asked) -> Result<(), Unmet> {
        if inquiry.origin == Origin::StoredHarvest {
            return Ok(());
        }
        let mut missing = Vec::new();
        if !asked.request.request_consent {
            missing.push("requestConsent must be true");
        }
        if inquiry
            .consent_reference
            .as_deref()
            .is_none_or(str::is_empty)
        {
            missing.push("consentReference is required");
        }
        if !inquiry
            .subject
            .as_ref()
            .is_some_and(|party| party.is_norwegian())
        {
            missing.push("the subject must be a Norwegian organisation or person");
        }
        if !inquiry.requestor.is_norwegian() {
            missing.push("the requestor must be a Norwegian organisation or person");
        }
        if missing.is_empty() {
            Ok(())
        } else {
            Err(Unmet::new(missing.join("; ")))
        }
    }
}
