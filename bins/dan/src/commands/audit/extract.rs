//! `dan audit extract`: who asked for what about one party, when, for whom, on which basis, and what
//! came of it.
//!
//! An intent and its outcome are two rows and one entry. Rows of one party are found by an index, and
//! what is written is bounded in memory: an entry waits for its outcome no longer than until
//! [`WAITING_MAX`] later ones have come.

use std::collections::VecDeque;
use std::io::Read as _;

use dan_core::audit::{Action, AuditRecord, Phase};
use dan_core::party::Party;
use dan_core::ports::{AboutFilter, Clock as _};
use dan_core::secret::Secret;
use dan_core::statement::hex;
use dan_core::time::Timestamp;
use dan_store::Access;
use serde_json::{Value, json};

use super::extract_page::Page;
use super::{PAGE_ROWS, record_reading};
use crate::args::AuditExtractArgs;
use crate::commands::{config_and_store, store_failed};
use crate::compose::realm;
use crate::config::Config;
use crate::output::{Ending, Misuse, Outcome, complain, say};
use crate::system::SystemClock;

/// Entries that may wait for their outcome, or for one before them.
const WAITING_MAX: usize = 10_000;
/// How long ago a harvest may have begun that is taken to be under way still.
const UNDER_WAY_MS_MAX: i64 = 5 * 60_000;
/// Longest text that a number is read from, in bytes.
const SUBJECT_BYTES_MAX: u64 = 1024;

/// One thing that was done about the party.
#[derive(Debug)]
pub(super) struct Entry {
    /// How it began.
    pub(super) record: AuditRecord,
    /// How it ended; `None` for an intent whose outcome is not known.
    pub(super) outcome: Option<Phase>,
}

impl Entry {
    fn of(record: AuditRecord) -> Self {
        let outcome = (record.phase != Phase::Intent).then(|| record.phase.clone());
        Self { record, outcome }
    }

    /// It began so lately that its outcome may come yet.
    pub(super) fn is_under_way(&self, now: Timestamp) -> bool {
        let age = now.as_ms().saturating_sub(self.record.at.as_ms());
        self.outcome.is_none() && age < UNDER_WAY_MS_MAX
    }
}

/// Writes the extract, after it has been recorded that somebody makes one.
///
/// # Errors
/// A number that is none; a store that cannot be opened, read or written.
pub(super) async fn run(args: &AuditExtractArgs) -> Ending {
    let (config, store) = config_and_store(&args.config, Access::Reader)?;
    let store = store.as_ref();
    let subject = subject(args, &config)?;
    let moment = |name: &str, text: &Option<String>| match text.as_deref() {
        None => Ok(None),
        Some(text) => Timestamp::parse(text).map(Some).ok_or_else(|| {
            Misuse(format!(
                "--{name}: `{text}` is no moment such as 2026-01-01T00:00:00Z"
            ))
        }),
    };
    let (from, to) = (moment("from", &args.from)?, moment("to", &args.to)?);
    record_reading(store, Action::SubjectExtracted, Some(subject.clone())).await?;

    let mut writer = Writer {
        now: SystemClock.now(),
        page: (!args.json).then(|| Page::new(args.lang)),
        from,
        to,
        written: 0,
    };
    if let Some(page) = &writer.page {
        say(page.title(&subject));
    }
    let mut waiting = VecDeque::new();
    let mut filter = AboutFilter {
        subject,
        after: 0,
        count_max: PAGE_ROWS,
    };
    loop {
        let rows = store.about(&filter).await.map_err(store_failed)?;
        let Some(last) = rows.last() else { break };
        filter.after = last.sequence;
        for row in rows {
            take(&mut waiting, row.record);
            while let Some(entry) = ready(&mut waiting) {
                writer.write(&entry);
            }
        }
    }
    for entry in waiting {
        writer.write(&entry);
    }
    if let Some(page) = &writer.page {
        say(page.end(writer.written));
    }
    Ok(Outcome::Yes)
}

/// An outcome joins its intent; anything else is an entry of its own.
fn take(waiting: &mut VecDeque<Entry>, record: AuditRecord) {
    let is_outcome = !matches!(record.phase, Phase::Intent | Phase::Done);
    let intent = waiting.iter_mut().rev().find(|entry| {
        is_outcome && entry.outcome.is_none() && entry.record.request_id == record.request_id
    });
    match intent {
        Some(entry) => entry.outcome = Some(record.phase),
        None => waiting.push_back(Entry::of(record)),
    }
}

/// The first entry, when its outcome is known or will not come any more.
fn ready(waiting: &mut VecDeque<Entry>) -> Option<Entry> {
    let is_known = waiting.front()?.outcome.is_some();
    if is_known || waiting.len() > WAITING_MAX {
        waiting.pop_front()
    } else {
        None
    }
}

struct Writer {
    /// `None`: one JSON object a line.
    page: Option<Page>,
    now: Timestamp,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    written: u64,
}

impl Writer {
    fn write(&mut self, entry: &Entry) {
        let at = entry.record.at;
        if self.from.is_some_and(|from| at < from) || self.to.is_some_and(|to| at >= to) {
            return;
        }
        self.written = self.written.saturating_add(1);
        match &self.page {
            Some(page) => say(page.entry(entry, self.now)),
            None => say(machine_readable(entry, self.now)),
        }
    }
}

fn machine_readable(entry: &Entry, now: Timestamp) -> Value {
    let Entry { record, outcome } = entry;
    let (word, detail) = match entry.is_under_way(now) {
        true => ("no_outcome_yet", Value::Null),
        false => outcome_of(outcome.as_ref()),
    };
    json!({
        "at": record.at.to_string(),
        "action": record.action.name(),
        "outcome": word,
        "detail": detail,
        "dataset": record.dataset,
        "context": record.context,
        "owner": record.owner.map(|owner| owner.to_string()),
        "supplier": record.supplier.map(|supplier| supplier.to_string()),
        "system_user": record.system_user,
        "requestor": record.requestor.as_ref().map(Party::to_string),
        "accreditation": record.accreditation,
        "basis": record.basis,
        "external_reference": record.external_reference,
        "request": record.request_id,
    })
}

/// The word for how something ended, and what more there is to it.
fn outcome_of(outcome: Option<&Phase>) -> (&'static str, Value) {
    match outcome {
        None | Some(Phase::Intent) => ("interrupted", Value::Null),
        Some(Phase::Done) => ("done", Value::Null),
        Some(Phase::Delivered {
            digest,
            body_bytes,
            kid,
        }) => (
            "delivered",
            json!({"sha256": hex(digest), "bytes": body_bytes, "kid": kid}),
        ),
        Some(Phase::BrokenOff { body_bytes, code }) => {
            ("broken_off", json!({"bytes": body_bytes, "code": code}))
        }
        Some(Phase::Failed { code }) => ("failed", json!({"code": code})),
    }
}

/// The party that the extract is about. An error never repeats the number.
fn subject(args: &AuditExtractArgs, config: &Config) -> Result<Party, Misuse> {
    let text = given(args)?;
    let text = text.expose().trim();
    let party = Party::parse(text, realm(config.server.realm));
    let party = match party {
        // A custom subject, as rows name it.
        Err(_) if text.starts_with("::") => return Party::from_canonical(text).ok_or_else(none),
        Err(error) => return Err(Misuse(format!("--subject: {error}"))),
        Ok(party) => party,
    };
    if matches!(party, Party::Person(_)) && args.subject.as_deref().is_some_and(|text| text != "-")
    {
        complain(
            "an identity number among the arguments can be seen by every user of this machine; give it through \
             `--subject -` or --subject-file",
        );
    }
    Ok(party)
}

fn none() -> Misuse {
    Misuse("--subject: no number of anybody".to_owned())
}

fn given(args: &AuditExtractArgs) -> Result<Secret, Misuse> {
    let read = |mut from: Box<dyn std::io::Read>| {
        let mut text = String::new();
        let limited = from
            .by_ref()
            .take(SUBJECT_BYTES_MAX)
            .read_to_string(&mut text);
        limited
            .map(|_bytes| Secret::new(text))
            .map_err(|error| Misuse(format!("the subject cannot be read: {error}")))
    };
    match (&args.subject, &args.subject_file) {
        (_, Some(file)) => match std::fs::File::open(file) {
            Ok(file) => read(Box::new(file)),
            Err(error) => Err(Misuse(format!("cannot read {}: {error}", file.display()))),
        },
        (Some(text), None) if text == "-" => read(Box::new(std::io::stdin())),
        (Some(text), None) => Ok(Secret::new(text.clone())),
        (None, None) => Err(none()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(request: &str, phase: Phase) -> AuditRecord {
        AuditRecord {
            phase,
            ..AuditRecord::done(
                Timestamp::from_ms(0),
                Action::DatasetRetrieved,
                request.to_owned(),
            )
        }
    }

    fn drain(waiting: &mut VecDeque<Entry>) -> Vec<(String, Option<Phase>)> {
        let mut drained = Vec::new();
        while let Some(entry) = ready(waiting) {
            drained.push((entry.record.request_id, entry.outcome));
        }
        drained
    }

    #[test]
    fn an_outcome_joins_its_intent_and_entries_keep_their_order() {
        let failed = |code| Phase::Failed { code };
        let mut waiting = VecDeque::new();
        take(&mut waiting, record("a", Phase::Intent));
        take(&mut waiting, record("b", Phase::Intent));
        take(&mut waiting, record("b", failed(2)));
        take(&mut waiting, record("c", failed(3)));
        assert_eq!(drain(&mut waiting), [], "the first is not known yet");
        take(&mut waiting, record("a", failed(1)));
        let names = |code| Some(Phase::Failed { code });
        let expected =
            [("a", 1), ("b", 2), ("c", 3)].map(|(id, code)| (id.to_owned(), names(code)));
        assert_eq!(drain(&mut waiting), expected);
    }

    #[test]
    fn an_outcome_that_never_comes_holds_up_nothing_for_ever() {
        let mut waiting = VecDeque::new();
        take(&mut waiting, record("a", Phase::Intent));
        for _ in 0..WAITING_MAX {
            take(&mut waiting, record("b", Phase::Done));
        }
        let drained = drain(&mut waiting);
        assert_eq!(drained[0], ("a".to_owned(), None));
        assert_eq!(drained.len(), WAITING_MAX + 1);
        let entry = Entry::of(record("a", Phase::Intent));
        for (now, word) in [
            (UNDER_WAY_MS_MAX - 1, "no_outcome_yet"),
            (UNDER_WAY_MS_MAX, "interrupted"),
        ] {
            let now = Timestamp::from_ms(now);
            assert_eq!(machine_readable(&entry, now)["outcome"], word);
            let page = Page::new(crate::args::Language::En).entry(&entry, now);
            assert!(page.contains(&word.replace('_', " ")), "{page}");
        }
    }
}
