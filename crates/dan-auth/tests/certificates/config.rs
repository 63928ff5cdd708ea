//! What an operator can set up wrongly, and what is said then.

use std::sync::Arc;

use dan_auth::certificate::{ExpiryKind, NamedFile, OcspConfig, SOFT_MS_MAX};
use dan_auth::{AuthConfig, CertificateConfig, ConfigError, EnterpriseCertificates, chain};
use dan_core::flow::prove;
use dan_core::ports::{AuthError, ClientCertificate, Clock, Credentials, Fetch};
use dan_core::testkit::fakes::{FakeStore, START, StillClock, call_context};
use dan_core::time::Timestamp;

use super::pki::{Authority, HOUR_MS, House, Leaf, ORG, Responder, file};

fn new(config: CertificateConfig) -> Result<EnterpriseCertificates, ConfigError> {
    let clock: Arc<dyn Clock> = Arc::new(StillClock::default());
    let fetch: Arc<dyn Fetch> = Arc::new(Responder::default());
    EnterpriseCertificates::new(config, &fetch, &clock)
}

fn said(config: CertificateConfig) -> String {
    new(config).err().unwrap().0
}

fn trusting(root: &Authority) -> CertificateConfig {
    CertificateConfig {
        roots: vec![root.file()],
        ..CertificateConfig::default()
    }
}

fn named(name: &str, bytes: &[u8]) -> NamedFile {
    NamedFile {
        name: name.to_owned(),
        bytes: bytes.to_vec(),
    }
}

#[test]
fn what_is_wrong_is_said_in_words_and_with_the_file() {
    let root = Authority::root("Root");
    let leaf = root.issue(&Leaf::good());
    let list = root.list(&[], -HOUR_MS, HOUR_MS).bytes;
    let roots = |files: Vec<NamedFile>| CertificateConfig {
        roots: files,
        ..CertificateConfig::default()
    };
    let mut between = trusting(&root);
    between.intermediates = vec![named("tls/between.pem", &leaf)];
    let crls = |bytes: &[u8]| CertificateConfig {
        crls: Some(vec![named("crls/a.crl", bytes)]),
        ..trusting(&root)
    };
    let mut soft = trusting(&root);
    soft.soft_ms = SOFT_MS_MAX + 1;
    let mut nobody = trusting(&root);
    nobody.ocsp = Some(OcspConfig::default());
    for (config, words) in [
        (roots(Vec::new()), ["no root certificate", ""]),
        (
            roots(vec![named("r.pem", b"")]),
            ["r.pem", "no certificate"],
        ),
        (
            roots(vec![named("r.der", &[0x30, 1])]),
            ["r.der", "damaged"],
        ),
        (
            roots(vec![root.file(), named("r.der", &leaf)]),
            ["r.der", "no certificate authority"],
        ),
        (between, ["tls/between.pem", "no certificate authority"]),
        (crls(b""), ["crls/a.crl", "no revocation list"]),
        (crls(&[0x30, 0]), ["crls/a.crl", "cannot be used"]),
        (
            crls(&list[..list.len() - 1]),
            ["crls/a.crl", "cannot be used"],
        ),
        (crls(&leaf), ["crls/a.crl", "cannot be used"]),
        (soft, ["soft period", ""]),
        (nobody, ["OCSP", "neither"]),
    ] {
        let said = said(config);
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
    }
}

#[test]
fn the_operator_can_see_what_ends_and_what_is_not_checked() {
    let root = Authority::root("Root of tests");
    let plain = new(trusting(&root)).unwrap();
    assert!(!plain.revocation_checked());
    let expiries = plain.expiries();
    assert_eq!(expiries.len(), 1);
    assert_eq!(expiries[0].kind, ExpiryKind::Root);
    assert!(expiries[0].name.contains("Root of tests"));
    assert_eq!(Some(expiries[0].at), Timestamp::parse("2040-01-01"));
    let with_list = new(CertificateConfig {
        crls: Some(vec![root.list(&[], -HOUR_MS, HOUR_MS)]),
        ..trusting(&root)
    })
    .unwrap();
    assert!(with_list.revocation_checked());
    let list = with_list.expiries().pop().unwrap();
    assert_eq!(list.kind, ExpiryKind::RevocationList);
    assert!(list.name.contains("Root of tests"));
    assert_eq!(list.at, START.plus_ms(HOUR_MS));
    // A folder without a list in it is still a folder that should have some.
    let empty = CertificateConfig {
        crls: Some(Vec::new()),
        ..trusting(&root)
    };
    assert!(new(empty).unwrap().revocation_checked());
}

#[tokio::test]
async fn roots_are_read_from_one_file_with_several_blocks() {
    let (one, two) = (Authority::root("One"), Authority::root("Two"));
    let both = format!("# ours\n{}\n{}", one.pem(), two.pem());
    let house = House::new(CertificateConfig {
        roots: vec![file(both.as_bytes())],
        ..CertificateConfig::default()
    });
    for root in [&one, &two] {
        let leaf = root.issue(&Leaf::good());
        assert_eq!(house.judge(&leaf, &[]).await.unwrap(), ORG);
    }
}

#[tokio::test]
async fn the_chain_asks_for_certificates_where_the_node_takes_them() {
    let root = Authority::root("Root");
    let clock: Arc<dyn Clock> = Arc::new(StillClock::default());
    let fetch: Arc<dyn Fetch> = Arc::new(Responder::default());
    let certificates = || Some(Arc::new(new(trusting(&root)).unwrap()));
    for (certificates, asked) in [(None, 2), (certificates(), 3)] {
        let store = Arc::new(FakeStore::default());
        let all = chain(
            AuthConfig::default(),
            store,
            &fetch,
            &clock,
            certificates.map(|judge| judge as _),
        )
        .unwrap();
        assert_eq!(all.len(), asked);
        let last = all.last().unwrap();
        let presented = Credentials {
            api_key: None,
            bearer: None,
            certificate: Some(Arc::new(ClientCertificate {
                leaf: root.der.clone(),
                intermediates: Vec::new(),
            })),
            address: [127, 0, 0, 1].into(),
        };
        let outcome = last.authenticate(&presented, &call_context()).await;
        assert_eq!(
            matches!(outcome, Err(AuthError::BadCertificate(_))),
            asked == 3
        );
        // Without a key nobody looks at the certificate.
        let proofs = prove(&all, &presented, &call_context()).await.unwrap();
        assert!(proofs.is_empty());
    }
}
