//! Kinds that are known by name and decided nowhere: refused by name, never skipped.

use super::Unmet;

/// SRR, which the reference declared and never finished; a party type nobody can be
/// (`engine.md` §3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecided {
    /// Name of the kind in the catalogue, for instance `srr`.
    pub kind: String,
    /// Name on the wire, for instance `SrrRequirement`.
    pub wire_type: String,
}

impl Undecided {
    pub(super) fn check(&self) -> Result<(), Unmet> {
        Err(Unmet::new(format!(
            "this version cannot decide rules of kind {}, so access is refused",
            self.kind
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Requirement;
    use super::super::testing::{assert_decides, inquiry, inquiry_with, trial, unmet_alone};
    use super::Undecided;
    use crate::inquiry::Origin;

    fn rule() -> Requirement {
        Requirement::Undecided(Undecided {
            kind: "srr".to_owned(),
            wire_type: "SrrRequirement".to_owned(),
        })
    }

    #[test]
    fn what_cannot_be_decided_is_refused_by_name_w06() {
        for origin in [Origin::Grant, Origin::Direct, Origin::StoredHarvest] {
            let inquiry = inquiry_with(|it| it.origin = origin);
            assert!(unmet_alone(&rule(), &inquiry).unwrap().contains("srr"));
        }
        assert!(unmet_alone(&rule(), &inquiry()).is_some());
    }

    #[tokio::test]
    async fn an_undecided_rule_decides_against() {
        assert_decides(&rule(), None, &trial(|_| {})).await;
    }
}
