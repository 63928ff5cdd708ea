//! A legal basis of some kind, referred to by the dataset.

use super::Unmet;
use crate::inquiry::{Asked, Inquiry, LegalBasisKind};

/// Procurement codes with a heightened risk of crime (`engine.md` §3.2).
pub const RISK_CPV_CODES: [&str; 24] = [
    "45000000-7",
    "45100000-8",
    "45200000-9",
    "45300000-0",
    "45400000-1",
    "45500000-2",
    "50000000-5",
    "51000000-9",
    "55000000-0",
    "55100000-1",
    "55200000-2",
    "55300000-3",
    "55400000-4",
    "55500000-5",
    "55900000-9",
    "60000000-8",
    "60100000-9",
    "60112000-6",
    "90000000-7",
    "90610000-6",
    "90900000-6",
    "90911000-6",
    "90913000-0",
    "90919000-2",
];

/// The basis that the dataset itself refers to must be of an accepted kind and hold
/// (`engine.md` W-12).
#[derive(Clone, Debug)]
pub struct LegalBasisRule {
    /// A procurement with a code on the risk list will do.
    pub cpv: bool,
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
        match basis.kind {
            Some(LegalBasisKind::Cpv) if self.cpv => {
                let mut codes = basis.content.split([',', ' ']).map(str::trim);
                if codes.any(|code| RISK_CPV_CODES.contains(&code)) {
                    return Ok(());
                }
                Err(Unmet::new(
                    "none of the CPV codes is on the list of risk-exposed procurements",
                ))
            }
            // A document that nobody read proves nothing; reading it is not built yet.
            Some(LegalBasisKind::Espd) if self.espd => Err(Unmet::new(
                "legal bases of type espd cannot be verified by this version",
            )),
            Some(LegalBasisKind::Cpv | LegalBasisKind::Espd) | None => {
                Err(Unmet::new("the legal basis is not of an accepted type"))
            }
        }
    }
}
