//! `dan verify`: checks an answer offline, with the published keys and nothing else, and says in
//! words what it is.

mod args;
mod files;
mod origin;
mod report;

use dan_core::time::Timestamp;
use dan_verify::{Enclosed, Expect, Statement, Verified, VerifyError};
use dan_verify::{verify_cose, verify_detached, verify_jose};

pub use args::{AnswerArgs, OriginArgs, RequiredArgs, VerifyArgs};

use crate::output::{Ending, Misuse, Outcome};
use report::Report;

/// Verifies and says what the statement claims.
///
/// # Errors
/// A file or key set that cannot be read. "Does not verify" is no error but the answer no.
pub async fn run(args: &VerifyArgs) -> Ending {
    let subject = files::subject(args.required.subject.as_deref())?;
    let keys = files::key_set(&args.jwks).await?;
    let (verified, body) = match checked(&args.answer, &keys)? {
        Ok(found) => found,
        Err(error) => return Ok(report::refused(&error, args.json)),
    };
    let statement = match verified.statement() {
        Ok(statement) => statement,
        Err(error) => return Ok(report::refused(&error, args.json)),
    };
    let steps = if args.origin.origin.is_empty() {
        Vec::new()
    } else {
        origin::steps(&args.origin, &statement, &body, subject.as_deref())?
    };
    let sent = origin::parameters(&args.origin.parameters)?;
    let sent: Vec<(&str, &str)> = sent
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let expect = Expect {
        parameters: (!sent.is_empty()).then_some(sent.as_slice()),
        ..expect(&args.required, subject.as_deref())
    };
    let report = Report {
        differences: statement.differences(&expect),
        at: args.at.map(|at| (at, verified.held_at(at.as_seconds()))),
        verified: &verified,
        statement: &statement,
        subject: subject.as_deref(),
        steps,
    };
    let outcome = report.say(args.lang, args.json);
    if outcome == Outcome::Yes
        && let Some(out) = &args.out
    {
        std::fs::write(out, &body.bytes)
            .map_err(|error| Misuse(format!("cannot write {}: {error}", out.display())))?;
    }
    Ok(outcome)
}

/// What was verified, and the body: beside the signature, or inside it.
type Checked = Result<(Verified, Enclosed), VerifyError>;

fn checked(answer: &AnswerArgs, keys: &str) -> Result<Checked, Misuse> {
    let inside = |verified: Result<Verified, VerifyError>| {
        let verified = verified?;
        let evidence = verified.evidence()?;
        Ok((verified, evidence))
    };
    match (&answer.body, &answer.signature, &answer.jose, &answer.cose) {
        (Some(body), Some(signature), None, None) => {
            let bytes = files::bytes(body)?;
            let verified = verify_detached(&bytes, &files::text(signature)?, keys);
            let body = Enclosed {
                bytes,
                is_original: true,
            };
            Ok(verified.map(|verified| (verified, body)))
        }
        (None, None, Some(file), None) => Ok(inside(verify_jose(&files::text(file)?, keys))),
        (None, None, None, Some(file)) => Ok(inside(verify_cose(&files::bytes(file)?, keys))),
        _ => Err(Misuse(
            "give --body with --signature, or --jose, or --cose".to_owned(),
        )),
    }
}

fn expect<'a>(required: &'a RequiredArgs, subject: Option<&'a str>) -> Expect<'a> {
    let seconds = |moment: Option<Timestamp>| moment.map(Timestamp::as_seconds);
    Expect {
        issuer: required.expect_issuer.as_deref(),
        subject,
        audience: required.expect_audience.as_deref(),
        requestor: required.expect_requestor.as_deref(),
        dataset: required.expect_dataset.as_deref(),
        context: required.expect_context.as_deref(),
        accreditation: required.expect_accreditation.as_deref(),
        release: required.expect_release.as_deref(),
        retrieved_since: seconds(required.retrieved_since),
        retrieved_until: seconds(required.retrieved_until),
        parameters: None,
    }
}

/// A party of a statement, as the rest of the software knows it; `None` for one that is not named.
fn named_party(claim: Option<&str>) -> Option<dan_core::party::Party> {
    claim.and_then(dan_core::party::Party::from_canonical)
}

/// Whether a statement names its subject in clear.
fn names_its_subject(statement: &Statement) -> bool {
    let subject = statement.subject.as_deref();
    subject.is_some_and(|subject| !subject.starts_with(dan_verify::DIGEST_PREFIX))
}
