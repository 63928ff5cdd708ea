//! What the reference's own tests pin about applications, in the order of `engine.md` appendix B:
//! 4 to 9 and 24.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use dan_core::accreditation::Accreditation;
use dan_core::dataset::{Dataset, ParameterSpec, ValueType};
use dan_core::error::{Code, Fault};
use dan_core::flow::{Call, Exchange};
use dan_core::inquiry::{
    Application, LegalBasis, LegalBasisKind, OfferedTokens, PARAMETER_BYTES_MAX, Parameter,
};
use dan_core::meter::Meter;
use dan_core::party::{Party, Realm};
use dan_core::ports::Unit;
use dan_core::requirement::{
    CustomSubject, LegalBasisRule, OnFailure, Requirement, Rule, ScopeRule,
};
use dan_core::testkit::builders::{self, AGENCY, COMPANY, OTHER_AGENCY, PERSON, SYNTHETIC};
use dan_core::testkit::fakes::{Fakes, call_context};
use serde_json::{Value, json};

const OTHER_PERSON: &str = "03065001488";
const FOREIGN: &str = "iso6523-actorid-upis::9999:x";
const NO_CONTROL_DIGIT: &str = "991825828";

struct Desk {
    fakes: Fakes,
    exchange: Exchange,
}

impl Desk {
    fn with(datasets: Vec<Dataset>) -> Self {
        let context = builders::context(Vec::new());
        let fakes = Fakes::new(|source| builders::catalog(context, source, datasets));
        let exchange = Exchange::new(fakes.ports(), Fakes::settings(), Arc::new(Meter::default()));
        Self { fakes, exchange }
    }

    async fn grant(&self, application: Application) -> Result<Accreditation, Fault> {
        let caller = builders::caller(AGENCY, &["dan:test"]);
        let ctx = call_context();
        let call = Call {
            caller: &caller,
            ctx: &ctx,
        };
        let tokens = OfferedTokens::default();
        let granted = self.exchange.grant(call, application, tokens, None).await?;
        Ok(granted.accreditation)
    }

    async fn code(&self, application: Application) -> Option<Code> {
        self.grant(application).await.err().map(|fault| fault.code)
    }
}

fn between(subject: &str, requestor: &str) -> Application {
    Application {
        subject: Some(subject.to_owned()),
        requestor: Some(requestor.to_owned()),
        ..builders::application(&["A"])
    }
}

fn ruled(name: &str, requirement: Requirement) -> Dataset {
    Dataset {
        rules: vec![builders::rule(&format!("{name}/rule"), requirement)],
        ..builders::dataset(name)
    }
}

fn scope(text: &str) -> Requirement {
    Requirement::Scope(ScopeRule {
        required: vec![text.to_owned()],
    })
}

fn digits_only() -> Requirement {
    Requirement::CustomSubject(CustomSubject {
        pattern: regex::Regex::new(r"^\d+$").unwrap(),
        description: None,
    })
}

#[tokio::test]
async fn appendix_b_04_parties_are_accepted_in_every_written_form() {
    let desk = Desk::with(vec![builders::dataset("A")]);
    let with_scheme = format!("iso6523-actorid-upis::0192:{COMPANY}");
    for (subject, requestor) in [
        (COMPANY, AGENCY),
        (PERSON, OTHER_PERSON),
        (with_scheme.as_str(), FOREIGN),
    ] {
        let grant = desk.grant(between(subject, requestor)).await.unwrap();
        let read = |text| Party::parse(text, Realm::Production).unwrap();
        assert_eq!(grant.subject, Some(read(subject)));
        assert_eq!(grant.requestor, read(requestor));
    }
    for (subject, requestor, expected) in [
        (NO_CONTROL_DIGIT, AGENCY, Code::InvalidSubject),
        (COMPANY, NO_CONTROL_DIGIT, Code::InvalidRequestor),
        (NO_CONTROL_DIGIT, NO_CONTROL_DIGIT, Code::InvalidRequestor),
    ] {
        assert_eq!(desk.code(between(subject, requestor)).await, Some(expected));
    }
}

#[tokio::test]
async fn appendix_b_05_a_custom_subject_is_a_party_where_it_can_be_one() {
    let desk = Desk::with(vec![ruled("A", digits_only())]);
    let person = desk.grant(between(PERSON, AGENCY)).await.unwrap();
    assert!(matches!(person.subject, Some(Party::Person(_))));
    for digits in ["1234", NO_CONTROL_DIGIT] {
        let custom = desk.grant(between(digits, AGENCY)).await.unwrap();
        assert_eq!(custom.subject, Some(Party::Custom(digits.to_owned())));
    }
    // A person of the other kind stays a person, not a text.
    let synthetic = desk.code(between(SYNTHETIC, AGENCY)).await;
    assert_eq!(synthetic, Some(Code::InvalidSubject));
}

#[tokio::test]
async fn appendix_b_06_names_contexts_and_rules_have_their_codes() {
    let elsewhere = Dataset {
        contexts: vec!["Other".to_owned()],
        ..builders::dataset("Elsewhere")
    };
    let desk = Desk::with(vec![
        builders::dataset("A"),
        ruled("Ruled", scope("dan:other")),
        elsewhere,
    ]);
    for (name, expected) in [
        ("A", None),
        ("a", Some(Code::UnknownEvidenceCode)),
        ("Elsewhere", Some(Code::InvalidEvidenceRequest)),
        ("Ruled", Some(Code::AuthorizationFailed)),
    ] {
        let application = builders::application(&[name]);
        assert_eq!(desk.code(application).await, expected, "{name}");
    }
    // The first that is wrong decides, in the order they are asked for (`wire-api.md` §11, 6).
    for (names, expected) in [
        (["Elsewhere", "a"], Code::InvalidEvidenceRequest),
        (["a", "Elsewhere"], Code::UnknownEvidenceCode),
        (["Ruled", "a"], Code::UnknownEvidenceCode),
    ] {
        let application = builders::application(&names);
        assert_eq!(desk.code(application).await, Some(expected));
    }
}

#[tokio::test]
async fn appendix_b_07_a_soft_rule_leaves_its_dataset_out_and_says_so() {
    let soft = Rule {
        on_failure: OnFailure::Skip,
        ..builders::rule("B/soft", scope("dan:other"))
    };
    let left_out = Dataset {
        rules: vec![soft],
        ..builders::dataset("B")
    };
    let desk = Desk::with(vec![builders::dataset("A"), left_out]);
    let grant = desk
        .grant(builders::application(&["B", "A"]))
        .await
        .unwrap();
    assert_eq!((grant.datasets.len(), &*grant.datasets[0].name), (1, "A"));
    let skipped = &grant.skipped[0];
    assert_eq!((&*skipped.name, &*skipped.rule_id), ("B", "B/soft"));
    let fault = desk.grant(builders::application(&["B"])).await.unwrap_err();
    assert_eq!(
        (fault.code, fault.rules),
        (Code::AuthorizationFailed, vec!["B/soft".to_owned()])
    );
}

fn asking_with(parameters: &[(&str, Value)]) -> Application {
    let mut application = builders::application(&["A"]);
    application.datasets[0].parameters = parameters
        .iter()
        .map(|(name, value)| Parameter {
            name: (*name).to_owned(),
            value: value.clone(),
        })
        .collect();
    application
}

#[tokio::test]
async fn appendix_b_08_parameters_are_those_that_are_declared_and_of_their_type() {
    let spec = |name: &str, kind, required| ParameterSpec {
        name: name.to_owned(),
        parameter_type: Some(kind),
        required,
    };
    let desk = Desk::with(vec![
        Dataset {
            parameters: vec![
                spec("number", ValueType::Number, true),
                spec("date", ValueType::DateTime, true),
                spec("flag", ValueType::Boolean, false),
            ],
            ..builders::dataset("A")
        },
        builders::dataset("None"),
    ]);
    let (number, date) = (json!(3), json!("2026-01-01"));
    let both = [("number", number.clone()), ("date", date.clone())];
    let and = |name: &'static str, value: Value| {
        let mut all = both.to_vec();
        all.push((name, value));
        all
    };
    for (parameters, accepted) in [
        (both.to_vec(), true),
        (and("flag", json!("True")), true),
        (
            vec![("number", json!("three")), ("date", date.clone())],
            false,
        ),
        (
            vec![("number", number.clone()), ("date", json!("soon"))],
            false,
        ),
        (and("flag", json!("maybe")), false),
        (and("flag", json!(null)), false),
        (vec![("number", number.clone())], false),
        (vec![], false),
        ([and("flag", json!(true)), both.to_vec()].concat(), false),
        (vec![("number", number), ("flag", json!(true))], false),
        (and("unknown", json!("x")), false),
        (and("Number", json!(3)), false),
        (vec![("Number", json!(3)), ("date", date)], false),
    ] {
        let expected = (!accepted).then_some(Code::InvalidEvidenceRequestParameter);
        let outcome = desk.code(asking_with(&parameters)).await;
        assert_eq!(outcome, expected, "{parameters:?}");
    }
    let long = json!("1".repeat(PARAMETER_BYTES_MAX + 1));
    let outcome = desk.code(asking_with(&[("number", long), both[1].clone()]));
    assert_eq!(outcome.await, Some(Code::InvalidEvidenceRequestParameter));
    let mut application = asking_with(&both);
    application.datasets[0].name = "None".to_owned();
    let outcome = desk.code(application).await;
    assert_eq!(outcome, Some(Code::InvalidEvidenceRequestParameter));
}

#[tokio::test]
async fn appendix_b_09_a_basis_that_is_referred_to_is_accepted_and_the_end_lies_ahead() {
    let rule = LegalBasisRule {
        cpv: None,
        espd: true,
    };
    let desk = Desk::with(vec![ruled("A", Requirement::LegalBasis(rule))]);
    let document =
        r#"<e:ESPDRequest xmlns:e="urn:grow:names:specification:ubl:schema:xsd:ESPDRequest-1"/>"#;
    let resting_on = |referred: Option<&str>| {
        let mut application = builders::application(&["A"]);
        application.datasets[0].legal_basis_id = referred.map(str::to_owned);
        application.legal_bases = vec![LegalBasis {
            id: "1".to_owned(),
            kind: Some(LegalBasisKind::Espd),
            content: document.to_owned(),
        }];
        application
    };
    let grant = desk.grant(resting_on(Some("1"))).await.unwrap();
    assert!(grant.valid_to > desk.exchange.now());
    assert_eq!(grant.issued, desk.exchange.now());
    for referred in [None, Some("2")] {
        let outcome = desk.code(resting_on(referred)).await;
        assert_eq!(outcome, Some(Code::InvalidLegalBasis));
    }
}

#[tokio::test]
async fn appendix_b_24_units_climb_to_the_topmost_main_unit() {
    let desk = Desk::with(Vec::new());
    let (top, middle, bottom) = (AGENCY, OTHER_AGENCY, COMPANY);
    let below = |number: &str, parent: &str| Unit {
        parent: Some(builders::org(parent)),
        is_sub_unit: true,
        ..builders::unit(number, "BEDR")
    };
    desk.fakes.facts.put(below(middle, top));
    desk.fakes.facts.put(below(bottom, middle));
    let ctx = call_context();
    for (number, expected) in [(top, Some(top)), (middle, Some(top)), (bottom, Some(top))] {
        let found = desk.exchange.main_unit(number, &ctx).await.unwrap();
        let found = found.map(|unit| unit.number.to_string());
        assert_eq!(found.as_deref(), expected);
    }
    for nobody in ["910402021", NO_CONTROL_DIGIT, PERSON, ""] {
        let found = desk.exchange.main_unit(nobody, &ctx).await.unwrap();
        assert!(found.is_none(), "{nobody}");
    }
    let units = desk.exchange.sub_units(top, &ctx).await.unwrap();
    assert_eq!((units.len(), units[0].number.as_str()), (1, middle));
    assert!(
        desk.exchange
            .sub_units(bottom, &ctx)
            .await
            .unwrap()
            .is_empty()
    );
}
