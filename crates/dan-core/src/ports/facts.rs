//! Facts about parties, from the authorities that know: the entity register.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::{CallContext, PortFuture};
use crate::party::{OrgNumber, Party};

/// A question to an authority.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FactQuery {
    /// The main unit or sub unit with this number.
    Unit(OrgNumber),
    /// The sub units right below this unit.
    SubUnits(OrgNumber),
    /// Whether `from` has given `to` this role in Altinn.
    HasRole {
        /// Who gave it.
        from: Party,
        /// Who has it.
        to: Party,
        /// Code of the role, for instance `DAGL`.
        role: String,
    },
    /// Whether `to` may do all of this on behalf of `from` in Altinn.
    HasRight {
        /// On whose behalf.
        from: Party,
        /// Who does it.
        to: Party,
        /// The resource, `<code>` in the resource register or `<service code>/<edition>`.
        resource: String,
        /// The actions, for instance `read`; never empty.
        actions: Vec<String>,
    },
}

/// An answer. "Not found" is an answer; "could not ask" is a [`FactError`].
#[derive(Clone, Debug)]
pub enum Fact {
    /// The unit, or `None` when the register knows none.
    Unit(Option<Arc<Unit>>),
    /// Units, possibly none.
    Units(Vec<Arc<Unit>>),
    /// Whether a role or right is held.
    Held(bool),
}

/// The answers to all questions of one decision.
pub type FactTable = BTreeMap<FactQuery, Fact>;

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactError {
    /// The authority, in words a consumer knows, for instance `the entity register`.
    pub authority: String,
    /// For the log.
    pub cause: String,
}

/// Answers questions about parties.
pub trait Facts: Send + Sync {
    /// Answers one question. May be called at once for many; may be dropped at any time.
    ///
    /// # Errors
    /// [`FactError`] when the authority cannot be asked.
    fn find<'a>(
        &'a self,
        query: &'a FactQuery,
        ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<Fact, FactError>>;
}

/// A unit of the entity register.
#[derive(Clone, Debug)]
pub struct Unit {
    /// Its number.
    pub number: OrgNumber,
    /// Its name.
    pub name: String,
    /// Code of the organisation form, for instance `AS`.
    pub form: String,
    /// Institutional sector code.
    pub sector: Option<String>,
    /// Industry codes (NACE).
    pub industries: Vec<String>,
    /// The unit above.
    pub parent: Option<OrgNumber>,
    /// Date of deletion, as the register writes it; `None` while it lives.
    pub deleted: Option<String>,
    /// Found among sub units.
    pub is_sub_unit: bool,
    /// The register's own document.
    pub document: Arc<Value>,
}

/// Organisation forms that make a public agency (`wire-api.md` §11).
const PUBLIC_FORMS: [&str; 9] = [
    "ADOS", "FKF", "FYLK", "KF", "KOMM", "ORGL", "STAT", "SF", "SÆR",
];
/// Sector codes that make a public agency.
const PUBLIC_SECTORS: [&str; 7] = ["1110", "1120", "1510", "1520", "3900", "6100", "6500"];
/// KS, the association of municipalities, counts as public.
const PUBLIC_NUMBER: &str = "971032146";

impl Unit {
    /// Public by form, industry, sector or number (`wire-api.md` §11, last paragraph).
    #[must_use]
    pub fn is_public_agency(&self) -> bool {
        PUBLIC_FORMS.contains(&self.form.as_str())
            || self.industries.iter().any(|code| code.starts_with("84"))
            || self
                .sector
                .as_deref()
                .is_some_and(|code| PUBLIC_SECTORS.contains(&code))
            || self.number.as_str() == PUBLIC_NUMBER
    }
}
