//! Reads `[[require]]`: every kind of rule the core knows, by its name in the catalogue.
//!
//! A rule that cannot be understood is a mistake of the catalogue, and the catalogue is refused
//! (`engine.md` W-06). To add a kind: its arm in [`requirement`] and its name in [`KINDS`].

use dan_core::party::{Party, Realm};
use dan_core::requirement::{
    AllowList, AltinnRight, AltinnRole, ConsentRule, CustomSubject, LegalBasisRule, OnFailure,
    OwnToken, PartyRelation, PartyType, PartyTypeRule, ReferenceKind, ReferenceRule, Relation,
    Requirement, Role, Rule, ScopeRule, Undecided,
};
use regex::Regex;

use super::problem::{At, Mistake, suggestion};
use super::section::Section;

/// Names of the kinds in the catalogue.
const KINDS: [&str; 14] = [
    "allow-list",
    "allow-list-from-config",
    "consent",
    "different",
    "legal-basis",
    "own-token",
    "party",
    "reference",
    "right",
    "role",
    "same",
    "scope",
    "srr",
    "subject",
];

/// Roles as keys of a rule.
const ROLES: [(&str, Role); 3] = [
    ("requestor", Role::Requestor),
    ("subject", Role::Subject),
    ("owner", Role::Owner),
];

/// Most rules of one file.
const RULES_MAX: usize = 64;
/// Longest time a consent is asked for, in days.
const CONSENT_DAYS_MAX: u32 = 1825;

/// The rules of a file. `contexts` are those a rule may be limited to; `None` where it may not.
pub(crate) fn read(
    section: &mut Section<'_>,
    owner: &str,
    contexts: Option<&[String]>,
) -> Vec<Rule> {
    let problems = section.problems();
    let sections = section.sections("require");
    if sections.len() > RULES_MAX {
        let what = format!("{} rules in one file", sections.len());
        problems.hint(section.place(), what, format!("at most {RULES_MAX}"));
    }
    let mut rules: Vec<Rule> = Vec::new();
    for mut one in sections {
        let kind = one.required_text("kind");
        let on_failure = on_failure(&mut one);
        let at_harvest = one.flag("at_harvest").unwrap_or(true);
        let limited = limited_to(&mut one, contexts);
        let requirement = kind.as_ref().and_then(|kind| requirement(kind, &mut one));
        let origin = one.place().to_string();
        if kind.is_some_and(|kind| KINDS.contains(&kind.value.as_str())) {
            one.finish();
        }
        if let Some(requirement) = requirement {
            rules.push(Rule {
                id: rule_id(owner, requirement.kind(), &rules),
                origin,
                requirement,
                on_failure,
                contexts: limited,
                at_harvest,
            });
        }
    }
    rules
}

/// `<owner>/<kind>`, with a number behind it from the second of a kind on.
fn rule_id(owner: &str, kind: &str, earlier: &[Rule]) -> String {
    let same = earlier
        .iter()
        .filter(|rule| rule.requirement.kind() == kind)
        .count();
    match same {
        0 => format!("{owner}/{kind}"),
        count => format!("{owner}/{kind}-{}", count.saturating_add(1)),
    }
}

fn on_failure(section: &mut Section<'_>) -> OnFailure {
    let Some(text) = section.text("on_failure") else {
        return OnFailure::Deny;
    };
    match text.value.as_str() {
        "deny" => OnFailure::Deny,
        "skip" => OnFailure::Skip,
        other => {
            let what = format!("`on_failure` in [[require]] is `{other}`");
            let hint = "write \"deny\" to refuse the request, \"skip\" to leave the dataset out";
            section.problems().hint(&text.place, what, hint);
            OnFailure::Deny
        }
    }
}

fn limited_to(section: &mut Section<'_>, contexts: Option<&[String]>) -> Vec<String> {
    let problems = section.problems();
    let named = section.texts("contexts");
    for name in &named {
        let known = contexts.unwrap_or_default();
        if known.contains(&name.value) {
            continue;
        }
        let what = format!(
            "the rule is limited to `{}`, where it can never apply",
            name.value
        );
        let hint = if contexts.is_none() {
            Some("rules of a context apply in that context; leave `contexts` out".to_owned())
        } else {
            suggestion(&name.value, known.iter().map(String::as_str))
        };
        problems.report(&name.place, Mistake { what, hint });
    }
    named.into_iter().map(|name| name.value).collect()
}

fn requirement(kind: &At<String>, section: &mut Section<'_>) -> Option<Requirement> {
    match kind.value.as_str() {
        "allow-list" => allow_list(section),
        "allow-list-from-config" => Some(undecided(
            "allow-list-from-config",
            "WhiteListFromConfigRequirement",
        )),
        "consent" => Some(consent(section)),
        "different" => relations(section, false),
        "legal-basis" => legal_basis(section),
        "own-token" => Some(Requirement::OwnToken(OwnToken)),
        "party" => party(section),
        "reference" => reference(section),
        "right" => right(section),
        "role" => role_in_altinn(section),
        "same" => relations(section, true),
        "scope" => scope(section),
        "srr" => Some(undecided("srr", "SrrRequirement")),
        "subject" => custom_subject(section),
        unknown => {
            section.problems().report(
                &kind.place,
                Mistake {
                    what: format!("there is no rule of kind `{unknown}`"),
                    hint: suggestion(unknown, KINDS),
                },
            );
            None
        }
    }
}

fn undecided(kind: &str, wire_type: &str) -> Requirement {
    Requirement::Undecided(Undecided {
        kind: kind.to_owned(),
        wire_type: wire_type.to_owned(),
    })
}

fn scope(section: &mut Section<'_>) -> Option<Requirement> {
    let scopes = section.texts("all");
    if scopes.is_empty() {
        section.missing("all");
        return None;
    }
    let malformed = |scope: &At<String>| {
        scope.value.is_empty()
            || scope
                .value
                .contains(|c: char| c.is_whitespace() || c == ',')
    };
    if let Some(scope) = scopes.iter().find(|scope| malformed(scope)) {
        let what = format!("`{}` is no single scope", scope.value);
        let hint = "write each scope as a text of its own";
        section.problems().hint(&scope.place, what, hint);
        return None;
    }
    Some(Requirement::Scope(ScopeRule {
        required: scopes.into_iter().map(|scope| scope.value).collect(),
    }))
}

/// What each role may be, as `read` understands the words.
fn by_role<T>(
    section: &mut Section<'_>,
    read: impl Fn(&str) -> Result<T, Mistake>,
) -> Option<Vec<(Role, T)>> {
    let problems = section.problems();
    let mut allowed = Vec::new();
    let mut good = true;
    for (key, role) in ROLES {
        for text in section.texts(key) {
            match read(&text.value) {
                Ok(one) => allowed.push((role, one)),
                Err(mistake) => {
                    problems.report(&text.place, mistake);
                    good = false;
                }
            }
        }
    }
    if allowed.is_empty() && good {
        let what = "[[require]] says nothing about requestor, subject or owner";
        let hint = "a rule that allows everything is no rule";
        problems.hint(section.place(), what, hint);
        return None;
    }
    good.then_some(allowed)
}

fn party(section: &mut Section<'_>) -> Option<Requirement> {
    let allowed = by_role(section, |word| {
        let known = PartyType::ALL.iter();
        let names = known.clone().map(|(.., name)| *name);
        let found = known.clone().find(|(.., name)| *name == word);
        found.map(|(kind, ..)| *kind).ok_or_else(|| Mistake {
            what: format!("`{word}` is no kind of party"),
            hint: suggestion(word, names),
        })
    })?;
    Some(Requirement::PartyType(PartyTypeRule { allowed }))
}

fn allow_list(section: &mut Section<'_>) -> Option<Requirement> {
    let allowed = by_role(section, |text| {
        Party::parse(text, Realm::Sandbox)
            .map_err(|error| Mistake::new(format!("a listed party is wrong: {error}")))
    })?;
    Some(Requirement::AllowList(AllowList { allowed }))
}

fn relations(section: &mut Section<'_>, equal: bool) -> Option<Requirement> {
    let problems = section.problems();
    let names = section.texts("who");
    let roles: Vec<Option<Role>> = names
        .iter()
        .map(|name| {
            let known = ROLES.iter().find(|(word, _)| *word == name.value);
            known.map(|(_, role)| *role)
        })
        .collect();
    let mut relations = Vec::new();
    for pair in roles.windows(2) {
        if let [Some(one), Some(other)] = pair {
            relations.extend(Relation::between(*one, *other, equal));
        }
    }
    let wanted = names.len().saturating_sub(1);
    if wanted == 0 || relations.len() != wanted {
        let known = if equal {
            "requestor and owner, subject and owner, requestor and subject"
        } else {
            "requestor and owner, requestor and subject"
        };
        let what = "`who` in [[require]] is no pair of parties that can be compared";
        let hint = format!("write who = [\"requestor\", \"owner\"]; pairs are {known}");
        problems.hint(section.place(), what, hint);
        return None;
    }
    Some(Requirement::PartyRelation(PartyRelation { relations }))
}

fn pattern(section: &mut Section<'_>, key: &'static str, default: &str) -> Option<Regex> {
    let text = section.text(key);
    let pattern = text.as_ref().map_or(default, |text| text.value.as_str());
    match Regex::new(pattern) {
        Ok(regex) => Some(regex),
        Err(error) => {
            let place = text.as_ref().map_or(section.place(), |text| &text.place);
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default();
            let what = format!("`{key}` in [[require]] is no regular expression: {reason}");
            section.problems().add(place, what);
            None
        }
    }
}

fn custom_subject(section: &mut Section<'_>) -> Option<Requirement> {
    let pattern = pattern(section, "also", CustomSubject::PATTERN_DEFAULT);
    let description = section.text("description");
    Some(Requirement::CustomSubject(CustomSubject {
        pattern: pattern?,
        description: description.map(|text| text.value),
    }))
}

fn reference(section: &mut Section<'_>) -> Option<Requirement> {
    let which = section.required_text("reference");
    let format = pattern(section, "format", ".*");
    let which = which?;
    let reference = match which.value.as_str() {
        "consent" => ReferenceKind::Consent,
        "external" => ReferenceKind::External,
        other => {
            let what = format!("`reference` in [[require]] is `{other}`");
            let hint = "write \"consent\" or \"external\"";
            section.problems().hint(&which.place, what, hint);
            return None;
        }
    };
    Some(Requirement::Reference(ReferenceRule {
        reference,
        format: format?,
    }))
}

fn legal_basis(section: &mut Section<'_>) -> Option<Requirement> {
    let accepted = section.texts("accepts");
    let known = ["cpv", "espd"];
    for one in &accepted {
        if !known.contains(&one.value.as_str()) {
            section.problems().report(
                &one.place,
                Mistake {
                    what: format!("`{}` is no kind of legal basis", one.value),
                    hint: suggestion(&one.value, known),
                },
            );
        }
    }
    if accepted.is_empty() {
        section.missing("accepts");
    }
    let has = |name: &str| accepted.iter().any(|one| one.value == name);
    Some(Requirement::LegalBasis(LegalBasisRule {
        cpv: has("cpv"),
        espd: has("espd"),
    }))
}

fn consent(section: &mut Section<'_>) -> Requirement {
    let plain = |text: Option<At<String>>| text.map(|text| text.value);
    Requirement::Consent(ConsentRule {
        resource: plain(section.required_text("resource")),
        token_scope: plain(section.text("scope")),
        days: section
            .number("days", 1..=CONSENT_DAYS_MAX)
            .map(|days| days.value),
        service_code: plain(section.text("service_code")),
        service_edition: section
            .number("service_edition", 0..=u32::MAX)
            .map_or(0, |edition| edition.value),
        requires_srr: section.flag("srr").unwrap_or(false),
    })
}

fn role(section: &mut Section<'_>, key: &'static str) -> Option<Role> {
    let text = section.required_text(key)?;
    let found = ROLES.iter().find(|(word, _)| *word == text.value);
    if found.is_none() {
        section.problems().report(
            &text.place,
            Mistake {
                what: format!("`{}` is no party of a request", text.value),
                hint: suggestion(&text.value, ROLES.iter().map(|(word, _)| *word)),
            },
        );
    }
    found.map(|(_, role)| *role)
}

fn role_in_altinn(section: &mut Section<'_>) -> Option<Requirement> {
    let code = section.required_text("code");
    let offered_by = role(section, "offered_by");
    let covered_by = role(section, "covered_by");
    Some(Requirement::Role(AltinnRole {
        role_code: code?.value,
        offered_by: offered_by?,
        covered_by: covered_by?,
    }))
}

fn right(section: &mut Section<'_>) -> Option<Requirement> {
    let code = section.required_text("service_code");
    let edition = section.required_text("service_edition");
    let offered_by = role(section, "offered_by");
    let covered_by = role(section, "covered_by");
    let actions = section.texts("actions");
    Some(Requirement::Right(AltinnRight {
        service_code: code?.value,
        service_edition: edition?.value,
        offered_by: offered_by?,
        covered_by: covered_by?,
        actions: actions.into_iter().map(|action| action.value).collect(),
    }))
}
