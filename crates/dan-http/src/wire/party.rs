//! Parties in answers (`wire-api.md` §5.3).

use dan_core::party::{ORGANISATION_SCHEME, PERSON_SCHEME, Party};
use serde::Serialize;

/// The wire shape of a party. Not masked: it goes to the owner of the grant only.
#[derive(Serialize)]
pub(crate) struct WireParty {
    scheme: Option<&'static str>,
    id: Option<String>,
    #[serde(
        rename = "norwegianOrganizationNumber",
        skip_serializing_if = "Option::is_none"
    )]
    organisation: Option<String>,
    #[serde(
        rename = "norwegianSocialSecurityNumber",
        skip_serializing_if = "Option::is_none"
    )]
    person: Option<String>,
}

impl WireParty {
    pub(crate) fn of(party: Option<&Party>) -> Self {
        let empty = Self {
            scheme: None,
            id: None,
            organisation: None,
            person: None,
        };
        match party {
            None => empty,
            Some(Party::Organisation(number)) => Self {
                scheme: Some(ORGANISATION_SCHEME),
                id: Some(number.actor_id()),
                organisation: Some(number.to_string()),
                ..empty
            },
            Some(Party::Person(number)) => Self {
                scheme: Some(PERSON_SCHEME),
                id: Some(number.expose().to_owned()),
                person: Some(number.expose().to_owned()),
                ..empty
            },
            Some(Party::Foreign { icd, id }) => Self {
                scheme: Some(ORGANISATION_SCHEME),
                id: Some(format!("{icd}:{id}")),
                ..empty
            },
            Some(Party::Custom(text)) => Self {
                id: Some(text.clone()),
                ..empty
            },
        }
    }
}
