//! Who issued a certificate: one row for each attack on the path.

use dan_auth::CertificateConfig;
use dan_auth::certificate::{ACCEPTED_MS_MAX, CHAIN_BYTES_MAX, INTERMEDIATES_MAX};
use dan_core::testkit::fakes::START;
use dan_core::time::DAY_MS;
use rcgen::{
    BasicConstraints, DnType, GeneralSubtree, IsCa, KeyUsagePurpose, NameConstraints, date_time_ymd,
};

use super::pki::{Authority, HOUR_MS, House, Leaf, ORG, key_of, refused, subject_of};

const NO_PATH: &str = "no path to a trusted root";

#[tokio::test]
async fn a_leaf_below_a_trusted_root_is_taken() {
    let root = Authority::root("Root");
    let issuing = root.below(Authority::params("Issuing"));
    let house = House::trusting(&root);
    let direct = root.issue(&Leaf::good());
    assert_eq!(house.judge(&direct, &[]).await.unwrap(), ORG);
    let below = issuing.issue(&Leaf::good());
    assert_eq!(house.judge(&below, &[&issuing.der]).await.unwrap(), ORG);
    // The order of what is sent does not matter, nor what is sent in vain.
    let stranger = Authority::root("Stranger");
    let sent: [&[u8]; 3] = [&stranger.der, &root.der, &issuing.der];
    assert_eq!(house.judge(&below, &sent).await.unwrap(), ORG);
    refused(
        &house.judge(&below, &[]).await,
        NO_PATH,
        "missing intermediate",
    );
    refused(
        &house.judge(&below, &[&stranger.der]).await,
        NO_PATH,
        "wrong intermediate",
    );
}

#[tokio::test]
async fn a_configured_intermediate_stands_in_for_one_that_was_not_sent() {
    let root = Authority::root("Root");
    let issuing = root.below(Authority::params("Issuing"));
    let stranger = Authority::root("Stranger");
    let config = |intermediate: &Authority| CertificateConfig {
        roots: vec![root.file()],
        intermediates: vec![intermediate.file()],
        ..CertificateConfig::default()
    };
    let leaf = issuing.issue(&Leaf::good());
    let house = House::new(config(&issuing));
    assert_eq!(house.judge(&leaf, &[]).await.unwrap(), ORG);
    // It is no root: what it issued counts only when it leads to one.
    let house = House::new(config(&stranger));
    let leaf = stranger.issue(&Leaf::good());
    refused(
        &house.judge(&leaf, &[]).await,
        NO_PATH,
        "intermediate as root",
    );
}

#[tokio::test]
async fn a_certificate_counts_only_within_its_time() {
    let root = Authority::root("Root");
    let mut leaf = Leaf::good();
    for (from, until, why) in [
        (-2 * HOUR_MS, -HOUR_MS, Some("has expired")),
        (-2 * HOUR_MS, -1000, Some("has expired")),
        (HOUR_MS, 2 * HOUR_MS, Some("not valid yet")),
        (1000, 2 * HOUR_MS, Some("not valid yet")),
        (0, HOUR_MS, None),
        (-HOUR_MS, 0, None),
    ] {
        leaf.valid = (START.plus_ms(from), START.plus_ms(until));
        let outcome = House::trusting(&root).judge(&root.issue(&leaf), &[]).await;
        match why {
            Some(why) => refused(&outcome, why, why),
            None => assert_eq!(outcome.as_deref(), Ok(ORG)),
        }
    }
}

#[tokio::test]
async fn an_expired_issuer_or_root_carries_nobody() {
    let root = Authority::root("Root");
    let mut old = Authority::params("Old");
    old.not_after = date_time_ymd(2025, 12, 31);
    let issuing = root.below(old.clone());
    let leaf = issuing.issue(&Leaf::good());
    let outcome = House::trusting(&root).judge(&leaf, &[&issuing.der]).await;
    refused(&outcome, "has expired", "issuer");
    let root = Authority::root_with(old);
    let outcome = House::trusting(&root)
        .judge(&root.issue(&Leaf::good()), &[])
        .await;
    refused(&outcome, NO_PATH, "root");
}

/// What, leaf, what is sent along, reason.
type Forgery<'a> = (&'a str, Vec<u8>, Vec<&'a [u8]>, &'a str);

async fn none_is_taken(house: &House, forgeries: Vec<Forgery<'_>>) {
    for (what, leaf, between, why) in forgeries {
        refused(&house.judge(&leaf, &between).await, why, what);
    }
}

#[tokio::test]
async fn nobody_issues_in_the_name_of_another() {
    const UNSIGNED: &str = "not signed by its issuer";
    let root = Authority::root("Root");
    let issuing = root.below(Authority::params("Issuing"));
    let house = House::trusting(&root);
    let twin = Authority::root("Root");
    let false_issuing = twin.below(Authority::params("Issuing"));
    let stranger = Authority::root("Stranger");
    let good = Leaf::good();
    let forged = stranger.issue_as(&good, &subject_of(&root.der), &key_of(&stranger.der));
    let mut changed = issuing.issue(&good);
    let at = changed.windows(9).position(|part| part == b"991825827");
    let at = at.unwrap();
    for (byte, other) in changed.iter_mut().skip(at).zip(b"974760673") {
        *byte = *other;
    }
    let forgeries: Vec<Forgery<'_>> = vec![
        ("wrong root", stranger.issue(&good), vec![], NO_PATH),
        (
            "wrong root, sent along",
            stranger.issue(&good),
            vec![&stranger.der],
            NO_PATH,
        ),
        (
            "a root of the same name",
            twin.issue(&good),
            vec![],
            UNSIGNED,
        ),
        (
            "a whole chain of the same names",
            false_issuing.issue(&good),
            vec![&false_issuing.der],
            UNSIGNED,
        ),
        (
            "an intermediate of the same name",
            false_issuing.issue(&good),
            vec![&issuing.der],
            UNSIGNED,
        ),
        ("the root's name forged", forged, vec![], UNSIGNED),
        ("a changed number", changed, vec![&issuing.der], UNSIGNED),
    ];
    none_is_taken(&house, forgeries).await;
}

/// A certificate of the agency's own making, for its own key.
fn own(issuer: Option<&Authority>) -> Authority {
    let mut params = Authority::params("Etaten");
    let number = DnType::CustomDnType(vec![2, 5, 4, 97]);
    params.distinguished_name.push(number, "NTRNO-991825827");
    params.is_ca = IsCa::NoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    match issuer {
        Some(issuer) => issuer.below(params),
        None => Authority::root_with(params),
    }
}

#[tokio::test]
async fn only_authorities_issue_and_only_others_are_let_in() {
    let root = Authority::root("Root");
    let issuing = root.below(Authority::params("Issuing"));
    let house = House::trusting(&root);
    let (self_signed, leaf) = (own(None), own(Some(&issuing)));
    assert_eq!(house.judge(&leaf.der, &[&issuing.der]).await.unwrap(), ORG);
    let good = issuing.issue(&Leaf::good());
    let behind = [good.clone(), vec![0]].concat();
    let forgeries: Vec<Forgery<'_>> = vec![
        ("self-signed", self_signed.der.clone(), vec![], NO_PATH),
        (
            "a leaf as an authority",
            leaf.issue(&Leaf::good()),
            vec![&leaf.der, &issuing.der],
            NO_PATH,
        ),
        ("the issuer's own", issuing.der.clone(), vec![], "authority"),
        ("the root itself", root.der.clone(), vec![], "authority"),
        ("nothing", Vec::new(), vec![], "path validation"),
        ("junk", vec![0x30; 300], vec![], "path validation"),
        (
            "junk beside it",
            good,
            vec![b"junk", b""],
            "path validation",
        ),
        (
            "bytes behind it",
            behind,
            vec![&issuing.der],
            "path validation",
        ),
    ];
    none_is_taken(&house, forgeries).await;
}

#[tokio::test]
async fn limits_that_issuers_set_hold() {
    let mut short = Authority::params("Short");
    short.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let root = Authority::root("Root");
    let first = root.below(short);
    let second = first.below(Authority::params("Second"));
    let house = House::trusting(&root);
    let leaf = first.issue(&Leaf::good());
    assert_eq!(house.judge(&leaf, &[&first.der]).await.unwrap(), ORG);
    let leaf = second.issue(&Leaf::good());
    let outcome = house.judge(&leaf, &[&second.der, &first.der]).await;
    refused(&outcome, "longer than an issuer allows", "path length");

    let mut mute = Authority::params("Mute");
    mute.key_usages = vec![KeyUsagePurpose::CrlSign];
    let mute = root.below(mute);
    let outcome = house.judge(&mute.issue(&Leaf::good()), &[&mute.der]).await;
    refused(&outcome, "an issuer may not issue", "no keyCertSign");

    let mut narrow = Authority::params("Narrow");
    let mut only = rcgen::DistinguishedName::new();
    only.push(DnType::OrganizationName, "Another");
    narrow.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DirectoryName(only)],
        excluded_subtrees: Vec::new(),
    });
    let narrow = root.below(narrow);
    let outcome = house
        .judge(&narrow.issue(&Leaf::good()), &[&narrow.der])
        .await;
    refused(&outcome, "may not certify", "name constraints");
}

#[tokio::test]
async fn a_long_chain_is_not_looked_at() {
    let root = Authority::root("Root");
    let issuing = root.below(Authority::params("Issuing"));
    let leaf = issuing.issue(&Leaf::good());
    let house = House::trusting(&root);
    for (count, taken) in [
        (INTERMEDIATES_MAX, true),
        (INTERMEDIATES_MAX + 1, false),
        (20, false),
    ] {
        let sent = vec![issuing.der.as_slice(); count];
        let outcome = house.judge(&leaf, &sent).await;
        if taken {
            assert_eq!(outcome.unwrap(), ORG);
        } else {
            refused(&outcome, "intermediates", "too many");
        }
    }
    let big = vec![0x30; CHAIN_BYTES_MAX];
    refused(&house.judge(&leaf, &[&big]).await, "bytes", "too big");
}

/// Twenty authorities of one name that vouch for each other make a maze; the way through it is
/// looked for within a budget.
#[tokio::test]
async fn a_maze_of_issuers_is_left_in_time() {
    let root = Authority::root("Root");
    let maze: Vec<Authority> = (0..INTERMEDIATES_MAX)
        .map(|_| Authority::root("Maze"))
        .collect();
    let crossed: Vec<Vec<u8>> = maze
        .iter()
        .map(|to| {
            let mut leaf = Leaf::of(&[]);
            leaf.subject = subject_of(&to.der);
            leaf.ca = true;
            leaf.key_usage = None;
            leaf.extended = None;
            maze[0].issue_as(&leaf, &subject_of(&to.der), &key_of(&to.der))
        })
        .collect();
    let sent: Vec<&[u8]> = crossed.iter().map(Vec::as_slice).collect();
    let house = House::trusting(&root);
    let outcome = house.judge(&maze[0].issue(&Leaf::good()), &sent).await;
    assert!(outcome.is_err(), "{outcome:?}");
}

#[tokio::test]
async fn a_verdict_is_kept_and_ends_with_the_certificate() {
    let root = Authority::root("Root");
    let house = House::trusting(&root);
    let mut leaf = Leaf::good();
    leaf.valid.1 = START.plus_ms(ACCEPTED_MS_MAX / 2);
    let leaf = root.issue(&leaf);
    assert_eq!(house.judge(&leaf, &[]).await.unwrap(), ORG);
    house.clock.advance_ms(ACCEPTED_MS_MAX / 2 - 1);
    assert_eq!(house.judge(&leaf, &[]).await.unwrap(), ORG);
    house.clock.advance_ms(1001);
    refused(&house.judge(&leaf, &[]).await, "has expired", "kept");
    house.clock.advance_ms(-DAY_MS);
    assert_eq!(house.judge(&leaf, &[]).await.unwrap(), ORG);
}

#[tokio::test]
async fn without_a_certificate_the_next_one_is_asked() {
    use dan_core::ports::{Authenticator as _, Credentials};
    let house = House::trusting(&Authority::root("Root"));
    let presented = Credentials {
        api_key: None,
        bearer: None,
        certificate: None,
        address: [127, 0, 0, 1].into(),
    };
    let ctx = dan_core::testkit::fakes::call_context();
    let outcome = house.certificates.authenticate(&presented, &ctx).await;
    assert!(matches!(outcome, Ok(None)));
}
