//! Reads `[[require]]`: every kind of rule the core knows, by its name in the catalogue.
//!
//! A rule that cannot be understood is a mistake of the catalogue, and the catalogue is refused
//! (`engine.md` W-06). To add a kind: its arm in [`requirement`] and its name in [`KINDS`].

mod altinn;
mod conditions;
mod parties;

use dan_core::requirement::{OnFailure, OwnToken, Requirement, Role, Rule, Undecided};

use super::problem::{At, Mistake, suggestion};
use super::section::Section;
use crate::declared::definition::Surroundings;

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

/// The rules of a file. `contexts` are those a rule may be limited to; `None` where it may not.
pub(crate) fn read(
    section: &mut Section<'_>,
    owner: &str,
    contexts: Option<&[String]>,
    around: &Surroundings<'_>,
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
        let requirement = kind
            .as_ref()
            .and_then(|kind| requirement(kind, &mut one, around));
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

fn requirement(
    kind: &At<String>,
    section: &mut Section<'_>,
    around: &Surroundings<'_>,
) -> Option<Requirement> {
    match kind.value.as_str() {
        "allow-list" => parties::allow_list(section),
        "allow-list-from-config" => parties::allow_list_from_config(section, around.settings),
        "consent" => Some(altinn::consent(section)),
        "different" => parties::relations(section, false),
        "legal-basis" => conditions::legal_basis(section, around.tables),
        "own-token" => Some(Requirement::OwnToken(OwnToken)),
        "party" => parties::party(section),
        "reference" => conditions::reference(section),
        "right" => altinn::right(section),
        "role" => altinn::role(section),
        "same" => parties::relations(section, true),
        "scope" => conditions::scope(section),
        "srr" => Some(Requirement::Undecided(Undecided {
            kind: "srr".to_owned(),
            wire_type: "SrrRequirement".to_owned(),
        })),
        "subject" => conditions::custom_subject(section),
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
