//! Valid domain values; a test changes one field.

use std::sync::Arc;

use crate::caller::{Caller, KeyProof, Proof, TokenProof};
use crate::catalog::{Catalog, Supply};
use crate::context::ServiceContext;
use crate::dataset::{Dataset, ValueSpec, ValueType};
use crate::inquiry::{Application, DatasetRequest};
use crate::party::OrgNumber;
use crate::ports::{Source, Unit};
use crate::requirement::{OnFailure, Requirement, Rule};
use crate::secret::Secret;

/// A public agency, owner of nearly everything in tests.
pub const AGENCY: &str = "991825827";
/// Another public agency.
pub const OTHER_AGENCY: &str = "974760673";
/// A company.
pub const COMPANY: &str = "998997801";
/// A person.
pub const PERSON: &str = "07056120453";
/// A synthetic person: month plus 80.
pub const SYNTHETIC: &str = "01819000049";

/// The number, or `000000000`-like nonsense that fails the test at once.
#[must_use]
pub fn org(number: &str) -> OrgNumber {
    OrgNumber::parse(number).unwrap_or_else(|| unreachable_number(number))
}

#[expect(clippy::panic, reason = "a test gave a number that is none")]
fn unreachable_number(number: &str) -> OrgNumber {
    panic!("{number} is no organisation number")
}

/// A unit of the register.
#[must_use]
pub fn unit(number: &str, form: &str) -> Unit {
    Unit {
        number: org(number),
        name: format!("UNIT {number}"),
        form: form.to_owned(),
        sector: None,
        industries: Vec::new(),
        parent: None,
        deleted: None,
        is_sub_unit: false,
        document: Arc::new(serde_json::json!({"organisasjonsnummer": number})),
    }
}

/// The context `Test` with identifier `test-product` and these rules.
#[must_use]
pub fn context(rules: Vec<Rule>) -> ServiceContext {
    ServiceContext {
        id: "test-product".to_owned(),
        name: "Test".to_owned(),
        owner: "Digitaliseringsdirektoratet".to_owned(),
        description: None,
        languages: vec!["no-nb".to_owned(), "en".to_owned()],
        rules,
    }
}

/// A hard rule that applies everywhere.
#[must_use]
pub fn rule(id: &str, requirement: Requirement) -> Rule {
    Rule {
        id: id.to_owned(),
        origin: "test".to_owned(),
        requirement,
        on_failure: OnFailure::Deny,
        contexts: Vec::new(),
        at_harvest: true,
    }
}

/// A dataset of the context `Test` with one value `navn`.
#[must_use]
pub fn dataset(name: &str) -> Dataset {
    Dataset {
        name: name.to_owned(),
        description: None,
        publisher: "Testregisteret".to_owned(),
        contexts: vec!["Test".to_owned()],
        aliases: Vec::new(),
        values: vec![ValueSpec {
            name: "navn".to_owned(),
            value_type: ValueType::String,
            source: "Testregisteret".to_owned(),
            description: None,
            mime_type: None,
            json_schema: None,
        }],
        parameters: Vec::new(),
        rules: Vec::new(),
        unavailable: None,
        public: false,
        asynchronous: false,
        valid_days_max: None,
        timeout_s: None,
        bytes_max: None,
        source_scopes: None,
        license: None,
        valid_from: None,
        valid_to: None,
        deprecation_warning: None,
        mapping: Arc::from("null"),
    }
}

/// A catalogue of one context and one source.
#[must_use]
pub fn catalog(
    context: ServiceContext,
    source: Arc<dyn Source>,
    datasets: Vec<Dataset>,
) -> Catalog {
    Catalog::build(
        vec![context],
        vec![Supply { source, datasets }],
        "test".to_owned(),
    )
    .0
}

/// A caller of the context `Test`.
#[must_use]
#[expect(clippy::panic, reason = "a test gave proofs that do not fit")]
pub fn caller(owner: &str, scopes: &[&str]) -> Caller {
    let proofs = vec![
        Proof::Key(KeyProof::new(
            "key".to_owned(),
            "test-product".to_owned(),
            None,
        )),
        Proof::Token(TokenProof::new(
            org(owner),
            scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            Arc::new(Secret::new("token".to_owned())),
        )),
    ];
    match Caller::join(proofs) {
        Ok(caller) => caller,
        Err(fault) => panic!("{fault:?}"),
    }
}

/// An application for datasets about [`COMPANY`].
#[must_use]
pub fn application(datasets: &[&str]) -> Application {
    let request = |name: &&str| DatasetRequest {
        name: (*name).to_owned(),
        ..DatasetRequest::default()
    };
    Application {
        requestor: Some(AGENCY.to_owned()),
        subject: Some(COMPANY.to_owned()),
        datasets: datasets.iter().map(request).collect(),
        ..Application::default()
    }
}
