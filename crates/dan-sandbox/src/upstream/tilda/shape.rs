//! How inspection authorities write reports, coordination and trends down (the interface that the sources of Tilda
//! share). Texts that must not be handed on say so: they are what tests look for.

use serde_json::{Value, json};

/// Nobody may see notes of an inspection.
const NOTE: &str = "KANARI-NOTAT: inspektørens egne ord";
/// Nobody may see remarks about a sole proprietor.
const REMARK: &str = "KANARI-ANMERKNING: rot på lageret";
/// Nobody may see what was looked at with a sole proprietor.
const THEME: &str = "KANARI-EGENSKAP: sikring av last";
/// Nobody may see messages about a sole proprietor.
const MESSAGE: &str = "KANARI-MELDING: se på brannvern";
/// What no definition declares.
pub(super) const UNDECLARED: &str = "KANARI-UDEKLARERT";
/// A number that only a trend holds.
const REMARKS_IN_YEAR: u32 = 4_242_424;
const DAY: &str = "2025-10-14T08:00:00Z";

fn address() -> Value {
    json!({
        "lokalitetsreferanse": 1,
        "lokalitetsbeskrivelse": "Lager",
        "adressenavn": "Isbjørnveien",
        "adressenummer": "4",
        "postnummer": "5003",
        "poststedsnavn": "BERGEN",
        "kommunenummer": "4601",
    })
}

fn contact(agency: &str) -> Value {
    json!({ "avdeling": format!("Tilsyn {agency}"), "epost": "tilsyn@tilda.example" })
}

pub(super) fn report(agency: &str, unit: &str) -> Value {
    json!({
        "tildaenhet": unit,
        "tilsynutfoertav": agency,
        "ansvarligTilsynsmyndighet": agency,
        "tilsynsegenskaper": {
            "internTilsynsid": format!("{agency}-{unit}-1"),
            "storulykketilsyn": "nei",
            "uanmeldttilsyn": "ja",
            "tilsynsutvelgelse": "risikobasert",
            "tilsynsstatus": "lukket",
            "tilsynstema": THEME,
        },
        "kontrolladresser": [address()],
        "utfoerteTilsynsaktiviteter": [{
            "tilsynsaktivitetreferanse": "1",
            "lokalitetsreferanse": 1,
            "startdatoForTilsynsaktivitet": DAY,
            "varighetForTilsynsaktivitet": 3,
            "aktivitetsutfoerelse": "stedlig",
        }],
        "kontaktpunkt": [contact(agency)],
        "tilsynsnotater": NOTE,
        "anmerkninger": [{ "anmerkningsreferanse": 1, "anmerkning": REMARK }],
        "bruddOgReaksjoner": [{
            "bruddOgReaksjonsreferanse": 1,
            "tilsynsaktivitetreferanse": 1,
            "lovparagraf": "§ 4-1",
            "reaksjonsdato": DAY,
            "antallGangerVirkemiddelErTattIBruk": 1,
        }],
        "saksbehandlersMerknad": UNDECLARED,
    })
}

pub(super) fn coordination(agency: &str, unit: &str) -> Value {
    json!({
        "tildaenhet": unit,
        "tilsynutfoertav": agency,
        "ansvarligtilsynsmyndighet": agency,
        "tilsynsstatus": "planlegging",
        "uanmeldttilsyn": "nei",
        "storulykketilsyn": "nei",
        "internTilsynsid": format!("{agency}-{unit}-2"),
        "kontrolladresser": [address()],
        "kontaktpunkt": [contact(agency)],
        "meldingTilAnnenMyndighet": [{
            "meldingTilMyndighet": "974761211",
            "lokalitetsreferanse": 1,
            "meldingsinnholdTilAnnenMyndighet": MESSAGE,
            "datoForMeldingTilAnnenMyndighet": DAY,
        }],
        "aapnetilsyn": 1,
        "planlagteKontroller": [{
            "planlagtkontrolldato": "2026-03-02",
            "planlagtkontrollVarighet": 2,
            "tilsynstema": "brannvern",
            "aktivitetsutfoerelse": "stedlig",
        }],
        "tilsynskampanjer": [],
        "tilsynsnotater": NOTE,
        "saksbehandlersMerknad": UNDECLARED,
    })
}

pub(super) fn trend(agency: &str, unit: &str) -> Value {
    json!({
        "tildaenhet": unit,
        "ansvarligtilsynsmyndighet": agency,
        "aarligeTildaenhetTotaler": [{
            "trenddataForKalenderAar": 2025,
            "antallMaanederMedData": 12,
            "antallAnmerkninger": REMARKS_IN_YEAR,
            "antallTilsyn": 3,
            "antallTilsynUtenReaksjoner": 2,
            "antallTilsynMedReaksjoner": 1,
        }],
        "tilsynsnotater": NOTE,
        "saksbehandlersMerknad": UNDECLARED,
    })
}
