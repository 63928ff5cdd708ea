//! Makes the evidence of a harvest again from what its source answered: no network, no waiting.
//!
//! For `dan verify --origin`: whoever keeps an answer of the source can see that the view that was
//! handed out is this mapping of it, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use dan_core::evidence::{Evidence, SourceCall};
use dan_core::party::Party;
use dan_core::ports::FetchReply;
use dan_core::statement::sha256;
use dan_core::time::Timestamp;
use serde_json::Value;

use super::definition::Definition;
use super::document::{Document, Inputs};
use super::gather::Gathered;

/// What a harvest was made from. Holds evidence and identity numbers: it has no `Debug`.
pub struct Replay<'a> {
    /// Whom it was about, where that is known.
    pub subject: Option<Party>,
    /// The subject as text, where it is no party.
    pub subject_text: Option<&'a str>,
    /// For whom.
    pub requestor: Option<Party>,
    /// Who was given it.
    pub owner: Option<Party>,
    /// Names and values of the parameters that were sent.
    pub parameters: Vec<(String, Value)>,
    /// What each call answered, by its id. An optional call that is not here has failed.
    pub answers: BTreeMap<&'a str, Bytes>,
    /// When the oldest of them came; also stands for the moment of the request, which nobody wrote down.
    pub at: Timestamp,
}

impl Replay<'_> {
    /// Nothing but a moment.
    #[must_use]
    pub const fn at(at: Timestamp) -> Self {
        Self {
            subject: None,
            subject_text: None,
            requestor: None,
            owner: None,
            parameters: Vec::new(),
            answers: BTreeMap::new(),
            at,
        }
    }
}

impl Definition {
    /// Identifiers of the calls, in the order of the definition, and whether each may be missing.
    pub fn call_ids(&self) -> impl Iterator<Item = (&str, bool)> {
        self.all_calls()
            .map(|call| (call.id.as_str(), call.optional))
    }

    /// Makes the evidence again, as a harvest would have; of a binary dataset, what is passed on.
    ///
    /// # Errors
    /// Why not, in words without evidence: an answer is missing or is not what the definition expects.
    pub fn replay(&self, replay: &Replay<'_>) -> Result<Evidence, String> {
        if let Some(file) = &self.file {
            let bytes = replay.answers.get(file.call.id.as_str());
            let media_type = file.media_type.clone().unwrap_or_default();
            return Ok(Evidence::Binary {
                bytes: bytes.cloned().ok_or_else(|| missing(&file.call.id))?,
                media_type,
            });
        }
        let inputs = Inputs {
            subject: replay.subject.as_ref(),
            subject_text: replay.subject_text,
            requestor: replay.requestor.as_ref(),
            owner: replay.owner.as_ref(),
            parameters: replay
                .parameters
                .iter()
                .map(|(name, value)| (name.as_str(), value))
                .collect(),
            now: replay.at,
        };
        let mut document = Document::new(&inputs, &self.parameters, &self.tables);
        let gathered = self.answered(replay, &mut document)?;
        let harvest = self.shape(document, gathered, &inputs);
        harvest
            .map(|harvest| harvest.evidence)
            .map_err(|error| error.cause)
    }

    fn answered(&self, replay: &Replay<'_>, document: &mut Document) -> Result<Gathered, String> {
        let mut calls = Vec::new();
        let mut failed = BTreeSet::new();
        for call in &self.calls {
            let Some(body) = replay.answers.get(call.id.as_str()) else {
                if !call.optional {
                    return Err(missing(&call.id));
                }
                document.set(&call.id, Value::Null);
                failed.insert(call.id.clone());
                continue;
            };
            let reply = FetchReply {
                status: 200,
                media_type: Some("application/json".to_owned()),
                retry_after_s: None,
                body: body.clone(),
            };
            let value = call.interpret(&reply).map_err(|error| error.cause)?;
            document.set(&call.id, value);
            calls.push(SourceCall {
                id: call.id.clone(),
                retrieved_at: replay.at,
                digest: sha256(body),
            });
        }
        Ok(Gathered { calls, failed })
    }
}

fn missing(call: &str) -> String {
    format!("the answer of the call `{call}` is missing")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::catalog_folder::{CatalogFiles, Environment, load};

    fn dataset(name: &str) -> Arc<Definition> {
        let loaded = load(&CatalogFiles::embedded(), &Environment::invented()).unwrap();
        let declared = loaded.datasets.into_iter();
        let mut found = declared.filter(|it| it.definition.name() == name);
        found.next().unwrap().definition
    }

    fn replay(name: &str, answers: &[(&'static str, &'static str)]) -> Result<Evidence, String> {
        dataset(name).replay(&Replay {
            answers: answers
                .iter()
                .map(|(id, body)| (*id, Bytes::from_static(body.as_bytes())))
                .collect(),
            ..Replay::at(Timestamp::from_ms(5000))
        })
    }

    #[test]
    fn values_are_made_again_with_the_time_of_the_answer() {
        let answer = r#"{"organisasjonsnummer":"991825827","navn":"A","hemmelig":"x"}"#;
        let Ok(Evidence::Values(values)) = replay("UnitBasicInformation", &[("unit", answer)])
        else {
            panic!("no values");
        };
        let name = values.iter().find(|it| it.name == "OrganizationName");
        let name = name.unwrap();
        assert_eq!(name.value, "A");
        assert_eq!(name.timestamp, Some(Timestamp::from_ms(5000)));
        assert!(values.iter().all(|it| it.value != "x"));
    }

    #[test]
    fn bytes_that_are_passed_on_are_what_the_source_answered() {
        let call = dataset("DanTestFil")
            .call_ids()
            .last()
            .map(|(id, _)| id.to_owned());
        assert_eq!(call.as_deref(), Some("fil"));
        let passed_on = replay("DanTestFil", &[("fil", "%PDF-")]);
        let Ok(Evidence::Binary { bytes, .. }) = passed_on else {
            panic!("no bytes");
        };
        assert_eq!(&bytes[..], b"%PDF-");
        assert!(replay("DanTestFil", &[]).is_err());
    }

    #[test]
    fn what_is_missing_or_no_answer_is_said() {
        let problem = |answers: &[(&'static str, &'static str)]| {
            replay("UnitBasicInformation", answers).err().unwrap()
        };
        assert!(problem(&[]).contains("`unit` is missing"));
        for nonsense in ["{", "", "1 1"] {
            assert!(!problem(&[("unit", nonsense)]).is_empty());
        }
    }
}
