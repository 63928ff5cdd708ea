//! A statement in words, in Norwegian and English, for people who read no claims.
//!
//! The first sentence says what was handed out, about whom, for whom and when; [`remarks`] say on
//! which basis, from how many answers, and who vouches for it. Text of the statement stands in them without
//! anything that could move a cursor or turn the direction of writing.
//!
//! [`remarks`]: Statement::remarks

use crate::moment::rfc3339;
use crate::statement::{DIGEST_PREFIX, ORGANISATION_PREFIX, Statement};

/// A language that statements are told in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// Norwegian Bokmål.
    Norwegian,
    /// English.
    #[default]
    English,
}

impl Language {
    /// `nb`, `no` or `en`; `None` for any other text.
    #[must_use]
    pub fn parse(tag: &str) -> Option<Self> {
        match tag {
            "nb" | "no" => Some(Self::Norwegian),
            "en" => Some(Self::English),
            _ => None,
        }
    }

    const fn say(self, norwegian: &'static str, english: &'static str) -> &'static str {
        match self {
            Self::Norwegian => norwegian,
            Self::English => english,
        }
    }
}

impl Statement {
    /// What the statement says in one sentence without a full stop: `Brønnøysundregistrene's
    /// UnitBasicInformation about 991825827, for 958935420, retrieved 2026-11-24T12:00:00Z, unchanged`.
    ///
    /// It is true of a body that was verified. A subject that is not named in clear stays "a person".
    #[must_use]
    pub fn sentence(&self, language: Language) -> String {
        self.told(language, None)
    }

    /// The same, with the subject's number where `number` is the one that was signed.
    #[must_use]
    pub fn sentence_about(&self, language: Language, number: &str) -> String {
        self.told(
            language,
            Some(number).filter(|number| self.subject_is(number)),
        )
    }

    /// Further sentences, each with its full stop: the grant and the legal basis, who was given the
    /// answer when that is another than whom it is for, from how many answers it was made, and who
    /// signed when.
    #[must_use]
    pub fn remarks(&self, language: Language) -> Vec<String> {
        let mut remarks = Vec::new();
        if let Some(basis) = self.basis(language) {
            remarks.push(basis);
        }
        if let (Some(audience), Some(requestor)) = (&self.audience, &self.requestor)
            && audience != requestor
        {
            let audience = party(audience, language);
            let given = language.say("Utlevert til", "Handed out to");
            remarks.push(format!("{given} {audience}."));
        }
        if !self.sources.is_empty() {
            let count = self.sources.len();
            remarks.push(match language {
                Language::Norwegian => {
                    format!("Satt sammen av {count} svar fra kilden; tidspunktet er det eldstes.")
                }
                Language::English => {
                    format!(
                        "Made from {count} answers of the source; the time is that of the oldest."
                    )
                }
            });
        }
        if self.parameters.is_some() {
            let norwegian = "Spurt om med parametre; erklæringen har digesten av dem.";
            let english = "Asked for with parameters; the statement has their digest.";
            remarks.push(language.say(norwegian, english).to_owned());
        }
        let signed = language.say("Signert av", "Signed by");
        let (issuer, at) = (plain(&self.issuer), rfc3339(self.issued_at));
        remarks.push(format!("{signed} {issuer}, {at}."));
        remarks
    }

    fn told(&self, language: Language, number: Option<&str>) -> String {
        let mut what = of(&plain(&self.source), &plain(&self.dataset), language);
        if let Some(subject) = &self.subject {
            let about = language.say("om", "about");
            let whom = party(number.unwrap_or(subject), language);
            what = format!("{what} {about} {whom}");
        }
        let mut parts = vec![what];
        match self.requestor.as_ref().or(self.audience.as_ref()) {
            Some(whom) => {
                let whom = party(whom, language);
                parts.push(format!("{} {whom}", language.say("for", "for")));
            }
            None => parts.push(language.say("som åpne data", "as open data").to_owned()),
        }
        let retrieved = language.say("hentet", "retrieved");
        parts.push(format!("{retrieved} {}", plain(&self.retrieved_at)));
        parts.push(language.say("uendret", "unchanged").to_owned());
        parts.join(", ")
    }

    fn basis(&self, language: Language) -> Option<String> {
        let mut parts = Vec::new();
        if let Some(accreditation) = &self.accreditation {
            let under = language.say("under tilgang", "under grant");
            parts.push(format!("{under} {}", plain(accreditation)));
        }
        if !self.legal_basis.is_empty() {
            let bases: Vec<String> = self.legal_basis.iter().map(|one| plain(one)).collect();
            let on = language.say("med hjemmel i", "on the legal basis");
            parts.push(format!("{on} {}", bases.join(", ")));
        }
        let released = language.say("Utlevert", "Released");
        (!parts.is_empty()).then(|| format!("{released} {}.", parts.join(", ")))
    }
}

/// A party in words: a Norwegian organisation by its bare number, others as they stand.
fn party(claim: &str, language: Language) -> String {
    if claim.starts_with(DIGEST_PREFIX) {
        let hidden = language.say(
            "en person (eller annen som ikke er navngitt)",
            "a person (or another who is not named)",
        );
        return hidden.to_owned();
    }
    plain(claim.strip_prefix(ORGANISATION_PREFIX).unwrap_or(claim))
}

/// The dataset of a source, with the source's name in the genitive. Where a name does not end in a
/// letter or a digit it is left as it is.
fn of(source: &str, dataset: &str, language: Language) -> String {
    let Some(last) = source.chars().last().filter(|last| last.is_alphanumeric()) else {
        let from = language.say("fra", "from");
        return format!("{dataset} {from} {source}");
    };
    let last = last.to_ascii_lowercase();
    let ending = match language {
        // Språkrådet: an apostrophe only, behind s, x and z.
        Language::Norwegian if matches!(last, 's' | 'x' | 'z') => "'",
        Language::Norwegian => "s",
        Language::English if last == 's' => "'",
        Language::English => "'s",
    };
    format!("{source}{ending} {dataset}")
}

/// Foreign text that cannot do anything to a terminal or to the direction of writing.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .map(|c| {
            let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}')
                || ('\u{202a}'..='\u{202e}').contains(&c)
                || ('\u{2028}'..='\u{2029}').contains(&c)
                || ('\u{2066}'..='\u{2069}').contains(&c);
            if c.is_control() || turns {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::testing::claims;

    fn statement(change: impl FnOnce(&mut Map<String, Value>)) -> Statement {
        let mut claims = claims();
        change(&mut claims);
        Statement::read(&claims).unwrap()
    }

    #[test]
    fn a_statement_is_told_in_both_languages() {
        let statement = statement(|_| {});
        assert_eq!(
            statement.sentence(Language::English),
            "Brønnøysundregistrene's UnitBasicInformation about 991825827, for 958935420, \
             retrieved 2026-11-24T12:00:00Z, unchanged"
        );
        assert_eq!(
            statement.sentence(Language::Norwegian),
            "Brønnøysundregistrenes UnitBasicInformation om 991825827, for 958935420, \
             hentet 2026-11-24T12:00:00Z, uendret"
        );
    }

    #[test]
    fn a_name_gets_its_genitive() {
        for (source, norwegian, english) in [
            ("Skatteetaten", "Skatteetatens D", "Skatteetaten's D"),
            ("Altinn", "Altinns D", "Altinn's D"),
            (
                "Statens kartverk",
                "Statens kartverks D",
                "Statens kartverk's D",
            ),
            (
                "Vegvesenets register for kjøretøyers",
                "Vegvesenets register for kjøretøyers' D",
                "Vegvesenets register for kjøretøyers' D",
            ),
            ("KS", "KS' D", "KS' D"),
            ("Lex", "Lex' D", "Lex's D"),
            ("Quiz", "Quiz' D", "Quiz's D"),
            ("Kystverkå", "Kystverkås D", "Kystverkå's D"),
            ("Register 7", "Register 7s D", "Register 7's D"),
            (
                "Registeret (prøve)",
                "D fra Registeret (prøve)",
                "D from Registeret (prøve)",
            ),
            ("", "D fra ", "D from "),
        ] {
            assert_eq!(of(source, "D", Language::Norwegian), norwegian);
            assert_eq!(of(source, "D", Language::English), english);
        }
    }

    #[test]
    fn a_person_is_named_only_by_who_knows_the_number() {
        let person = statement(|claims| {
            claims.insert(
                "sub".to_owned(),
                json!("sha-256:YJp9jYlqI9EKXfjBzz6JCUuTgTT7sTcBcP9jiTpi9-s"),
            );
            claims.insert("sub_salt".to_owned(), json!("AQEBAQEBAQEBAQEBAQEBAQ"));
        });
        let told = person.sentence_about(Language::English, "07056120454");
        assert_eq!(told, person.sentence(Language::English));
        assert!(
            told.contains("about a person (or another who is not named), for"),
            "{told}"
        );
        let told = person.sentence(Language::Norwegian);
        assert!(
            told.contains("om en person (eller annen som ikke er navngitt), for"),
            "{told}"
        );
        let company = statement(|_| {});
        let told = company.sentence_about(Language::English, "0192:991825827");
        assert!(told.contains("about 991825827,"), "{told}");
    }

    #[test]
    fn open_data_and_data_about_nobody_are_told_as_what_they_are() {
        let open = statement(|claims| {
            for name in ["aud", "requestor", "sub"] {
                claims.shift_remove(name);
            }
        });
        assert_eq!(
            open.sentence(Language::English),
            "Brønnøysundregistrene's UnitBasicInformation, as open data, \
             retrieved 2026-11-24T12:00:00Z, unchanged"
        );
        let for_owner = statement(|claims| {
            claims.shift_remove("requestor");
        });
        assert!(
            for_owner
                .sentence(Language::English)
                .contains("for 974760673")
        );
        let foreign = statement(|claims| {
            claims.insert("sub".to_owned(), json!("0007:5560360793"));
        });
        assert!(
            foreign
                .sentence(Language::English)
                .contains("about 0007:5560360793")
        );
    }

    #[test]
    fn the_remarks_say_on_which_basis_from_what_and_by_whom() {
        let source = json!({"id": "a", "retrieved_at": "t", "digest": "d"});
        let full = statement(|claims| {
            claims.insert("accreditation".to_owned(), json!("a-1"));
            claims.insert("legal_basis".to_owned(), json!(["lov-1", "lov-2"]));
            claims.insert("sources".to_owned(), json!([source, source]));
        });
        assert_eq!(
            full.remarks(Language::English),
            [
                "Released under grant a-1, on the legal basis lov-1, lov-2.",
                "Handed out to 974760673.",
                "Made from 2 answers of the source; the time is that of the oldest.",
                "Signed by https://dan.example.no/v1, 2026-11-24T12:00:01Z.",
            ]
        );
        assert_eq!(
            full.remarks(Language::Norwegian),
            [
                "Utlevert under tilgang a-1, med hjemmel i lov-1, lov-2.",
                "Utlevert til 974760673.",
                "Satt sammen av 2 svar fra kilden; tidspunktet er det eldstes.",
                "Signert av https://dan.example.no/v1, 2026-11-24T12:00:01Z.",
            ]
        );
        let least = statement(|claims| {
            claims.insert("aud".to_owned(), json!("0192:958935420"));
        });
        assert_eq!(least.remarks(Language::English).len(), 1);
    }

    #[test]
    fn foreign_text_cannot_play_with_the_terminal() {
        let bad = statement(|claims| {
            claims.insert("source".to_owned(), json!("A\u{1b}[2J\n\u{202e}b"));
        });
        let told = bad.sentence(Language::English);
        assert!(
            told.starts_with("A\u{fffd}[2J\u{fffd}\u{fffd}b's"),
            "{told:?}"
        );
    }

    #[test]
    fn a_language_is_known_by_its_tag() {
        assert_eq!(Language::parse("nb"), Some(Language::Norwegian));
        assert_eq!(Language::parse("no"), Some(Language::Norwegian));
        assert_eq!(Language::parse("en"), Some(Language::English));
        assert_eq!(Language::parse("nn"), None);
    }
}
