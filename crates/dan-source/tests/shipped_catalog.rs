//! The shipped catalogue: loads, its examples come out, the embedded copy is complete.

#[cfg(test)]
mod tests {
    use std::path::Path;

    use dan_core::dataset::ValueType;
    use dan_core::requirement::{Requirement, Role};
    use dan_source::catalog_folder::{
        CatalogFiles, Declared, Environment, Loaded, Problem, check_folder, embedded, load,
    };

    fn root() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../catalog"))
    }

    fn lines(problems: &[Problem]) -> String {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        lines.join("\n")
    }

    fn loaded() -> Loaded {
        load(&CatalogFiles::embedded(), &Environment::invented())
            .unwrap_or_else(|problems| panic!("{}", lines(&problems)))
    }

    fn dataset<'a>(loaded: &'a Loaded, name: &str) -> &'a Declared {
        let found = loaded.datasets.iter().find(|one| one.dataset.name == name);
        found.unwrap_or_else(|| panic!("{name} is not there"))
    }

    #[test]
    fn it_has_no_mistake_and_every_example_comes_out() {
        if let Err(problems) = check_folder(root(), &Environment::invented()) {
            panic!("{}", lines(&problems));
        }
    }

    #[test]
    fn the_embedded_copy_is_the_folder() {
        let folder = CatalogFiles::read_folder(root()).expect("readable");
        let listed: Vec<&str> = embedded().iter().map(|(path, _)| *path).collect();
        let there: Vec<&str> = folder.paths().collect();
        assert_eq!(listed, there, "list every file in embedded.rs, by path");
        assert_eq!(CatalogFiles::embedded().version(), folder.version());
    }

    #[test]
    fn every_file_of_examples_is_used() {
        let files = CatalogFiles::embedded();
        let datasets: String = files
            .paths()
            .filter(|path| path.starts_with("datasets/"))
            .filter_map(|path| files.text(path))
            .collect();
        for path in files.paths().filter(|path| path.starts_with("examples/")) {
            assert!(datasets.contains(path), "{path} is used by no dataset");
        }
    }

    #[test]
    fn metadata_promises_nothing_that_no_example_gives() {
        for declared in &loaded().datasets {
            let unproven = declared.definition.unproven_values();
            assert_eq!(unproven, [""; 0], "{}", declared.dataset.name);
            assert!(declared.dataset.description.is_some());
        }
    }

    /// `wire-api.md` §2.4: names, in this order.
    #[test]
    fn the_contexts_are_those_of_the_service_in_its_order() {
        let loaded = loaded();
        let contexts = loaded.service_contexts();
        let names: Vec<&str> = contexts
            .iter()
            .map(|context| context.name.as_str())
            .collect();
        assert_eq!(
            names,
            [
                "eBevis",
                "Drosjeloyve",
                "Tilda",
                "OED",
                "Advokatregisteret",
                "DigitaleHelgeland",
                "Reelle rettighetshavere",
                "eDueDiligence",
                "DigitalGravferdsmelding",
                "Bits kontrollinformasjon",
                "DAN-test",
                "Altinn Studio-apps",
                "NSG",
            ]
        );
        let rules = |name: &str| {
            let context = contexts
                .iter()
                .find(|context| context.name == name)
                .unwrap();
            let ids = context.rules.iter().map(|rule| rule.id.clone());
            ids.collect::<Vec<String>>()
        };
        assert_eq!(rules("eBevis"), ["eBevis/party", "eBevis/scope"]);
        assert_eq!(rules("Tilda"), ["Tilda/scope", "Tilda/relation"]);
        assert_eq!(rules("NSG"), [""; 0]);
        let scopes: Vec<&str> = contexts
            .iter()
            .flat_map(|context| &context.rules)
            .flat_map(|rule| {
                if let Requirement::Scope(scope) = &rule.requirement {
                    return scope.required.as_slice();
                }
                &[]
            })
            .map(String::as_str)
            .collect();
        assert_eq!(
            scopes,
            [
                "altinn:dataaltinnno/ebevis",
                "altinn:dataaltinnno/drosje",
                "altinn:dataaltinnno/tilda",
                "altinn:dataaltinnno/oed",
                "altinn:dataaltinnno/dihe",
                "altinn:dataaltinnno/reelle",
                "altinn:dataaltinnno/duediligence",
                "altinn:dataaltinnno/dgm",
                "altinn:dataaltinnno/kontrollinformasjon",
                "dan:test",
                "dan:altinnstudioapps",
            ]
        );
        let drosje = contexts.iter().find(|it| it.id == "drosjeloyve-product");
        assert_eq!(drosje.unwrap().languages, ["no-nb", "no-nn"]);
        let origin = &contexts[0].rules[0].origin;
        assert_eq!(origin, "contexts/ebevis-product.toml:7");
    }

    /// `services.md` §1.1.
    #[test]
    fn basic_information_has_its_values_and_types() {
        let loaded = loaded();
        let dataset = &dataset(&loaded, "UnitBasicInformation").dataset;
        let named = |kind: ValueType| {
            let values = dataset
                .values
                .iter()
                .filter(move |value| value.value_type == kind);
            values.map(|value| value.name.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(dataset.values.len(), 32);
        assert_eq!(
            named(ValueType::Number),
            [
                "OrganizationNumber",
                "LatestFinacialStatement",
                "NumberOfEmployees"
            ]
        );
        assert_eq!(
            named(ValueType::Boolean),
            [
                "IsInRegisterOfBusinessEnterprises",
                "IsInValueAddedTaxRegister",
                "IsBeingDissolved",
                "IsUnderBankruptcy",
                "IsBeingForciblyDissolved",
                "IsInRegistryOfNonProfitOrganizations",
            ]
        );
        assert_eq!(
            named(ValueType::DateTime),
            [
                "CreatedInCentralRegisterForLegalEntities",
                "Established",
                "CreatedInNonProfitRegistry",
            ]
        );
        assert!(dataset.public && dataset.rules.is_empty());
        assert_eq!(dataset.values[0].source, "Enhetsregisteret");
        assert!(
            dataset
                .mapping
                .starts_with("{\"keep\":null,\"remove\":null,\"value\":[")
        );
    }

    #[test]
    fn test_datasets_give_up_after_five_seconds() {
        let loaded = loaded();
        let names = loaded.datasets.iter().map(|one| &one.dataset);
        let tests: Vec<_> = names.filter(|it| it.name.starts_with("DanTest")).collect();
        assert!(tests.len() >= 3);
        for dataset in tests {
            assert_eq!(dataset.timeout_s, Some(5), "{}", dataset.name);
        }
    }

    #[test]
    fn arrears_need_consent_and_are_served_by_their_source() {
        let loaded = loaded();
        let declared = dataset(&loaded, "RestanserV2");
        let consent = &declared.dataset.rules[0];
        assert_eq!(consent.id, "RestanserV2/consent");
        assert_eq!(consent.origin, "datasets/RestanserV2.toml:9");
        let Requirement::Consent(rule) = &consent.requirement else {
            panic!("consent is required");
        };
        assert_eq!(
            rule.resource.as_deref(),
            Some("digdir-restanser-skatteetaten")
        );
        assert_eq!(rule.token_scope.as_deref(), Some("skatteetaten:restanser"));
        assert_eq!(declared.definition.source_name(), "skatt");
        assert_eq!(
            dataset(&loaded, "TildaMetadatav1").definition.source_name(),
            "declared"
        );
    }

    /// `wire-api.md` §11: the list of the reference, to the code.
    #[test]
    fn the_cpv_codes_are_those_of_the_reference() {
        const CODES: &str = "45000000-7 45100000-8 45200000-9 45300000-0 45400000-1 45500000-2 \
            50000000-5 51000000-9 55000000-0 55100000-1 55200000-2 55300000-3 55400000-4 \
            55500000-5 55900000-9 60000000-8 60100000-9 60112000-6 90000000-7 90610000-6 \
            90900000-6 90911000-6 90913000-0 90919000-2";
        let list = loaded().cpv.expect("tables/cpv_risk.toml");
        let codes: Vec<&str> = list.codes.iter().map(String::as_str).collect();
        assert_eq!(codes, CODES.split_ascii_whitespace().collect::<Vec<_>>());
        assert_eq!(list.version, "2025-01");
    }

    /// `services.md` §7.
    #[test]
    fn datasets_about_persons_are_asked_with_a_token_of_the_caller() {
        let loaded = loaded();
        for (name, scope, source) in [
            (
                "FregPerson",
                "folkeregister:deling/offentligmedhjemmel",
                "freg",
            ),
            (
                "SummertSkattegrunnlag",
                "skatteetaten:summertskattegrunnlag",
                "skatt_person",
            ),
        ] {
            let declared = dataset(&loaded, name);
            let rules = declared.dataset.rules.iter();
            let kinds: Vec<&str> = rules.map(|rule| rule.requirement.kind()).collect();
            assert_eq!(kinds, ["own-token", "party"], "{name}");
            assert_eq!(declared.dataset.contexts, ["DigitaleHelgeland"]);
            assert_eq!(declared.dataset.source_scopes.as_deref(), Some(scope));
            assert_eq!(declared.definition.source_name(), source);
            assert!(!declared.dataset.public);
        }
    }

    #[test]
    fn roles_and_rights_are_tried_by_the_test_datasets() {
        let loaded = loaded();
        let rule = |name: &str| dataset(&loaded, name).dataset.rules[0].requirement.clone();
        let Requirement::Role(role) = rule("DanTestRolle") else {
            panic!("a role is required");
        };
        assert_eq!(role.role_code, "DAGL");
        let Requirement::Right(right) = rule("DanTestRettighet") else {
            panic!("a right is required");
        };
        assert_eq!(
            (right.service_code.as_str(), right.actions.len()),
            ("dan-test", 1)
        );
        assert_eq!(
            (role.offered_by, role.covered_by),
            (Role::Subject, Role::Requestor)
        );
        assert_eq!(
            (right.offered_by, right.covered_by),
            (Role::Subject, Role::Requestor)
        );
    }
}
