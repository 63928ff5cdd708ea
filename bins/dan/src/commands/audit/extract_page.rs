//! The page of `dan audit extract`, in Norwegian or English.

use dan_core::audit::{Action, Phase};
use dan_core::party::Party;
use dan_core::statement::hex;
use dan_core::time::Timestamp;

use super::extract::Entry;
use crate::args::Language;

/// Words of one language.
struct Words {
    title: &'static str,
    person: &'static str,
    custom: &'static str,
    by: &'static str,
    supplier: &'static str,
    system_user: &'static str,
    on_behalf_of: &'static str,
    grant: &'static str,
    basis: &'static str,
    reference: &'static str,
    request: &'static str,
    open: &'static str,
    bytes: &'static str,
    key: &'static str,
    none: &'static str,
    entries: &'static str,
}

const ENGLISH: Words = Words {
    title: "Extract from the audit trail about",
    person: "a person",
    custom: "a custom subject",
    by: "by",
    supplier: "supplier",
    system_user: "system user",
    on_behalf_of: "on behalf of",
    grant: "accreditation",
    basis: "basis",
    reference: "reference",
    request: "request",
    open: "anybody: open data",
    bytes: "bytes",
    key: "signed with key",
    none: "Nothing is recorded.",
    entries: "entries",
};

const BOKMAAL: Words = Words {
    title: "Utdrag av revisjonsloggen om",
    person: "en person",
    custom: "et egendefinert subjekt",
    by: "av",
    supplier: "leverandør",
    system_user: "systembruker",
    on_behalf_of: "på vegne av",
    grant: "tillatelse",
    basis: "hjemmel",
    reference: "referanse",
    request: "forespørsel",
    open: "hvem som helst: åpne data",
    bytes: "byte",
    key: "signert med nøkkel",
    none: "Ingenting er registrert.",
    entries: "innslag",
};

/// Writes entries for people.
pub(super) struct Page {
    language: Language,
}

impl Page {
    pub(super) const fn new(language: Language) -> Self {
        Self { language }
    }

    /// The first line. A person is not named: whoever asked knows the number.
    pub(super) fn title(&self, subject: &Party) -> String {
        let words = self.words();
        let who = match subject {
            Party::Person(_) => words.person.to_owned(),
            Party::Custom(_) => words.custom.to_owned(),
            Party::Organisation(_) | Party::Foreign { .. } => subject.to_string(),
        };
        format!("{} {who}\n", words.title)
    }

    /// The last line.
    pub(super) fn end(&self, entries: u64) -> String {
        let words = self.words();
        if entries == 0 {
            words.none.to_owned()
        } else {
            format!("{entries} {}", words.entries)
        }
    }

    /// What was done, by whom, for whom, on which basis, and what came of it.
    pub(super) fn entry(&self, entry: &Entry, now: Timestamp) -> String {
        let (words, record) = (self.words(), &entry.record);
        let mut head = format!("{}  {}", record.at, self.action(record.action));
        if !record.dataset.is_empty() {
            head = format!("{head}: {}", record.dataset);
        }
        if !record.context.is_empty() {
            head = format!("{head} ({})", record.context);
        }
        let mut lines = vec![head];
        let mut add = |name: &str, value: Option<String>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                lines.push(format!("    {name} {value}"));
            }
        };
        let by = if record.action == Action::OpenDatasetRetrieved {
            Some(words.open.to_owned())
        } else {
            record.owner.map(|owner| owner.to_string())
        };
        add(words.by, by);
        add(words.supplier, record.supplier.map(|one| one.to_string()));
        add(words.system_user, record.system_user.clone());
        add(
            words.on_behalf_of,
            record.requestor.as_ref().map(Party::to_string),
        );
        add(words.grant, record.accreditation.clone());
        add(words.basis, Some(record.basis.join(", ")));
        add(words.reference, record.external_reference.clone());
        add(words.request, Some(record.request_id.clone()));
        let outcome = match (entry.is_under_way(now), self.language) {
            (true, Language::En) => Some("no outcome yet".to_owned()),
            (true, Language::Nb) => Some("ikke noe utfall ennå".to_owned()),
            (false, _) => self.outcome(entry.outcome.as_ref()),
        };
        if let Some(outcome) = outcome {
            lines.push(format!("    {outcome}"));
        }
        lines.push(String::new());
        lines.join("\n")
    }

    const fn words(&self) -> &'static Words {
        match self.language {
            Language::Nb => &BOKMAAL,
            Language::En => &ENGLISH,
        }
    }

    fn action(&self, action: Action) -> &'static str {
        let (english, bokmaal) = match action {
            Action::AuthorizationGranted => ("granted", "innvilget"),
            Action::AuthorizationRefused => ("application refused", "søknad avslått"),
            Action::AccreditationDeleted => ("accreditation deleted", "tillatelse slettet"),
            Action::DatasetRetrieved => ("fetched", "hentet"),
            Action::OpenDatasetRetrieved => ("fetched as open data", "hentet som åpne data"),
            Action::HarvestRefused => ("fetching refused", "henting avslått"),
            Action::SubjectExtracted => ("extract made", "utdrag laget"),
            Action::AccreditationPurged
            | Action::AccreditationsRetrieved
            | Action::ApiKeyCreated
            | Action::ApiKeyReplaced
            | Action::ApiKeyRevoked
            | Action::NodeStarted
            | Action::NodeStopped
            | Action::CatalogReplaced
            | Action::SigningKeyActivated
            | Action::TrailExported => (action.name(), action.name()),
        };
        match self.language {
            Language::En => english,
            Language::Nb => bokmaal,
        }
    }

    fn outcome(&self, outcome: Option<&Phase>) -> Option<String> {
        let words = self.words();
        let is_english = self.language == Language::En;
        match outcome {
            Some(Phase::Done) => None,
            None | Some(Phase::Intent) => Some(if is_english {
                "interrupted: it may have been received".to_owned()
            } else {
                "avbrutt: det kan ha blitt mottatt".to_owned()
            }),
            Some(Phase::BrokenOff { body_bytes, .. }) => Some(if is_english {
                format!("broken off: {body_bytes} bytes were sent, not all of the answer")
            } else {
                format!("avbrutt underveis: {body_bytes} byte ble sendt, ikke hele svaret")
            }),
            Some(Phase::Failed { code }) => Some(if is_english {
                format!("failed, nothing was handed out (code {code})")
            } else {
                format!("feilet, ingenting ble utlevert (kode {code})")
            }),
            Some(Phase::Delivered {
                digest,
                body_bytes,
                kid,
            }) => {
                let delivered = if is_english { "delivered" } else { "utlevert" };
                let digest = hex(digest);
                let mut told = format!(
                    "{delivered}: {body_bytes} {}, SHA-256 {digest}",
                    words.bytes
                );
                if let Some(kid) = kid {
                    told = format!("{told}, {} {kid}", words.key);
                }
                Some(told)
            }
        }
    }
}
