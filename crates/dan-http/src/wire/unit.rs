//! Units of the entity register, as plugins read them (`wire-api.md` §5.13).

use dan_core::flow::Hierarchy;
use dan_core::ports::Unit;
use serde::Serialize;
use serde_json::Value;

/// Members that plugins know; others are dropped.
const KNOWN: [&str; 30] = [
    "organisasjonsnummer",
    "navn",
    "organisasjonsform",
    "_links",
    "hjemmeside",
    "slettedato",
    "postadresse",
    "registreringsdatoEnhetsregisteret",
    "registrertIMvaregisteret",
    "frivilligMvaRegistrertBeskrivelser",
    "naeringskode1",
    "naeringskode2",
    "naeringskode3",
    "antallAnsatte",
    "overordnetEnhet",
    "underEnheter",
    "oppstartsdato",
    "forretningsadresse",
    "beliggenhetsadresse",
    "stiftelsesdato",
    "institusjonellSektorkode",
    "registrertIForetaksregisteret",
    "registrertIStiftelsesregisteret",
    "registrertIFrivillighetsregisteret",
    "sisteInnsendteAarsregnskap",
    "konkurs",
    "underAvvikling",
    "underTvangsavviklingEllerTvangsopplosning",
    "maalform",
    "epostadresse",
];

/// The register's own document, known members only, nulls left out.
pub(crate) fn unit(unit: &Unit) -> Value {
    let Some(document) = unit.document.as_object() else {
        return Value::Null;
    };
    let known = KNOWN.iter().filter_map(|name| {
        let value = document.get(*name).filter(|value| !value.is_null())?;
        Some(((*name).to_owned(), value.clone()))
    });
    Value::Object(known.collect())
}

/// A unit with those below it; `PascalCase` on the wire.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct WireHierarchy {
    org_number: String,
    unit: Value,
    subunits: Vec<Self>,
}

impl WireHierarchy {
    /// Depth is bounded by `LEVELS_MAX` of the core.
    pub(crate) fn of(hierarchy: &Hierarchy) -> Self {
        Self {
            org_number: hierarchy.unit.number.to_string(),
            unit: unit(&hierarchy.unit),
            subunits: hierarchy.below.iter().map(Self::of).collect(),
        }
    }
}
