//! Turns the rules of a plugin's metadata into [`Rule`]s; what cannot be understood is an error, and
//! closes the dataset it stands in (`engine.md` W-06).
//!
//! The kind of a rule stands in `$type`, as .NET plugins write it, or in a plain `type` (§6.3).

use std::sync::Arc;

use dan_core::party::{Party, Realm};
use dan_core::requirement::{
    AllowList, AltinnRight, AltinnRole, ConsentRule, CpvList, CustomSubject, LegalBasisRule,
    OnFailure, OwnToken, PartyRelation, PartyType, PartyTypeRule, ReferenceKind, ReferenceRule,
    Relation, Requirement, Role, Rule, ScopeRule, Undecided,
};
use regex::{Regex, RegexBuilder};
use serde_json::Value;

use crate::plugin_reader::{Members, plain_words};

/// Most rules of one dataset.
pub(crate) const RULES_MAX: usize = 64;
/// Largest size a pattern may take once it is compiled, in bytes: `\w{1,100}` takes eight MiB.
const PATTERN_BYTES_MAX: usize = 10 << 20;
/// Namespace and assembly that `$type` may name, newest first (`wire-api.md` §5.6).
const NAMESPACES: [&str; 2] = ["Dan.Common.Models.", "Nadobe.Common.Models."];
const ASSEMBLIES: [&str; 3] = ["Dan.Common", "Nadobe.Common", "Common"];
/// Actions of a right with their numbers (`wire-api.md` §6).
const ACTIONS: [(&str, &str); 6] = [
    ("1", "Read"),
    ("2", "Write"),
    ("3", "Sign"),
    ("4", "ArchiveRead"),
    ("5", "ArchiveDelete"),
    ("8", "Access"),
];

/// Reads every rule of a dataset, in order. Identifiers are `<dataset>/<kind>`, a second one of the
/// same kind `<dataset>/<kind>-2`. `cpv` are the codes of the catalogue, for legal bases.
///
/// # Errors
/// Which rule is not understood, and why.
pub(crate) fn read_rules(
    dataset: &str,
    plugin: &str,
    list: Vec<Value>,
    cpv: Option<&Arc<CpvList>>,
) -> Result<Vec<Rule>, String> {
    if list.len() > RULES_MAX {
        return Err(format!("more than {RULES_MAX} rules"));
    }
    let mut rules: Vec<Rule> = Vec::with_capacity(list.len());
    for (at, value) in list.into_iter().enumerate() {
        let place = at.saturating_add(1);
        let mut rule =
            read_rule(plugin, value, cpv).map_err(|reason| format!("rule {place}: {reason}"))?;
        let kind = rule.requirement.kind().to_owned();
        let earlier = rules
            .iter()
            .filter(|rule| rule.requirement.kind() == kind)
            .count();
        rule.id = match earlier {
            0 => format!("{dataset}/{kind}"),
            more => format!("{dataset}/{kind}-{}", more.saturating_add(1)),
        };
        rules.push(rule);
    }
    Ok(rules)
}

fn read_rule(plugin: &str, value: Value, cpv: Option<&Arc<CpvList>>) -> Result<Rule, String> {
    let mut members = Members::of(value)?;
    let name = type_name(&mut members)?;
    let on_failure = match members.text("failureAction")?.as_deref() {
        None => OnFailure::Deny,
        Some(text) if text == "0" || text.eq_ignore_ascii_case("deny") => OnFailure::Deny,
        Some(text) if text == "1" || text.eq_ignore_ascii_case("skip") => OnFailure::Skip,
        Some(_) => return Err(format!("{name}: unknown failureAction")),
    };
    let in_rule = |reason: String| format!("{name}: {reason}");
    let contexts = members.texts("appliesToServiceContext").map_err(in_rule)?;
    let at_harvest = members
        .flag("requiredOnEvidenceHarvester", true)
        .map_err(in_rule)?;
    Ok(Rule {
        id: String::new(),
        origin: format!("plugin {plugin}"),
        requirement: read_requirement(&name, &mut members, cpv).map_err(in_rule)?,
        on_failure,
        contexts,
        at_harvest,
    })
}

/// The class name, from `$type`, `type` or both alike.
fn type_name(members: &mut Members) -> Result<String, String> {
    let plain = members.text("type")?;
    let Some(qualified) = members.text("$type")? else {
        return plain.ok_or_else(|| "a rule without $type".to_owned());
    };
    let unknown = || format!("unknown $type {}", plain_words(&qualified));
    let (class, assembly) = qualified.split_once(',').ok_or_else(unknown)?;
    if !ASSEMBLIES.contains(&assembly.trim()) {
        return Err(unknown());
    }
    let class = class.trim();
    let name = NAMESPACES
        .iter()
        .find_map(|namespace| class.strip_prefix(namespace))
        .ok_or_else(unknown)?;
    if plain.is_some_and(|plain| plain != name) {
        return Err("$type and type differ".to_owned());
    }
    Ok(name.to_owned())
}

fn read_requirement(
    name: &str,
    members: &mut Members,
    cpv: Option<&Arc<CpvList>>,
) -> Result<Requirement, String> {
    Ok(match name {
        "AccreditationPartyRequirement" => Requirement::PartyRelation(relations(members)?),
        "AltinnRightsRequirement" => Requirement::Right(right(members)?),
        "AltinnRoleRequirement" => Requirement::Role(AltinnRole {
            role_code: required(members, "roleCode")?,
            offered_by: role(members, "offeredBy")?,
            covered_by: role(members, "coveredBy")?,
        }),
        "ConsentRequirement" => Requirement::Consent(consent(members)?),
        "CustomSubjectRequirement" => Requirement::CustomSubject(CustomSubject {
            pattern: pattern(members, "subjectRegex", CustomSubject::PATTERN_DEFAULT)?,
            description: members.text("subjectRegexDescription")?,
        }),
        "LegalBasisRequirement" => Requirement::LegalBasis(legal_basis(members, cpv)?),
        "MaskinportenScopeRequirement" => Requirement::Scope(ScopeRule {
            required: filled(members.texts("requiredScopes")?, "requiredScopes")?,
        }),
        "PartyTypeRequirement" => Requirement::PartyType(party_types(members)?),
        "ProvideOwnTokenRequirement" => Requirement::OwnToken(OwnToken),
        "ReferenceRequirement" => Requirement::Reference(reference(members)?),
        "SrrRequirement" => Requirement::Undecided(Undecided {
            kind: "srr".to_owned(),
            wire_type: name.to_owned(),
        }),
        "WhiteListFromConfigRequirement" => {
            // The settings it names are those of the core it was written for.
            return Err("a plugin's rule cannot name lists in this node's settings".to_owned());
        }
        "WhiteListRequirement" => Requirement::AllowList(allow_list(members)?),
        _ => return Err("this version knows no rule of that type".to_owned()),
    })
}

fn relations(members: &mut Members) -> Result<PartyRelation, String> {
    let names = filled(members.texts("partyRequirements")?, "partyRequirements")?;
    let relations = names
        .iter()
        .map(|name| Relation::parse(name).ok_or("an unknown relation in partyRequirements"))
        .collect::<Result<_, _>>()?;
    Ok(PartyRelation { relations })
}

fn right(members: &mut Members) -> Result<AltinnRight, String> {
    let known = |text: String| {
        ACTIONS
            .iter()
            .find(|(number, name)| *number == text || name.eq_ignore_ascii_case(&text))
            .map(|(_, name)| (*name).to_owned())
            .ok_or("an unknown action in actions")
    };
    Ok(AltinnRight {
        service_code: required(members, "serviceCode")?,
        service_edition: required(members, "serviceEdition")?,
        offered_by: role(members, "offeredBy")?,
        covered_by: role(members, "coveredBy")?,
        actions: members
            .texts("actions")?
            .into_iter()
            .map(known)
            .collect::<Result<_, _>>()?,
    })
}

fn consent(members: &mut Members) -> Result<ConsentRule, String> {
    Ok(ConsentRule {
        resource: members.text("altinnResource")?,
        token_scope: members.text("consentTokenScope")?,
        days: members.number("consentPeriodInDays")?,
        service_code: members.text("serviceCode")?,
        service_edition: members.number("serviceEdition")?.unwrap_or(0),
        requires_srr: members.flag("requiresSrr", false)?,
    })
}

/// A bit mask (1 espd, 2 cpv), or the names with commas between them.
fn legal_basis(
    members: &mut Members,
    codes: Option<&Arc<CpvList>>,
) -> Result<LegalBasisRule, String> {
    let text = required(members, "validLegalBasisTypes")?;
    let (mut espd, mut cpv) = (false, false);
    for word in text.split(',').map(str::trim) {
        match word.to_ascii_lowercase().as_str() {
            "1" | "espd" => espd = true,
            "2" | "cpv" => cpv = true,
            "3" => (espd, cpv) = (true, true),
            _ => return Err("unknown validLegalBasisTypes".to_owned()),
        }
    }
    if cpv && codes.is_none() {
        return Err("the catalogue has no list of CPV codes (tables/cpv_risk.toml)".to_owned());
    }
    let cpv = codes.filter(|_| cpv).cloned();
    Ok(LegalBasisRule { cpv, espd })
}

fn reference(members: &mut Members) -> Result<ReferenceRule, String> {
    let reference = match required(members, "ReferenceType")?
        .to_ascii_lowercase()
        .as_str()
    {
        "0" | "consentreference" => ReferenceKind::Consent,
        "1" | "externalreference" => ReferenceKind::External,
        _ => return Err("unknown ReferenceType".to_owned()),
    };
    Ok(ReferenceRule {
        reference,
        format: pattern(members, "AcceptedFormat", ".*")?,
    })
}

fn party_types(members: &mut Members) -> Result<PartyTypeRule, String> {
    let allowed = pairs(members, "allowedPartyTypes")?
        .into_iter()
        .map(|(role, kind)| {
            // Types that no party ever has stand in DAN's list too; leaving them out could lift the
            // restriction of a role, so the whole rule goes.
            PartyType::parse(&kind)
                .map(|kind| (role, kind))
                .ok_or("a party type in allowedPartyTypes that cannot be decided")
        })
        .collect::<Result<_, _>>()?;
    Ok(PartyTypeRule { allowed })
}

/// Whole identifiers only: a masked one would let everybody born on a day in (`engine.md` W-11).
fn allow_list(members: &mut Members) -> Result<AllowList, String> {
    let allowed = pairs(members, "allowedParties")?
        .into_iter()
        .map(|(role, id)| {
            let party = match id.strip_prefix("::") {
                Some("") => None,
                Some(custom) => Some(Party::Custom(custom.to_owned())),
                None => Party::parse(&id, Realm::Sandbox).ok(),
            };
            party
                .map(|party| (role, party))
                .ok_or("allowedParties holds something that is no whole identifier")
        })
        .collect::<Result<_, _>>()?;
    Ok(AllowList { allowed })
}

/// A list of `{"Key": role, "Value": …}`.
fn pairs(members: &mut Members, name: &str) -> Result<Vec<(Role, String)>, String> {
    filled(members.list(name)?, name)?
        .into_iter()
        .map(|pair| {
            let mut pair = Members::of(pair)?;
            Ok((role(&mut pair, "Key")?, required(&mut pair, "Value")?))
        })
        .collect()
}

fn role(members: &mut Members, name: &str) -> Result<Role, String> {
    let text = required(members, name)?;
    Role::parse(&text).ok_or_else(|| format!("{name} is neither subject, requestor nor owner"))
}

/// A pattern, or the default where the plugin leaves the member out. `null`, an empty one, and one
/// that this engine does not know are errors: in DAN they never match.
fn pattern(members: &mut Members, name: &str, unset: &str) -> Result<Regex, String> {
    if members.is_null(name) {
        return Err(format!("{name} is null"));
    }
    let text = members.text(name)?.unwrap_or_else(|| unset.to_owned());
    if text.is_empty() {
        return Err(format!("{name} is empty"));
    }
    RegexBuilder::new(&text)
        .size_limit(PATTERN_BYTES_MAX)
        .build()
        .map_err(|_not_a_pattern| format!("{name} is no pattern this version can match"))
}

fn required(members: &mut Members, name: &str) -> Result<String, String> {
    members
        .text(name)?
        .filter(|text| !text.trim().is_empty())
        .ok_or_else(|| format!("{name} is missing"))
}

/// A rule that lists nothing restricts nothing; it was not meant so.
fn filled<T>(list: Vec<T>, name: &str) -> Result<Vec<T>, String> {
    if list.is_empty() {
        return Err(format!("{name} is missing or empty"));
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn codes() -> Arc<CpvList> {
        Arc::new(CpvList {
            version: "v".to_owned(),
            codes: ["45000000-7".to_owned()].into(),
        })
    }

    fn read(rule: Value) -> Result<Rule, String> {
        read_rules("Demo", "demo", vec![rule], Some(&codes())).map(|mut rules| rules.remove(0))
    }

    fn dan(name: &str) -> String {
        format!("Dan.Common.Models.{name}, Dan.Common")
    }

    #[test]
    fn the_kind_is_read_from_each_spelling() {
        for (member, text) in [
            (
                "$type",
                "Dan.Common.Models.ProvideOwnTokenRequirement, Dan.Common",
            ),
            (
                "$type",
                "Nadobe.Common.Models.ProvideOwnTokenRequirement, Common",
            ),
            (
                "$type",
                "Nadobe.Common.Models.ProvideOwnTokenRequirement,Nadobe.Common",
            ),
            ("type", "ProvideOwnTokenRequirement"),
        ] {
            let rule = read(json!({member: text})).unwrap();
            assert!(
                matches!(rule.requirement, Requirement::OwnToken(_)),
                "{text}"
            );
            assert_eq!(rule.id, "Demo/own-token");
            assert_eq!(rule.origin, "plugin demo");
            assert_eq!(rule.on_failure, OnFailure::Deny);
            assert!(rule.at_harvest && rule.contexts.is_empty());
        }
    }

    #[test]
    fn common_members_are_read_as_numbers_and_as_names() {
        for action in [json!(1), json!("1"), json!("Skip"), json!("skip")] {
            let rule = read(
                json!({"type": "ProvideOwnTokenRequirement", "failureAction": action,
                "AppliesToServiceContext": ["eBevis"], "requiredOnEvidenceHarvester": "false"}),
            )
            .unwrap();
            assert_eq!(rule.on_failure, OnFailure::Skip);
            assert!(!rule.at_harvest);
            assert!(rule.applies_in("eBevis") && !rule.applies_in("Other"));
        }
    }

    #[test]
    fn unknown_missing_and_malformed_kinds_are_errors_w06() {
        for rule in [
            json!({}),
            json!([]),
            json!("ProvideOwnTokenRequirement"),
            json!({"failureAction": 0, "requiredScopes": ["a"]}),
            json!({"$type": "Dan.Common.Models.Requirement, Dan.Common"}),
            json!({"$type": "Dan.Common.Models.NewRequirement, Dan.Common"}),
            json!({"$type": "System.IO.FileInfo, Dan.Common"}),
            json!({"$type": "Dan.Common.Models.ProvideOwnTokenRequirement, Evil"}),
            json!({"$type": "Dan.Common.Models.ProvideOwnTokenRequirement"}),
            json!({"$type": "ProvideOwnTokenRequirement"}),
            json!({"$type": 7}),
            json!({"type": "provideOwnTokenRequirement"}),
            json!({"$type": dan("ProvideOwnTokenRequirement"), "type": "SrrRequirement"}),
            json!({"type": "ProvideOwnTokenRequirement", "failureAction": 2}),
            json!({"type": "ProvideOwnTokenRequirement", "failureAction": [0]}),
            json!({"type": "ProvideOwnTokenRequirement", "appliesToServiceContext": "eBevis"}),
            json!({"type": "ProvideOwnTokenRequirement", "appliesToServiceContext": [null]}),
            json!({"type": "ProvideOwnTokenRequirement", "requiredOnEvidenceHarvester": "no"}),
        ] {
            assert!(read(rule.clone()).is_err(), "{rule}");
        }
    }

    fn assert_refused(cases: &[(&str, Value)]) {
        for (name, members) in cases {
            let mut rule = members.clone();
            rule["$type"] = json!(dan(name));
            assert!(read(rule).is_err(), "{name} {members}");
        }
    }

    #[test]
    fn a_rule_with_a_part_missing_or_wrong_is_an_error_w06() {
        let roles = |offered: &str, covered: Value| {
            json!({"roleCode": "D", "offeredBy": offered, "coveredBy": covered,
                "serviceCode": "1", "serviceEdition": "1", "actions": ["Fly"]})
        };
        assert_refused(&[
            ("AltinnRightsRequirement", json!({"serviceCode": "1"})),
            ("AltinnRightsRequirement", roles("Subject", json!("Owner"))),
            (
                "AltinnRoleRequirement",
                json!({"roleCode": "D", "offeredBy": 1}),
            ),
            ("AltinnRoleRequirement", roles("X", json!(1))),
            ("AltinnRoleRequirement", roles("Subject", json!(4))),
            ("ConsentRequirement", json!({"serviceEdition": "one"})),
            ("ConsentRequirement", json!({"requiresSrr": "maybe"})),
            ("LegalBasisRequirement", json!({})),
            ("LegalBasisRequirement", json!({"validLegalBasisTypes": 0})),
            ("LegalBasisRequirement", json!({"validLegalBasisTypes": 4})),
            ("WhiteListRequirement", json!({})),
        ]);
        let list = |value: Value| json!({"partyRequirements": value, "requiredScopes": value});
        for bad in [
            json!([]),
            json!(null),
            json!(["Other", null]),
            json!("a"),
            json!([[9]]),
        ] {
            assert_refused(&[
                ("AccreditationPartyRequirement", list(bad.clone())),
                ("MaskinportenScopeRequirement", list(bad)),
            ]);
        }
        assert_refused(&[("AccreditationPartyRequirement", list(json!(["Other"])))]);
    }

    #[test]
    fn patterns_that_cannot_be_matched_are_errors_w34() {
        for bad in [
            json!(""),
            json!(null),
            json!("(?<=a)b"),
            json!("(a{1000}){1000}"),
            json!(r"\w{300}"),
            json!([1]),
        ] {
            assert_refused(&[
                ("CustomSubjectRequirement", json!({"subjectRegex": bad})),
                (
                    "ReferenceRequirement",
                    json!({"ReferenceType": 0, "AcceptedFormat": bad}),
                ),
            ]);
        }
        assert_refused(&[
            ("ReferenceRequirement", json!({"AcceptedFormat": "a"})),
            (
                "ReferenceRequirement",
                json!({"ReferenceType": 2, "AcceptedFormat": "a"}),
            ),
        ]);
        let pattern = |text| json!({"type": "CustomSubjectRequirement", "subjectRegex": text});
        assert!(read(pattern(r"^\w{1,50}$")).is_ok());
        assert!(read(json!({"type": "CustomSubjectRequirement"})).is_ok());
        assert!(read(json!({"type": "ReferenceRequirement", "ReferenceType": 1})).is_ok());
    }

    #[test]
    fn pairs_of_role_and_value_are_whole_or_errors_w06_w11() {
        for bad in [
            json!([]),
            json!({"Key": 2, "Value": 1}),
            json!([{"Key": 2}]),
            json!([{"Value": 1}]),
            json!([{"Key": 4, "Value": 1}]),
            json!([{"Key": 2, "Value": 3}]),
            json!([{"Key": 2, "Value": 1}, {"Key": 2, "Value": "010203*****"}]),
            json!([{"Key": 1, "Value": "::"}]),
        ] {
            assert_refused(&[
                ("PartyTypeRequirement", json!({"allowedPartyTypes": bad})),
                ("WhiteListRequirement", json!({"allowedParties": bad})),
            ]);
        }
    }

    #[test]
    fn parties_of_an_allow_list_are_whole_identifiers_w11() {
        let rule = read(json!({"type": "WhiteListRequirement", "allowedParties": [
            {"Key": 3, "Value": "991825827"}, {"Key": "Subject", "Value": "07056120453"},
            {"Key": 2, "Value": "iso6523-actorid-upis::9999:x"}, {"Key": 1, "Value": "::0301/1"},
            {"Key": 3, "Value": 991825827}]}))
        .unwrap();
        let Requirement::AllowList(list) = rule.requirement else {
            panic!("not an allow list");
        };
        let owner = Party::parse("991825827", Realm::Production).unwrap();
        assert_eq!(list.allowed[0], (Role::Owner, owner.clone()));
        assert_eq!(list.allowed[4], (Role::Owner, owner));
        assert_eq!(
            list.allowed[3],
            (Role::Subject, Party::Custom("0301/1".to_owned()))
        );
    }

    #[test]
    fn identifiers_are_unique_and_the_number_of_rules_is_bounded() {
        let own = || json!({"type": "ProvideOwnTokenRequirement"});
        let ids: Vec<String> = read_rules("D", "p", vec![own(), own(), own()], None)
            .unwrap()
            .into_iter()
            .map(|rule| rule.id)
            .collect();
        assert_eq!(ids, ["D/own-token", "D/own-token-2", "D/own-token-3"]);
        assert!(read_rules("D", "p", vec![own(); RULES_MAX + 1], None).is_err());
    }

    #[test]
    fn legal_bases_are_read_as_bits_and_as_names() {
        for (types, cpv, espd) in [
            (json!(1), false, true),
            (json!(2), true, false),
            (json!(3), true, true),
            (json!("espd, cpv"), true, true),
            (json!("Cpv"), true, false),
        ] {
            let rule =
                read(json!({"type": "LegalBasisRequirement", "validLegalBasisTypes": types}));
            let Requirement::LegalBasis(basis) = rule.unwrap().requirement else {
                panic!("not a legal basis");
            };
            let version = basis.cpv.map(|list| list.version.clone());
            assert_eq!(version.is_some(), cpv, "{types}");
            assert_eq!(basis.espd, espd, "{types}");
        }
    }

    #[test]
    fn without_the_codes_of_the_catalogue_a_cpv_basis_is_not_understood_w06() {
        let rule = |types: Value| {
            let rule = json!({"type": "LegalBasisRequirement", "validLegalBasisTypes": types});
            read_rules("D", "p", vec![rule], None)
        };
        assert!(rule(json!(1)).is_ok());
        for types in [json!(2), json!(3)] {
            let reason = rule(types).unwrap_err();
            assert!(reason.contains("tables/cpv_risk.toml"), "{reason}");
        }
    }

    #[test]
    fn lists_in_the_settings_of_another_core_are_not_understood_w06() {
        let reason = read(json!({"type": "WhiteListFromConfigRequirement",
            "ownerConfigKey": "AllowedOwners"}))
        .unwrap_err();
        assert!(reason.contains("settings"), "{reason}");
    }
}
