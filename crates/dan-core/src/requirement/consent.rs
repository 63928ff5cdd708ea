//! Consent of the subject.

use super::Unmet;
use crate::inquiry::{Asked, Inquiry, Origin};

/// The subject must consent. Here is only decided what an application must supply so that consent
/// can be asked for; whether it is in force is asked live by the gate, at every harvest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

#[cfg(test)]
mod tests {
    use super::super::Requirement;
    use super::super::testing::{FOREIGN, assert_decides, inquiry_with, party, trial, unmet_alone};
    use super::ConsentRule;
    use crate::inquiry::{Inquiry, Origin};
    use crate::party::Party;
    use crate::testkit::builders::PERSON;

    fn rule() -> Requirement {
        Requirement::Consent(ConsentRule::default())
    }

    /// An inquiry with everything that consent needs, and then something changed.
    fn asking(change: impl FnOnce(&mut Inquiry)) -> Inquiry {
        inquiry_with(|it| {
            it.asked[0].request.request_consent = true;
            it.consent_reference = Some("2026-1".to_owned());
            change(it);
        })
    }

    #[test]
    fn appendix_b_14_consent_names_every_missing_input() {
        type Change = fn(&mut Inquiry);
        let without_flag: Change = |it| it.asked[0].request.request_consent = false;
        for (change, missing) in [
            ((|_| {}) as Change, &[][..]),
            (|it| it.subject = Some(party(PERSON)), &[]),
            (without_flag, &["requestConsent"]),
            (|it| it.consent_reference = None, &["consentReference"]),
            (
                |it| it.consent_reference = Some(String::new()),
                &["consentReference"],
            ),
            (
                |it| {
                    it.asked[0].request.request_consent = false;
                    it.consent_reference = None;
                },
                &["requestConsent", "consentReference"],
            ),
            (|it| it.subject = Some(party(FOREIGN)), &["subject"]),
            (|it| it.subject = None, &["subject"]),
            (
                |it| it.subject = Some(Party::Custom("x".to_owned())),
                &["subject"],
            ),
            (|it| it.requestor = party(FOREIGN), &["requestor"]),
        ] {
            let reason = unmet_alone(&rule(), &asking(change)).unwrap_or_default();
            let parts: Vec<&str> = reason.split("; ").filter(|part| !part.is_empty()).collect();
            assert_eq!(parts.len(), missing.len(), "{reason}");
            for (part, word) in parts.iter().zip(missing) {
                assert!(part.contains(word), "{part}");
            }
        }
    }

    #[test]
    fn the_inputs_are_asked_for_before_a_grant_and_not_when_it_is_used() {
        for (origin, met) in [
            (Origin::Grant, false),
            (Origin::Direct, false),
            (Origin::StoredHarvest, true),
        ] {
            let inquiry = inquiry_with(|it| it.origin = origin);
            assert_eq!(unmet_alone(&rule(), &inquiry).is_none(), met, "{origin:?}");
        }
    }

    #[tokio::test]
    async fn a_consent_rule_decides() {
        let met = trial(|it| {
            it.application.datasets[0].request_consent = true;
            it.application.consent_reference = Some("2026-1".to_owned());
        });
        let unmet = trial(|it| it.application.consent_reference = Some("2026-1".to_owned()));
        assert_decides(&rule(), Some(&met), &unmet).await;
    }
}
