//! Every kind of rule a file may write, as the core gets it; and aliases.

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use dan_core::catalog::Catalog;
    use dan_core::ports::{CallContext, Fetch, FetchError, FetchReply, FetchRequest, PortFuture};
    use dan_core::requirement::{OnFailure, Requirement, Rule};
    use dan_core::testkit::fakes::StillClock;
    use dan_source::catalog_folder::{CatalogFiles, Environment, Loaded, load};
    use dan_source::declared::SourcePorts;

    const CODES: &str =
        "version = \"v1\"\n[[code]]\ncode = \"45000000-7\"\nabout = \"Construction work\"\n";

    struct Nowhere;

    impl Fetch for Nowhere {
        fn fetch<'a>(
            &'a self,
            _request: FetchRequest,
            _ctx: &'a CallContext,
        ) -> PortFuture<'a, Result<FetchReply, FetchError>> {
            Box::pin(std::future::ready(Err(FetchError::Timeout)))
        }
    }

    fn loaded(head: &str, rules: &str) -> Loaded {
        let dataset = format!(
            "[dataset]\nabout = \"x\"\nsource = \"Reg\"\n{head}\n{rules}\n[[value]]\nname = \"v\"\ntype = \"string\"\ntext = \"x\"\n[[example]]\nexpect = \"examples/v.json\"\n"
        );
        let context = "name = \"T\"\nowner = \"O\"\n[[require]]\nkind = \"own-token\"\n";
        let files = CatalogFiles::from_texts(
            [
                ("contexts/t.toml", context),
                ("datasets/D.toml", &dataset),
                ("examples/v.json", "{\"v\": \"x\"}"),
                ("tables/cpv_risk.toml", CODES),
                (
                    "tables/own.toml",
                    "version = \"mine\"\n[[c]]\ncode = \"60000000-8\"\n",
                ),
            ]
            .map(|(path, text)| (path.to_owned(), text.to_owned())),
        );
        let settings = BTreeMap::from(
            [
                ("owners", "991825827, nor-freg::07056120453,974760673 "),
                ("subjects", "998997801"),
            ]
            .map(|(name, text)| (name.to_owned(), text.to_owned())),
        );
        let no_secrets = |_: &str| None;
        load(&files, &Environment::new(&settings, &no_secrets))
            .unwrap_or_else(|problems| panic!("{problems:#?}"))
    }

    fn rules(text: &str) -> Vec<Rule> {
        let mut loaded = loaded("contexts = [\"T\"]", text);
        loaded.datasets.remove(0).dataset.rules
    }

    const KINDS: &[(&str, &str, &str)] = &[
        (
            "kind = \"scope\"\nall = [\"a:b\", \"c\"]",
            "scope",
            "Scope(ScopeRule { required: [\"a:b\", \"c\"] })",
        ),
        (
            "kind = \"party\"\nrequestor = \"public-agency\"\nsubject = [\"person\", \"foreign\"]\nowner = \"enterprise\"",
            "party",
            "PartyType(PartyTypeRule { allowed: [(Requestor, PublicAgency), (Subject, PrivatePerson), (Subject, Foreign), (Owner, PrivateEnterprise)] })",
        ),
        (
            "kind = \"same\"\nwho = [\"requestor\", \"owner\", \"subject\"]",
            "relation",
            "PartyRelation(PartyRelation { relations: [Relation { left: Requestor, right: Owner, equal: true }, Relation { left: Subject, right: Owner, equal: true }] })",
        ),
        (
            "kind = \"different\"\nwho = [\"subject\", \"requestor\"]",
            "relation",
            "PartyRelation(PartyRelation { relations: [Relation { left: Requestor, right: Subject, equal: false }] })",
        ),
        (
            "kind = \"allow-list\"\nowner = [\"991825827\", \"974760673\"]\nsubject = \"07056120453\"",
            "allow-list",
            "AllowList(AllowList { allowed: [(Subject, Party((person))), (Owner, Party(991825827)), (Owner, Party(974760673))] })",
        ),
        (
            "kind = \"reference\"\nreference = \"external\"\nformat = '^\\d+$'",
            "reference",
            "Reference(ReferenceRule { reference: External, format: Regex(\"^\\\\d+$\") })",
        ),
        (
            "kind = \"subject\"\nalso = '^\\d{1,8}$'\ndescription = \"1-8 digits\"",
            "subject",
            "CustomSubject(CustomSubject { pattern: Regex(\"^\\\\d{1,8}$\"), description: Some(\"1-8 digits\") })",
        ),
        (
            "kind = \"subject\"",
            "subject",
            "CustomSubject(CustomSubject { pattern: Regex(\"\\\\w+\"), description: None })",
        ),
        ("kind = \"own-token\"", "own-token", "OwnToken(OwnToken)"),
        (
            "kind = \"legal-basis\"\naccepts = \"cpv\"",
            "legal-basis",
            "LegalBasis(LegalBasisRule { cpv: Some(CpvList { version: \"v1\", codes: {\"45000000-7\"} }), espd: false })",
        ),
        (
            "kind = \"legal-basis\"\naccepts = [\"espd\", \"cpv\"]\ncpv = \"own\"",
            "legal-basis",
            "LegalBasis(LegalBasisRule { cpv: Some(CpvList { version: \"mine\", codes: {\"60000000-8\"} }), espd: true })",
        ),
        (
            "kind = \"legal-basis\"\naccepts = \"espd\"",
            "legal-basis",
            "LegalBasis(LegalBasisRule { cpv: None, espd: true })",
        ),
        (
            "kind = \"consent\"\nresource = \"r\"\nscope = \"s\"\ndays = 90\nsrr = true",
            "consent",
            "Consent(ConsentRule { resource: Some(\"r\"), token_scope: Some(\"s\"), days: Some(90), service_code: None, service_edition: 0, requires_srr: true })",
        ),
        (
            "kind = \"role\"\nrole = \"DAGL\"\noffered_by = \"subject\"\ncovered_by = \"owner\"",
            "role",
            "Role(AltinnRole { role_code: \"DAGL\", offered_by: Subject, covered_by: Owner })",
        ),
        (
            "kind = \"right\"\nresource = \"dan-test\"\noffered_by = \"subject\"\ncovered_by = \"owner\"",
            "right",
            "Right(AltinnRight { service_code: \"dan-test\", service_edition: \"\", offered_by: Subject, covered_by: Owner, actions: [] })",
        ),
        (
            "kind = \"right\"\nservice = \"1\"\nedition = \"2\"\noffered_by = \"subject\"\ncovered_by = \"requestor\"\nactions = [\"Read\"]",
            "right",
            "Right(AltinnRight { service_code: \"1\", service_edition: \"2\", offered_by: Subject, covered_by: Requestor, actions: [\"Read\"] })",
        ),
        (
            "kind = \"srr\"",
            "srr",
            "Undecided(Undecided { kind: \"srr\", wire_type: \"SrrRequirement\" })",
        ),
        (
            "kind = \"allow-list-from-config\"\nowner = \"owners\"\nsubject = \"subjects\"",
            "allow-list-from-config",
            "AllowListFromConfig(AllowListFromConfig { lists: [ConfiguredList { role: Subject, setting: \"subjects\", parties: [Party(998997801)] }, ConfiguredList { role: Owner, setting: \"owners\", parties: [Party(991825827), Party((person)), Party(974760673)] }] })",
        ),
    ];

    #[test]
    fn every_kind_is_read_as_it_is_meant() {
        for (text, kind, expected) in KINDS {
            let rules = rules(&format!("[[require]]\n{text}\n"));
            let [rule] = rules.as_slice() else {
                panic!("{text} is one rule");
            };
            assert_eq!(format!("{:?}", rule.requirement), *expected);
            assert_eq!(rule.id, format!("D/{kind}"));
            assert_eq!(rule.origin, "datasets/D.toml:5");
            assert!(rule.at_harvest && rule.contexts.is_empty());
            assert_eq!(rule.on_failure, OnFailure::Deny);
        }
    }

    #[test]
    fn the_codes_of_the_usual_table_are_known_outside_of_rules() {
        let loaded = loaded("contexts = [\"T\"]", "");
        let list = loaded.cpv.expect("tables/cpv_risk.toml");
        assert_eq!(list.version, "v1");
        assert_eq!(Vec::from_iter(&list.codes), ["45000000-7"]);
    }

    /// `dan catalog check` knows no node, and nobody is on a list that is not there.
    #[test]
    fn without_a_node_a_configured_list_is_empty() {
        let rule = "[[require]]\nkind = \"allow-list-from-config\"\nowner = \"owners\"\n";
        let context = format!("name = \"T\"\nowner = \"O\"\n{rule}");
        let files = CatalogFiles::from_texts([("contexts/t.toml".to_owned(), context)]);
        let loaded = load(&files, &Environment::invented()).expect("no mistake");
        let Requirement::AllowListFromConfig(list) =
            &loaded.contexts[0].context.rules[0].requirement
        else {
            panic!("a configured list");
        };
        assert_eq!(list.lists.len(), 1);
        assert!(list.lists[0].parties.is_empty());
    }

    #[test]
    fn what_is_written_beside_the_kind_is_read_and_identifiers_stay_apart() {
        let rules = rules(
            "[[require]]\nkind = \"own-token\"\non_failure = \"skip\"\nat_harvest = false\ncontexts = [\"T\"]\n[[require]]\nkind = \"srr\"\n[[require]]\nkind = \"own-token\"\n",
        );
        let ids: Vec<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
        assert_eq!(ids, ["D/own-token", "D/srr", "D/own-token-2"]);
        assert_eq!(rules[0].on_failure, OnFailure::Skip);
        assert!(!rules[0].at_harvest);
        assert_eq!(rules[0].contexts, ["T"]);
    }

    #[test]
    fn an_aliased_dataset_is_found_under_its_alias_with_the_rules_of_its_context() {
        let head = "aliases = [{ context = \"T\", name = \"Other\" }]\ncontexts = [\"T\"]";
        let loaded = loaded(head, "[[require]]\nkind = \"srr\"\n");
        let ports = SourcePorts::new(Arc::new(Nowhere), Arc::new(StillClock::default()), None);
        let supplies = loaded.supplies(&ports);
        let contexts = loaded.service_contexts();
        let (catalog, left_out) = Catalog::build(contexts, supplies, loaded.version);
        assert_eq!(left_out, [""; 0]);
        assert!(catalog.offer("T", "D").is_none());
        let offer = catalog.offer("T", "Other").expect("under its alias");
        assert_eq!(offer.dataset.name, "D");
        assert_eq!(offer.source.id(), "declared");
        let kinds: Vec<&str> = offer
            .rules
            .iter()
            .map(|rule| rule.requirement.kind())
            .collect();
        assert_eq!(kinds, ["own-token", "srr"]);
        assert!(matches!(
            offer.rules[0].requirement,
            Requirement::OwnToken(_)
        ));
    }
}
