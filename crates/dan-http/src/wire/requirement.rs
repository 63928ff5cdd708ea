//! Rules in metadata, under their DAN names (`wire-api.md` §5.6).

use dan_core::requirement::{
    AllowList, AllowListFromConfig, AltinnRight, OnFailure, PartyType, PartyTypeRule, Requirement,
    Role, Rule,
};
use serde_json::{Map, Value, json};

/// The wire shape of a rule: common members first, then those of its kind.
pub(crate) fn rule(rule: &Rule) -> Value {
    let (name, members) = kind(&rule.requirement);
    let mut object = Map::new();
    object.insert("type".to_owned(), name.into());
    let failure = match rule.on_failure {
        OnFailure::Deny => 0,
        OnFailure::Skip => 1,
    };
    object.insert("failureAction".to_owned(), failure.into());
    if !rule.contexts.is_empty() {
        object.insert(
            "appliesToServiceContext".to_owned(),
            rule.contexts.clone().into(),
        );
    }
    object.insert(
        "requiredOnEvidenceHarvester".to_owned(),
        rule.at_harvest.into(),
    );
    if let Value::Object(members) = members {
        object.extend(members);
    }
    Value::Object(object)
}

fn kind(requirement: &Requirement) -> (String, Value) {
    let (name, members) = match requirement {
        Requirement::AllowList(list) => ("WhiteListRequirement", allowed_parties(list)),
        Requirement::AllowListFromConfig(list) => {
            ("WhiteListFromConfigRequirement", configured_lists(list))
        }
        Requirement::Consent(consent) => (
            "ConsentRequirement",
            json!({
                "serviceCode": consent.service_code,
                "serviceEdition": consent.service_edition,
                "requiresSrr": consent.requires_srr,
                "consentPeriodInDays": consent.days,
                "altinnResource": consent.resource,
                "consentTokenScope": consent.token_scope,
            }),
        ),
        Requirement::CustomSubject(subject) => (
            "CustomSubjectRequirement",
            json!({
                "subjectRegex": subject.pattern.as_str(),
                "subjectRegexDescription": subject.description,
            }),
        ),
        Requirement::LegalBasis(basis) => {
            let mask = u8::from(basis.espd) | (u8::from(basis.cpv.is_some()) << 1);
            (
                "LegalBasisRequirement",
                json!({"validLegalBasisTypes": mask}),
            )
        }
        Requirement::OwnToken(_) => ("ProvideOwnTokenRequirement", json!({})),
        Requirement::PartyRelation(relation) => {
            let names: Vec<&str> = relation
                .relations
                .iter()
                .map(|one| one.wire_name())
                .collect();
            (
                "AccreditationPartyRequirement",
                json!({"partyRequirements": names}),
            )
        }
        Requirement::PartyType(rule) => ("PartyTypeRequirement", party_types(rule)),
        Requirement::Reference(reference) => (
            "ReferenceRequirement",
            json!({
                "ReferenceType": reference.reference.number(),
                "AcceptedFormat": reference.format.as_str(),
            }),
        ),
        Requirement::Right(right) => ("AltinnRightsRequirement", altinn_right(right)),
        Requirement::Role(role) => (
            "AltinnRoleRequirement",
            json!({
                "roleCode": role.role_code,
                "offeredBy": role.offered_by.wire_name(),
                "coveredBy": role.covered_by.wire_name(),
            }),
        ),
        Requirement::Scope(scope) => (
            "MaskinportenScopeRequirement",
            json!({"requiredScopes": scope.required}),
        ),
        Requirement::Undecided(other) => return (other.wire_type.clone(), json!({})),
    };
    (name.to_owned(), members)
}

/// Who is listed concerns those who are: organisations are shown, persons are not.
fn allowed_parties(list: &AllowList) -> Value {
    let listed = list.allowed.iter().filter_map(|(role, party)| {
        let number = party.org()?;
        Some(json!({"Key": role.number(), "Value": number.as_str()}))
    });
    json!({"allowedParties": listed.collect::<Vec<_>>()})
}

fn configured_lists(list: &AllowListFromConfig) -> Value {
    json!({
        "ownerConfigKey": list.setting(Role::Owner),
        "requestorConfigKey": list.setting(Role::Requestor),
        "subjectConfigKey": list.setting(Role::Subject),
    })
}

fn altinn_right(right: &AltinnRight) -> Value {
    json!({
        "serviceCode": right.service_code,
        "serviceEdition": right.service_edition,
        "offeredBy": right.offered_by.wire_name(),
        "coveredBy": right.covered_by.wire_name(),
        "actions": right.actions,
    })
}

fn party_types(rule: &PartyTypeRule) -> Value {
    let pair =
        |(role, kind): &(Role, PartyType)| json!({"Key": role.number(), "Value": kind.number()});
    json!({"allowedPartyTypes": rule.allowed.iter().map(pair).collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use dan_core::requirement::ScopeRule;
    use dan_core::testkit::builders;

    use super::*;

    #[test]
    fn rules_are_written_as_clients_know_them() {
        let scope = Requirement::Scope(ScopeRule {
            required: vec!["s".to_owned()],
        });
        let mut one = builders::rule("x/scope", scope);
        one.contexts = vec!["eBevis".to_owned()];
        assert_eq!(
            rule(&one).to_string(),
            r#"{"type":"MaskinportenScopeRequirement","failureAction":0,"appliesToServiceContext":["eBevis"],"requiredOnEvidenceHarvester":true,"requiredScopes":["s"]}"#
        );
        let allowed = vec![(Role::Requestor, PartyType::PublicAgency)];
        let two = builders::rule("x/party", Requirement::PartyType(PartyTypeRule { allowed }));
        assert_eq!(
            rule(&two).to_string(),
            r#"{"type":"PartyTypeRequirement","failureAction":0,"requiredOnEvidenceHarvester":true,"allowedPartyTypes":[{"Key":2,"Value":1}]}"#
        );
    }
}
