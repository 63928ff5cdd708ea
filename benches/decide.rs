//! The decision itself: a dataset with six rules, every fact at hand. No port is asked.

use std::sync::Arc;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use dan_core::catalog::Catalog;
use dan_core::dataset::Dataset;
use dan_core::flow::explain;
use dan_core::inquiry::{Application, Inquiry, OfferedTokens, Origin, Reading};
use dan_core::party::Party;
use dan_core::ports::{Fact, FactQuery, FactTable};
use dan_core::requirement::{
    AllowList, AltinnRole, PartyRelation, PartyType, PartyTypeRule, ReferenceKind, ReferenceRule,
    Relation, Requirement, Role, Rule, ScopeRule,
};
use dan_core::testkit::builders::{self, AGENCY, COMPANY, OTHER_AGENCY};
use dan_core::testkit::fakes::{FakeSource, Fakes, START};
use regex::Regex;

/// Two of the context, four of the dataset; each is met, so none is left out.
fn six_rules() -> Option<(Vec<Rule>, Vec<Rule>)> {
    let org = |number| Party::Organisation(builders::org(number));
    let allowed = [AGENCY, OTHER_AGENCY].map(|number| (Role::Owner, org(number)));
    let of_context = vec![
        Requirement::PartyType(PartyTypeRule {
            allowed: vec![(Role::Requestor, PartyType::PublicAgency)],
        }),
        Requirement::Scope(ScopeRule {
            required: vec!["dan:test".to_owned()],
        }),
    ];
    let of_dataset = vec![
        Requirement::PartyRelation(PartyRelation {
            relations: vec![Relation::between(Role::Requestor, Role::Owner, true)?],
        }),
        Requirement::AllowList(AllowList {
            allowed: allowed.to_vec(),
        }),
        Requirement::Reference(ReferenceRule {
            reference: ReferenceKind::External,
            format: Regex::new(r"^\d{4}-\d{1,6}$").ok()?,
        }),
        Requirement::Role(AltinnRole {
            role_code: "DAGL".to_owned(),
            offered_by: Role::Subject,
            covered_by: Role::Requestor,
        }),
    ];
    let rules = |all: Vec<Requirement>| {
        let rule = |requirement: Requirement| {
            builders::rule(&format!("A/{}", requirement.kind()), requirement)
        };
        all.into_iter().map(rule).collect()
    };
    Some((rules(of_context), rules(of_dataset)))
}

fn catalog() -> Option<Catalog> {
    let (of_context, rules) = six_rules()?;
    let dataset = Dataset {
        rules,
        ..builders::dataset("A")
    };
    let source = Arc::new(FakeSource::default());
    Some(builders::catalog(
        builders::context(of_context),
        source,
        vec![dataset],
    ))
}

fn application() -> Application {
    Application {
        external_reference: Some("2026-118".to_owned()),
        ..builders::application(&["A"])
    }
}

fn read(catalog: &Catalog, application: Application) -> Option<Inquiry> {
    let caller = builders::caller(AGENCY, &["dan:test"]);
    let settings = Fakes::settings();
    let reading = Reading {
        catalog,
        now: START,
        realm: settings.realm,
        validity: settings.validity,
    };
    let tokens = OfferedTokens::default();
    Inquiry::new(application, &caller, tokens, Origin::Grant, reading).ok()
}

fn facts() -> FactTable {
    let unit = |number, form| {
        let unit = builders::unit(number, form);
        (
            FactQuery::Unit(unit.number),
            Fact::Unit(Some(Arc::new(unit))),
        )
    };
    let role = FactQuery::HasRole {
        from: Party::Organisation(builders::org(COMPANY)),
        to: Party::Organisation(builders::org(AGENCY)),
        role: "DAGL".to_owned(),
    };
    FactTable::from([
        unit(AGENCY, "ORGL"),
        unit(COMPANY, "AS"),
        (role, Fact::Held(true)),
    ])
}

/// Every rule that applies, decided as the flow decides it: how many are met.
fn decide(inquiry: &Inquiry, facts: &FactTable) -> usize {
    let of_each = inquiry.asked.iter().map(|asked| {
        let applying = asked
            .offer
            .rules
            .iter()
            .filter(|rule| rule.applies_to(inquiry.origin));
        applying
            .filter(|rule| rule.requirement.check(inquiry, asked, facts).is_ok())
            .count()
    });
    of_each.sum()
}

fn decisions(criterion: &mut Criterion) {
    let Some(catalog) = catalog() else { return };
    let Some(inquiry) = read(&catalog, application()) else {
        return;
    };
    let facts = facts();
    assert_eq!(decide(&inquiry, &facts), 6, "every rule is met");
    criterion.bench_function("decide/six rules", |bencher| {
        bencher.iter(|| decide(&inquiry, &facts));
    });
    criterion.bench_function("decide/six rules, explained", |bencher| {
        bencher.iter(|| explain(&inquiry, &facts));
    });
    criterion.bench_function("decide/application read", |bencher| {
        bencher.iter_batched(
            application,
            |application| read(&catalog, application),
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, decisions);
criterion_main!(benches);
