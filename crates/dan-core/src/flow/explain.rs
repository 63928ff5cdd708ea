//! Why: each rule that applies to an application, where it comes from, what was known, and what it
//! says. Made from the same findings as the decision, so the two cannot disagree.

use super::decide::{Finding, judge};
use super::{Call, Exchange};
use crate::error::Fault;
use crate::inquiry::{Application, Inquiry, OfferedTokens, Origin};
use crate::ports::{Fact, FactQuery, FactTable};
use crate::requirement::OnFailure;

/// One rule of an explanation. Holds no identity number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The dataset it is asked for.
    pub dataset: String,
    /// Stable identifier of the rule.
    pub rule: String,
    /// Kind of the rule.
    pub kind: String,
    /// Where it is written: file and line, or the plugin.
    pub origin: String,
    /// When it is not met, the dataset is left out instead of everything refused.
    pub soft: bool,
    /// What was known, in words.
    pub facts: Vec<String>,
    /// `None` when it is met; else why not, and what to do.
    pub unmet: Option<String>,
}

/// All rules of an application with the outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// The datasets that were asked for, also those without rules.
    pub datasets: Vec<String>,
    /// In catalogue order, dataset by dataset.
    pub rules: Vec<Explained>,
}

impl Explanation {
    /// Whether the application would be granted, at least in part.
    #[must_use]
    pub fn is_granted(&self) -> bool {
        let unmet = || self.rules.iter().filter(|rule| rule.unmet.is_some());
        let refused = unmet().any(|rule| !rule.soft);
        let left_out = |name: &String| unmet().any(|rule| rule.dataset == *name);
        !refused && !self.datasets.iter().all(left_out)
    }
}

impl Exchange {
    /// Explains what [`Exchange::grant`] would decide about an application. Stores nothing, not even
    /// a record.
    ///
    /// # Errors
    /// The codes that come before any rule: what cannot be understood, parties that do not exist,
    /// authorities out of reach.
    pub async fn explain(
        &self,
        call: Call<'_>,
        application: Application,
        tokens: OfferedTokens,
    ) -> Result<Explanation, Fault> {
        let catalog = self.catalog();
        let reading = self.reading(&catalog);
        let inquiry = Inquiry::new(application, call.caller, tokens, Origin::Grant, reading)?;
        let facts = self.facts_checked(&inquiry, call.ctx).await?;
        Ok(explain(&inquiry, &facts))
    }
}

/// Explains an inquiry from what is known. Pure.
#[must_use]
pub fn explain(inquiry: &Inquiry, facts: &FactTable) -> Explanation {
    let row = |finding: Finding<'_>| Explained {
        dataset: finding.asked.request.name.clone(),
        rule: finding.rule.id.clone(),
        kind: finding.rule.requirement.kind().to_owned(),
        origin: finding.rule.origin.clone(),
        soft: finding.rule.on_failure == OnFailure::Skip,
        facts: finding
            .rule
            .requirement
            .needs(inquiry)
            .iter()
            .map(|query| describe(query, facts.get(query)))
            .collect(),
        unmet: finding.outcome.err().map(|unmet| unmet.0),
    };
    Explanation {
        datasets: inquiry
            .asked
            .iter()
            .map(|one| one.request.name.clone())
            .collect(),
        rules: judge(inquiry, facts).map(row).collect(),
    }
}

/// Persons stand masked: parties are shown by their `Display`.
fn describe(query: &FactQuery, fact: Option<&Fact>) -> String {
    let held = |fact: Option<&Fact>| match fact {
        Some(Fact::Held(true)) => "yes",
        Some(Fact::Held(false)) => "no",
        Some(Fact::Unit(_) | Fact::Units(_)) | None => "not known",
    };
    match query {
        FactQuery::Unit(number) => match fact {
            Some(Fact::Unit(Some(unit))) => {
                let kind = if unit.is_public_agency() {
                    "a public agency"
                } else {
                    "not a public agency"
                };
                let end = if unit.deleted.is_some() {
                    ", deleted"
                } else {
                    ""
                };
                format!("{number} is a unit of form {}, {kind}{end}", unit.form)
            }
            Some(Fact::Unit(None)) => format!("{number} is not in the entity register"),
            Some(Fact::Units(_) | Fact::Held(_)) | None => {
                format!("{number} has not been looked up")
            }
        },
        FactQuery::SubUnits(number) => format!("sub units of {number}"),
        FactQuery::HasRole { from, to, role } => {
            format!("{from} has given {to} the role {role}: {}", held(fact))
        }
        FactQuery::HasRight {
            from,
            to,
            resource,
            actions,
        } => {
            format!(
                "{to} may {} for {from} on {resource}: {}",
                actions.join(", "),
                held(fact)
            )
        }
    }
}
