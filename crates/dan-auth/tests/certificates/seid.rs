//! Real Norwegian enterprise certificates (`security.md` §1.2, seid-certificates): each leaf
//! against its own issuers, with the clock inside its time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dan_auth::CertificateConfig;
use dan_auth::certificate::NamedFile;
use dan_core::party::Realm;
use dan_core::testkit::fakes::START;
use dan_core::time::Timestamp;
use serde_json::Value;

use super::pki::House;

/// The suite's folder, or `None` with a plain word that it is not there.
#[expect(
    clippy::disallowed_methods,
    reason = "a test has no configuration file to read"
)]
fn suite(name: &str) -> Option<PathBuf> {
    let root = std::env::var("DAN_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").to_owned());
    let folder = Path::new(&root).join("suites").join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    #[expect(clippy::print_stderr, reason = "says why nothing was tested")]
    {
        eprintln!("skipped: no suite {name}");
    }
    None
}

fn manifest(folder: &Path) -> Vec<Value> {
    let bytes = std::fs::read(folder.join("manifest.json")).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

fn read(path: &Path) -> NamedFile {
    NamedFile {
        name: path.display().to_string(),
        bytes: std::fs::read(path).unwrap(),
    }
}

fn text<'a>(entry: &'a Value, name: &str) -> &'a str {
    entry.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// All authorities of the suite: the self-issued ones as roots, the others as intermediates.
fn authorities(folder: &Path, all: &[Value]) -> (Vec<NamedFile>, Vec<NamedFile>) {
    let (mut roots, mut intermediates) = (Vec::new(), Vec::new());
    for entry in all.iter().filter(|entry| text(entry, "role") == "ca") {
        let file = read(&folder.join(text(entry, "file")));
        if text(entry, "subject") == text(entry, "issuer") {
            roots.push(file);
        } else {
            intermediates.push(file);
        }
    }
    (roots, intermediates)
}

/// A house that trusts all of them, with its clock an hour after the leaf was issued.
fn house(folder: &Path, all: &[Value], leaf: &Value, v1: bool) -> House {
    let (roots, intermediates) = authorities(folder, all);
    let house = House::new(CertificateConfig {
        roots,
        intermediates,
        accept_seid_v1: v1,
        realm: Realm::Production,
        ..CertificateConfig::default()
    });
    let issued = text(leaf, "not_before").replace(' ', "T");
    let issued = Timestamp::parse(&issued).unwrap();
    let ahead = issued.plus_ms(3_600_000).as_ms().checked_sub(START.as_ms());
    house.clock.advance_ms(ahead.unwrap());
    house
}

/// Why a leaf of the suite is refused, where it is. What is not listed gives its number.
const REFUSED: &[(&str, &str)] = &[
    // SHA-1 signature of 2010 from an issuer that is a root here; for signing, too.
    ("leaf/4e1fcc94da3e.der", "path validation"),
    // For signing documents.
    ("leaf/cb4e32bd4422.der", "digitalSignature"),
    ("leaf/cfdbf07929f0.der", "digitalSignature"),
    ("leaf/60c4ade1758d.der", "digitalSignature"),
    ("leaf/5df96a96f823.der", "digitalSignature"),
    ("leaf/d94452b644db.der", "digitalSignature"),
    ("leaf/f185aa6094e8.der", "digitalSignature"),
    // For encryption.
    ("leaf/939ad44b1668.der", "digitalSignature"),
    ("leaf/70e32ececec8.der", "digitalSignature"),
    ("leaf/e0477807873a.der", "digitalSignature"),
    ("leaf/5abe24799d50.der", "digitalSignature"),
    // For authentication, with the number 500000003 that test authorities issue: its control digit
    // is wrong, and such a number cannot name an organisation.
    ("leaf/870fc5872f89.der", "wrong control digit"),
    ("leaf/f9bbc8d11645.der", "wrong control digit"),
    ("leaf/85846fdf1369.der", "wrong control digit"),
    // The suite has no certificate of its issuer.
    ("leaf/514c65451810.der", "no path to a trusted root"),
];

#[tokio::test]
async fn each_real_certificate_gives_its_number_or_the_right_refusal() {
    let Some(folder) = suite("seid-certificates") else {
        return;
    };
    let all = manifest(&folder);
    let expected: BTreeMap<&str, &str> = REFUSED.iter().copied().collect();
    let mut wrong = Vec::new();
    let (mut taken, mut refused) = (0_usize, 0_usize);
    for leaf in all.iter().filter(|entry| text(entry, "role") == "leaf") {
        let file = text(leaf, "file");
        let bytes = read(&folder.join(file)).bytes;
        let outcome = house(&folder, &all, leaf, true).judge(&bytes, &[]).await;
        let right = match (&outcome, expected.get(file)) {
            (Ok(org), None) => org == text(leaf, "orgno_expected"),
            (Err(said), Some(why)) => said.contains(why),
            _ => false,
        };
        match outcome {
            Ok(_) => taken = taken.saturating_add(1),
            Err(_) => refused = refused.saturating_add(1),
        }
        if !right {
            wrong.push(format!("{file}: {outcome:?}"));
        }
        // Without the switch, v1 gives no number.
        if text(leaf, "seid_profile") == "v1" {
            let off = house(&folder, &all, leaf, false).judge(&bytes, &[]).await;
            assert!(off.is_err(), "{file}: {off:?}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!((taken, refused), (8, 15));
}

#[tokio::test]
async fn no_real_certificate_counts_outside_its_time_or_without_its_root() {
    let Some(folder) = suite("seid-certificates") else {
        return;
    };
    let all = manifest(&folder);
    for leaf in all.iter().filter(|entry| text(entry, "role") == "leaf") {
        let bytes = read(&folder.join(text(leaf, "file"))).bytes;
        for days in [-2, 20 * 365] {
            let house = house(&folder, &all, leaf, true);
            house.clock.advance_ms(days * 86_400_000);
            assert!(house.judge(&bytes, &[]).await.is_err(), "{days}");
        }
        let stranger = super::pki::Authority::root("Root");
        let (_, intermediates) = authorities(&folder, &all);
        let house = House::new(CertificateConfig {
            roots: vec![stranger.file()],
            intermediates,
            accept_seid_v1: true,
            ..CertificateConfig::default()
        });
        assert!(house.judge(&bytes, &[]).await.is_err());
    }
}

#[tokio::test]
async fn no_real_authority_can_log_in() {
    let Some(folder) = suite("seid-certificates") else {
        return;
    };
    let all = manifest(&folder);
    for entry in all.iter().filter(|entry| text(entry, "role") == "ca") {
        let bytes = read(&folder.join(text(entry, "file"))).bytes;
        let outcome = house(&folder, &all, entry, true).judge(&bytes, &[]).await;
        assert!(outcome.is_err(), "{}: {outcome:?}", text(entry, "subject"));
    }
}

#[tokio::test]
async fn no_changed_byte_of_a_real_certificate_is_overlooked() {
    let Some(folder) = suite("seid-certificates") else {
        return;
    };
    let all = manifest(&folder);
    let leaf = all
        .iter()
        .find(|entry| text(entry, "file") == "leaf/c90292e14798.der")
        .unwrap();
    let bytes = read(&folder.join(text(leaf, "file"))).bytes;
    let house = house(&folder, &all, leaf, true);
    assert_eq!(house.judge(&bytes, &[]).await.unwrap(), "100101696");
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let outcome = house.judge(&changed, &[]).await;
        assert!(outcome.is_err(), "byte {at}: {outcome:?}");
        assert!(house.judge(&bytes[..at], &[]).await.is_err(), "cut at {at}");
    }
}
