//! Lines of an exported trail: one JSON object each, a row or a head.
//!
//! A row is there twice: as people read it, and as it is stored (`stored`, a text that its link goes
//! over). What people read is made from what is stored, and is compared with it again when an export
//! is checked: an export in which only the readable half was changed does not pass.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dan_core::audit::TrailHead;
use dan_core::party::Party;
use dan_core::ports::TrailRow;
use dan_core::strict::json_object;
use dan_core::time::Timestamp;
use serde_json::{Map, Value, json};

use crate::hex;

/// Members of a row that name parties; what a sealed one shows cannot be made from what is stored.
const PARTIES: [&str; 2] = ["requestor", "subject"];
/// What stands for a sealed party.
const SEALED: &str = "(sealed)";
/// What a sealed party shows that is not to be known.
const MASKED: [&str; 3] = [SEALED, "(person)", "(custom subject)"];

/// What stands for sealed parties in a readable row.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// The requestor.
    pub requestor: Option<String>,
    /// The subject.
    pub subject: Option<String>,
}

/// One line of an export, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// A row.
    Row {
        /// As it is stored.
        row: TrailRow,
        /// A member that does not show what is stored, if there is one.
        untrue: Option<String>,
        /// It shows in clear a party that is stored sealed.
        is_unproven: bool,
    },
    /// A head over the rows before it.
    Head {
        /// The JWS.
        jws: String,
        /// What a time-stamping authority said about it, in DER.
        stamp: Option<Vec<u8>>,
        /// A member beside it that is not what it says, or is more.
        untrue: Option<String>,
    },
}

/// A row for people and for whoever checks, as one line. `shown` replaces what is sealed.
#[must_use]
pub fn row_line(row: &TrailRow, shown: Shown) -> String {
    let mut members = row_view(row, shown);
    members.insert("stored".to_owned(), row.text.as_str().into());
    Value::Object(members).to_string()
}

/// A row for people alone. `shown` replaces what is sealed.
#[must_use]
pub fn row_view(row: &TrailRow, shown: Shown) -> Map<String, Value> {
    let mut members = readable(row).unwrap_or_default();
    for (name, text) in PARTIES.iter().zip([shown.requestor, shown.subject]) {
        if let (Some(text), Some(Value::String(there))) = (text, members.get_mut(*name))
            && there == SEALED
        {
            *there = text;
        }
    }
    // Also where a row does not read: then this is all there is.
    members.insert("sequence".to_owned(), row.sequence.into());
    members.insert("link".to_owned(), hex::encode(&row.link).into());
    members
}

/// A head as one line.
#[must_use]
pub fn head_line(head: &TrailHead) -> String {
    let mut line = json!({"head": head.jws, "first": head.first, "last": head.last});
    if let (Some(stamp), Some(members)) = (&head.stamp, line.as_object_mut()) {
        members.insert("timestamp".to_owned(), STANDARD.encode(stamp).into());
    }
    line.to_string()
}

/// Reads one line. A line of an earlier version, which has no `stored`, is refused.
///
/// # Errors
/// Why the line is none of an export.
pub fn read_line(line: &str) -> Result<Line, String> {
    let members = json_object(line.as_bytes())?;
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    if let Some(jws) = text("head") {
        let stamp = text("timestamp").map(|stamp| STANDARD.decode(stamp));
        return Ok(Line::Head {
            jws: jws.to_owned(),
            stamp: stamp
                .transpose()
                .map_err(|_not_base64| "its time stamp is no base64".to_owned())?,
            untrue: untrue_of_head(&members, jws),
        });
    }
    let sequence = members.get("sequence").and_then(Value::as_u64);
    let row = TrailRow {
        sequence: sequence.ok_or("it has no `sequence`")?,
        text: text("stored").ok_or("it has no `stored`")?.to_owned(),
        link: text("link")
            .and_then(hex::decode)
            .ok_or("it has no `link`")?,
    };
    Ok(Line::Row {
        untrue: untrue(&members, &row),
        is_unproven: is_unproven(&members, &row),
        row,
    })
}

/// The first member that is not what is stored, or is more.
fn untrue(shown: &Map<String, Value>, row: &TrailRow) -> Option<String> {
    // Of a row that does not read, nothing is shown but where it stands.
    let stored = readable(row).unwrap_or_else(|| {
        let link = ("link".to_owned(), hex::encode(&row.link).into());
        Map::from_iter([("sequence".to_owned(), row.sequence.into()), link])
    });
    let differs = |name: &&String| {
        let stored = stored.get(*name);
        let is_sealed =
            PARTIES.contains(&name.as_str()) && stored.and_then(Value::as_str) == Some(SEALED);
        !is_sealed && name.as_str() != "stored" && shown.get(*name) != stored
    };
    let mut names = stored.keys().chain(shown.keys());
    names.find(differs).cloned()
}

fn is_unproven(shown: &Map<String, Value>, row: &TrailRow) -> bool {
    let stored = readable(row).unwrap_or_default();
    PARTIES.iter().any(|name| {
        let shown = shown.get(*name).and_then(Value::as_str);
        stored.get(*name).and_then(Value::as_str) == Some(SEALED)
            && shown.is_none_or(|shown| !MASKED.contains(&shown))
    })
}

/// The first member beside a head that is not what its claims say. Where those do not read, the head
/// itself is the finding.
fn untrue_of_head(shown: &Map<String, Value>, jws: &str) -> Option<String> {
    let head = TrailHead {
        first: 0,
        last: 0,
        jws: jws.to_owned(),
        stamp: None,
    };
    let claims = head.claims_unverified().ok()?;
    let is_true = |name: &str, value: &Value| match name {
        "head" | "timestamp" => value.is_string(),
        "first" => *value == claims.first,
        "last" => *value == claims.last,
        _ => false,
    };
    let mut members = shown.iter();
    let untrue = members.find(|(name, value)| !is_true(name, value));
    untrue.map(|(name, _)| name.clone())
}

/// A row for people, from what is stored alone. `None` when that does not read.
fn readable(row: &TrailRow) -> Option<Map<String, Value>> {
    let stored = json_object(row.text.as_bytes()).ok()?;
    let as_is = |name: &str| stored.get(name).cloned().unwrap_or(Value::Null);
    let org = |name: &str| match stored.get(name).and_then(Value::as_str) {
        Some(text) => text.strip_prefix("0192:").unwrap_or(text).into(),
        None => Value::Null,
    };
    let at: Timestamp = serde_json::from_value(as_is("at")).ok()?;
    let (phase, detail) = phase(stored.get("phase")?)?;
    let readable = json!({
        "sequence": row.sequence,
        "at": at.to_string(),
        "action": as_is("action"),
        "phase": phase,
        "detail": detail,
        "request": as_is("request_id"),
        "key": as_is("key_id"),
        "owner": org("owner"),
        "supplier": org("supplier"),
        "system_user": as_is("system_user"),
        "context": as_is("context"),
        "dataset": as_is("dataset"),
        "accreditation": as_is("accreditation"),
        "requestor": party(stored.get("requestor")),
        "subject": party(stored.get("subject")),
        "basis": as_is("basis"),
        "external_reference": as_is("external_reference"),
        "node": as_is("node"),
        "link": hex::encode(&row.link),
    });
    readable.as_object().cloned()
}

/// The word of a phase, and what more there is to it.
fn phase(stored: &Value) -> Option<(String, Value)> {
    if let Some(word) = stored.as_str() {
        return Some((word.to_owned(), Value::Null));
    }
    let (word, detail) = stored.as_object()?.iter().next()?;
    let renamed = detail.as_object()?.iter().map(|(name, value)| {
        let name = match name.as_str() {
            "digest" => "sha256",
            "body_bytes" => "bytes",
            other => other,
        };
        (name.to_owned(), value.clone())
    });
    Some((word.clone(), Value::Object(renamed.collect())))
}

fn party(stored: Option<&Value>) -> Value {
    let Some(stored) = stored else {
        return Value::Null;
    };
    let clear = stored.get("clear").and_then(Value::as_str);
    let clear = clear.and_then(Party::from_canonical);
    clear.map_or_else(|| SEALED.into(), |party| party.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::encode_audit;
    use crate::seal::Sealer;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use dan_core::audit::{Action, AuditRecord, HeadClaims, Phase};
    use dan_core::testkit::store_suite::{self, PERSON};

    fn stored(record: &AuditRecord) -> TrailRow {
        TrailRow {
            sequence: 7,
            text: encode_audit(record, &Sealer::new(&[7; 32])).unwrap(),
            link: [0xAB; 32],
        }
    }

    fn shown() -> Shown {
        Shown {
            requestor: Some("(custom subject)".to_owned()),
            subject: Some("(person)".to_owned()),
        }
    }

    fn read(line: &str) -> (TrailRow, Option<String>) {
        match read_line(line).unwrap() {
            Line::Row { row, untrue, .. } => (row, untrue),
            Line::Head { .. } => panic!("{line}"),
        }
    }

    #[test]
    fn a_row_comes_back_as_it_is_stored_and_reads_for_people() {
        let row = stored(&store_suite::row(3));
        let line = row_line(&row, shown());
        assert!(!line.contains('\n') && !line.contains(PERSON));
        let members: Value = serde_json::from_str(&line).unwrap();
        for (name, expected) in [
            ("sequence", json!(7)),
            ("at", json!("1970-01-01T00:00:00.003Z")),
            ("action", json!("DatasetRetrieved")),
            ("phase", json!("delivered")),
            ("owner", json!("991825827")),
            ("subject", json!("(person)")),
        ] {
            assert_eq!(members[name], expected, "{name}");
        }
        assert_eq!(members["detail"]["bytes"], 3);
        assert_eq!(members["detail"]["kid"], "2026-11");
        assert_eq!(members["detail"]["sha256"], "03".repeat(32));
        assert_eq!(read(&line), (row, None));
    }

    #[test]
    fn every_action_and_phase_reads_for_people() {
        for (action, name) in Action::ALL {
            for (phase, word) in [
                (Phase::Done, "done"),
                (Phase::Intent, "intent"),
                (
                    Phase::BrokenOff {
                        body_bytes: 1,
                        code: None,
                    },
                    "broken_off",
                ),
                (Phase::Failed { code: 1013 }, "failed"),
            ] {
                let mut record = store_suite::row(1);
                (record.action, record.phase) = (action, phase);
                let line = row_line(&stored(&record), shown());
                let members: Value = serde_json::from_str(&line).unwrap();
                assert_eq!(members["action"], name);
                assert_eq!(members["phase"], word);
            }
        }
    }

    #[test]
    fn what_people_read_is_held_against_what_is_stored() {
        let row = stored(&store_suite::row(3));
        let line = row_line(&row, shown());
        let whole: Map<String, Value> = serde_json::from_str(&line).unwrap();
        for name in whole.keys() {
            let mut changed = whole.clone();
            changed.insert(name.clone(), json!("other"));
            match read_line(&Value::Object(changed).to_string()) {
                Ok(Line::Row { untrue, .. }) => match &**name {
                    // Nobody can tell without the key; it is sealed in what is stored.
                    "subject" | "requestor" => assert_eq!(untrue, None),
                    "stored" => assert!(untrue.is_some(), "nothing is stored that it could be"),
                    name => assert_eq!(untrue.as_deref(), Some(name)),
                },
                Ok(other) => panic!("{other:?}"),
                Err(_) => assert!(["sequence", "link"].contains(&&**name), "{name}"),
            }
        }
        let mut more = whole.clone();
        more.insert("remark".to_owned(), json!("x"));
        let more = Value::Object(more).to_string();
        assert_eq!(read(&more).1.as_deref(), Some("remark"));
        let mut less = whole;
        less.shift_remove("dataset");
        let less = Value::Object(less).to_string();
        assert_eq!(read(&less).1.as_deref(), Some("dataset"));
    }

    #[test]
    fn an_organisation_in_clear_is_held_against_what_is_stored() {
        let mut record = store_suite::row(1);
        record.subject = Some(Party::from_canonical("0192:991825827").unwrap());
        let line = row_line(&stored(&record), shown());
        assert!(line.contains(r#""subject":"991825827""#), "{line}");
        let forged = line.replace(r#""subject":"991825827""#, r#""subject":"974760673""#);
        assert_eq!(read(&forged).1.as_deref(), Some("subject"));
    }

    #[test]
    fn a_row_that_does_not_read_is_exported_all_the_same() {
        let row = TrailRow {
            sequence: 1,
            text: "{".to_owned(),
            link: [1; 32],
        };
        assert_eq!(read(&row_line(&row, shown())), (row, None));
    }

    #[test]
    fn a_head_comes_back_with_its_stamp() {
        for stamp in [None, Some(vec![0x30, 0, 0xFF])] {
            let head = TrailHead {
                first: 1,
                last: 9,
                jws: "a.b.c".to_owned(),
                stamp: stamp.clone(),
            };
            let jws = head.jws.clone();
            let untrue = None;
            assert_eq!(
                read_line(&head_line(&head)),
                Ok(Line::Head { jws, stamp, untrue })
            );
        }
    }

    #[test]
    fn nothing_stands_beside_a_row_that_does_not_read() {
        let row = TrailRow {
            sequence: 1,
            text: "{".to_owned(),
            link: [1; 32],
        };
        let line = row_line(&row, shown());
        let more = line.replacen('{', r#"{"subject":"991825827","#, 1);
        assert_eq!(read(&more).1.as_deref(), Some("subject"));
    }

    #[test]
    fn a_sealed_party_that_is_shown_in_clear_is_said_to_be_unproven() {
        let mut record = store_suite::row(1);
        record.requestor = None;
        record.subject = Party::from_canonical(&format!("nor-freg::{PERSON}"));
        let row = stored(&record);
        let unproven = |subject: &str| {
            let shown = Shown {
                requestor: None,
                subject: Some(subject.to_owned()),
            };
            match read_line(&row_line(&row, shown)).unwrap() {
                Line::Row { is_unproven, .. } => is_unproven,
                Line::Head { .. } => panic!("a row"),
            }
        };
        assert!(!unproven("(person)"));
        assert!(unproven("974760673") && unproven("(974760673)"));
    }

    #[test]
    fn what_stands_beside_a_head_is_what_it_says() {
        let claims = URL_SAFE_NO_PAD.encode(
            HeadClaims::over(
                &[[1; 32]],
                None,
                || "n".to_owned(),
                "https://a",
                Timestamp::from_ms(0),
            )
            .unwrap()
            .to_json(),
        );
        let head = |last| TrailHead {
            first: 1,
            last,
            jws: format!("e30.{claims}.c2ln"),
            stamp: None,
        };
        let told = |line: &str| match read_line(line).unwrap() {
            Line::Head { untrue, .. } => untrue,
            Line::Row { .. } => panic!("a head"),
        };
        let whole = head_line(&head(1));
        assert_eq!(told(&whole), None);
        assert_eq!(told(&head_line(&head(2))).as_deref(), Some("last"));
        let more = whole.replacen('{', r#"{"remark":"x","#, 1);
        assert_eq!(told(&more).as_deref(), Some("remark"));
    }

    #[test]
    fn what_is_no_line_of_an_export_is_refused() {
        for line in [
            "",
            "[]",
            "{}",
            r#"{"sequence":1}"#,
            r#"{"sequence":1,"stored":"{}","link":"00"}"#,
            r#"{"sequence":1,"sequence":1,"stored":"{}","link":"00"}"#,
            r#"{"head":"a.b.c","timestamp":"!"}"#,
        ] {
            assert!(read_line(line).is_err(), "{line}");
        }
    }
}
