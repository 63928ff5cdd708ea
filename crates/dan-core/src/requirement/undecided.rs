//! Kinds that this version knows and shows but cannot decide. Each is refused by name.

use super::Unmet;

/// Consent of the subject. The dialogue with the subject is not built yet.
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
    #[expect(clippy::unused_self, reason = "all kinds are checked the same way")]
    pub(super) fn check(&self) -> Result<(), Unmet> {
        Err(undecided("consent"))
    }
}

/// A role in Altinn.
#[derive(Clone, Debug)]
pub struct AltinnRole {
    /// Code of the role.
    pub role_code: String,
    /// Who gave it.
    pub offered_by: super::Role,
    /// Who has it.
    pub covered_by: super::Role,
}

impl AltinnRole {
    #[expect(clippy::unused_self, reason = "all kinds are checked the same way")]
    pub(super) fn check(&self) -> Result<(), Unmet> {
        Err(undecided("role"))
    }
}

/// A right in Altinn.
#[derive(Clone, Debug)]
pub struct AltinnRight {
    /// Code of the service.
    pub service_code: String,
    /// Edition of the service.
    pub service_edition: String,
    /// Who gave it.
    pub offered_by: super::Role,
    /// Who has it.
    pub covered_by: super::Role,
    /// What may be done.
    pub actions: Vec<String>,
}

impl AltinnRight {
    #[expect(clippy::unused_self, reason = "all kinds are checked the same way")]
    pub(super) fn check(&self) -> Result<(), Unmet> {
        Err(undecided("right"))
    }
}

/// Any other kind that is known by name: the configured allow list, SRR.
#[derive(Clone, Debug)]
pub struct Undecided {
    /// Name of the kind in the catalogue, for instance `srr`.
    pub kind: String,
    /// Name on the wire, for instance `SrrRequirement`.
    pub wire_type: String,
}

impl Undecided {
    pub(super) fn check(&self) -> Result<(), Unmet> {
        Err(undecided(&self.kind))
    }
}

fn undecided(kind: &str) -> Unmet {
    Unmet::new(format!(
        "this version cannot decide rules of kind {kind}, so access is refused"
    ))
}
