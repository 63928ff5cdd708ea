//! Why an application would be granted or refused, rule by rule.

use dan_core::flow::{Explained, Explanation};
use serde::Serialize;

#[derive(Serialize)]
pub(crate) struct WireExplanation<'a> {
    granted: bool,
    rules: Vec<WireExplained<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireExplained<'a> {
    evidence_code_name: &'a str,
    rule: &'a str,
    kind: &'a str,
    origin: &'a str,
    /// `deny` refuses everything, `skip` leaves the dataset out.
    on_failure: &'static str,
    facts: &'a [String],
    met: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl<'a> WireExplanation<'a> {
    pub(crate) fn of(explanation: &'a Explanation) -> Self {
        let row = |rule: &'a Explained| WireExplained {
            evidence_code_name: &rule.dataset,
            rule: &rule.rule,
            kind: &rule.kind,
            origin: &rule.origin,
            on_failure: if rule.soft { "skip" } else { "deny" },
            facts: &rule.facts,
            met: rule.unmet.is_none(),
            reason: rule.unmet.as_deref(),
        };
        Self {
            granted: explanation.is_granted(),
            rules: explanation.rules.iter().map(row).collect(),
        }
    }
}
