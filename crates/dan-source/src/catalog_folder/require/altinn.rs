//! Rules that Altinn decides: consents, roles and rights.

use dan_core::requirement::{AltinnRight, AltinnRole, ConsentRule, Requirement, Role};

use super::ROLES;
use crate::catalog_folder::problem::{At, Mistake, suggestion};
use crate::catalog_folder::section::Section;

/// Longest time a consent is asked for, in days.
const CONSENT_DAYS_MAX: u32 = 1825;
/// Most actions of one right; so many are asked about in one call.
const ACTIONS_MAX: usize = 16;

pub(super) fn consent(section: &mut Section<'_>) -> Requirement {
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

pub(super) fn role(section: &mut Section<'_>) -> Option<Requirement> {
    let code = section.required_text("role").and_then(|text| {
        let fits = |code: &str| is_word(code, |byte| byte.is_ascii_alphanumeric() || byte == b'-');
        checked(text, fits, section, "a code such as \"DAGL\"")
    });
    let between = between(section);
    let (offered_by, covered_by) = between?;
    Some(Requirement::Role(AltinnRole {
        role_code: code?,
        offered_by,
        covered_by,
    }))
}

/// A right on a `resource` of Altinn 3, or on a `service` and its `edition` of Altinn 2.
pub(super) fn right(section: &mut Section<'_>) -> Option<Requirement> {
    let what = target(section);
    let between = between(section);
    let actions = actions(section);
    let (service_code, service_edition) = what?;
    let (offered_by, covered_by) = between?;
    Some(Requirement::Right(AltinnRight {
        service_code,
        service_edition,
        offered_by,
        covered_by,
        actions: actions?,
    }))
}

/// The code and the edition; the edition of a resource is empty.
fn target(section: &mut Section<'_>) -> Option<(String, String)> {
    let problems = section.problems();
    let is_old = section.has("service") || section.has("edition");
    if section.has("resource") == is_old {
        // Both are asked for, so that they count as known keys.
        drop((
            section.take("resource"),
            section.take("service"),
            section.take("edition"),
        ));
        let what = "[[require]] needs either `resource`, or `service` and `edition`";
        let hint = "write resource = \"…\" as the resource register of Altinn has it";
        problems.hint(section.place(), what, hint);
        return None;
    }
    if is_old {
        let digits = |text: &str| is_word(text, |byte| byte.is_ascii_digit());
        let code = section.required_text("service");
        let edition = section.required_text("edition");
        let code = checked(code?, digits, section, "digits in quotes, such as \"5616\"");
        let edition = checked(edition?, digits, section, "digits in quotes, such as \"1\"");
        return Some((code?, edition?));
    }
    let resource = section.required_text("resource")?;
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    let wanted = "an identifier of lower-case letters, digits, _ and -";
    checked(resource, |text| is_word(text, fits), section, wanted).map(|code| (code, String::new()))
}

/// Empty means `read` (`requirement/right.rs` of the core).
fn actions(section: &mut Section<'_>) -> Option<Vec<String>> {
    let problems = section.problems();
    let texts = section.texts("actions");
    if texts.len() > ACTIONS_MAX {
        let what = format!("{} actions in one right", texts.len());
        problems.hint(section.place(), what, format!("at most {ACTIONS_MAX}"));
        return None;
    }
    let fits = |text: &str| {
        is_word(text, |byte| {
            byte.is_ascii_alphanumeric() || b"_-".contains(&byte)
        })
    };
    let read = texts
        .into_iter()
        .map(|text| checked(text, fits, section, "a word such as \"read\""));
    read.collect()
}

/// Who gives, and who has. The same party on both sides would hold always.
fn between(section: &mut Section<'_>) -> Option<(Role, Role)> {
    let offered_by = party(section, "offered_by");
    let covered_by = party(section, "covered_by");
    let (offered_by, covered_by) = (offered_by?, covered_by?);
    if offered_by == covered_by {
        let what = "`offered_by` and `covered_by` in [[require]] are the same";
        let hint = "offered_by is who gives, covered_by is who may act";
        section.problems().hint(section.place(), what, hint);
        return None;
    }
    Some((offered_by, covered_by))
}

fn party(section: &mut Section<'_>, key: &'static str) -> Option<Role> {
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

fn is_word(text: &str, fits: impl Fn(u8) -> bool) -> bool {
    /// Longest identifier that Altinn is asked about, in bytes.
    const BYTES_MAX: usize = 200;
    !text.is_empty() && text.len() <= BYTES_MAX && text.bytes().all(fits)
}

fn checked(
    text: At<String>,
    fits: impl Fn(&str) -> bool,
    section: &Section<'_>,
    wanted: &str,
) -> Option<String> {
    if fits(&text.value) {
        return Some(text.value);
    }
    let what = format!("`{}` is nothing that Altinn knows", text.value);
    let hint = format!("write {wanted}");
    section.problems().hint(&text.place, what, hint);
    None
}
