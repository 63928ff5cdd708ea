//! What a source's failure means to the caller: one default table, overridden call by call.

use std::collections::BTreeMap;

use dan_core::ports::{SourceError, SourceFailure};

use crate::catalog_folder::problem::{At, Mistake, suggestion};
use crate::catalog_folder::section::Node;

/// Largest detail number of an error.
const DETAIL_MAX: u32 = 99_999;

/// Detail number of a failure that the table does not give one.
const CALLER: u32 = 1;
const TEMPORARY: u32 = 2;
pub(crate) const BROKEN: u32 = 3;
/// The answer is JSON, but not of the shape that the definition expects.
const SHAPE: u32 = 4;
/// A value the request gave cannot be used in an address or header.
const INPUT: u32 = 5;

/// What went wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// An HTTP status that is no success.
    Status(u16),
    /// No connection, or it broke.
    Network,
    /// No answer within the call's own time.
    Timeout,
    /// A success without a body.
    Empty,
    /// A success whose body is no JSON document.
    NotJson,
    /// A success whose body is no XML document.
    NotXml,
    /// A success whose body is no rows of text.
    NotCsv,
    /// A success that is a SOAP fault.
    Fault,
    /// A body beyond the source's limit.
    TooLarge,
}

impl Event {
    const NAMED: [(Self, &'static str); 8] = [
        (Self::Network, "network"),
        (Self::Timeout, "timeout"),
        (Self::Empty, "empty"),
        (Self::NotJson, "not-json"),
        (Self::NotXml, "not-xml"),
        (Self::NotCsv, "not-csv"),
        (Self::Fault, "soap-fault"),
        (Self::TooLarge, "too-large"),
    ];

    fn words(self) -> String {
        match self {
            Self::Status(status) => format!("answered with status {status}"),
            Self::Network => "cannot be reached".to_owned(),
            Self::Timeout => "did not answer in time".to_owned(),
            Self::Empty => "gave an empty answer".to_owned(),
            Self::NotJson => "gave an answer that is no JSON document".to_owned(),
            Self::NotXml => "gave an answer that is no XML document".to_owned(),
            Self::NotCsv => "gave an answer that is no CSV".to_owned(),
            Self::Fault => "answered with a fault".to_owned(),
            Self::TooLarge => "gave an answer that is too large".to_owned(),
        }
    }
}

/// Class and detail number of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meaning {
    pub(crate) failure: SourceFailure,
    pub(crate) detail: u32,
}

impl Meaning {
    pub(crate) const fn new(failure: SourceFailure, detail: u32) -> Self {
        Self { failure, detail }
    }

    /// Reads `caller:1`, `temporary:2` or `broken:3`.
    pub(crate) fn parse(text: &str) -> Result<Self, Mistake> {
        let hint = "write caller:N (3002), temporary:N (3001) or broken:N (3003)";
        let wrong = || Mistake::with_hint(format!("`{text}` is no meaning of a failure"), hint);
        let (class, detail) = text.split_once(':').ok_or_else(wrong)?;
        let failure = match class {
            "caller" => SourceFailure::Refused,
            "temporary" => SourceFailure::Transient,
            "broken" => SourceFailure::Broken,
            _ => return Err(wrong()),
        };
        let detail = detail.parse().ok().filter(|detail| *detail <= DETAIL_MAX);
        detail
            .map(|detail| Self { failure, detail })
            .ok_or_else(wrong)
    }
}

/// The `fail` table of a call.
#[derive(Clone, Debug, Default)]
pub(crate) struct FailureTable {
    events: BTreeMap<Event, Meaning>,
    /// `4` for `4xx`.
    families: BTreeMap<u16, Meaning>,
}

impl FailureTable {
    /// Adds one row as it is written.
    pub(crate) fn add(&mut self, key: &At<String>, value: &At<Node>) -> Result<(), Mistake> {
        let Node::Text(text) = &value.value else {
            return Err(Mistake::with_hint(
                format!("the meaning of `{}` is no text", key.value),
                "write caller:N, temporary:N or broken:N in quotes",
            ));
        };
        let meaning = Meaning::parse(text)?;
        let name = key.value.as_str();
        if let Some((event, _)) = Event::NAMED.iter().find(|(_, known)| *known == name) {
            self.events.insert(*event, meaning);
            return Ok(());
        }
        let family = name.strip_suffix("xx").and_then(|digit| digit.parse().ok());
        if let Some(family @ 3..=5) = family {
            self.families.insert(family, meaning);
            return Ok(());
        }
        match name.parse() {
            Ok(status @ 200..=599) => {
                self.events.insert(Event::Status(status), meaning);
                Ok(())
            }
            _ => {
                let known = Event::NAMED.iter().map(|(_, name)| *name);
                let known: Vec<&str> = known.chain(["404", "3xx", "4xx", "5xx"]).collect();
                Err(Mistake {
                    what: format!("`{name}` is no failure of a call"),
                    hint: suggestion(name, known),
                })
            }
        }
    }

    /// Whether the table makes a failure of this status, though it says success.
    pub(crate) fn names_status(&self, status: u16) -> bool {
        self.events.contains_key(&Event::Status(status))
    }

    /// The row that fits best: exact, then family, then the default table.
    pub(crate) fn meaning(&self, event: Event) -> Meaning {
        if let Some(meaning) = self.events.get(&event) {
            return *meaning;
        }
        if let Event::Status(status) = event
            && let Some(meaning) = self.families.get(&status.checked_div(100).unwrap_or(0))
        {
            return *meaning;
        }
        default_meaning(event)
    }
}

/// One table for every source (`services.md` §11; `security.md` F1 to F8).
const fn default_meaning(event: Event) -> Meaning {
    match event {
        Event::Status(400 | 404 | 410 | 422) => Meaning::new(SourceFailure::Refused, CALLER),
        Event::Status(408 | 429 | 500..=599) | Event::Network | Event::Timeout => {
            Meaning::new(SourceFailure::Transient, TEMPORARY)
        }
        Event::Status(_)
        | Event::Empty
        | Event::NotJson
        | Event::NotXml
        | Event::NotCsv
        | Event::Fault
        | Event::TooLarge => Meaning::new(SourceFailure::Broken, BROKEN),
    }
}

/// The error a call ends with.
pub(crate) fn error(source: &str, call: &str, event: Event, meaning: Meaning) -> SourceError {
    SourceError {
        failure: meaning.failure,
        source: source.to_uppercase(),
        detail: meaning.detail,
        text: Some(format!("the source {}", event.words())),
        cause: format!("call {call}: {source} {}", event.words()),
    }
}

/// Something the request gave, or did not give, so that a source cannot be asked.
pub(crate) fn unusable(source: &str, call: &str, what: &str) -> SourceError {
    SourceError {
        failure: SourceFailure::Refused,
        source: source.to_uppercase(),
        detail: INPUT,
        text: Some(format!("the source cannot be asked: {what}")),
        cause: format!("call {call}: {what}"),
    }
}

/// A source that was not asked: it is left alone, or too many ask.
pub(crate) fn not_asked(source: &str, detail: u32, text: &str) -> SourceError {
    SourceError {
        failure: SourceFailure::Transient,
        source: source.to_uppercase(),
        detail,
        text: Some(text.to_owned()),
        cause: format!("{source}: {text}"),
    }
}

/// A source whose answer does not fit the definition.
pub(crate) fn misshapen(source: &str, what: &str) -> SourceError {
    SourceError {
        failure: SourceFailure::Broken,
        source: source.to_uppercase(),
        detail: SHAPE,
        text: Some("the source's answer does not have the agreed form".to_owned()),
        cause: format!("{source}: {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog_folder::problem::Place;

    fn table(rows: &[(&str, &str)]) -> Result<FailureTable, Mistake> {
        let mut table = FailureTable::default();
        for (key, value) in rows {
            let place = Place::whole("f");
            table.add(
                &At::new((*key).to_owned(), place.clone()),
                &At::new(Node::Text((*value).to_owned()), place),
            )?;
        }
        Ok(table)
    }

    #[test]
    fn the_exact_row_wins_then_the_family_then_the_default() {
        let table = table(&[
            ("404", "caller:12"),
            ("4xx", "temporary:2"),
            ("5xx", "broken:8"),
            ("empty", "temporary:9"),
            ("204", "caller:7"),
        ])
        .expect("good rows");
        for (event, failure, detail) in [
            (Event::Status(404), SourceFailure::Refused, 12),
            (Event::Status(403), SourceFailure::Transient, 2),
            (Event::Status(503), SourceFailure::Broken, 8),
            (Event::Status(302), SourceFailure::Broken, 3),
            (Event::Empty, SourceFailure::Transient, 9),
            (Event::NotJson, SourceFailure::Broken, 3),
            (Event::Network, SourceFailure::Transient, 2),
        ] {
            assert_eq!(table.meaning(event), Meaning { failure, detail });
        }
        assert!(table.names_status(204) && !table.names_status(200));
    }

    #[test]
    fn the_default_table_is_the_one_of_the_documentation() {
        let table = FailureTable::default();
        for status in [400, 404, 410, 422] {
            assert_eq!(
                table.meaning(Event::Status(status)).failure,
                SourceFailure::Refused
            );
        }
        for status in [408, 429, 500, 502, 503, 504] {
            assert_eq!(
                table.meaning(Event::Status(status)).failure,
                SourceFailure::Transient
            );
        }
        for status in [301, 401, 403, 405, 415] {
            assert_eq!(
                table.meaning(Event::Status(status)).failure,
                SourceFailure::Broken
            );
        }
    }

    #[test]
    fn rows_that_mean_nothing_are_mistakes() {
        for (key, value) in [
            ("40x", "caller:1"),
            ("6xx", "caller:1"),
            ("99", "caller:1"),
            ("timeuot", "caller:1"),
            ("404", "caller"),
            ("404", "client:1"),
            ("404", "caller:-1"),
            ("404", "caller:100000"),
        ] {
            assert!(table(&[(key, value)]).is_err(), "{key} {value}");
        }
    }
}
