//! A legal basis of some kind, referred to by the dataset.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Unmet;
use crate::espd;
use crate::inquiry::{Asked, Inquiry, LegalBasisKind};

/// CPV codes that are a legal basis: versioned data of the catalogue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpvList {
    /// Names the state of the list, for explanations.
    pub version: String,
    /// Codes with their control digit, for instance `45000000-7`.
    pub codes: BTreeSet<String>,
}

/// The basis that the dataset itself refers to must be of an accepted kind and hold
/// (`engine.md` W-12).
#[derive(Clone, Debug, PartialEq, Eq)]
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

#[cfg(test)]
mod tests {
    use super::super::Requirement;
    use super::super::testing::{assert_decides, inquiry_with, trial, unmet_alone};
    use super::*;
    use crate::inquiry::LegalBasis;

    const ESPD: &str =
        r#"<e:ESPDRequest xmlns:e="urn:grow:names:specification:ubl:schema:xsd:ESPDRequest-1"/>"#;

    fn rule(cpv: bool, espd: bool) -> Requirement {
        let codes = ["45000000-7", "90919000-2"].map(str::to_owned);
        let list = CpvList {
            version: "list of 2026".to_owned(),
            codes: BTreeSet::from(codes),
        };
        let cpv = cpv.then(|| Arc::new(list));
        Requirement::LegalBasis(LegalBasisRule { cpv, espd })
    }

    fn basis(id: &str, kind: LegalBasisKind, content: &str) -> LegalBasis {
        LegalBasis {
            id: id.to_owned(),
            kind: Some(kind),
            content: content.to_owned(),
        }
    }

    /// An inquiry with these bases whose dataset refers to one of them.
    fn resting_on(id: Option<&str>, bases: Vec<LegalBasis>) -> Inquiry {
        inquiry_with(|it| {
            it.asked[0].request.legal_basis_id = id.map(str::to_owned);
            it.legal_bases = bases;
        })
    }

    #[test]
    fn appendix_b_13_either_kind_will_do_where_both_are_accepted() {
        use LegalBasisKind::{Cpv, Espd};
        for (accepts_cpv, accepts_espd, kind, content, met) in [
            (false, true, Espd, ESPD, true),
            (true, true, Espd, ESPD, true),
            (true, false, Espd, ESPD, false),
            (true, true, Cpv, "45000000-7", true),
            (true, false, Cpv, "45000000-7", true),
            (false, true, Cpv, "45000000-7", false),
            (false, false, Cpv, "45000000-7", false),
            (true, false, Cpv, "11111111-1", false),
            (true, false, Cpv, "11111111-1,90919000-2", true),
            (true, false, Cpv, "11111111-1 90919000-2", true),
            (true, false, Cpv, "11111111-1,\n 90919000-2 \n", true),
            (true, false, Cpv, "45000000", false),
            (true, false, Cpv, "x45000000-7", false),
            (true, false, Cpv, "45000000-7;90919000-2", false),
            (true, true, Espd, "45000000-7", false),
            (true, true, Espd, "<a/>", false),
        ] {
            let inquiry = resting_on(Some("1"), vec![basis("1", kind, content)]);
            let reason = unmet_alone(&rule(accepts_cpv, accepts_espd), &inquiry);
            assert_eq!(reason.is_none(), met, "{kind:?} {content} {reason:?}");
        }
        let unrisky = resting_on(Some("1"), vec![basis("1", Cpv, "11111111-1")]);
        let reason = unmet_alone(&rule(true, false), &unrisky).unwrap();
        assert!(reason.contains("list of 2026"));
    }

    #[test]
    fn the_basis_that_is_referred_to_counts_and_no_other_w12() {
        use LegalBasisKind::{Cpv, Espd};
        let bases = || {
            vec![
                basis("espd", Espd, ESPD),
                basis("nonsense", Cpv, "nonsense"),
                basis("", Cpv, "45000000-7"),
            ]
        };
        for (id, met) in [
            (Some("espd"), true),
            (Some("nonsense"), false),
            (Some("ESPD"), false),
            (Some("other"), false),
            (None, false),
        ] {
            let inquiry = resting_on(id, bases());
            assert_eq!(
                unmet_alone(&rule(true, true), &inquiry).is_none(),
                met,
                "{id:?}"
            );
        }
        let kindless = LegalBasis {
            kind: None,
            ..basis("1", Espd, ESPD)
        };
        let inquiry = resting_on(Some("1"), vec![kindless]);
        assert!(unmet_alone(&rule(true, true), &inquiry).is_some());
    }

    #[tokio::test]
    async fn a_legal_basis_decides() {
        let resting = |content: &str| {
            trial(|it| {
                it.application.datasets[0].legal_basis_id = Some("1".to_owned());
                it.application.legal_bases = vec![basis("1", LegalBasisKind::Cpv, content)];
            })
        };
        let (met, unmet) = (resting("45000000-7"), resting("11111111-1"));
        assert_decides(&rule(true, false), Some(&met), &unmet).await;
        assert_decides(&rule(true, true), Some(&met), &trial(|_| {})).await;
    }
}
