//! How datasets, contexts and aliases become one picture (`engine.md` §1.3, §1.4 and appendix B,
//! 1 to 3).
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use dan_core::catalog::{Catalog, Supply};
use dan_core::context::ServiceContext;
use dan_core::dataset::{Alias, Dataset};
use dan_core::error::Code;
use dan_core::party::{OrgNumber, Party};
use dan_core::requirement::{
    AllowList, OnFailure, PartyType, PartyTypeRule, Requirement, Role, Rule, ScopeRule,
};
use dan_core::testkit::builders::{self, AGENCY, OTHER_AGENCY};
use dan_core::testkit::fakes::{FakeSource, START};

fn scope(text: &str) -> Requirement {
    Requirement::Scope(ScopeRule {
        required: vec![text.to_owned()],
    })
}

fn agency(role: Role) -> Requirement {
    Requirement::PartyType(PartyTypeRule {
        allowed: vec![(role, PartyType::PublicAgency)],
    })
}

fn in_contexts(names: &[&str], rule: Rule) -> Rule {
    Rule {
        contexts: texts(names),
        ..rule
    }
}

fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The context `name` with two rules of its own.
fn context(name: &str) -> ServiceContext {
    let rule = |what: &str, requirement| builders::rule(&format!("{name}/{what}"), requirement);
    ServiceContext {
        id: format!("{name}-product"),
        name: name.to_owned(),
        ..builders::context(vec![
            rule("party", agency(Role::Requestor)),
            rule("scope", scope(&format!("dan:{name}"))),
        ])
    }
}

fn dataset(name: &str, contexts: &[&str], rules: Vec<Rule>) -> Dataset {
    Dataset {
        contexts: texts(contexts),
        rules,
        ..builders::dataset(name)
    }
}

fn aliased(dataset: Dataset, aliases: &[(&str, &str)]) -> Dataset {
    let alias = |(name, context): &(&str, &str)| Alias {
        name: (*name).to_owned(),
        context: (*context).to_owned(),
    };
    Dataset {
        aliases: aliases.iter().map(alias).collect(),
        ..dataset
    }
}

fn build(datasets: Vec<Dataset>) -> (Catalog, Vec<String>) {
    let source = Arc::new(FakeSource::default());
    let contexts = vec![context("c1"), context("c2")];
    Catalog::build(contexts, vec![Supply { source, datasets }], "1".to_owned())
}

fn own(name: &str) -> Vec<Rule> {
    vec![builders::rule(&format!("{name}/own"), scope("dan:own"))]
}

/// Three datasets in two contexts with two rules each; the third goes by two other names.
fn three() -> Catalog {
    let (catalog, problems) = build(vec![
        aliased(
            dataset("ec3", &["c1", "c2"], own("ec3")),
            &[("a1", "c1"), ("a2", "c2")],
        ),
        dataset("ec1", &["c1"], own("ec1")),
        dataset("ec2", &["c1", "c2"], own("ec2")),
    ]);
    assert!(problems.is_empty());
    catalog
}

fn rules_of(catalog: &Catalog, context: &str, name: &str) -> Vec<String> {
    let offer = catalog.resolve(context, name, START).unwrap();
    offer.rules.iter().map(|rule| rule.id.clone()).collect()
}

#[test]
fn appendix_b_01_aliases_are_listed_last_with_the_rules_of_their_context() {
    let catalog = three();
    let rows: Vec<(&str, usize)> = catalog
        .listings(START)
        .map(|row| (row.name.as_str(), row.rules.len()))
        .collect();
    assert_eq!(rows, [("ec1", 3), ("ec2", 5), ("a1", 3), ("a2", 3)]);
    let contexts: Vec<Vec<&str>> = catalog.listings(START).map(|row| row.contexts()).collect();
    assert_eq!(
        contexts,
        [vec!["c1"], vec!["c1", "c2"], vec!["c1"], vec!["c2"]]
    );
}

#[test]
fn appendix_b_01_a_request_meets_the_rules_of_its_own_context_only() {
    let catalog = three();
    for (context, name, expected) in [
        ("c1", "ec1", ["c1/party", "c1/scope", "ec1/own"]),
        ("c1", "ec2", ["c1/party", "c1/scope", "ec2/own"]),
        ("c2", "ec2", ["c2/party", "c2/scope", "ec2/own"]),
        ("c1", "a1", ["c1/party", "c1/scope", "ec3/own"]),
        ("c2", "a2", ["c2/party", "c2/scope", "ec3/own"]),
    ] {
        assert_eq!(
            rules_of(&catalog, context, name),
            expected,
            "{context} {name}"
        );
    }
}

#[test]
fn appendix_b_02_a_rule_of_the_context_that_the_dataset_states_counts_once() {
    let stated = || scope("dan:c1");
    let here = |rule| in_contexts(&["c1"], rule);
    let elsewhere = |rule| in_contexts(&["c2"], rule);
    let soft = |rule: Rule| Rule {
        on_failure: OnFailure::Skip,
        ..rule
    };
    let not_at_harvest = |rule: Rule| Rule {
        at_harvest: false,
        ..rule
    };
    let rule = |requirement| builders::rule("d/own", requirement);
    for (own, in_c1, in_c2) in [
        (rule(stated()), &["c1/party", "d/own"][..], 3),
        (here(rule(stated())), &["c1/party", "d/own"], 2),
        // In another context it does not stand in for this one's.
        (elsewhere(rule(stated())), &["c1/party", "c1/scope"], 3),
        // The same kind with other content is another rule.
        (
            rule(scope("dan:other")),
            &["c1/party", "c1/scope", "d/own"],
            3,
        ),
        (
            rule(agency(Role::Subject)),
            &["c1/party", "c1/scope", "d/own"],
            3,
        ),
        // So is a weaker one.
        (soft(rule(stated())), &["c1/party", "c1/scope", "d/own"], 3),
        (
            not_at_harvest(rule(stated())),
            &["c1/party", "c1/scope", "d/own"],
            3,
        ),
        // One that both contexts have stands in for both.
        (rule(agency(Role::Requestor)), &["c1/scope", "d/own"], 2),
    ] {
        let (catalog, _) = build(vec![dataset("d", &["c1", "c2"], vec![own])]);
        assert_eq!(rules_of(&catalog, "c1", "d"), in_c1);
        assert_eq!(rules_of(&catalog, "c2", "d").len(), in_c2);
    }
}

fn allow(role: Role, party: Party) -> Requirement {
    Requirement::AllowList(AllowList {
        allowed: vec![(role, party)],
    })
}

fn contradicting_lists(of_context: Party, of_dataset: Party) -> usize {
    let context = ServiceContext {
        rules: vec![builders::rule("c1/list", allow(Role::Subject, of_context))],
        ..context("c1")
    };
    let own = vec![builders::rule("d/list", allow(Role::Subject, of_dataset))];
    let supply = Supply {
        source: Arc::new(FakeSource::default()),
        datasets: vec![dataset("d", &["c1"], own)],
    };
    let (catalog, _) = Catalog::build(vec![context], vec![supply], "1".to_owned());
    rules_of(&catalog, "c1", "d").len()
}

#[test]
fn appendix_b_02_lists_of_different_organisations_are_different_rules() {
    let org = |text| Party::Organisation(OrgNumber::parse(text).unwrap());
    assert_eq!(contradicting_lists(org(AGENCY), org(AGENCY)), 1);
    assert_eq!(contradicting_lists(org(AGENCY), org(OTHER_AGENCY)), 2);
}

#[test]
fn appendix_b_02_lists_of_different_persons_are_different_rules_w11() {
    let custom = |text: &str| Party::Custom(text.to_owned());
    let person = |text| Party::from_canonical(&format!("nor-freg::{text}")).unwrap();
    assert_eq!(contradicting_lists(custom("a"), custom("a")), 1);
    assert_eq!(contradicting_lists(custom("a"), custom("b")), 2);
    let (one, other) = ("07056120453", "03065001488");
    assert_eq!(contradicting_lists(person(one), person(other)), 2);
}

#[test]
fn appendix_b_03_both_aliases_lead_to_the_dataset_and_its_own_name_does_not() {
    let catalog = three();
    for (context, alias) in [("c1", "a1"), ("c2", "a2")] {
        let offer = catalog.resolve(context, alias, START).unwrap();
        assert_eq!((offer.name.as_str(), &*offer.dataset.name), (alias, "ec3"));
        assert!(catalog.resolve(context, "ec3", START).is_err());
    }
    for (context, alias) in [("c1", "a2"), ("c2", "a1")] {
        let fault = catalog.resolve(context, alias, START).unwrap_err();
        assert_eq!(fault.code, Code::InvalidEvidenceRequest);
    }
    let unknown = catalog.resolve("c1", "A1", START).unwrap_err();
    assert_eq!(unknown.code, Code::UnknownEvidenceCode);
}

#[test]
fn several_aliases_may_stand_in_one_context_one_of_them_the_own_name() {
    let (catalog, problems) = build(vec![aliased(
        dataset("d", &["c1"], Vec::new()),
        &[("d", "c1"), ("e", "c1"), ("f", "nowhere")],
    )]);
    assert!(problems.is_empty());
    let names: Vec<&str> = catalog
        .listings(START)
        .map(|row| row.name.as_str())
        .collect();
    assert_eq!(names, ["d", "e"]);
    assert_eq!(catalog.resolve("c1", "d", START).unwrap().dataset.name, "d");
}

#[test]
fn the_first_definition_of_a_name_wins_and_the_other_is_a_problem() {
    let first = dataset("d", &["c1"], own("first"));
    let second = dataset("d", &["c1", "c2"], own("second"));
    let (catalog, problems) = build(vec![first, second]);
    assert_eq!(problems.len(), 1);
    assert!(rules_of(&catalog, "c1", "d").contains(&"first/own".to_owned()));
    assert!(catalog.resolve("c2", "d", START).is_err());
    assert_eq!(catalog.listings(START).count(), 1);
}

#[test]
fn open_names_that_differ_in_case_only_are_a_problem_and_the_first_one_stays() {
    let open = |name: &str| Dataset {
        public: true,
        ..dataset(name, &[], Vec::new())
    };
    let (catalog, problems) = build(vec![open("Open"), open("OPEN")]);
    assert_eq!(problems.len(), 1);
    assert_eq!(catalog.open("open", START).unwrap().name, "Open");
}

#[test]
fn an_alias_does_not_take_over_a_name_that_is_defined() {
    let first = dataset("d", &["c1"], own("first"));
    let taking = aliased(dataset("e", &["c1"], own("second")), &[("d", "c1")]);
    let (catalog, problems) = build(vec![first, taking]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    let offer = catalog.resolve("c1", "d", START).unwrap();
    assert_eq!(offer.dataset.name, "d");
    assert_eq!(catalog.listings(START).count(), 1);
}

#[test]
fn a_dataset_of_no_known_context_is_offered_and_listed_nowhere() {
    let (catalog, _) = build(vec![
        dataset("none", &[], Vec::new()),
        dataset("unknown", &["c3"], Vec::new()),
    ]);
    assert_eq!(catalog.listings(START).count(), 0);
    for name in ["none", "unknown"] {
        assert!(catalog.resolve("c1", name, START).is_err(), "{name}");
    }
}
