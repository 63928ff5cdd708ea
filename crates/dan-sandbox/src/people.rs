//! Who lives in the fake world: organisations and persons, all invented, with valid check digits.
//!
//! Only the numbers that today's clients use are real numbers (clients.md §4); everything said about them is invented.

use serde::Serialize;

use crate::units::UNITS;

/// Whom a token is for when nobody is named.
pub(crate) const DEFAULT_ORGANISATION: &str = "991825827";
/// The person of the fake world; born 7 May 1961.
const PERSON: &str = "07056120453";

/// The parties a test may want by their property, in the form of `sandbox.json` (contracts.md §2).
///
/// Eight members of nine digits, save `person` with eleven.
#[derive(Clone, Copy, Serialize)]
pub struct Parties {
    /// A unit that has been deleted from the register.
    pub deleted: &'static str,
    /// A sub unit of `main_unit`.
    pub sub_unit: &'static str,
    /// A company with several sub units.
    pub main_unit: &'static str,
    /// A company under bankruptcy.
    pub bankrupt: &'static str,
    /// A sole proprietor, who is `person`.
    pub sole_proprietor: &'static str,
    /// A company whose number begins as those of Tenor do, with 2 or 3.
    pub synthetic: &'static str,
    /// A person. The number of a fake person, so that it may be written to a file.
    pub person: &'static str,
}

/// The parties of this fake world; they never change.
#[must_use]
pub const fn parties() -> Parties {
    Parties {
        deleted: "901101078",
        sub_unit: "903301007",
        main_unit: "902201076",
        bankrupt: "904401005",
        sole_proprietor: "905501003",
        synthetic: "314401077",
        person: PERSON,
    }
}

/// A code of the register with its text.
pub(crate) type Code = (&'static str, &'static str);

/// Where a unit is found, in Norway.
pub(crate) struct Address {
    pub(crate) lines: &'static [&'static str],
    /// Postal code and place.
    pub(crate) post: Code,
    /// Number and name of the municipality.
    pub(crate) municipality: Code,
}

/// Who has a role.
pub(crate) enum Holder {
    /// First name, family name, date of birth.
    Person(&'static str, &'static str, &'static str),
    /// Another unit.
    Unit(&'static str),
}

/// A role in a unit.
pub(crate) struct Role {
    pub(crate) group: Code,
    pub(crate) kind: Code,
    pub(crate) holder: Holder,
}

/// One unit of the register. Dates are `yyyy-MM-dd`.
pub(crate) struct Unit {
    pub(crate) number: &'static str,
    pub(crate) name: &'static str,
    pub(crate) form: Code,
    pub(crate) registered: &'static str,
    pub(crate) founded: Option<&'static str>,
    pub(crate) deleted: Option<&'static str>,
    pub(crate) bankrupt: Option<&'static str>,
    /// The unit above; a unit that has one here is a sub unit.
    pub(crate) above: Option<&'static str>,
    pub(crate) industries: &'static [Code],
    pub(crate) sector: Option<Code>,
    pub(crate) employees: u32,
    pub(crate) business_address: Option<Address>,
    pub(crate) postal_address: Option<Address>,
    pub(crate) home_page: Option<&'static str>,
    pub(crate) email: Option<&'static str>,
    pub(crate) activity: &'static [&'static str],
    /// The year of the last annual accounts.
    pub(crate) accounts: Option<&'static str>,
    pub(crate) pays_vat: bool,
    pub(crate) in_business_register: bool,
    /// Since when it is in the register of non-profit organisations.
    pub(crate) non_profit_since: Option<&'static str>,
    pub(crate) roles: &'static [Role],
}

impl Unit {
    /// What a unit is unless it says otherwise.
    pub(crate) const PLAIN: Self = Self {
        number: "",
        name: "",
        form: ("AS", "Aksjeselskap"),
        registered: "2009-03-12",
        founded: None,
        deleted: None,
        bankrupt: None,
        above: None,
        industries: &[],
        sector: None,
        employees: 0,
        business_address: None,
        postal_address: None,
        home_page: None,
        email: None,
        activity: &[],
        accounts: None,
        pays_vat: false,
        in_business_register: false,
        non_profit_since: None,
        roles: &[],
    };
}

/// Looks a unit up, main or sub, deleted or not.
pub(crate) fn unit(number: &str) -> Option<&'static Unit> {
    UNITS.iter().find(|unit| unit.number == number)
}

/// The name under which a party is known to the sources: a unit of the register, or the person.
pub(crate) fn known(id: &str) -> Option<&'static str> {
    if id == PERSON {
        return Some("Syntetisk Person");
    }
    unit(id).map(|unit| unit.name)
}

/// Nine digits of which the last is the check digit (wire-api.md §8.2).
pub(crate) fn is_organisation_number(text: &str) -> bool {
    const WEIGHTS: [u32; 8] = [3, 2, 7, 6, 5, 4, 3, 2];
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(10)).collect();
    let Some([rest @ .., check]) = digits.as_deref() else {
        return false;
    };
    let sum: u32 = rest
        .iter()
        .zip(WEIGHTS)
        .map(|(digit, weight)| digit.saturating_mul(weight))
        .sum();
    // A remainder of 1 would take the check digit 10, which no digit equals.
    let due = 11_u32.saturating_sub(sum % 11) % 11;
    rest.len() == WEIGHTS.len() && due == *check
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits_are_told_apart() {
        for good in ["991825827", "974760673", "910402021", "000000000"] {
            assert!(is_organisation_number(good), "{good}");
        }
        for bad in [
            "",
            "123456789",
            "99182582",
            "9918258270",
            "99182582a",
            "991825828",
            "800000051",
            "٩٩١٨٢٥٨٢٧",
        ] {
            assert!(!is_organisation_number(bad), "{bad}");
        }
    }

    #[test]
    fn every_unit_has_a_number_of_its_own_with_a_valid_check_digit() {
        let mut numbers: Vec<_> = UNITS.iter().map(|unit| unit.number).collect();
        assert!(numbers.iter().all(|number| is_organisation_number(number)));
        let units = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), units);
    }

    #[test]
    fn the_parties_are_what_they_are_called() {
        let parties = parties();
        let find = |number| unit(number).unwrap();
        assert!(find(parties.deleted).deleted.is_some());
        assert_eq!(find(parties.sub_unit).above, Some(parties.main_unit));
        assert!(find(parties.main_unit).above.is_none());
        assert!(find(parties.bankrupt).bankrupt.is_some());
        assert_eq!(find(parties.sole_proprietor).form.0, "ENK");
        assert!(find(parties.synthetic).number.starts_with('3'));
        assert_eq!(parties.person.len(), 11);
        assert!(known(parties.person).is_some() && unit(parties.person).is_none());
    }

    #[test]
    fn the_units_todays_clients_ask_about_exist() {
        for (number, form) in [
            ("991825827", "ORGL"),
            ("958935420", "KOMM"),
            ("974760673", "ORGL"),
            ("992037601", "AS"),
            ("998997801", "AS"),
        ] {
            assert_eq!(unit(number).unwrap().form.0, form);
        }
    }

    #[test]
    fn whatever_a_unit_refers_to_exists() {
        for one in &UNITS {
            assert!(one.above.is_none_or(|above| unit(above).is_some()));
            for role in one.roles {
                if let Holder::Unit(number) = role.holder {
                    assert!(unit(number).is_some(), "{number}");
                }
            }
        }
    }
}
