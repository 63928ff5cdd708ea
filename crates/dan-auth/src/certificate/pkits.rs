//! NIST PKITS, and OCSP answers that Norwegian and other responders gave: tests only.
//!
//! PKITS certificates name no organisation, so they are put to path and revocation directly.

use std::collections::BTreeMap;
use std::path::{Path as File, PathBuf};
use std::sync::Arc;

use dan_core::ports::{
    CallContext, ClientCertificate, Clock, Fetch, FetchError, FetchReply, FetchRequest, PortFuture,
};
use dan_core::testkit::fakes::{START, StillClock, call_context};
use dan_core::time::Timestamp;
use serde_json::Value;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::NamedFile;
use super::path::Trust;
use super::revocation::Revocation;
use super::revocation::crl::Lists;
use super::revocation::wire::Question;

/// The suite's folder, or `None` with a plain word that it is not there.
#[expect(
    clippy::disallowed_methods,
    reason = "a test has no configuration file to read"
)]
fn suite(name: &str) -> Option<PathBuf> {
    let root = std::env::var("DAN_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").to_owned());
    let folder = File::new(&root).join("suites").join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    #[expect(clippy::print_stderr, reason = "says why nothing was tested")]
    {
        eprintln!("skipped: no suite {name}");
    }
    None
}

fn files(folder: &File) -> Vec<NamedFile> {
    let mut all: Vec<NamedFile> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| NamedFile {
            name: path.file_name().unwrap().to_string_lossy().into_owned(),
            bytes: std::fs::read(&path).unwrap(),
        })
        .collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

/// Nobody is asked.
struct NoNet;

impl Fetch for NoNet {
    fn fetch<'a>(
        &'a self,
        _: FetchRequest,
        _: &'a CallContext,
    ) -> PortFuture<'a, Result<FetchReply, FetchError>> {
        Box::pin(async { Err(FetchError::Timeout) })
    }
}

fn names(der: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (_, parsed) = X509Certificate::from_der(der).ok()?;
    Some((
        parsed.issuer().as_raw().to_vec(),
        parsed.subject().as_raw().to_vec(),
    ))
}

/// The suite, read once.
struct Pkits {
    anchor: NamedFile,
    authorities: Vec<NamedFile>,
    revocation: Revocation,
}

impl Pkits {
    fn read(folder: &File) -> Self {
        let certificates = files(&folder.join("certs")).into_iter();
        let (mut anchor, authorities): (Vec<_>, Vec<_>) = certificates
            .filter(|file| !file.name.ends_with("EE.crt"))
            .partition(|file| file.name == "TrustAnchorRootCertificate.crt");
        let lists = files(&folder.join("crls")).into_iter();
        let usable: Vec<NamedFile> = lists
            .filter(|file| Lists::new(std::slice::from_ref(file)).is_ok())
            .collect();
        let fetch: Arc<dyn Fetch> = Arc::new(NoNet);
        let clock: Arc<dyn Clock> = Arc::new(StillClock::default());
        Self {
            anchor: anchor.pop().unwrap(),
            authorities,
            revocation: Revocation::new(Some(&usable), None, 0, &fetch, &clock).unwrap(),
        }
    }

    /// Those whose names lead from the leaf upwards.
    fn above(&self, leaf: &[u8]) -> Vec<NamedFile> {
        let mut found: Vec<NamedFile> = Vec::new();
        let mut wanted: Vec<Vec<u8>> = names(leaf).map(|(issuer, _)| issuer).into_iter().collect();
        while let Some(name) = wanted.pop() {
            for file in &self.authorities {
                let Some((issuer, subject)) = names(&file.bytes) else {
                    continue;
                };
                if subject == name && !found.contains(file) {
                    found.push(file.clone());
                    wanted.push(issuer);
                }
            }
        }
        found
    }

    async fn judge(&self, leaf: &[u8]) -> Result<(), String> {
        let roots = std::slice::from_ref(&self.anchor);
        let trust = Trust::new(roots, &[]).map_err(|error| error.to_string())?;
        let presented = ClientCertificate {
            leaf: leaf.to_vec(),
            intermediates: self.above(leaf).into_iter().map(|one| one.bytes).collect(),
        };
        let path = trust.path(&presented, START)?;
        let checked = self.revocation.check(&path, START, &call_context()).await;
        checked.map(drop).map_err(str::to_owned)
    }
}

const POLICIES: (&str, &str) = ("UnsupportedCritical", "no certificate policies");
const NAMES: (&str, &str) = ("no path", "names are compared byte for byte");
const CONSTRAINTS: (&str, &str) = ("", "name constraints for DNS names and addresses only");
const LISTS: (&str, &str) = ("cannot be told", "lists by their issuer's key only");
const AUTHORITY: (&str, &str) = ("authority's certificate", "an authority does not log in");

/// Topics of PKITS in which something valid is refused: part of the reason, and what we do not do.
const NOT_DONE: &[(&str, (&str, &str))] = &[
    ("BasicSelfIssuedCRLSigningKey", LISTS),
    ("BasicSelfIssuedNewWithOld", LISTS),
    ("BasicSelfIssuedOldWithNew", LISTS),
    ("DNandRFC822nameConstraints", CONSTRAINTS),
    ("DNnameConstraints", CONSTRAINTS),
    ("DSAParameterInheritance", ("signature algorithm", "no DSA")),
    ("DSASignatures", ("signature algorithm", "no DSA")),
    ("IDPwithindirectCRL", LISTS),
    ("NameChainingCapitalization", NAMES),
    ("NameChainingWhitespace", NAMES),
    ("NameUIDs", ("TrailingData", "no unique identifiers")),
    ("PolicyMapping", POLICIES),
    ("RFC822nameConstraints", CONSTRAINTS),
    ("RolloverfromPrintableStringtoUTF8String", NAMES),
    ("SelfIssuedinhibitAnyPolicy", POLICIES),
    ("SelfIssuedinhibitPolicyMapping", POLICIES),
    (
        "SelfIssuedpathLenConstraint",
        ("", "self-issued ones count"),
    ),
    ("SelfIssuedrequireExplicitPolicy", POLICIES),
    ("SeparateCertificateandCRLKeys", LISTS),
    ("URInameConstraints", CONSTRAINTS),
    ("UTF8StringCaseInsensitiveMatch", NAMES),
    ("cRLIssuer", LISTS),
    (
        "deltaCRL",
        ("revoked", "no delta lists: the base list counts"),
    ),
    (
        "distributionPoint",
        ("cannot be told", "distribution points by address only"),
    ),
    ("inhibitAnyPolicy", POLICIES),
    ("inhibitPolicyMapping", POLICIES),
    ("onlyContainsCACerts", AUTHORITY),
    (
        "onlySomeReasons",
        ("cannot be told", "no lists for some reasons"),
    ),
    ("pathLenConstraint", AUTHORITY),
    (
        "pre2000UTCnotBeforeDate",
        ("BadDerTime", "no time before 1970"),
    ),
    ("requireExplicitPolicy", POLICIES),
];

/// The one that is invalid and taken: only a delta list says that it was revoked. A delta list in
/// the operator's folder is an error, so nobody can rely on one.
const TAKEN: &[&str] = &["InvaliddeltaCRLTest4EE.crt"];

#[tokio::test]
async fn what_pkits_calls_invalid_is_refused_and_what_it_calls_valid_for_stated_reasons_only() {
    let Some(folder) = suite("nist-pkits") else {
        return;
    };
    let pkits = Pkits::read(&folder);
    let manifest = std::fs::read(folder.join("manifest.json")).unwrap();
    let manifest: Vec<Value> = serde_json::from_slice(&manifest).unwrap();
    let not_done: BTreeMap<&str, (&str, &str)> = NOT_DONE.iter().copied().collect();
    let (mut taken, mut counts, mut wrong) = (Vec::new(), [0_u32; 4], Vec::new());
    for entry in &manifest {
        let text = |name: &str| entry.get(name).and_then(Value::as_str);
        let (Some(file), Some(expected)) = (text("ee"), text("expect")) else {
            continue;
        };
        let leaf = std::fs::read(folder.join("certs").join(file)).unwrap();
        let outcome = pkits.judge(&leaf).await;
        let at = match (expected, &outcome) {
            ("valid", Ok(())) => 0,
            ("valid", Err(said)) => {
                let reason = not_done.get(text("topic").unwrap());
                if reason.is_none_or(|(part, _)| !said.contains(part)) {
                    wrong.push(format!("{file}: {said}"));
                }
                1
            }
            (_, Ok(())) => {
                taken.push(file);
                2
            }
            (_, Err(_)) => 3,
        };
        counts[at] = counts[at].saturating_add(1);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(taken, TAKEN);
    // Valid and taken, valid and refused, invalid and taken, invalid and refused.
    assert_eq!(counts, [22, 66, 1, 114]);
}

/// What a recorded answer says to a question about this serial number.
fn recorded(
    folder: &File,
    (answer, issuer, serial): (&str, &str, &[u8]),
    at: &str,
) -> Result<bool, &'static str> {
    let answer = std::fs::read(folder.join("ocsp").join(answer)).unwrap();
    let issuer = std::fs::read(folder.join("ca").join(issuer)).unwrap();
    let question = Question::about_serial(serial, &issuer).unwrap();
    let spoken = question.read(&answer, Timestamp::parse(at).unwrap());
    spoken.map(|spoken| spoken.revoked)
}

/// Serial numbers and issuers as openssl prints them for these files.
const BY_ISSUER: (&str, &str, &[u8]) = (
    "ok.response",
    "c49c350e5a82.der",
    &[
        0x03, 0xe8, 0xd3, 0x57, 0xe9, 0xc2, 0x3d, 0xc6, 0x1e, 0x83, 0xdc,
    ],
);
const BY_DELEGATE: (&str, &str, &[u8]) = (
    "ok_seid2_buypass.response",
    "2f36956beb4d.der",
    &[
        0x01, 0x8c, 0xb8, 0xfa, 0x87, 0xce, 0xa6, 0x1f, 0xd8, 0xaf, 0xb9,
    ],
);

#[test]
fn recorded_answers_count_in_their_time_and_for_their_question_only() {
    let Some(folder) = suite("seid-certificates") else {
        return;
    };
    let serial = &[
        0x11, 0x21, 0x55, 0x68, 0x8d, 0x38, 0x07, 0x75, 0xda, 0x34, 0xc5, 0xdf, 0x97, 0x43, 0x3e,
        0xd3, 0xf6, 0xa7,
    ];
    let revoked = ("revoked.response", BY_ISSUER.1, serial.as_slice());
    let unknown = ("unknown.response", BY_ISSUER.1, serial.as_slice());
    let other_issuer = (BY_ISSUER.0, BY_DELEGATE.1, BY_ISSUER.2);
    let other_serial = (BY_ISSUER.0, BY_ISSUER.1, BY_DELEGATE.2);
    for (question, at, expected) in [
        // It does not say when the next one comes.
        (BY_ISSUER, "2015-03-02T14:23:10Z", Ok(false)),
        (BY_ISSUER, "2015-03-02T15:23:09Z", Ok(false)),
        (BY_ISSUER, "2015-03-02T15:23:10Z", Err("expired")),
        (BY_ISSUER, "2015-03-02T14:18:09Z", Err("future")),
        (BY_DELEGATE, "2021-08-10T13:08:48Z", Ok(false)),
        (BY_DELEGATE, "2021-08-10T21:08:47Z", Ok(false)),
        (BY_DELEGATE, "2021-08-10T21:08:48Z", Err("expired")),
        // Its responder's certificate has ended by then.
        (BY_DELEGATE, "2021-10-01T00:00:00Z", Err("did not send")),
        (
            other_issuer,
            "2015-03-02T14:23:10Z",
            Err("neither the issuer nor sent by it"),
        ),
        (
            other_serial,
            "2015-03-02T14:23:10Z",
            Err("another certificate"),
        ),
        // Signed with SHA-1 by issuers that the suite does not have.
        (revoked, "2015-02-28T17:00:00Z", Err("did not send")),
        (unknown, "2015-03-03T15:00:00Z", Err("did not send")),
    ] {
        let said = recorded(&folder, question, at);
        let right = match (&said, &expected) {
            (Ok(one), Ok(other)) => one == other,
            (Err(said), Err(part)) => said.contains(part),
            _ => false,
        };
        assert!(right, "{} at {at}: {said:?}", question.0);
    }
}

#[test]
fn every_changed_bit_of_a_recorded_answer_is_noticed() {
    let Some(folder) = suite("seid-certificates") else {
        return;
    };
    let (file, issuer, serial) = BY_ISSUER;
    let answer = std::fs::read(folder.join("ocsp").join(file)).unwrap();
    let issuer = std::fs::read(folder.join("ca").join(issuer)).unwrap();
    let question = Question::about_serial(serial, &issuer).unwrap();
    let now = Timestamp::parse("2015-03-02T14:23:10Z").unwrap();
    assert!(question.read(&answer, now).is_ok());
    for at in 0..answer.len() {
        for bit in 0..8 {
            let mut changed = answer.clone();
            changed[at] ^= 1 << bit;
            assert!(question.read(&changed, now).is_err(), "byte {at} bit {bit}");
        }
        assert!(question.read(&answer[..at], now).is_err(), "cut at {at}");
    }
}
