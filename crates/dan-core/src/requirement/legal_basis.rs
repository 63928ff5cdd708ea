//! A legal basis of some kind, referred to by the dataset.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Unmet;
use crate::espd;
use crate::inquiry::{Asked, Inquiry, LegalBasisKind};

/// CPV codes that are a legal basis: versioned data of the catalogue.
#[derive(Clone, Debug, Default)]
pub struct CpvList {
    /// Names the state of the list, for explanations.
    pub version: String,
    /// Codes with their control digit, for instance `45000000-7`.
    pub codes: BTreeSet<String>,
}

/// The basis that the dataset itself refers to must be of an accepted kind and hold
/// (`engine.md` W-12).
#[derive(Clone, Debug)]
pub struct LegalBasisRule {
    /// A procurement with a code on this list will do; `None`: no CPV basis is accepted.
    pub cpv: Option<Arc<CpvList>>,
    /// A European Single Procurement Document will do.
    pub espd: bool,
}

impl LegalBasisRule {
    pub(super) fn check(&self, inquiry: &Inquiry, asked: &Asked) -> Result<(), Unmet> {
        let referred = asked.request.legal_basis_id.as_deref();
        let basis = inquiry
            .legal_bases
            .iter()
            .find(|basis| Some(basis.id.as_str()) == referred)
            .ok_or_else(|| Unmet::new("the dataset must refer to a legal basis by legalBasisId"))?;
        match (basis.kind, &self.cpv) {
            (Some(LegalBasisKind::Cpv), Some(list)) => {
                let mut codes = basis.content.split([',', ' ']).map(str::trim);
                if codes.any(|code| list.codes.contains(code)) {
                    return Ok(());
                }
                Err(Unmet::new(format!(
                    "none of the CPV codes is on the list {}",
                    list.version
                )))
            }
            (Some(LegalBasisKind::Espd), _) if self.espd => espd::check(&basis.content)
                .map_err(|why| Unmet::new(format!("the ESPD is not accepted: {why}"))),
            _ => Err(Unmet::new("the legal basis is not of an accepted type")),
        }
    }
}
