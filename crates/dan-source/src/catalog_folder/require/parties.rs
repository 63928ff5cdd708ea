//! Rules about who the parties are: of a kind, on a list, the same or different.

use dan_core::party::{Party, Realm};
use dan_core::requirement::{
    AllowList, AllowListFromConfig, ConfiguredList, PartyRelation, PartyType, PartyTypeRule,
    Relation, Requirement, Role,
};

use super::ROLES;
use crate::catalog_folder::problem::{At, Mistake, suggestion};
use crate::catalog_folder::section::Section;
use crate::declared::template::Settings;

/// Most parties of one list in the configuration.
const LISTED_MAX: usize = 10_000;

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
        says_nothing(section);
        return None;
    }
    good.then_some(allowed)
}

fn says_nothing(section: &Section<'_>) {
    let what = "[[require]] says nothing about requestor, subject or owner";
    let hint = "a rule that allows everything is no rule";
    section.problems().hint(section.place(), what, hint);
}

pub(super) fn party(section: &mut Section<'_>) -> Option<Requirement> {
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

pub(super) fn allow_list(section: &mut Section<'_>) -> Option<Requirement> {
    let allowed = by_role(section, |text| {
        Party::parse(text, Realm::Sandbox)
            .map_err(|error| Mistake::new(format!("a listed party is wrong: {error}")))
    })?;
    Some(Requirement::AllowList(AllowList { allowed }))
}

/// `owner = "name of a setting"`: the setting holds identifiers with commas between them.
pub(super) fn allow_list_from_config(
    section: &mut Section<'_>,
    settings: Settings<'_>,
) -> Option<Requirement> {
    let problems = section.problems();
    let before = problems.count();
    let mut lists = Vec::new();
    for (key, role) in ROLES {
        let Some(name) = section.text(key) else {
            continue;
        };
        match listed(&name, settings) {
            Ok(parties) => lists.push(ConfiguredList {
                role,
                setting: name.value,
                parties,
            }),
            Err(mistake) => problems.report(&name.place, mistake),
        }
    }
    if problems.count() > before {
        return None;
    }
    if lists.is_empty() {
        says_nothing(section);
        return None;
    }
    Some(Requirement::AllowListFromConfig(AllowListFromConfig {
        lists,
    }))
}

/// The parties of a setting. Without a node there is no list, and nobody is on it.
fn listed(name: &At<String>, settings: Settings<'_>) -> Result<Vec<Party>, Mistake> {
    let text = settings.find(&name.value)?;
    if settings.is_invented() {
        return Ok(Vec::new());
    }
    let entries: Vec<&str> = text.split(',').map(str::trim).collect();
    if entries.len() > LISTED_MAX {
        let what = format!(
            "the setting `{}` lists {} parties",
            name.value,
            entries.len()
        );
        return Err(Mistake::with_hint(what, format!("at most {LISTED_MAX}")));
    }
    let parse = |(at, entry): (usize, &&str)| {
        // An entry may be a person's number: its place is told, never the entry.
        Party::parse(entry, Realm::Sandbox).map_err(|error| {
            let place = at.saturating_add(1);
            let what = format!("entry {place} of the setting `{}`: {error}", name.value);
            Mistake::with_hint(what, "write identifiers with commas between them")
        })
    };
    entries.iter().enumerate().map(parse).collect()
}

pub(super) fn relations(section: &mut Section<'_>, equal: bool) -> Option<Requirement> {
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
