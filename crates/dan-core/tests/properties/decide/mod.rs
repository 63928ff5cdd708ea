//! What holds of every decision, whatever the catalogue, the application and the facts.

mod desk;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use crate::chance::{Chance, plan};
use dan_core::error::Code;
use dan_core::flow::explain;
use dan_core::ports::FactTable;
use dan_core::requirement::{Requirement, Rule};
use dan_core::testkit::builders::PERSON;
use tokio::runtime;

use desk::{Desk, Outcome, explained, outcome};
use world::{OTHER_PERSON, Question, World, rule, twin};

const CASES: u64 = 2_000;
const CASES_LONG: u64 = 100_000;

/// What another rule did to a grant.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    None,
    LeftOut,
    Refused,
}

/// Draws world and question of each case and looks at them.
fn each_case(test: &str, mut look: impl AsyncFnMut(&mut Chance, World, Question)) {
    let (seed, cases) = plan(test, CASES, CASES_LONG);
    let runtime = runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    for case in 0..cases {
        let mut chance = Chance::of_case(seed, case);
        let world = World::any(&mut chance);
        let question = Question::any(&mut chance, &world);
        runtime.block_on(look(&mut chance, world, question));
    }
}

/// What became of a grant when a rule was added; `Err` when that let something in.
fn change(before: &Outcome, after: &Outcome) -> Result<Change, String> {
    match (before, after) {
        (Outcome::Refused { .. }, Outcome::Refused { .. }) => Ok(Change::None),
        (Outcome::Granted { .. }, Outcome::Refused { .. }) => Ok(Change::Refused),
        (Outcome::Refused { .. }, Outcome::Granted { .. }) => Err("it lets in".to_owned()),
        (
            Outcome::Granted { datasets, left_out },
            Outcome::Granted {
                datasets: fewer,
                left_out: more,
            },
        ) => {
            let names = |set: &BTreeSet<(String, String)>| -> BTreeSet<String> {
                set.iter().map(|(name, _)| name.clone()).collect()
            };
            if !fewer.iter().all(|name| datasets.contains(name))
                || !names(left_out).is_subset(&names(more))
            {
                return Err(format!("{fewer:?} after {datasets:?}"));
            }
            Ok(if fewer.len() < datasets.len() {
                Change::LeftOut
            } else {
                Change::None
            })
        }
    }
}

/// A rule about custom subjects is what opens a dataset for them: there, and only there, it lets
/// something in.
fn opens(rule: &Rule, question: &Question) -> bool {
    !question.subject_is_no_free_text() && matches!(rule.requirement, Requirement::CustomSubject(_))
}

#[test]
fn another_rule_never_turns_a_refusal_into_a_grant() {
    let mut refused = 0_u32;
    let mut left_out = 0_u32;
    each_case("another rule", async |chance, world, question| {
        let before = outcome(Desk::of(&world, &question).grant(&question).await);
        let mut added = rule(chance, "added");
        while opens(&added, &question) {
            added = rule(chance, "added");
        }
        let mut stricter = world.clone();
        let rules = if chance.percent(25) {
            let at = chance.below(stricter.contexts.len());
            &mut stricter.contexts[at].rules
        } else {
            let at = chance.below(stricter.datasets.len());
            &mut stricter.datasets[at].rules
        };
        let at = chance.below(rules.len() + 1);
        rules.insert(at, added.clone());
        let after = outcome(Desk::of(&stricter, &question).grant(&question).await);
        match change(&before, &after) {
            Ok(Change::None) => {}
            Ok(Change::Refused) => refused += 1,
            Ok(Change::LeftOut) => left_out += 1,
            Err(what) => panic!("{added:?}: {what}\n{question:#?}\n{world:#?}"),
        }
    });
    assert!(
        refused > 20 && left_out > 10,
        "cases that tell: {refused} {left_out}"
    );
}

#[test]
fn a_rule_of_the_dataset_never_takes_the_place_of_another_of_the_context() {
    let mut refused = 0_u32;
    each_case("twins", async |chance, mut world, question| {
        let of_context = Rule {
            contexts: Vec::new(),
            ..rule(chance, "context")
        };
        let of_dataset = twin(chance, &of_context, &question);
        if opens(&of_context, &question) {
            return;
        }
        let context = &mut world.contexts[question.context];
        context.rules = vec![of_context.clone()];
        let mut stricter = world.clone();
        for dataset in &mut stricter.datasets {
            dataset.rules.push(of_dataset.clone());
        }
        let before = outcome(Desk::of(&world, &question).grant(&question).await);
        let after = outcome(Desk::of(&stricter, &question).grant(&question).await);
        match change(&before, &after) {
            Ok(change) => refused += u32::from(change == Change::Refused),
            Err(what) => {
                panic!("{of_dataset:?} for {of_context:?}: {what}\n{question:#?}\n{world:#?}")
            }
        }
    });
    assert!(refused > 20, "cases that tell: {refused}");
}

#[test]
fn the_explanation_says_what_the_grant_does() {
    let mut granted = 0_u32;
    let mut in_part = 0_u32;
    let mut refused: BTreeMap<Code, u32> = BTreeMap::new();
    each_case("explanation", async |_, world, question| {
        let desk = Desk::of(&world, &question);
        let said = desk.explain(&question).await;
        if let Ok(explanation) = &said {
            let (inquiry, facts) = desk.inquiry(&question).await.unwrap();
            assert_eq!(*explanation, explain(&inquiry, &facts));
            let shown = format!("{explanation:?}");
            assert!(!shown.contains(PERSON) && !shown.contains(OTHER_PERSON));
        }
        let said = explained(&question, said);
        let done = outcome(desk.grant(&question).await);
        assert_eq!(said, done, "{question:#?}\n{world:#?}");
        match done {
            Outcome::Granted { left_out, .. } if left_out.is_empty() => granted += 1,
            Outcome::Granted { .. } => in_part += 1,
            Outcome::Refused { code, .. } => *refused.entry(code).or_default() += 1,
        }
    });
    let by_rules = refused.get(&Code::AuthorizationFailed).copied();
    let by_authority = refused.get(&Code::ServiceNotAvailable).copied();
    assert!(
        granted > 100 && in_part > 100 && by_rules > Some(100) && by_authority > Some(10),
        "cases that tell: {granted} {in_part} {refused:?}"
    );
}

#[test]
fn nothing_is_permitted_without_its_facts_or_by_a_rule_that_nobody_decides() {
    let mut met: BTreeMap<String, u32> = BTreeMap::new();
    let mut unmet: BTreeMap<String, u32> = BTreeMap::new();
    let mut rested_on_facts = 0_u32;
    each_case("facts", async |_, world, question| {
        let desk = Desk::of(&world, &question);
        let Some((inquiry, facts)) = desk.inquiry(&question).await else {
            return;
        };
        for one in &inquiry.asked {
            for rule in &one.offer.rules {
                let requirement = &rule.requirement;
                let permits = |facts: &FactTable| requirement.check(&inquiry, one, facts).is_ok();
                let permitted = permits(&facts);
                let kind = requirement.kind().to_owned();
                *if permitted { &mut met } else { &mut unmet }
                    .entry(kind)
                    .or_default() += 1;
                if matches!(requirement, Requirement::Undecided(_)) {
                    assert!(!permitted);
                }
                for query in requirement.needs(&inquiry) {
                    let mut without = facts.clone();
                    without.remove(&query);
                    assert!(!permits(&without), "{rule:?} without {query:?}");
                    rested_on_facts += u32::from(permitted);
                }
            }
        }
    });
    assert_eq!((met.len(), unmet.len()), (12, 13), "{met:?} {unmet:?}");
    assert!(rested_on_facts > 100, "cases that tell");
}

#[test]
fn the_same_is_decided_twice() {
    each_case("twice", async |_, world, question| {
        let desk = Desk::of(&world, &question);
        let first = outcome(desk.grant(&question).await);
        assert_eq!(first, outcome(desk.grant(&question).await));
        // Also by another node with the same catalogue.
        let other = Desk::of(&world, &question);
        assert_eq!(first, outcome(other.grant(&question).await));
        if let Some((inquiry, facts)) = desk.inquiry(&question).await {
            assert_eq!(explain(&inquiry, &facts), explain(&inquiry, &facts));
        }
    });
}

#[test]
fn what_was_granted_can_be_had_and_what_was_left_out_cannot() {
    let mut had = 0_u32;
    let mut waits_for_consent = 0_u32;
    each_case("harvest", async |_, world, question| {
        let desk = Desk::of(&world, &question);
        let Ok(grant) = desk.grant(&question).await else {
            return;
        };
        let catalog = desk.exchange.catalog();
        for dataset in &grant.datasets {
            let refused = desk
                .harvest(&question, grant.id.as_str(), &dataset.name)
                .await;
            let offer = catalog.offer(&grant.context, &dataset.name).unwrap();
            let expected = offer.requires_consent().then_some(Code::RequiresConsent);
            assert_eq!(refused, expected, "{question:#?}\n{world:#?}");
            had += u32::from(refused.is_none());
            waits_for_consent += u32::from(refused.is_some());
        }
        for left_out in &grant.skipped {
            let refused = desk
                .harvest(&question, grant.id.as_str(), &left_out.name)
                .await;
            assert_eq!(refused, Some(Code::InvalidEvidenceRequest));
        }
    });
    assert!(had > 100 && waits_for_consent > 20, "cases that tell");
}

#[test]
fn nothing_can_be_had_at_once_that_would_not_be_granted() {
    let mut had = 0_u32;
    each_case("direct", async |chance, world, mut question| {
        let datasets = &mut question.application.datasets;
        let kept = datasets.swap_remove(chance.below(datasets.len()));
        *datasets = vec![kept];
        let desk = Desk::of(&world, &question);
        if desk.direct(&question).await.is_ok() {
            let grant = desk.grant(&question).await;
            assert!(grant.is_ok(), "{grant:?} {question:#?}\n{world:#?}");
            had += 1;
        }
    });
    assert!(had > 50, "cases that tell");
}
