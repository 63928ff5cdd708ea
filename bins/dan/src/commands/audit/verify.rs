//! `dan audit verify`: whether a trail, in a store or in an exported file, is what was signed.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use dan_core::audit::{HEAD_BYTES_MAX, HeadClaims};
use dan_core::ports::{Clock as _, Signer as _};
use dan_core::time::Timestamp;
use dan_source::authorities::timestamps::is_stamp_over;
use dan_store::Access;
use dan_store::trail::{
    Finding, Flaw, Line, ReadHead, Report, SignedBy, TrailCheck, check_store, read_line,
};
use dan_verify::{quoted, verify_head};
use serde_json::{Value, json};

use crate::args::AuditVerifyArgs;
use crate::commands::{config_and_store, store_failed};
use crate::output::{Ending, Misuse, Outcome, say, say_json};
use crate::signing_keys::open_signer;
use crate::system::SystemClock;

/// Longest line of an export, in bytes; ours have some two thousand, and with the names of 256
/// datasets some sixty thousand.
const LINE_BYTES_MAX: u64 = 256 * 1024;
/// Largest key set and largest file of kept heads, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Checks rows, heads and their signatures, and says the first bad record.
///
/// # Errors
/// A store or file that cannot be read. What does not hold is no error but the answer no.
pub(super) async fn run(args: &AuditVerifyArgs) -> Ending {
    let kept = kept_heads(args)?;
    let report = match (&args.config, &args.file) {
        (Some(config), _) => {
            let (config, store) = config_and_store(config, Access::Reader)?;
            let keys = match &args.jwks {
                Some(file) => text(file)?,
                None => open_signer(&config)?.key_set(SystemClock.now()),
            };
            let now = config.server.public_url.as_ref();
            let issuers: Vec<_> = now.into_iter().chain(&args.issuer).collect();
            // Where no address is configured it is wherever the node listens.
            let issuers = now.map_or(&[][..], |_configured| &issuers);
            let read = |jws: &str| read_head(jws, &keys, issuers);
            let kept = checked(&kept, &read)?;
            let check = TrailCheck::new(&read, &kept).with_stamps(&is_stamp_over);
            check_store(store.as_ref(), check)
                .await
                .map_err(store_failed)?
        }
        (None, Some(file)) => {
            let keys = args.jwks.as_deref().map(text).transpose()?;
            let keys = keys.ok_or_else(|| Misuse("--file needs --jwks".to_owned()))?;
            let issuers: Vec<_> = args.issuer.iter().collect();
            let read = |jws: &str| read_head(jws, &keys, &issuers);
            let kept = checked(&kept, &read)?;
            let check = TrailCheck::new(&read, &kept).with_stamps(&is_stamp_over);
            check_file(file, check)?
        }
        (None, None) => return Err(Misuse("give --config or --file".to_owned())),
    };
    if args.json {
        say_json(&machine_readable(&report));
    } else {
        say(describe(&report));
    }
    Ok(match report.finding {
        None => Outcome::Yes,
        Some(_) => Outcome::No,
    })
}

/// A head of one of these nodes; of any, where none is named.
fn read_head(jws: &str, keys: &str, issuers: &[&String]) -> Result<HeadClaims, String> {
    if jws.len() > HEAD_BYTES_MAX {
        return Err(format!("the head is longer than {HEAD_BYTES_MAX} bytes"));
    }
    let verified = verify_head(jws, keys).map_err(|error| format!("the head over it: {error}"))?;
    let claims = HeadClaims::read(&verified.claims);
    let claims = claims.map_err(|error| format!("the head over it: {error}"))?;
    if !issuers.is_empty() && !issuers.contains(&&claims.iss) {
        return Err(format!(
            "the head over it is of the node at {}; where that is an address of before, name it \
             with --issuer",
            quoted(&claims.iss)
        ));
    }
    Ok(claims)
}

/// A head that was kept, and where it stands.
struct Kept {
    jws: String,
    place: String,
}

/// Kept heads that read. One that does not says nothing about the trail.
fn checked(kept: &[Kept], read: ReadHead<'_>) -> Result<Vec<String>, Misuse> {
    let checked = kept.iter().map(|Kept { jws, place }| match read(jws) {
        Ok(_claims) => Ok(jws.clone()),
        Err(why) => Err(Misuse(format!("{place}: this kept head is none: {why}"))),
    });
    checked.collect()
}

/// Heads from files, one a line.
fn kept_heads(args: &AuditVerifyArgs) -> Result<Vec<Kept>, Misuse> {
    let mut kept = Vec::new();
    for file in &args.head {
        let text = text(file)?;
        let before = kept.len();
        let lines = text.lines().map(str::trim).zip(1_u64..);
        let lines = lines.filter(|(line, _)| !line.is_empty());
        kept.extend(lines.map(|(line, number)| Kept {
            jws: line.to_owned(),
            place: format!("{}:{number}", file.display()),
        }));
        if kept.len() == before {
            return Err(Misuse(format!("{}: no head in it", file.display())));
        }
    }
    Ok(kept)
}

/// Checks an export line by line, without holding it.
fn check_file(path: &Path, mut check: TrailCheck<'_>) -> Result<Report, Misuse> {
    let failed = |error: std::io::Error| Misuse(format!("cannot read {}: {error}", path.display()));
    let mut reader = BufReader::new(File::open(path).map_err(failed)?);
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let mut limited = reader.by_ref().take(LINE_BYTES_MAX);
        if limited.read_until(b'\n', &mut line).map_err(failed)? == 0 {
            break;
        }
        let read = match std::str::from_utf8(&line) {
            Ok(text) if text.trim().is_empty() => continue,
            Ok(text) => read_line(text.trim_end()),
            Err(_not_text) => Err("it is no text".to_owned()),
        };
        let wants_more = match read {
            Ok(Line::Row {
                untrue: None,
                row,
                is_unproven,
            }) => {
                if is_unproven {
                    check.note_unproven();
                }
                check.row(row)
            }
            Ok(Line::Row {
                untrue: Some(member),
                ..
            }) => check.unreadable(format!(
                "line {number} shows another {} than is stored",
                quoted(&member)
            )),
            Ok(Line::Head {
                untrue: Some(member),
                ..
            }) => check.unreadable(format!(
                "line {number} shows another {} than its head says",
                quoted(&member)
            )),
            Ok(Line::Head { jws, stamp, .. }) => check.head(&jws, stamp.as_deref()),
            Err(why) => check.unreadable(format!("line {number} does not read: {}", quoted(&why))),
        };
        if !wants_more {
            break;
        }
    }
    let mut report = check.finish();
    if report.rows == 0 && report.finding.is_none() {
        report.finding = Some(Finding {
            sequence: 1,
            flaw: Flaw::Missing,
            told: "the file has no rows".to_owned(),
        });
    }
    Ok(report)
}

fn describe(report: &Report) -> String {
    if let Some(finding) = &report.finding {
        return format!("BROKEN: {finding}\n{} records before it hold", report.rows);
    }
    let mut lines = vec![format!(
        "{} rows, the chain holds; last link {}",
        report.rows,
        dan_core::statement::hex(&report.link)
    )];
    lines.push(match report.signed_at {
        Some(at) => format!(
            "{} signed heads over {} of them; the newest was signed at {}",
            report.heads,
            report.covered,
            Timestamp::from_ms(at.saturating_mul(1000))
        ),
        None => "no signed heads".to_owned(),
    });
    if let Some(SignedBy { node, iss }) = &report.signed_by {
        lines.push(format!(
            "trail {} of the node at {}",
            quoted(node),
            quoted(iss)
        ));
    }
    if report.stamped > 0 {
        lines.push(format!("{} heads have a time stamp", report.stamped));
    }
    if report.not_stamps > 0 {
        let count = report.not_stamps;
        lines.push(format!(
            "{count} heads carry something that is no time stamp of them"
        ));
    }
    if report.unproven > 0 {
        lines.push(format!(
            "{} rows show parties that cannot be checked without the node's key",
            report.unproven
        ));
    }
    if report.kept > 0 {
        lines.push(format!("{} kept heads agree", report.kept));
    }
    let bare = report.rows.saturating_sub(report.covered);
    if bare > 0 {
        lines.push(format!("{bare} rows are under no head yet"));
    }
    if report.interrupted > 0 {
        lines.push(format!(
            "{} harvests have no outcome: interrupted or under way; they may have been received",
            report.interrupted
        ));
    }
    lines.join("\n")
}

fn machine_readable(report: &Report) -> Value {
    json!({
        "holds": report.finding.is_none(),
        "rows": report.rows,
        "link": dan_core::statement::hex(&report.link),
        "heads": report.heads,
        "stamped": report.stamped,
        "not_stamps": report.not_stamps,
        "unproven": report.unproven,
        "covered": report.covered,
        "signed_at": report
            .signed_at
            .map(|at| Timestamp::from_ms(at.saturating_mul(1000)).to_string()),
        "node": report.signed_by.as_ref().map(|by| &by.node),
        "iss": report.signed_by.as_ref().map(|by| &by.iss),
        "kept": report.kept,
        "interrupted": report.interrupted,
        "finding": report.finding.as_ref().map(|finding| json!({
            "record": finding.sequence,
            "flaw": finding.flaw.name(),
            "told": finding.told,
        })),
    })
}

/// A whole file of text, within a limit.
fn text(path: &Path) -> Result<String, Misuse> {
    let failed = |error: std::io::Error| Misuse(format!("cannot read {}: {error}", path.display()));
    if std::fs::metadata(path).map_err(failed)?.len() > FILE_BYTES_MAX {
        return Err(Misuse(format!("{} is larger than 64 MiB", path.display())));
    }
    std::fs::read_to_string(path).map_err(failed)
}
