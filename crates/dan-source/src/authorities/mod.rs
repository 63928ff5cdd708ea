//! Systems whose word we take.
//!
//! [`Authorities`] answers every question about parties: from the entity register, or from Altinn.
//! [`timestamps`] say when heads of the audit trail were seen. [`tokens`] are what we prove ourselves with towards them and towards sources.

pub mod consent;
pub mod delegations;
pub mod entity_register;
mod line;
pub mod timestamps;
pub mod tokens;

use dan_core::ports::{CallContext, Fact, FactError, FactQuery, Facts, PortFuture};

use delegations::{ALTINN, Delegations};
use entity_register::EntityRegister;

/// Who answers which question.
pub struct Authorities {
    /// Units.
    pub register: EntityRegister,
    /// Roles and rights; without it such questions have no answer, which is never a no.
    pub delegations: Option<Delegations>,
}

impl Facts for Authorities {
    fn find<'a>(
        &'a self,
        query: &'a FactQuery,
        ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<Fact, FactError>> {
        match (query, &self.delegations) {
            (FactQuery::Unit(_) | FactQuery::SubUnits(_), _) => self.register.find(query, ctx),
            (FactQuery::HasRole { .. } | FactQuery::HasRight { .. }, Some(delegations)) => {
                delegations.find(query, ctx)
            }
            (FactQuery::HasRole { .. } | FactQuery::HasRight { .. }, None) => {
                Box::pin(std::future::ready(Err(FactError {
                    authority: ALTINN.to_owned(),
                    cause: "not configured".to_owned(),
                })))
            }
        }
    }
}
