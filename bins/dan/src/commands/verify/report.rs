//! What `dan verify` says: for people the sentence first, for programs one JSON document.

use std::fmt::Write as _;

use dan_core::time::Timestamp;
use dan_verify::{Difference, Language, Statement, Verified, VerifyError};
use serde_json::{Value, json};

use super::origin::Step;
use crate::output::{Outcome, say, say_json};

/// What is known about an answer whose signature holds.
pub(super) struct Report<'a> {
    pub(super) verified: &'a Verified,
    pub(super) statement: &'a Statement,
    /// The number the reader knows the subject by.
    pub(super) subject: Option<&'a str>,
    /// What is not as required.
    pub(super) differences: Vec<Difference>,
    /// The moment asked about, and whether it held then.
    pub(super) at: Option<(Timestamp, Result<(), VerifyError>)>,
    /// How the view was made again.
    pub(super) steps: Vec<Step>,
}

/// Says that nothing is proven.
pub(super) fn refused(error: &VerifyError, as_json: bool) -> Outcome {
    if as_json {
        say_json(&json!({"verified": false, "reason": error.to_string()}));
    } else {
        say(format!("NOT VERIFIED: {error}"));
    }
    Outcome::No
}

impl Report<'_> {
    /// Says it; the answer is no where anything that was asked for does not hold.
    pub(super) fn say(&self, language: Language, as_json: bool) -> Outcome {
        let reasons = self.reasons();
        if as_json {
            say_json(&self.document(language, &reasons));
        } else {
            say(self.page(language, &reasons));
        }
        if reasons.is_empty() {
            Outcome::Yes
        } else {
            Outcome::No
        }
    }

    fn reasons(&self) -> Vec<String> {
        let required = self.differences.iter().map(ToString::to_string);
        let at = self.at.iter().filter_map(|(_, held)| held.as_ref().err());
        let steps = self.steps.iter().filter_map(|step| step.problem.clone());
        required
            .chain(at.map(ToString::to_string))
            .chain(steps)
            .collect()
    }

    fn sentence(&self, language: Language) -> String {
        self.subject.map_or_else(
            || self.statement.sentence(language),
            |number| self.statement.sentence_about(language, number),
        )
    }

    fn page(&self, language: Language, reasons: &[String]) -> String {
        let mut page = String::new();
        for reason in reasons {
            writeln!(page, "DOES NOT HOLD: {reason}").unwrap_or_default();
        }
        writeln!(page, "{}", self.sentence(language)).unwrap_or_default();
        for remark in self.statement.remarks(language) {
            writeln!(page, "{remark}").unwrap_or_default();
        }
        let kid = dan_verify::quoted(&self.verified.kid);
        writeln!(page, "verified, signed with key {kid}").unwrap_or_default();
        if let Some((at, Ok(()))) = &self.at {
            writeln!(
                page,
                "at {at}: signed by then, and the key in use then. The date of signing is the signer's own word."
            )
            .unwrap_or_default();
        }
        for step in self.steps.iter().filter(|step| step.problem.is_none()) {
            writeln!(page, "{}: {}", step.name, step.finding).unwrap_or_default();
        }
        for (name, value) in &self.verified.claims {
            // The evidence itself stands in the file; the statement is what a person wants to read.
            if !name.starts_with("evidence") {
                writeln!(page, "  {}: {}", shown(name), claim(value)).unwrap_or_default();
            }
        }
        page.trim_end().to_owned()
    }

    fn document(&self, language: Language, reasons: &[String]) -> Value {
        let mut document = json!({
            "verified": reasons.is_empty(),
            "sentence": self.sentence(language),
            "remarks": self.statement.remarks(language),
            "kid": self.verified.kid,
            "claims": self.verified.claims,
        });
        let mut add = |name: &str, value: Value| {
            if let Value::Object(members) = &mut document {
                members.insert(name.to_owned(), value);
            }
        };
        if !reasons.is_empty() {
            add("reason", Value::from(reasons.join("; ")));
        }
        if !self.differences.is_empty() {
            let names = self.differences.iter().map(|it| Value::from(it.claim));
            add("differs", names.collect());
        }
        if let Some((at, held)) = &self.at {
            add("at", json!({"time": at.to_string(), "holds": held.is_ok()}));
        }
        if !self.steps.is_empty() {
            let steps = self.steps.iter().map(|step| {
                let said = step.problem.as_ref().unwrap_or(&step.finding);
                json!({"step": step.name, "holds": step.problem.is_none(), "says": said})
            });
            add("origin", steps.collect());
        }
        document
    }
}

/// A claim on one line.
fn claim(value: &Value) -> String {
    shown(value.as_str().unwrap_or(&value.to_string()))
}

/// Signed text, without what could move the cursor.
fn shown(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
