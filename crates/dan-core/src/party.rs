//! Parties: organisation numbers, national identity numbers, foreign and custom identifiers.
//!
//! The grammar is the one of `wire-api.md` §8; the digits are checked by the rules of
//! `security.md` §1.4, which adds the date check and the control digits of 2032.

use std::fmt;

/// The scheme of organisation identifiers on the wire.
pub const ORGANISATION_SCHEME: &str = "iso6523-actorid-upis";
/// The scheme of national identity numbers on the wire.
pub const PERSON_SCHEME: &str = "nor-freg";
/// The ICD of Norwegian organisation numbers (ISO 6523).
pub const NORWEGIAN_ICD: &str = "0192";
/// The longest foreign or custom identifier, in bytes.
pub const IDENTIFIER_BYTES_MAX: usize = 256;

/// Which national numbers a node takes for real. One switch, default [`Realm::Production`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Realm {
    /// Real numbers only; synthetic ones are refused.
    #[default]
    Production,
    /// Synthetic numbers of persons only; organisations of both kinds.
    Test,
    /// Both kinds; only for the sandbox, where everything is invented.
    Sandbox,
}

/// A Norwegian organisation number: nine digits with a valid control digit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrgNumber([u8; 9]);

impl OrgNumber {
    /// Reads exactly nine digits and checks the last one (weights 3 2 7 6 5 4 3 2, modulus 11).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: [u8; 9] = text.as_bytes().try_into().ok()?;
        if !digits.iter().all(u8::is_ascii_digit) || digits == *b"000000000" {
            return None;
        }
        let sum = weigh(&digits, &[3, 2, 7, 6, 5, 4, 3, 2, 1]);
        sum.is_multiple_of(11).then_some(Self(digits))
    }

    /// The nine digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Synthetic numbers begin with 2 or 3; they never exist in production (`wire-api.md` §8.2).
    #[must_use]
    pub const fn is_synthetic(&self) -> bool {
        matches!(self.0, [b'2' | b'3', ..])
    }

    /// `0192:<number>`, the form used in tokens and in the signed statement.
    #[must_use]
    pub fn actor_id(&self) -> String {
        format!("{NORWEGIAN_ICD}:{self}")
    }
}

impl fmt::Display for OrgNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for OrgNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OrgNumber({self})")
    }
}

/// A Norwegian national identity number (also D-numbers and synthetic ones), eleven digits.
///
/// It has no `Display` or `Serialize`, and `Debug` is mute: only [`PersonNumber::expose`] gives
/// the digits, and each call of it is looked at in review.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonNumber([u8; 11]);

impl PersonNumber {
    /// Reads exactly eleven digits; checks both control digits and the date.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: [u8; 11] = text.as_bytes().try_into().ok()?;
        if !digits.iter().all(u8::is_ascii_digit) || digits == *b"00000000000" {
            return None;
        }
        // Old numbers leave 0; numbers given out from 2032 may leave 0 to 3 (security.md §1.4).
        let first = weigh(&digits, &[3, 7, 6, 1, 8, 9, 4, 5, 2, 1]) % 11;
        let second = weigh(&digits, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]) % 11;
        let number = Self(digits);
        (first <= 3 && second == 0 && number.date_exists()).then_some(number)
    }

    /// The eleven digits.
    #[must_use]
    pub fn expose(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Synthetic numbers carry a month above 12: +80 (Tenor), +65 (Norsk helsenett), +40 (NAV).
    #[must_use]
    pub fn is_synthetic(&self) -> bool {
        self.pair(2) > 12
    }

    fn pair(&self, at: usize) -> u32 {
        let digit = |i: usize| {
            self.0
                .get(i)
                .map_or(0, |d| u32::from(d.saturating_sub(b'0')))
        };
        digit(at)
            .saturating_mul(10)
            .saturating_add(digit(at.saturating_add(1)))
    }

    /// The year is taken as 20yy, the way Skatteetaten's own validator does; so 00 is a leap year.
    fn date_exists(&self) -> bool {
        let day = match self.pair(0) {
            day @ 41..=71 => day.saturating_sub(40),
            day => day,
        };
        let month = match self.pair(2) {
            month @ 81..=92 => month.saturating_sub(80),
            month @ 66..=77 => month.saturating_sub(65),
            month @ 41..=52 => month.saturating_sub(40),
            month => month,
        };
        let days = match month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if self.pair(4).is_multiple_of(4) => 29,
            2 => 28,
            _ => return false,
        };
        (1..=days).contains(&day)
    }
}

impl fmt::Debug for PersonNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonNumber(***********)")
    }
}

fn weigh(digits: &[u8], weights: &[u32]) -> u32 {
    digits
        .iter()
        .zip(weights)
        .map(|(digit, weight)| u32::from(digit.saturating_sub(b'0')).saturating_mul(*weight))
        .fold(0, u32::saturating_add)
}

/// Somebody who asks, owns, or is asked about.
///
/// Compared as a whole: two foreign parties are equal only when both parts are
/// (`engine.md` W-14). `Debug` shows persons and custom identifiers masked.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    /// A Norwegian organisation.
    Organisation(OrgNumber),
    /// A person with a Norwegian identity number.
    Person(PersonNumber),
    /// A foreign organisation: ICD and identifier, taken as they are.
    Foreign {
        /// International code designator, not `0192`.
        icd: String,
        /// The identifier within it.
        id: String,
    },
    /// Text that only a dataset with a custom-subject rule understands.
    Custom(String),
}

/// Why a text is no party. Never holds the text itself (`engine.md` W-26).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartyError {
    /// Neither an organisation number nor an identity number.
    NotANumber,
    /// The scheme before `::` is not one of the two known.
    UnknownScheme,
    /// The identifier after `iso6523-actorid-upis::` is not `<icd>:<id>`.
    MalformedActorId,
    /// A synthetic number in production, or a real person's number in a test environment.
    WrongRealm,
    /// Longer than [`IDENTIFIER_BYTES_MAX`].
    TooLong,
}

impl fmt::Display for PartyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotANumber => {
                "not a valid Norwegian organisation number (9 digits) or identity number (11 digits)"
            }
            Self::UnknownScheme => {
                "unknown scheme; use iso6523-actorid-upis::<icd>:<id> or nor-freg::<number>"
            }
            Self::MalformedActorId => "after iso6523-actorid-upis:: comes <icd>:<id>",
            Self::WrongRealm => "this environment does not accept numbers of that kind",
            Self::TooLong => "the identifier is longer than 256 bytes",
        })
    }
}

impl Party {
    /// Reads an identifier as clients send it (`wire-api.md` §8.1).
    ///
    /// # Errors
    /// [`PartyError`], which says what is wrong without repeating the text.
    pub fn parse(text: &str, realm: Realm) -> Result<Self, PartyError> {
        if text.len() > IDENTIFIER_BYTES_MAX {
            return Err(PartyError::TooLong);
        }
        let mut parts = text.split("::");
        match (parts.next(), parts.next()) {
            (Some(number), None) => Self::parse_number(number, realm),
            (Some(ORGANISATION_SCHEME), Some(id)) => Self::parse_actor_id(id, realm),
            (Some(PERSON_SCHEME), Some(id)) => Self::parse_person(id, realm),
            _ => Err(PartyError::UnknownScheme),
        }
    }

    fn parse_number(text: &str, realm: Realm) -> Result<Self, PartyError> {
        match OrgNumber::parse(text) {
            Some(number) => Self::organisation(number, realm),
            None => Self::parse_person(text, realm),
        }
    }

    fn organisation(number: OrgNumber, realm: Realm) -> Result<Self, PartyError> {
        match realm {
            Realm::Production if number.is_synthetic() => Err(PartyError::WrongRealm),
            Realm::Production | Realm::Test | Realm::Sandbox => Ok(Self::Organisation(number)),
        }
    }

    fn parse_person(text: &str, realm: Realm) -> Result<Self, PartyError> {
        let number = PersonNumber::parse(text).ok_or(PartyError::NotANumber)?;
        match (realm, number.is_synthetic()) {
            (Realm::Production, true) | (Realm::Test, false) => Err(PartyError::WrongRealm),
            _ => Ok(Self::Person(number)),
        }
    }

    fn parse_actor_id(text: &str, realm: Realm) -> Result<Self, PartyError> {
        let (icd, id) = text.split_once(':').ok_or(PartyError::MalformedActorId)?;
        if icd == NORWEGIAN_ICD {
            let number = OrgNumber::parse(id).ok_or(PartyError::NotANumber)?;
            return Self::organisation(number, realm);
        }
        if icd.is_empty() || id.is_empty() || id.contains(':') {
            return Err(PartyError::MalformedActorId);
        }
        Ok(Self::Foreign {
            icd: icd.to_owned(),
            id: id.to_owned(),
        })
    }

    /// The Norwegian organisation, if it is one.
    #[must_use]
    pub const fn org(&self) -> Option<OrgNumber> {
        match self {
            Self::Organisation(number) => Some(*number),
            Self::Person(_) | Self::Foreign { .. } | Self::Custom(_) => None,
        }
    }

    /// True for Norwegian organisations and persons: the parties that consent can be asked of.
    #[must_use]
    pub const fn is_norwegian(&self) -> bool {
        matches!(self, Self::Organisation(_) | Self::Person(_))
    }

    /// The bare text that stands in `subject` and `requestor` on the wire: the number, or the raw
    /// custom text; `None` for foreign parties (`wire-api.md` §8.1). Not masked.
    #[must_use]
    pub fn expose_bare(&self) -> Option<&str> {
        match self {
            Self::Organisation(number) => Some(number.as_str()),
            Self::Person(number) => Some(number.expose()),
            Self::Custom(text) => Some(text),
            Self::Foreign { .. } => None,
        }
    }

    /// One text that names the party without doubt: `0192:…`, `nor-freg::…`, `<icd>:<id>`,
    /// `::<custom>`. Not masked; used for comparing, hashing and encrypted storage.
    #[must_use]
    pub fn expose_canonical(&self) -> String {
        match self {
            Self::Organisation(number) => number.actor_id(),
            Self::Person(number) => format!("{PERSON_SCHEME}::{}", number.expose()),
            Self::Foreign { icd, id } => format!("{icd}:{id}"),
            Self::Custom(text) => format!("::{text}"),
        }
    }

    /// Reads what [`Party::expose_canonical`] wrote. Realm and control digits are not asked again:
    /// history is never made unreadable by a new rule (`engine.md` W-10).
    #[must_use]
    pub fn from_canonical(text: &str) -> Option<Self> {
        if let Some(custom) = text.strip_prefix("::") {
            return Some(Self::Custom(custom.to_owned()));
        }
        if let Some(number) = text.strip_prefix("nor-freg::") {
            return Some(Self::Person(PersonNumber(
                number.as_bytes().try_into().ok()?,
            )));
        }
        let (icd, id) = text.split_once(':')?;
        if icd == NORWEGIAN_ICD {
            return Some(Self::Organisation(OrgNumber(
                id.as_bytes().try_into().ok()?,
            )));
        }
        Some(Self::Foreign {
            icd: icd.to_owned(),
            id: id.to_owned(),
        })
    }

    /// Whether this text may be kept in clear: true for everybody but persons and custom subjects.
    #[must_use]
    pub const fn is_public(&self) -> bool {
        matches!(self, Self::Organisation(_) | Self::Foreign { .. })
    }
}

/// The party for logs and error texts: organisations in clear, nothing of a person.
impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Organisation(number) => write!(f, "{number}"),
            Self::Person(_) => f.write_str("(person)"),
            Self::Foreign { icd, id } => write!(f, "{icd}:{id}"),
            Self::Custom(_) => f.write_str("(custom subject)"),
        }
    }
}

impl fmt::Debug for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Party({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_reference_are_judged_alike() {
        for valid in ["991825827", "974760673", "910402021", "111111111"] {
            assert!(OrgNumber::parse(valid).is_some(), "{valid}");
        }
        for invalid in [
            "123456789",
            "800000050",
            "000000000",
            "99182582",
            "9918258270",
            "99182582a",
        ] {
            assert!(OrgNumber::parse(invalid).is_none(), "{invalid}");
        }
        for valid in [
            "03065001488",
            "07056120453",
            "41019000077",
            "01819000049",
            "41819000032",
        ] {
            assert!(PersonNumber::parse(valid).is_some(), "{valid}");
        }
        for invalid in [
            "01010112345",
            "00000000000",
            "29020105729",
            "0705612045",
            "070561204530",
        ] {
            assert!(PersonNumber::parse(invalid).is_none(), "{invalid}");
        }
    }

    #[test]
    fn identifiers_with_a_scheme_are_read() {
        let read = |text| Party::parse(text, Realm::Production);
        assert_eq!(
            read("iso6523-actorid-upis::0192:991825827"),
            read("991825827")
        );
        assert_eq!(read("nor-freg::07056120453"), read("07056120453"));
        assert!(matches!(
            read("iso6523-actorid-upis::9999:blabla-123"),
            Ok(Party::Foreign { .. })
        ));
        assert_eq!(
            read("iso6523-actorid-upis::0192:123456789"),
            Err(PartyError::NotANumber)
        );
        assert_eq!(
            read("iso6523-actorid-upis::9999"),
            Err(PartyError::MalformedActorId)
        );
        assert_eq!(
            read("iso6523-actorid-upis::9999:a:b"),
            Err(PartyError::MalformedActorId)
        );
        assert_eq!(
            read("ISO6523-actorid-upis::0192:991825827"),
            Err(PartyError::UnknownScheme)
        );
        assert_eq!(read("0192:991825827"), Err(PartyError::NotANumber));
        assert_eq!(read(&"1".repeat(300)), Err(PartyError::TooLong));
    }

    #[test]
    fn realms_keep_real_and_synthetic_apart() {
        let synthetic = "01819000049";
        let real = "07056120453";
        assert_eq!(
            Party::parse(synthetic, Realm::Production),
            Err(PartyError::WrongRealm)
        );
        assert_eq!(Party::parse(real, Realm::Test), Err(PartyError::WrongRealm));
        assert!(Party::parse(synthetic, Realm::Test).is_ok());
        assert!(Party::parse(real, Realm::Production).is_ok());
        assert!(Party::parse(real, Realm::Sandbox).is_ok());
        assert!(Party::parse(synthetic, Realm::Sandbox).is_ok());
        assert!(Party::parse("310000003", Realm::Production).is_err());
    }

    #[test]
    fn persons_are_never_printed() {
        let person = Party::parse("07056120453", Realm::Production).unwrap();
        let shown = format!("{person} {person:?}");
        assert!(!shown.contains("0705"), "{shown}");
        let custom = Party::Custom("07056120453x".to_owned());
        assert!(!format!("{custom} {custom:?}").contains("0705"));
    }

    #[test]
    fn canonical_text_reads_back() {
        for text in ["991825827", "07056120453", "iso6523-actorid-upis::9999:x"] {
            let party = Party::parse(text, Realm::Production).unwrap();
            assert_eq!(
                Party::from_canonical(&party.expose_canonical()),
                Some(party)
            );
        }
        let custom = Party::Custom("a:b::c".to_owned());
        assert_eq!(
            Party::from_canonical(&custom.expose_canonical()),
            Some(custom)
        );
    }

    #[test]
    fn foreign_parties_differ_when_their_identifiers_do_w14() {
        let read = |text| Party::parse(text, Realm::Production).unwrap();
        assert_ne!(
            read("iso6523-actorid-upis::9999:a"),
            read("iso6523-actorid-upis::9999:b")
        );
    }
}
