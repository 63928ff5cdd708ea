//! Revocation lists: who is on them, when they are out of date, and when others take their place.

use dan_auth::CertificateConfig;
use dan_auth::certificate::{NamedFile, SOFT_MS};
use dan_core::time::DAY_MS;
use rcgen::KeyUsagePurpose;

use super::pki::{Authority, HOUR_MS, House, Leaf, ORG, refused};

const UNTOLD: &str = "cannot be told";
const ON_A_LIST: &str = "revoked, by a revocation list";

struct Pki {
    root: Authority,
    issuing: Authority,
    leaf: Vec<u8>,
}

impl Pki {
    fn new() -> Self {
        let root = Authority::root("Root");
        let mut params = Authority::params("Issuing");
        params.serial_number = Some(7.into());
        let issuing = root.below(params);
        let leaf = issuing.issue(&Leaf::good());
        Self {
            root,
            issuing,
            leaf,
        }
    }

    fn house(&self, lists: Vec<NamedFile>) -> House {
        House::new(CertificateConfig {
            roots: vec![self.root.file()],
            crls: Some(lists),
            ..CertificateConfig::default()
        })
    }

    /// Nobody is on them.
    fn lists(&self, until_ms: i64) -> Vec<NamedFile> {
        vec![
            self.root.list(&[], -HOUR_MS, 10 * DAY_MS),
            self.issuing.list(&[], -HOUR_MS, until_ms),
        ]
    }

    async fn judge(&self, house: &House) -> Result<String, String> {
        house.judge(&self.leaf, &[&self.issuing.der]).await
    }
}

#[tokio::test]
async fn who_is_on_a_list_is_refused() {
    let pki = Pki::new();
    let house = pki.house(pki.lists(DAY_MS));
    assert_eq!(pki.judge(&house).await.unwrap(), ORG);
    let root = || pki.root.list(&[], -HOUR_MS, DAY_MS);
    let leaf = pki.issuing.list(&[0x20, 0x21], -HOUR_MS, DAY_MS);
    let outcome = pki.judge(&pki.house(vec![root(), leaf])).await;
    refused(&outcome, ON_A_LIST, "leaf");
    let issuing = pki.root.list(&[7], -HOUR_MS, DAY_MS);
    let leaf = || pki.issuing.list(&[], -HOUR_MS, DAY_MS);
    let outcome = pki.judge(&pki.house(vec![issuing, leaf()])).await;
    refused(&outcome, ON_A_LIST, "issuer");
    // Another certificate of the same issuer is not touched.
    let other = pki.issuing.list(&[0x20, 0x22], -HOUR_MS, DAY_MS);
    let outcome = pki.judge(&pki.house(vec![root(), other])).await;
    assert_eq!(outcome.unwrap(), ORG);
}

#[tokio::test]
async fn each_certificate_of_the_path_needs_a_list_that_speaks_about_it() {
    let pki = Pki::new();
    let stranger = Authority::root("Issuing");
    let root = || pki.root.list(&[], -HOUR_MS, DAY_MS);
    let leaf = || pki.issuing.list(&[], -HOUR_MS, DAY_MS);
    for (what, lists) in [
        ("none", Vec::new()),
        ("only the root's", vec![root()]),
        ("only the issuer's", vec![leaf()]),
        (
            "of another with the same name",
            vec![root(), stranger.list(&[], -HOUR_MS, DAY_MS)],
        ),
    ] {
        refused(&pki.judge(&pki.house(lists)).await, UNTOLD, what);
    }
    // A forged list of the same name is passed over, also when it is newer.
    let forged = stranger.list(&[0x21], 0, DAY_MS);
    let outcome = pki.judge(&pki.house(vec![forged, root(), leaf()])).await;
    assert_eq!(outcome.unwrap(), ORG);
}

#[tokio::test]
async fn a_changed_list_says_nothing() {
    let pki = Pki::new();
    let mut list = pki.issuing.list(&[0x22], -HOUR_MS, DAY_MS);
    let at = list
        .bytes
        .windows(3)
        .rposition(|part| part == [2, 1, 0x22])
        .unwrap();
    list.bytes[at + 2] = 0x23;
    let root = pki.root.list(&[], -HOUR_MS, DAY_MS);
    refused(
        &pki.judge(&pki.house(vec![root, list])).await,
        UNTOLD,
        "changed",
    );
}

#[tokio::test]
async fn who_may_not_sign_lists_does_not() {
    let mut params = Authority::params("Root");
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let root = Authority::root_with(params);
    let mut mute = Authority::params("Mute");
    mute.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let mute = root.below(mute);
    let leaf = mute.issue(&Leaf::good());
    let mute = mute.signing_anything();
    let list = mute.list(&[], -HOUR_MS, DAY_MS);
    let house = House::new(CertificateConfig {
        roots: vec![root.file()],
        crls: Some(vec![root.list(&[], -HOUR_MS, DAY_MS), list]),
        ..CertificateConfig::default()
    });
    refused(
        &house.judge(&leaf, &[&mute.der]).await,
        UNTOLD,
        "no cRLSign",
    );
}

#[tokio::test]
async fn an_old_list_serves_for_the_soft_period_and_no_longer() {
    let pki = Pki::new();
    let house = pki.house(pki.lists(HOUR_MS));
    assert_eq!(pki.judge(&house).await.unwrap(), ORG);
    house.clock.advance_ms(HOUR_MS + SOFT_MS - 1);
    assert_eq!(pki.judge(&house).await.unwrap(), ORG);
    house.clock.advance_ms(1);
    refused(&pki.judge(&house).await, UNTOLD, "after the soft period");
    // Fresh ones mend it at once.
    house.certificates.replace_crls(&pki.lists(DAY_MS)).unwrap();
    assert_eq!(pki.judge(&house).await.unwrap(), ORG);
}

#[tokio::test]
async fn an_old_list_of_authorities_ends_in_the_same_way() {
    let pki = Pki::new();
    let house = pki.house(vec![
        pki.root.list(&[], -HOUR_MS, HOUR_MS),
        pki.issuing.list(&[], -HOUR_MS, DAY_MS),
    ]);
    house.clock.advance_ms(HOUR_MS + SOFT_MS - 1);
    assert_eq!(pki.judge(&house).await.unwrap(), ORG);
    house.clock.advance_ms(1);
    refused(&pki.judge(&house).await, UNTOLD, "after the soft period");
}

#[tokio::test]
async fn who_is_on_an_old_list_is_refused_all_the_same() {
    let pki = Pki::new();
    let mut lists = pki.lists(DAY_MS);
    lists[1] = pki.issuing.list(&[0x21], -2 * HOUR_MS, -HOUR_MS / 2);
    refused(&pki.judge(&pki.house(lists)).await, ON_A_LIST, "leaf");
    let mut lists = pki.lists(DAY_MS);
    lists[0] = pki.root.list(&[7], -2 * HOUR_MS, -HOUR_MS / 2);
    refused(&pki.judge(&pki.house(lists)).await, ON_A_LIST, "issuer");
}

#[tokio::test]
async fn new_lists_count_at_once() {
    let pki = Pki::new();
    let house = pki.house(pki.lists(DAY_MS));
    assert_eq!(pki.judge(&house).await.unwrap(), ORG);
    let mut lists = pki.lists(DAY_MS);
    lists.push(pki.issuing.list(&[0x21], 0, DAY_MS));
    house.certificates.replace_crls(&lists).unwrap();
    refused(&pki.judge(&house).await, ON_A_LIST, "swapped");
}

#[tokio::test]
async fn a_damaged_list_leaves_the_old_ones_in_force() {
    let pki = Pki::new();
    let house = pki.house(pki.lists(DAY_MS));
    let damaged = NamedFile {
        name: "crls/b.crl".to_owned(),
        bytes: vec![0x30, 3, 1],
    };
    let mut lists = pki.lists(DAY_MS);
    lists.push(damaged);
    let said = house.certificates.replace_crls(&lists).unwrap_err().0;
    assert!(said.starts_with("crls/b.crl: "), "{said}");
    assert_eq!(pki.judge(&house).await.unwrap(), ORG);
}

#[tokio::test]
async fn who_was_revoked_stays_out_when_the_lists_are_lost() {
    let pki = Pki::new();
    let mut lists = pki.lists(HOUR_MS);
    lists[1] = pki.issuing.list(&[0x21], -HOUR_MS / 2, DAY_MS);
    let house = pki.house(lists);
    refused(&pki.judge(&house).await, ON_A_LIST, "first");
    house.certificates.replace_crls(&[]).unwrap();
    refused(&pki.judge(&house).await, "revoked, as known before", "lost");
    // An older list that does not know it yet lets nobody in.
    house.certificates.replace_crls(&pki.lists(DAY_MS)).unwrap();
    refused(&pki.judge(&house).await, "newer evidence", "older");
    // A newer one without it does: it was on hold.
    let mut lists = pki.lists(DAY_MS);
    lists.push(pki.issuing.list(&[], 0, DAY_MS));
    lists.remove(1);
    house.certificates.replace_crls(&lists).unwrap();
    assert_eq!(pki.judge(&house).await.unwrap(), ORG);
}
