//! [`Expect`]: what a reader requires of a statement, and in what a statement differs from it.
//!
//! A signature says that the node made the statement. Whether it is the statement a reader needs, about
//! this company and not another, is the reader's to compare; this does it without forgetting any.

use std::fmt;

use crate::error::quoted;
use crate::moment::{parse_rfc3339, rfc3339};
use crate::statement::Statement;

/// What is required. A member that is `None` is not looked at.
#[derive(Clone, Copy, Default)]
pub struct Expect<'a> {
    /// The node, as in `iss`.
    pub issuer: Option<&'a str>,
    /// Whom it is about: an organisation number with or without `0192:`, or the number of a person.
    pub subject: Option<&'a str>,
    /// The organisation that was given the answer.
    pub audience: Option<&'a str>,
    /// The organisation it is for.
    pub requestor: Option<&'a str>,
    /// The dataset's name.
    pub dataset: Option<&'a str>,
    /// The service's name.
    pub context: Option<&'a str>,
    /// The grant.
    pub accreditation: Option<&'a str>,
    /// The identifier of the release, `jti`, also `x-invocationId` of the answer.
    pub release: Option<&'a str>,
    /// What the caller said beside the subject: names and values as text, all of them.
    pub parameters: Option<&'a [(&'a str, &'a str)]>,
    /// The source answered at this second or later, since 1970.
    pub retrieved_since: Option<i64>,
    /// The source answered at this second or earlier, since 1970.
    pub retrieved_until: Option<i64>,
}

/// One claim that is not as required. `Display` is one sentence, without the number of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The claim.
    pub claim: &'static str,
    /// What the statement says; `None`: nothing.
    pub found: Option<String>,
    /// What was required; `None` where it may be a person.
    pub required: Option<String>,
}

impl Statement {
    /// In what the statement differs from what is required; empty when it holds.
    #[must_use = "a statement that differs is not the one you need"]
    pub fn differences(&self, expect: &Expect<'_>) -> Vec<Difference> {
        let text = |claim, found: &Option<String>, required: Option<&str>| {
            compare(claim, found, required, found.as_deref() == required)
        };
        let some = |text: &str| Some(text.to_owned());
        let checks = [
            text("iss", &some(&self.issuer), expect.issuer),
            party(
                "sub",
                &self.subject,
                expect.subject,
                expect.subject.is_some_and(|it| self.subject_is(it)),
            ),
            party(
                "aud",
                &self.audience,
                expect.audience,
                expect.audience.is_some_and(|it| self.audience_is(it)),
            ),
            party(
                "requestor",
                &self.requestor,
                expect.requestor,
                expect.requestor.is_some_and(|it| self.requestor_is(it)),
            ),
            text("dataset", &some(&self.dataset), expect.dataset),
            text("context", &self.context, expect.context),
            text("accreditation", &self.accreditation, expect.accreditation),
            text("jti", &some(&self.release), expect.release),
            self.parameters(expect),
            self.retrieved(expect),
        ];
        checks.into_iter().flatten().collect()
    }

    /// Without what was said: it may be about a person.
    fn parameters(&self, expect: &Expect<'_>) -> Option<Difference> {
        let holds = self.parameters_are(expect.parameters?);
        (!holds).then(|| Difference {
            claim: "parameters",
            found: self.parameters.clone(),
            required: None,
        })
    }

    fn retrieved(&self, expect: &Expect<'_>) -> Option<Difference> {
        let (since, until) = (expect.retrieved_since, expect.retrieved_until);
        if since.is_none() && until.is_none() {
            return None;
        }
        let at = parse_rfc3339(&self.retrieved_at);
        let holds = at.is_some_and(|at| {
            since.is_none_or(|since| since <= at) && until.is_none_or(|until| at <= until)
        });
        let required = match (since, until) {
            (Some(since), Some(until)) => {
                format!("between {} and {}", rfc3339(since), rfc3339(until))
            }
            (Some(since), None) => format!("at {} or later", rfc3339(since)),
            (None, Some(until)) => format!("at {} or earlier", rfc3339(until)),
            (None, None) => String::new(),
        };
        (!holds).then(|| Difference {
            claim: "retrieved_at",
            found: Some(self.retrieved_at.clone()),
            required: Some(required),
        })
    }
}

fn compare(
    claim: &'static str,
    found: &Option<String>,
    required: Option<&str>,
    holds: bool,
) -> Option<Difference> {
    let required = required?;
    (!holds).then(|| Difference {
        claim,
        found: found.clone(),
        required: Some(required.to_owned()),
    })
}

/// As [`compare`], without what was required unless it can only be an organisation.
fn party(
    claim: &'static str,
    found: &Option<String>,
    required: Option<&str>,
    holds: bool,
) -> Option<Difference> {
    let mut difference = compare(claim, found, required, holds)?;
    let organisation = |number: &str| {
        let bare = number.strip_prefix("0192:").unwrap_or(number);
        bare.len() == 9 && bare.bytes().all(|byte| byte.is_ascii_digit())
    };
    difference.required = difference.required.filter(|number| organisation(number));
    Some(difference)
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = self
            .found
            .as_deref()
            .map_or_else(|| "nothing".to_owned(), quoted);
        let required = self.required.as_deref();
        let required = required.map_or_else(|| "the one you named".to_owned(), quoted);
        let claim = self.claim;
        write!(f, "`{claim}` says {found}, and {required} is required")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::claims;

    fn statement() -> Statement {
        Statement::read(&claims()).unwrap()
    }

    fn all() -> Expect<'static> {
        Expect {
            issuer: Some("https://dan.example.no/v1"),
            subject: Some("991825827"),
            audience: Some("974760673"),
            requestor: Some("0192:958935420"),
            parameters: Some(&[]),
            dataset: Some("UnitBasicInformation"),
            context: Some("eBevis"),
            accreditation: None,
            release: Some("r-1"),
            retrieved_since: Some(1_795_521_600),
            retrieved_until: Some(1_795_521_600),
        }
    }

    #[test]
    fn a_statement_that_says_what_is_required_differs_in_nothing() {
        assert_eq!(statement().differences(&all()), []);
        assert_eq!(statement().differences(&Expect::default()), []);
    }

    #[test]
    fn each_requirement_is_held_alone() {
        type Change = fn(&mut Expect<'static>);
        let cases: [(&str, Change); 10] = [
            ("iss", |it| it.issuer = Some("https://dan.example.no")),
            ("sub", |it| it.subject = Some("998997801")),
            ("aud", |it| it.audience = Some("958935420")),
            ("requestor", |it| it.requestor = Some("974760673")),
            ("dataset", |it| it.dataset = Some("unitbasicinformation")),
            ("context", |it| it.context = Some("ebevis")),
            ("accreditation", |it| it.accreditation = Some("a-1")),
            ("jti", |it| it.release = Some("r-2")),
            ("retrieved_at", |it| {
                it.retrieved_since = Some(1_795_521_601);
            }),
            ("retrieved_at", |it| {
                it.retrieved_until = Some(1_795_521_599);
            }),
        ];
        for (claim, change) in cases {
            let mut expect = all();
            change(&mut expect);
            let differences = statement().differences(&expect);
            assert_eq!(differences.len(), 1, "{claim}");
            assert_eq!(differences[0].claim, claim);
        }
    }

    #[test]
    fn a_difference_is_told_without_the_number_of_a_person() {
        let expect = Expect {
            subject: Some("07056120453"),
            audience: Some("958935420"),
            accreditation: Some("a-1"),
            ..Expect::default()
        };
        let told: Vec<String> = statement()
            .differences(&expect)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            told,
            [
                "`sub` says \"0192:991825827\", and the one you named is required",
                "`aud` says \"0192:974760673\", and \"958935420\" is required",
                "`accreditation` says nothing, and \"a-1\" is required",
            ]
        );
    }

    #[test]
    fn a_time_that_cannot_be_read_meets_no_requirement() {
        let mut claims = claims();
        claims.insert("retrieved_at".to_owned(), json!("yesterday"));
        let statement = Statement::read(&claims).unwrap();
        assert_eq!(statement.differences(&Expect::default()), []);
        let expect = Expect {
            retrieved_since: Some(0),
            ..Expect::default()
        };
        assert_eq!(statement.differences(&expect).len(), 1);
    }

    #[test]
    fn an_answer_to_other_parameters_is_another_answer() {
        let mut statement = statement();
        let sent = [("b", "2"), ("a", "1")];
        let asks = |parameters| Expect {
            parameters: Some(parameters),
            ..Expect::default()
        };
        assert_eq!(statement.differences(&asks(&sent)).len(), 1);
        // printf '{"a":"1","b":"2"}' | sha256sum
        let digest = "21f76dfbfe6dfe21f762080ef484112cf2952974cef30741fd1931e1c6d92112";
        statement.parameters = Some(digest.to_owned());
        assert_eq!(statement.differences(&asks(&sent[..1])).len(), 1);
        assert_eq!(statement.differences(&asks(&[])).len(), 1);
        assert_eq!(statement.differences(&asks(&sent)), []);
    }
}
