//! The one decision behind every grant and harvest: facts at once, then rules without I/O.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::timeout_at;

use super::Exchange;
use crate::catalog::Catalog;
use crate::error::{Code, Fault};
use crate::inquiry::{Asked, Inquiry, Reading};
use crate::party::{OrgNumber, Party};
use crate::ports::{CallContext, Fact, FactError, FactQuery, FactTable};
use crate::requirement::{OnFailure, Refusal, Rule, Unmet};

/// What the rules say about an inquiry.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// Hard rules that are not met: everything is refused.
    pub(super) refused: Vec<Refusal>,
    /// Soft rules that are not met: their datasets are left out.
    pub(super) skipped: Vec<Refusal>,
}

impl Exchange {
    pub(super) fn reading<'a>(&self, catalog: &'a Catalog) -> Reading<'a> {
        Reading {
            catalog,
            now: self.now(),
            realm: self.settings.realm,
            validity: self.settings.validity,
        }
    }

    /// Checks 9 to 11 of `wire-api.md` §11.
    pub(super) async fn decide(
        &self,
        inquiry: &Inquiry,
        ctx: &CallContext,
    ) -> Result<Verdict, Fault> {
        let facts = self.facts_checked(inquiry, ctx).await?;
        Ok(verdict(judge(inquiry, &facts)))
    }

    /// Facts for every rule, once both parties are known to exist and the language fits.
    pub(super) async fn facts_checked(
        &self,
        inquiry: &Inquiry,
        ctx: &CallContext,
    ) -> Result<FactTable, Fault> {
        let facts = self.facts_for(inquiry, ctx).await?;
        check_before_rules(inquiry, &facts)?;
        Ok(facts)
    }

    /// Every question of every rule is asked at once; one that has no answer refuses everything.
    async fn facts_for(&self, inquiry: &Inquiry, ctx: &CallContext) -> Result<FactTable, Fault> {
        let mut asking = JoinSet::new();
        for query in questions(inquiry) {
            let facts = Arc::clone(&self.ports.facts);
            let ctx = ctx.clone();
            asking.spawn(async move {
                let answer = timeout_at(ctx.deadline, facts.find(&query, &ctx)).await;
                (query, answer)
            });
        }
        let mut table = FactTable::new();
        while let Some(joined) = asking.join_next().await {
            let (query, answer) =
                joined.map_err(|error| Fault::new(Code::InternalServerError).because(error))?;
            let late = || {
                Fault::with(
                    Code::ServiceNotAvailable,
                    "an authority did not answer in time",
                )
            };
            let fact = answer
                .map_err(|_elapsed| late())?
                .map_err(authority_fault)?;
            table.insert(query, fact);
        }
        Ok(table)
    }
}

/// Every question that deciding an inquiry asks, each once.
#[must_use]
pub fn questions(inquiry: &Inquiry) -> BTreeSet<FactQuery> {
    let parties = [inquiry.subject.as_ref(), Some(&inquiry.requestor)];
    let parties = parties
        .into_iter()
        .flatten()
        .filter_map(Party::org)
        .map(FactQuery::Unit);
    let rules = inquiry.asked.iter().flat_map(|one| one.offer.rules.iter());
    let rules = rules.filter(|rule| rule.applies_to(inquiry.origin));
    parties
        .chain(rules.flat_map(|rule| rule.requirement.needs(inquiry)))
        .collect()
}

/// Checks 9 and 10 of `wire-api.md` §11: both parties exist, and the language fits. Pure.
///
/// # Errors
/// 1004 and 1014.
pub fn check_before_rules(inquiry: &Inquiry, facts: &FactTable) -> Result<(), Fault> {
    check_registered(inquiry.subject.as_ref(), "the subject", facts)?;
    check_registered(Some(&inquiry.requestor), "the requestor", facts)?;
    check_language(inquiry)
}

/// An authority that cannot be asked is named, and is never "not found" (`engine.md` W-23).
pub(super) fn authority_fault(error: FactError) -> Fault {
    Fault::with(Code::ServiceNotAvailable, error.authority).because(error.cause)
}

/// Norwegian organisations must exist and not be deleted (`wire-api.md` §11, 9).
fn check_registered(party: Option<&Party>, who: &str, facts: &FactTable) -> Result<(), Fault> {
    let Some(number) = party.and_then(Party::org) else {
        return Ok(());
    };
    match unit_state(number, facts) {
        UnitState::Alive => Ok(()),
        UnitState::Deleted => Err(Fault::with(
            Code::InvalidSubject,
            format!("{who} has been deleted from the entity register"),
        )),
        UnitState::Unknown => Err(Fault::with(
            Code::InvalidSubject,
            format!("{who} is not in the entity register"),
        )),
    }
}

enum UnitState {
    Alive,
    Deleted,
    Unknown,
}

fn unit_state(number: OrgNumber, facts: &FactTable) -> UnitState {
    match facts.get(&FactQuery::Unit(number)) {
        Some(Fact::Unit(Some(unit))) if unit.deleted.is_none() => UnitState::Alive,
        Some(Fact::Unit(Some(_))) => UnitState::Deleted,
        Some(Fact::Unit(None) | Fact::Units(_) | Fact::Held(_)) | None => UnitState::Unknown,
    }
}

fn check_language(inquiry: &Inquiry) -> Result<(), Fault> {
    match &inquiry.language {
        Some(language) if !inquiry.context.languages.contains(language) => Err(Fault::with(
            Code::InvalidAuthorizationRequest,
            format!(
                "languageCode must be one of {}",
                inquiry.context.languages.join(", ")
            ),
        )),
        _ => Ok(()),
    }
}

/// What one rule says about one dataset of an inquiry.
pub(super) struct Finding<'a> {
    pub(super) asked: &'a Asked,
    pub(super) rule: &'a Arc<Rule>,
    pub(super) outcome: Result<(), Unmet>,
}

/// Pure: every rule that applies to every dataset, none left out, in catalogue order. Both the
/// decision and its explanation are made from this.
pub(super) fn judge<'a>(
    inquiry: &'a Inquiry,
    facts: &'a FactTable,
) -> impl Iterator<Item = Finding<'a>> {
    inquiry.asked.iter().flat_map(move |asked| {
        let rules = asked
            .offer
            .rules
            .iter()
            .filter(|rule| rule.applies_to(inquiry.origin));
        rules.map(move |rule| Finding {
            asked,
            rule,
            outcome: rule.requirement.check(inquiry, asked, facts),
        })
    })
}

/// Splits what is not met into what refuses everything and what leaves a dataset out.
pub(super) fn verdict<'a>(findings: impl Iterator<Item = Finding<'a>>) -> Verdict {
    let mut verdict = Verdict::default();
    for finding in findings {
        let Err(unmet) = finding.outcome else {
            continue;
        };
        let refusal = Refusal {
            dataset: finding.asked.request.name.clone(),
            rule: Arc::clone(finding.rule),
            unmet,
        };
        match finding.rule.on_failure {
            OnFailure::Deny => verdict.refused.push(refusal),
            OnFailure::Skip => verdict.skipped.push(refusal),
        }
    }
    verdict
}

/// 1019 with every reason, and the rules by their stable identifiers.
pub(super) fn refusal_fault(refusals: &[Refusal]) -> Fault {
    let reasons: Vec<String> = refusals
        .iter()
        .map(|refusal| format!("{}: {}", refusal.dataset, refusal.unmet.0))
        .collect();
    let mut fault = Fault::with(Code::AuthorizationFailed, reasons.join(", "));
    fault.rules = refusals
        .iter()
        .map(|refusal| refusal.rule.id.clone())
        .collect();
    fault.rules.sort_unstable();
    fault.rules.dedup();
    fault
}
