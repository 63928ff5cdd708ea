//! [`Intents`]: which harvests began and have no outcome.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

/// Open intents that are remembered by their request; further ones are counted only.
const OPEN_MAX: usize = 100_000;

/// Longest identifier of a request that is remembered, in bytes; ours have 36 at most. A longer one
/// is none that a node made, and is passed over.
const REQUEST_ID_BYTES_MAX: usize = 64;

/// Intents that are open so far.
#[derive(Debug, Default)]
pub(super) struct Intents {
    open: BTreeSet<String>,
    uncounted: u64,
}

/// The members of a stored row that tie intent and outcome together.
#[derive(Deserialize)]
struct Peek<'a> {
    #[serde(borrow)]
    request_id: Cow<'a, str>,
    phase: Value,
}

impl Intents {
    /// Takes the stored text of the next row. One that does not read opens and closes nothing.
    pub(super) fn note(&mut self, text: &str) {
        let Ok(Peek { request_id, phase }) = serde_json::from_str(text) else {
            return;
        };
        if request_id.len() > REQUEST_ID_BYTES_MAX {
            return;
        }
        match phase.as_str() {
            Some("intent") if self.open.len() >= OPEN_MAX => {
                self.uncounted = self.uncounted.saturating_add(1);
            }
            Some("intent") => {
                self.open.insert(request_id.into_owned());
            }
            Some(_) => {}
            // Whatever the outcome was, it has members.
            None => {
                self.open.remove(&*request_id);
            }
        }
    }

    /// How many have no outcome.
    pub(super) fn open(&self) -> u64 {
        let open = u64::try_from(self.open.len()).unwrap_or(u64::MAX);
        open.saturating_add(self.uncounted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_intent_is_open_until_its_own_outcome() {
        let mut intents = Intents::default();
        let row = |id: &str, phase: &str| format!(r#"{{"request_id":"{id}","phase":{phase}}}"#);
        for (id, phase, open) in [
            ("a", "\"done\"", 0),
            ("a", "\"intent\"", 1),
            ("b", "\"intent\"", 2),
            ("c", r#"{"failed":{"code":1}}"#, 2),
            ("b", "\"done\"", 2),
            ("b", r#"{"delivered":{"digest":"","body_bytes":1}}"#, 1),
            ("a", r#"{"some_later_word":{}}"#, 0),
        ] {
            intents.note(&row(id, phase));
            assert_eq!(intents.open(), open, "{id} {phase}");
        }
        intents.note(&row(&"a".repeat(65), "\"intent\""));
        intents.note("no JSON");
        assert_eq!(intents.open(), 0);
    }
}
