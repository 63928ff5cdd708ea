//! Kinds that are known by name and decided nowhere: refused by name, never skipped.

use super::Unmet;

/// SRR, which the reference declared and never finished; a party type nobody can be
/// (`engine.md` §3.2).
#[derive(Clone, Debug)]
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
