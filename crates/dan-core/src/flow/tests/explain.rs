//! Explanations.

use super::{Desk, code, scope_rule, with};
use crate::error::Code;
use crate::flow::Call;
use crate::inquiry::OfferedTokens;
use crate::requirement::{PartyType, PartyTypeRule, Requirement, Role};
use crate::testkit::builders::{self, PERSON};
use crate::testkit::fakes::call_context;

#[tokio::test]
async fn explanation_and_decision_agree_and_name_no_person() {
    let kind = PartyTypeRule {
        allowed: vec![(Role::Requestor, PartyType::PublicAgency)],
    };
    let rules = vec![
        scope_rule("dan:other"),
        builders::rule("Test/party", Requirement::PartyType(kind)),
    ];
    let desk = Desk::with(rules, vec![builders::dataset("A")]);
    let ctx = call_context();
    let call = Call {
        caller: &desk.caller,
        ctx: &ctx,
    };
    let application = with(|it| it.subject = Some(PERSON.to_owned()));
    let explanation = desk
        .exchange
        .explain(call, application.clone(), OfferedTokens::default())
        .await
        .unwrap();
    assert!(!explanation.is_granted());
    let scope = &explanation.rules[0];
    assert_eq!(
        (scope.rule.as_str(), scope.kind.as_str()),
        ("Test/scope", "scope")
    );
    assert!(scope.unmet.as_ref().unwrap().contains("dan:other"));
    let party = &explanation.rules[1];
    assert_eq!(party.unmet, None);
    assert!(party.facts[0].contains("a public agency"));
    assert!(!format!("{explanation:?}").contains(PERSON));
    assert_eq!(
        code(desk.grant(application).await),
        Some(Code::AuthorizationFailed)
    );
    let phases = desk.records().await;
    assert_eq!(phases.len(), 1, "explaining leaves no record");
}
