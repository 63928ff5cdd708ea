//! `dan verify --origin`: whether a view is this mapping of what the source answered.
//!
//! Three questions, each answered for itself: are these the answers that the statement rests on, is
//! this the transformation that it names, and does it make this view of them.

use std::path::Path;

use bytes::Bytes;
use dan_core::error::Fault;
use dan_core::evidence::{DatasetStatus, Evidence};
use dan_core::flow::Answer;
use dan_core::party::{Party, Realm};
use dan_core::projection::Query;
use dan_core::statement::{hex, sha256, view_digest};
use dan_core::time::Timestamp;
use dan_source::catalog_folder::{Declared, Environment, load};
use dan_source::declared::Replay;
use dan_verify::{Enclosed, Statement};
use serde_json::Value;

use super::args::OriginArgs;
use super::{files, named_party, names_its_subject};
use crate::compose::{catalog_files, list_problems};
use crate::output::Misuse;

/// One question and its answer.
pub(super) struct Step {
    /// `origin`, `mapping` or `view`.
    pub(super) name: &'static str,
    /// What holds.
    pub(super) finding: String,
    /// What does not; `None` when it holds.
    pub(super) problem: Option<String>,
}

impl Step {
    fn of(name: &'static str, outcome: Result<String, String>) -> Self {
        match outcome {
            Ok(finding) => Self {
                name,
                finding,
                problem: None,
            },
            Err(problem) => Self {
                name,
                finding: String::new(),
                problem: Some(format!("{name}: {problem}")),
            },
        }
    }
}

/// An answer of the source, and the call that it was given to where the statement says it.
type Origin = (Option<String>, Bytes);

/// Answers the three questions.
///
/// # Errors
/// Files or a catalogue that cannot be read.
pub(super) fn steps(
    args: &OriginArgs,
    statement: &Statement,
    body: &Enclosed,
    subject: Option<&str>,
) -> Result<Vec<Step>, Misuse> {
    let answers = args.origin.iter().map(|file| files::bytes(file));
    let answers = answers.collect::<Result<Vec<_>, Misuse>>()?;
    let query = args.query.as_deref().filter(|text| !text.is_empty());
    parsed(query).map_err(|fault| Misuse(format!("--query: {fault}")))?;
    let parameters = parameters(&args.parameters)?
        .into_iter()
        .map(|(name, value)| (name, Value::from(value)))
        .collect();
    let declared = declared(args.catalog.as_deref(), statement)?;

    let origins = origins(statement, answers);
    let said = origins
        .as_ref()
        .map(|origins| format!("{} as the statement says", counted(origins.len())))
        .map_err(Clone::clone);
    let mut steps = vec![Step::of("origin", said)];
    let Some(declared) = declared else {
        let problem = format!(
            "the catalogue has no dataset {}, so the view cannot be made again; give the folder that was in force with --catalog",
            statement.dataset
        );
        steps.push(Step::of("mapping", Err(problem)));
        return Ok(steps);
    };
    let applied = mapping(&declared, statement, query);
    let holds = applied.is_ok();
    steps.push(Step::of("mapping", applied));
    if let (Ok(origins), true) = (origins, holds) {
        let remade = Remade {
            declared: &declared,
            statement,
            subject,
            parameters,
        };
        steps.push(Step::of("view", remade.compare(&origins, query, body)));
    }
    Ok(steps)
}

fn parsed(query: Option<&str>) -> Result<Option<Query>, String> {
    let parsed = query.map(Query::parse).transpose();
    parsed.map(Option::flatten).map_err(|fault| told(&fault))
}

fn told(fault: &Fault) -> String {
    fault.description()
}

fn counted(count: usize) -> String {
    if count == 1 {
        "1 answer of the source".to_owned()
    } else {
        format!("{count} answers of the source")
    }
}

/// Names and values as they are given, `NAME=VALUE`.
///
/// # Errors
/// A text without `=`.
pub(super) fn parameters(given: &[String]) -> Result<Vec<(String, String)>, Misuse> {
    let read = |text: &String| {
        let (name, value) = text.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    given
        .iter()
        .map(|text| read(text).ok_or_else(|| Misuse("write --parameter NAME=VALUE".to_owned())))
        .collect()
}

/// The dataset of a statement, by its name or by its alias in the statement's service.
fn declared(folder: Option<&Path>, statement: &Statement) -> Result<Option<Declared>, Misuse> {
    let loaded = load(&catalog_files(folder)?, &Environment::invented())
        .map_err(|problems| Misuse(list_problems(&problems)))?;
    let name = &statement.dataset;
    let is_it = |it: &Declared| {
        let mut aliases = it.dataset.aliases.iter();
        it.dataset.name == *name
            || aliases.any(|alias| {
                alias.name == *name && Some(&alias.context) == statement.context.as_ref()
            })
    };
    Ok(loaded.datasets.into_iter().find(is_it))
}

/// Puts the answers where the statement has them, whatever order they were given in.
fn origins(statement: &Statement, answers: Vec<Vec<u8>>) -> Result<Vec<Origin>, String> {
    let digests: Vec<String> = answers.iter().map(|it| hex(&sha256(it))).collect();
    let wanted: Vec<(Option<String>, &str)> = if statement.sources.is_empty() {
        vec![(None, statement.source_digest.as_str())]
    } else {
        let sources = statement.sources.iter();
        sources
            .map(|it| (Some(it.id.clone()), it.digest.as_str()))
            .collect()
    };
    if answers.len() != wanted.len() {
        let (given, wanted) = (answers.len(), counted(wanted.len()));
        return Err(format!(
            "the statement rests on {wanted}, {given} are given"
        ));
    }
    let mut left: Vec<(String, Vec<u8>)> = digests.into_iter().zip(answers).collect();
    let mut found = Vec::with_capacity(wanted.len());
    for (id, digest) in wanted {
        let Some(at) = left.iter().position(|(known, _)| known == digest) else {
            let whose = id.map_or_else(String::new, |id| format!(" to the call `{id}`"));
            return Err(format!(
                "no file is the answer{whose} that the statement rests on, SHA-256 {digest}"
            ));
        };
        let (_, bytes) = left.swap_remove(at);
        found.push((id, Bytes::from(bytes)));
    }
    Ok(found)
}

/// Whether the mapping of the catalogue, with this query, is the one that the statement names.
fn mapping(
    declared: &Declared,
    statement: &Statement,
    query: Option<&str>,
) -> Result<String, String> {
    let mapping = &declared.dataset.mapping;
    if statement.view == view_digest(mapping, query) {
        return Ok("the one the statement names".to_owned());
    }
    if query.is_some() && statement.view == view_digest(mapping, None) {
        return Err(
            "no query was applied to this answer (an envelope takes none); leave --query out"
                .to_owned(),
        );
    }
    Err(format!(
        "the mapping of {} in this catalogue{} is not the transformation that the statement names; \
         give the catalogue that was in force with --catalog, and the query that was sent with --query",
        declared.dataset.name,
        if query.is_some() {
            " with this query"
        } else {
            ""
        },
    ))
}

/// A dataset and what is known about one of its harvests.
struct Remade<'a> {
    declared: &'a Declared,
    statement: &'a Statement,
    /// The number the reader knows the subject by.
    subject: Option<&'a str>,
    parameters: Vec<(String, Value)>,
}

impl Remade<'_> {
    /// Makes the view again and compares.
    fn compare(
        &self,
        origins: &[Origin],
        query: Option<&str>,
        body: &Enclosed,
    ) -> Result<String, String> {
        let at = Timestamp::parse(&self.statement.retrieved_at)
            .ok_or("the statement does not say when the source answered")?;
        let mut problem = String::new();
        for ids in self.candidates(origins) {
            let answers = ids
                .into_iter()
                .zip(origins.iter().map(|(_, bytes)| bytes.clone()));
            let replay = Replay {
                subject: self.party(),
                subject_text: self.subject,
                requestor: named_party(self.statement.requestor.as_deref()),
                owner: named_party(self.statement.audience.as_deref()),
                parameters: self.parameters.clone(),
                answers: answers.collect(),
                ..Replay::at(at)
            };
            let compared = self
                .declared
                .definition
                .replay(&replay)
                .and_then(|evidence| self.same(&evidence, query, body));
            match compared {
                Ok(finding) => return Ok(finding),
                Err(what) => problem = what,
            }
        }
        if self.statement.subject.is_some() && self.party().is_none() {
            problem.push_str("; the subject is not named in clear, give it with --subject");
        }
        Err(problem)
    }

    /// Calls that the answers may be of. One answer of a definition with several calls is that of one
    /// that has to be there, or else of any.
    fn candidates<'s>(&'s self, origins: &'s [Origin]) -> Vec<Vec<&'s str>> {
        let named: Vec<&str> = origins.iter().filter_map(|(id, _)| id.as_deref()).collect();
        if named.len() == origins.len() {
            return vec![named];
        }
        let calls: Vec<(&str, bool)> = self.declared.definition.call_ids().collect();
        let needed: Vec<&str> = calls
            .iter()
            .filter(|(_, optional)| !optional)
            .map(|(id, _)| *id)
            .collect();
        if needed.is_empty() {
            return calls.into_iter().map(|(id, _)| vec![id]).collect();
        }
        vec![needed]
    }

    fn party(&self) -> Option<Party> {
        if names_its_subject(self.statement) {
            return named_party(self.statement.subject.as_deref());
        }
        self.subject
            .and_then(|number| Party::parse(number, Realm::Sandbox).ok())
    }

    /// The bare form byte for byte, or each value of the envelope.
    fn same(
        &self,
        evidence: &Evidence,
        query: Option<&str>,
        body: &Enclosed,
    ) -> Result<String, String> {
        let moment = Timestamp::from_ms(0);
        let answer = Answer {
            dataset: &self.statement.dataset,
            status: DatasetStatus::Available,
            valid_from: moment,
            valid_to: moment,
            evidence,
        };
        let shaped = |enveloped: bool, query: Option<&str>| {
            dan_http::shape_evidence(&answer, enveloped, parsed(query)?)
                .map_err(|fault| format!("it cannot be made again: {}", told(&fault)))
        };
        let bare = shaped(false, query)?;
        if bare.body == body.bytes {
            return Ok("made again from the origin, byte for byte".to_owned());
        }
        if !body.is_original && same_value(&bare.body, &body.bytes) {
            return Ok("made again from the origin, the same value".to_owned());
        }
        let Some(given) = envelope(&body.bytes) else {
            return Err("made again from the origin, it is another".to_owned());
        };
        let again = envelope(&shaped(true, None)?.body).unwrap_or_default();
        compare_values(&given, &again)?;
        Ok(format!(
            "made again from the origin, {} values one by one; `evidenceStatus` says how long the grant lasts and cannot be made again",
            given.len()
        ))
    }
}

/// Whether two texts are one JSON value, in whatever order its members stand: COSE keeps the value only.
fn same_value(one: &[u8], other: &[u8]) -> bool {
    let read = |text| serde_json::from_slice::<Value>(text).ok();
    read(one).is_some_and(|one| Some(one) == read(other))
}

/// The values of an enveloped body.
fn envelope(body: &[u8]) -> Option<Vec<Value>> {
    let document: Value = serde_json::from_slice(body).ok()?;
    document.get("evidenceStatus")?;
    document.get("evidenceValues")?.as_array().cloned()
}

fn compare_values(given: &[Value], again: &[Value]) -> Result<(), String> {
    let name = |value: &Value| {
        let name = value.get("evidenceValueName").and_then(Value::as_str);
        dan_verify::quoted(name.unwrap_or_default())
    };
    for (given, again) in given.iter().zip(again) {
        if given != again {
            return Err(format!(
                "made again from the origin, the value {} is another",
                name(given)
            ));
        }
    }
    if given.len() == again.len() {
        return Ok(());
    }
    let (given, again) = (given.len(), again.len());
    Err(format!(
        "it has {given} values, made again from the origin it has {again}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, json};

    const ORIGIN: &[u8] = br#"{"organisasjonsnummer":"992037601","navn":"A","hjemmeside":"b"}"#;

    fn statement(change: impl FnOnce(&mut Map<String, Value>)) -> Statement {
        let loaded = load(&catalog_files(None).unwrap(), &Environment::invented()).unwrap();
        let mut datasets = loaded.datasets.iter();
        let unit = datasets.find(|it| it.dataset.name == "UnitBasicInformation");
        let claims = json!({
            "SHA256PayloadDigest": "", "iss": "", "iat": 0, "jti": "", "media_type": "application/json",
            "sub": "0192:992037601", "dataset": "UnitBasicInformation", "context": "eBevis",
            "retrieved_at": "2026-11-24T12:00:00Z", "source": "Enhetsregisteret",
            "source_digest": hex(&sha256(ORIGIN)),
            "view": view_digest(&unit.unwrap().dataset.mapping, None),
        });
        let Value::Object(mut claims) = claims else {
            unreachable!()
        };
        change(&mut claims);
        Statement::read(&claims).unwrap()
    }

    fn ask(statement: &Statement, body: &[u8]) -> Vec<Step> {
        ask_of(statement, body, true)
    }

    fn ask_of(statement: &Statement, body: &[u8], is_original: bool) -> Vec<Step> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("origin");
        std::fs::write(&file, ORIGIN).unwrap();
        let args = OriginArgs {
            origin: vec![file],
            catalog: None,
            query: None,
            parameters: Vec::new(),
        };
        let body = Enclosed {
            bytes: body.to_vec(),
            is_original,
        };
        steps(&args, statement, &body, None)
            .map_err(|misuse| misuse.0)
            .unwrap()
    }

    fn problem(steps: &[Step]) -> &str {
        let mut problems = steps.iter().filter_map(|step| step.problem.as_deref());
        problems.next().unwrap_or_default()
    }

    #[test]
    fn a_view_of_a_genuine_statement_that_is_another_is_noticed() {
        let bare = br#"{"OrganizationNumber":992037601,"OrganizationName":"A","HomePage":"b"}"#;
        let known = statement(|_| {});
        let steps = ask(&known, bare);
        assert_eq!(problem(&steps), "");
        assert_eq!(steps.len(), 3);
        let other = String::from_utf8(bare.to_vec())
            .unwrap()
            .replace("\"A\"", "\"B\"");
        let steps = ask(&known, other.as_bytes());
        assert!(problem(&steps).starts_with("view: "), "{}", problem(&steps));
        assert!(problem(&ask(&known, b"")).starts_with("view: "));
    }

    #[test]
    fn of_a_value_from_cose_the_order_of_members_does_not_count() {
        let sorted = br#"{"HomePage":"b","OrganizationName":"A","OrganizationNumber":992037601}"#;
        let known = statement(|_| {});
        assert_eq!(problem(&ask_of(&known, sorted, false)), "");
        assert!(problem(&ask(&known, sorted)).starts_with("view: "));
        let other = br#"{"HomePage":"c","OrganizationName":"A","OrganizationNumber":992037601}"#;
        assert!(problem(&ask_of(&known, other, false)).starts_with("view: "));
    }

    #[test]
    fn a_value_of_an_envelope_that_is_another_is_named() {
        let value = |name: &str, value: Value, kind: &str| {
            json!({
                "evidenceValueName": name, "source": "Enhetsregisteret", "value": value, "valueType": kind,
                "timestamp": "2026-11-24T12:00:00Z",
            })
        };
        let enveloped = |values: &[Value]| {
            let body = json!({"evidenceStatus": {}, "evidenceValues": values});
            problem(&ask(&statement(|_| {}), body.to_string().as_bytes())).to_owned()
        };
        let number = value("OrganizationNumber", json!(992_037_601), "number");
        let name = value("OrganizationName", json!("A"), "string");
        let page = value("HomePage", json!("b"), "string");
        let all = [number.clone(), name.clone(), page.clone()];
        assert_eq!(enveloped(&all), "");
        let mut older = all.clone();
        older[1]["timestamp"] = json!("2026-11-24T11:00:00Z");
        assert!(enveloped(&older).contains("\"OrganizationName\" is another"));
        assert!(enveloped(&[number.clone(), page]).contains("is another"));
        assert!(enveloped(&[number, name]).contains("it has 2 values"));
    }

    #[test]
    fn a_dataset_that_is_not_in_the_catalogue_is_a_no() {
        let unknown = statement(|claims| {
            claims.insert("dataset".to_owned(), json!("Other"));
        });
        assert!(problem(&ask(&unknown, b"1")).contains("no dataset Other"));
        // An alias is one in its own service only.
        let aliased = statement(|claims| {
            claims.insert("dataset".to_owned(), json!("unitbasicinformation"));
        });
        assert!(problem(&ask(&aliased, b"1")).contains("no dataset"));
    }

    #[test]
    fn several_answers_are_found_in_any_order_and_each_must_be_there() {
        let source = |id: &str, bytes: &[u8]| json!({"id": id, "retrieved_at": "t", "digest": hex(&sha256(bytes))});
        let several = statement(|claims| {
            claims.insert(
                "sources".to_owned(),
                json!([source("a", b"1"), source("b", b"2")]),
            );
        });
        let given = |answers: &[&[u8]]| {
            let answers = answers.iter().map(|answer| answer.to_vec()).collect();
            origins(&several, answers)
        };
        for answers in [[&b"1"[..], b"2"], [b"2", b"1"]] {
            let found = given(&answers).unwrap();
            let found: Vec<(Option<&str>, &[u8])> = found
                .iter()
                .map(|(id, bytes)| (id.as_deref(), &bytes[..]))
                .collect();
            assert_eq!(found, [(Some("a"), &b"1"[..]), (Some("b"), b"2")]);
        }
        assert!(given(&[b"1", b"1"]).unwrap_err().contains("the call `b`"));
        assert!(given(&[b"1"]).unwrap_err().contains("2 answers"));
        assert!(
            given(&[b"1", b"2", b"2"])
                .unwrap_err()
                .contains("3 are given")
        );
    }
}
