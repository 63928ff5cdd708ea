//! A source of every shape a declared dataset can meet: nested, binary, open, listed and large answers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::{Value, json};

use crate::file::{self, Ending};
use crate::people;
use crate::reply::{self, Call, Reply};

/// Where the source is found in the fake world, after the base address.
pub(crate) const PATH: &str = "/testdata";
/// The newest annual accounts there are.
const NEWEST_YEAR: u16 = 2025;
/// Annual accounts of one answer.
const MAX_YEARS: u16 = 5;
/// Annual accounts when nobody says how many.
const YEARS: u16 = 3;
/// KiB of text a large answer has when nobody says how many, and at most.
const KIB: usize = 1024;
const MAX_KIB: usize = 16 * 1024;
/// KiB of a file when nobody says how many.
const FILE_KIB: u32 = 256;
/// Characters of an identifier of the open list.
const MAX_ID: usize = 64;
/// The identifier the open list does not have.
const NO_SUCH_ID: &str = "finnes-ikke";
/// A page that says what it is.
const PDF: &str = "%PDF-1.4
1 0 obj
<< /Type /Catalog /Pages 2 0 R >>
endobj
2 0 obj
<< /Type /Pages /Kids [3 0 R] /Count 1 >>
endobj
3 0 obj
<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 100] /Contents 4 0 R /Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>
endobj
4 0 obj
<< /Length 47 >>
stream
BT /F1 18 Tf 20 40 Td (Syntetisk vedlegg) Tj ET
endstream
endobj
xref
0 5
0000000000 65535 f\x20
0000000009 00000 n\x20
0000000058 00000 n\x20
0000000115 00000 n\x20
0000000290 00000 n\x20
trailer
<< /Size 5 /Root 1 0 R >>
startxref
387
%%EOF
";

/// Answers what lies under `/testdata/`.
pub(crate) fn answer(call: &Call) -> Reply {
    if !call.reads() {
        return reply::method_not_allowed("GET, HEAD");
    }
    let route = call.path().strip_prefix(PATH).unwrap_or_default();
    let segments: Vec<&str> = route.split('/').skip(1).collect();
    match segments.as_slice() {
        ["dokumenter", id] => about(id, |id, name| Ok(documents(id, name))),
        ["vedlegg", id] => about(id, |_, _| Ok(attachment())),
        ["regnskap", id] => about(id, |id, _| accounts(id, number(call, "antall", YEARS)?)),
        ["fil", id] => file(id, call),
        ["stor", id] => about(id, |id, _| large(id, number(call, "kib", KIB)?)),
        ["apne"] => open(""),
        ["apne", id] => open(id),
        _ => reply::no_such_route(),
    }
}

fn about(id: &str, show: impl Fn(&str, &str) -> Result<Value, &'static str>) -> Reply {
    let Some(name) = people::known(id) else {
        return reply::refused(StatusCode::NOT_FOUND, "parten er ukjent");
    };
    match show(id, name) {
        Ok(body) => reply::ok(&body),
        Err(error) => reply::refused(StatusCode::BAD_REQUEST, error),
    }
}

fn number<T: std::str::FromStr>(call: &Call, name: &str, default: T) -> Result<T, &'static str> {
    let query = call.query().ok_or("the query cannot be decoded")?;
    match query.get(name) {
        Some(text) => text.parse().ok().ok_or("not a number"),
        None => Ok(default),
    }
}

/// `kib` says how large, `slutt` how it ends: `brudd` breaks off in the middle, `stopp` sends nothing more.
fn file(id: &str, call: &Call) -> Reply {
    if people::known(id).is_none() {
        return reply::refused(StatusCode::NOT_FOUND, "parten er ukjent");
    }
    let ending = call.query().and_then(|query| {
        Some(match query.get("slutt") {
            None | Some("") => Ending::Whole,
            Some("brudd") => Ending::Cut,
            Some("stopp") => Ending::Stuck,
            Some(_) => return None,
        })
    });
    match (number(call, "kib", FILE_KIB), ending) {
        (Ok(kib), Some(ending)) if (1..=file::MAX_KIB).contains(&kib) => file::answer(kib, ending),
        (_, _) => reply::refused(
            StatusCode::BAD_REQUEST,
            "kib is 1 to 1048576, slutt is brudd or stopp",
        ),
    }
}

fn documents(id: &str, name: &str) -> Value {
    json!({
        "part": id,
        "navn": name,
        "antall": 2,
        "areal": 127.25,
        "saldo": -1050,
        "godkjent": true,
        "merknad": null,
        "kontakt": { "navn": "Åse Øverås Ærlig", "tegn": "«æøå ÆØÅ» – čáŋđŧ 漢字 😀 \"\\\t" },
        "dokumenter": [
            {
                "id": "D-1", "tittel": "Søknad om skjenkebevilling", "dato": "2025-11-03",
                "sider": 4, "vedlegg": [{ "navn": "kart.pdf", "byte": 20_480 }],
            },
            {
                "id": "D-2", "tittel": "Vedtak", "dato": "2026-01-12", "sider": 2, "vedlegg": [],
            },
        ],
    })
}

fn attachment() -> Value {
    json!({ "innhold": STANDARD.encode(PDF), "mime": "application/pdf" })
}

fn accounts(id: &str, years: u16) -> Result<Value, &'static str> {
    if !(1..=MAX_YEARS).contains(&years) {
        return Err("antall is 1 to 5");
    }
    let accounts: Vec<Value> = (0..years)
        .map(|back| {
            let year = NEWEST_YEAR.saturating_sub(back).to_string();
            let pdf = format!("https://regnskap.sandbox.example/{id}/{year}.pdf");
            json!({ "aar": year, "pdf": pdf })
        })
        .collect();
    Ok(json!({ "regnskap": accounts }))
}

fn large(id: &str, kib: usize) -> Result<Value, &'static str> {
    if !(1..=MAX_KIB).contains(&kib) {
        return Err("kib is 1 to 16384");
    }
    // 32 bytes, so that 32 of them are one KiB.
    let text = "Stor tekst uten mening, syntet. ".repeat(kib.saturating_mul(32));
    Ok(json!({ "part": id, "kib": kib, "tekst": text }))
}

/// The open list has everything but [`NO_SUCH_ID`].
fn open(id: &str) -> Reply {
    match reply::decode(id, false) {
        Some(id) if id == NO_SUCH_ID => {
            reply::refused(StatusCode::NOT_FOUND, "oppføringen finnes ikke")
        }
        Some(id) if id.chars().count() <= MAX_ID => {
            let name = if id.is_empty() { "alt" } else { &id };
            reply::ok(&json!({ "navn": format!("Åpen oppføring {name}"), "verdi": 12.5 }))
        }
        Some(_) | None => reply::refused(StatusCode::BAD_REQUEST, "the identifier is not valid"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cross_references_of_the_pdf_are_right() {
        let table = PDF.find("xref\n").unwrap();
        assert!(PDF.ends_with(&format!("startxref\n{table}\n%%EOF\n")));
        for object in 1..=4 {
            let at = PDF.find(&format!("\n{object} 0 obj")).unwrap() + 1;
            assert!(PDF.contains(&format!("\n{at:010} 00000 n \n")), "{object}");
        }
        let content = "BT /F1 18 Tf 20 40 Td (Syntetisk vedlegg) Tj ET";
        assert!(PDF.contains(&format!("/Length {}", content.len())));
    }
}
