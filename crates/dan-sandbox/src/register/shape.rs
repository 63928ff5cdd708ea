//! How the register writes units and roles down (recorded answers, wire-api.md §5.13).

use serde_json::{Map, Value, json};

use super::Half;
use crate::people::{Address, Code, Holder, Role, Unit, unit};

/// A unit as one answer, or as a member of a page.
pub(super) fn unit_json(unit: &Unit, api: &str) -> Value {
    let half = Half::of(unit);
    let mut members = Members(Map::new());
    members.put("organisasjonsnummer", json!(unit.number));
    members.put("navn", json!(unit.name));
    members.put("organisasjonsform", form_json(unit.form, api));
    if let Some(date) = unit.deleted {
        members.put("slettedato", json!(date));
    } else {
        facts(unit, half, &mut members);
    }
    members.put("_links", links_json(unit, half, api));
    Value::Object(members.0)
}

struct Members(Map<String, Value>);

impl Members {
    fn put(&mut self, name: &str, value: Value) {
        self.0.insert(name.to_owned(), value);
    }

    fn put_some(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(name, value.into());
        }
    }
}

fn facts(unit: &Unit, half: Half, members: &mut Members) {
    members.put_some("hjemmeside", unit.home_page);
    members.put_some("epostadresse", unit.email);
    members.put_some("postadresse", unit.postal_address.as_ref().map(address));
    members.put("registreringsdatoEnhetsregisteret", json!(unit.registered));
    members.put("registrertIMvaregisteret", json!(unit.pays_vat));
    for (name, code) in ["naeringskode1", "naeringskode2", "naeringskode3"]
        .iter()
        .zip(unit.industries)
    {
        members.put(name, code_json(*code));
    }
    members.put("antallAnsatte", json!(unit.employees));
    members.put("harRegistrertAntallAnsatte", json!(unit.employees > 0));
    let place = unit.business_address.as_ref().map(address);
    match half {
        Half::Sub => {
            members.put_some("overordnetEnhet", unit.above);
            members.put_some("oppstartsdato", unit.founded);
            members.put_some("beliggenhetsadresse", place);
        }
        Half::Main => {
            members.put_some("forretningsadresse", place);
            main_facts(unit, members);
        }
    }
}

fn main_facts(unit: &Unit, members: &mut Members) {
    members.put_some("stiftelsesdato", unit.founded);
    members.put_some("institusjonellSektorkode", unit.sector.map(code_json));
    let in_business_register = unit.in_business_register;
    members.put("registrertIForetaksregisteret", json!(in_business_register));
    members.put("registrertIStiftelsesregisteret", json!(false));
    let since = unit.non_profit_since;
    members.put("registrertIFrivillighetsregisteret", json!(since.is_some()));
    members.put_some("registreringsdatoFrivillighetsregisteret", since);
    members.put_some("sisteInnsendteAarsregnskap", unit.accounts);
    members.put("konkurs", json!(unit.bankrupt.is_some()));
    members.put_some("konkursdato", unit.bankrupt);
    members.put("underAvvikling", json!(false));
    members.put("underTvangsavviklingEllerTvangsopplosning", json!(false));
    members.put("maalform", json!("Bokmål"));
    if !unit.activity.is_empty() {
        members.put("aktivitet", json!(unit.activity));
    }
}

fn code_json((code, text): Code) -> Value {
    json!({ "kode": code, "beskrivelse": text })
}

fn form_json((code, text): Code, api: &str) -> Value {
    let link = format!("{api}/organisasjonsformer/{code}");
    json!({ "kode": code, "beskrivelse": text, "_links": { "self": { "href": link } } })
}

fn address(place: &Address) -> Value {
    json!({
        "land": "Norge",
        "landkode": "NO",
        "postnummer": place.post.0,
        "poststed": place.post.1,
        "adresse": place.lines,
        "kommune": place.municipality.1,
        "kommunenummer": place.municipality.0,
    })
}

fn links_json(unit: &Unit, half: Half, api: &str) -> Value {
    let own = json!({ "href": format!("{api}/{}/{}", half.name(), unit.number) });
    match unit.above {
        Some(above) => json!({
            "self": own,
            "overordnetEnhet": { "href": format!("{api}/enheter/{above}") },
        }),
        None => json!({ "self": own }),
    }
}

/// The roles of a unit in groups, each group where its first role stands.
pub(super) fn roles_json(unit: &Unit, api: &str) -> Value {
    let mut codes: Vec<Code> = Vec::new();
    for role in unit.roles {
        if !codes.contains(&role.group) {
            codes.push(role.group);
        }
    }
    let groups: Vec<Value> = codes
        .into_iter()
        .map(|group| {
            let roles: Vec<Value> = unit
                .roles
                .iter()
                .filter(|role| role.group == group)
                .enumerate()
                .map(|(order, role)| role_json(role, order, api))
                .collect();
            json!({
                "type": type_json(group, "rollegruppetyper", api),
                "sistEndret": unit.registered,
                "roller": roles,
            })
        })
        .collect();
    let own = format!("{api}/enheter/{}", unit.number);
    json!({
        "rollegrupper": groups,
        "_links": { "self": { "href": format!("{own}/roller") }, "enhet": { "href": own } },
    })
}

fn type_json((code, text): Code, kind: &str, api: &str) -> Value {
    let link = format!("{api}/roller/{kind}/{code}");
    json!({ "kode": code, "beskrivelse": text, "_links": { "self": { "href": link } } })
}

fn role_json(role: &Role, order: usize, api: &str) -> Value {
    let (name, holder) = match role.holder {
        Holder::Person(first, family, born) => (
            "person",
            json!({
                "fodselsdato": born,
                "navn": { "fornavn": first, "etternavn": family },
                "erDoed": false,
            }),
        ),
        Holder::Unit(number) => ("enhet", holder_json(number, api)),
    };
    json!({
        "type": type_json(role.kind, "rolletyper", api),
        name: holder,
        "fratraadt": false,
        "avregistrert": false,
        "rekkefolge": order,
    })
}

fn holder_json(number: &str, api: &str) -> Value {
    let (name, form) = unit(number).map_or(("", Unit::PLAIN.form), |unit| (unit.name, unit.form));
    json!({
        "organisasjonsnummer": number,
        "organisasjonsform": form_json(form, api),
        "navn": [name],
        "erSlettet": unit(number).is_none_or(|unit| unit.deleted.is_some()),
        "_links": { "self": { "href": format!("{api}/enheter/{number}") } },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_grouped_in_the_order_of_the_register() {
        let roles = roles_json(unit("992037601").unwrap(), "http://r");
        let groups = roles["rollegrupper"].as_array().unwrap();
        let codes: Vec<_> = groups.iter().map(|group| &group["type"]["kode"]).collect();
        assert_eq!(codes, ["DAGL", "STYR", "REVI"]);
        assert_eq!(groups[1]["roller"][1]["rekkefolge"], 1);
        assert_eq!(
            groups[2]["roller"][0]["enhet"]["navn"][0],
            "SINDIG RUND TIGER AS"
        );
        assert_eq!(groups[2]["roller"][0]["enhet"]["erSlettet"], false);
    }

    #[test]
    fn a_deleted_unit_keeps_only_what_the_register_keeps() {
        let Value::Object(members) = unit_json(unit("901101078").unwrap(), "http://r") else {
            panic!("an object");
        };
        let names: Vec<_> = members.keys().collect();
        assert_eq!(
            names,
            [
                "organisasjonsnummer",
                "navn",
                "organisasjonsform",
                "slettedato",
                "_links"
            ]
        );
    }
}
