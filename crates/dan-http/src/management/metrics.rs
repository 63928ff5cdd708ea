//! `/metrics`: Prometheus text, format 0.0.4.

use std::fmt::Write as _;

use dan_core::ports::ListedKey;
use dan_core::time::Timestamp;

use super::Management;

/// API keys that end are listed so many days before.
const KEY_DAYS_MAX: u32 = 90;
/// Most API keys that are listed.
const KEYS_MAX: usize = 100;

/// Something that ends at a known moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiring {
    /// What it is: `server_certificate`, `client_root`, `revocation_list`, `signing_key`,
    /// `token_client_certificate` or `api_key`.
    pub kind: &'static str,
    /// The subject of a certificate, the issuer of a list, the identifier of a key.
    pub name: String,
    /// When.
    pub at: Timestamp,
}

/// The page.
pub(super) async fn page(management: &Management) -> String {
    let exchange = &management.exchange;
    let mut page = String::new();
    for (name, help, count) in exchange.meter().read() {
        family(&mut page, name, help, "counter");
        line(&mut page, format_args!("{name} {count}"));
    }
    let problems = exchange.catalog_problems().len();
    let datasets = exchange.catalog().dataset_count();
    let signing = (management.signing)();
    for (name, help, value) in [
        (
            "dan_signing_problems",
            "1 when the signing keys in the configuration are not those in force",
            usize::from(signing.problem.is_some()),
        ),
        (
            "dan_signing_active",
            "1 when a key signs",
            usize::from(signing.active.is_some()),
        ),
        (
            "dan_signing_keys",
            "Signing keys that are published",
            signing.keys,
        ),
        (
            "dan_catalog_problems",
            "Mistakes in the catalogue's files",
            problems,
        ),
        (
            "dan_catalog_datasets",
            "Datasets in the catalogue that is served",
            datasets,
        ),
    ] {
        family(&mut page, name, help, "gauge");
        line(&mut page, format_args!("{name} {value}"));
    }
    let mut ending = (management.expiries)();
    // A store that is out of reach hides no certificate.
    let keys = management.desk.list().await.unwrap_or_default();
    ending.extend(keys_that_end(&keys, exchange.now()));
    expiries(&mut page, &ending);
    page
}

fn expiries(page: &mut String, ending: &[Expiring]) {
    let name = "dan_expiry_timestamp_seconds";
    family(
        page,
        name,
        "When a certificate or key ends, in seconds since 1970",
        "gauge",
    );
    for one in ending {
        let (kind, label, at) = (one.kind, escaped(&one.name), one.at.as_seconds());
        line(
            page,
            format_args!("{name}{{kind=\"{kind}\",name=\"{label}\"}} {at}"),
        );
    }
}

/// API keys that are in force and end within 90 days, the next to end first.
#[must_use]
pub fn keys_that_end(keys: &[ListedKey], now: Timestamp) -> Vec<Expiring> {
    let limit = now.plus_days(KEY_DAYS_MAX);
    let mut ending: Vec<Expiring> = keys
        .iter()
        .filter_map(|key| {
            let at = key.record.expires.filter(|at| *at > now && *at <= limit)?;
            Some(Expiring {
                kind: "api_key",
                name: key.record.id.clone(),
                at,
            })
        })
        .collect();
    ending.sort_by_key(|one| one.at);
    ending.truncate(KEYS_MAX);
    ending
}

fn family(page: &mut String, name: &str, help: &str, kind: &str) {
    line(
        page,
        format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"),
    );
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    writeln!(page, "{text}").unwrap_or_default();
}

/// A label value: backslash, quote and line feed are escaped, other control characters dropped.
fn escaped(text: &str) -> String {
    let mut label = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => label.push_str("\\\\"),
            '"' => label.push_str("\\\""),
            '\n' => label.push_str("\\n"),
            c if c.is_control() => {}
            c => label.push(c),
        }
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out_of_their_label() {
        let mut page = String::new();
        let one = Expiring {
            kind: "client_root",
            name: "CN=\"a\\b\"\n# evil\r".to_owned(),
            at: Timestamp::from_ms(5_000),
        };
        expiries(&mut page, &[one]);
        let last = page.lines().last().unwrap();
        assert_eq!(
            last,
            r#"dan_expiry_timestamp_seconds{kind="client_root",name="CN=\"a\\b\"\n# evil"} 5"#
        );
    }
}
