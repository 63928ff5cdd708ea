//! Whom a certificate names: every trick with the subject that we know of (`security.md` §3).

use dan_auth::CertificateConfig;
use dan_core::party::Realm;

use super::pki::{
    ANY_USAGE, Attribute, Authority, CLIENT_AUTH, COMMON_NAME, GIVEN_NAME, House, Leaf, ORG,
    ORGANIZATION, ORGANIZATION_IDENTIFIER as ID, OTHER_ORG, PRINTABLE, SERIAL_NUMBER as SN,
    SERVER_AUTH, SURNAME, UTF8, refused,
};

const NAME: &[Attribute<'_>] = &[(COMMON_NAME, UTF8, "Etaten")];

fn house(root: &Authority, accept_seid_v1: bool, realm: Realm) -> House {
    House::new(CertificateConfig {
        roots: vec![root.file()],
        accept_seid_v1,
        realm,
        ..CertificateConfig::default()
    })
}

#[tokio::test]
async fn the_number_is_read_from_where_the_profiles_put_it() {
    let root = Authority::root("Root");
    let v2 = house(&root, false, Realm::Production);
    let v1 = house(&root, true, Realm::Production);
    let both: [&[Attribute<'_>]; 3] = [&[(SN, UTF8, ORG)], NAME, &[(ID, UTF8, "NTRNO-991825827")]];
    let cases: [(&[&[Attribute<'_>]], bool); 5] = [
        (&[NAME, &[(ID, UTF8, "NTRNO-991825827")]], false),
        (&[&[(ID, PRINTABLE, "NTRNO-991825827")], NAME], false),
        (&both, false),
        (&[NAME, &[(SN, PRINTABLE, ORG)]], true),
        (&[&[(SN, UTF8, ORG)], NAME], true),
    ];
    for (subject, only_v1) in cases {
        let leaf = root.issue(&Leaf::of(subject));
        assert_eq!(v1.judge(&leaf, &[]).await.unwrap(), ORG);
        let outcome = v2.judge(&leaf, &[]).await;
        if only_v1 {
            refused(&outcome, "SEID v1 certificates are not accepted", "v1");
        } else {
            assert_eq!(outcome.unwrap(), ORG);
        }
    }
}

/// What, subject, reason.
type Trick<'a> = (&'a str, &'a [&'a [Attribute<'a>]], &'a str);

const NOT_V2: &str = "organizationIdentifier is not NTRNO-";
const NONE: &str = "no organisation number in the subject";
const PERSON: &str = "a person's certificate";
const GOOD: &[Attribute<'static>] = &[(ID, UTF8, "NTRNO-991825827")];
const TRICKS: &[Trick<'static>] = &[
    (
        "two organizationIdentifier",
        &[GOOD, &[(ID, UTF8, "NTRNO-974760673")]],
        "two organizationIdentifier",
    ),
    (
        "the same one twice",
        &[GOOD, GOOD],
        "two organizationIdentifier",
    ),
    (
        "v1 and v2 differ",
        &[GOOD, &[(SN, UTF8, OTHER_ORG)]],
        "serialNumber differ",
    ),
    (
        "a serialNumber of another kind beside v2",
        &[GOOD, &[(SN, UTF8, "A-1")]],
        "serialNumber differ",
    ),
    (
        "two serialNumber",
        &[&[(SN, UTF8, ORG)], &[(SN, UTF8, ORG)]],
        "two serialNumber",
    ),
    (
        "smuggled in O with a comma",
        &[NAME, &[(ORGANIZATION, UTF8, "X, SERIALNUMBER=991825827")]],
        NONE,
    ),
    (
        "smuggled in CN",
        &[&[(COMMON_NAME, UTF8, "X,2.5.4.97=NTRNO-991825827,C=NO")]],
        NONE,
    ),
    (
        "at the end of O",
        &[NAME, &[(ORGANIZATION, UTF8, "ETATEN - 991825827")]],
        NONE,
    ),
    (
        "in a part with several values",
        &[&[(COMMON_NAME, UTF8, "Etaten"), (ID, UTF8, "NTRNO-991825827")]],
        "several values",
    ),
    (
        "beside a part with several values",
        &[GOOD, &[(COMMON_NAME, UTF8, "a"), (ORGANIZATION, UTF8, "b")]],
        "several values",
    ),
    (
        "full-width digits",
        &[NAME, &[(ID, UTF8, "NTRNO-\u{ff19}\u{ff19}\u{ff11}825827")]],
        NOT_V2,
    ),
    (
        "nine full-width digits, v1",
        &[&[(
            SN,
            UTF8,
            "\u{ff19}\u{ff19}\u{ff11}\u{ff18}\u{ff12}\u{ff15}\u{ff18}\u{ff12}\u{ff17}",
        )]],
        "serialNumber is not nine digits",
    ),
    (
        "NUL at the end",
        &[&[(ID, UTF8, "NTRNO-991825827\0")]],
        NOT_V2,
    ),
    (
        "NUL within",
        &[&[(ID, UTF8, "NTRNO-\u{0}91825827")]],
        NOT_V2,
    ),
    (
        "another register",
        &[&[(ID, UTF8, "NTRSE-991825827")]],
        NOT_V2,
    ),
    ("VAT", &[&[(ID, UTF8, "VATNO-991825827")]], NOT_V2),
    ("8 digits", &[&[(ID, UTF8, "NTRNO-99182582")]], NOT_V2),
    ("10 digits", &[&[(ID, UTF8, "NTRNO-9918258270")]], NOT_V2),
    ("lower case", &[&[(ID, UTF8, "ntrno-991825827")]], NOT_V2),
    ("no prefix", &[&[(ID, UTF8, "991825827")]], NOT_V2),
    (
        "a space before",
        &[&[(ID, UTF8, " NTRNO-991825827")]],
        NOT_V2,
    ),
    (
        "a space behind",
        &[&[(ID, UTF8, "NTRNO-991825827 ")]],
        NOT_V2,
    ),
    ("a sign", &[&[(ID, UTF8, "NTRNO-+91825827")]], NOT_V2),
    ("empty", &[&[(ID, UTF8, "")]], NOT_V2),
    (
        "a bad v2 beside a good v1",
        &[&[(ID, UTF8, "NTRSE-1")], &[(SN, UTF8, ORG)]],
        NOT_V2,
    ),
    (
        "an odd string type",
        &[&[(ID, 0x16, "NTRNO-991825827")]],
        "odd string type",
    ),
    (
        "BMPString",
        &[&[(ID, 0x1e, "\0N\0T\0R\0N\0O")]],
        "odd string type",
    ),
    (
        "wrong control digit",
        &[&[(ID, UTF8, "NTRNO-500000003")]],
        "wrong control digit",
    ),
    (
        "synthetic in production",
        &[&[(ID, UTF8, "NTRNO-310000000")]],
        "synthetic organisation number",
    ),
    (
        "Buypass person",
        &[NAME, &[(SN, UTF8, "9578-4050-100")]],
        PERSON,
    ),
    (
        "Commfides person",
        &[NAME, &[(SN, UTF8, "UN:NO-9578-4050-1")]],
        PERSON,
    ),
    ("ETSI person", &[NAME, &[(SN, UTF8, "PNONO-123")]], PERSON),
    (
        "a person of an organisation",
        &[GOOD, &[(SURNAME, UTF8, "Nordmann")]],
        PERSON,
    ),
    (
        "another person of an organisation",
        &[&[(GIVEN_NAME, UTF8, "Kari")], GOOD],
        PERSON,
    ),
    (
        "a person's serial beside v2",
        &[GOOD, &[(SN, UTF8, "9578-4050-100")]],
        PERSON,
    ),
    ("nobody", &[NAME], NONE),
    ("no name at all", &[], NONE),
    ("an empty part", &[&[]], "subject"),
];

#[tokio::test]
async fn no_trick_with_the_subject_yields_a_number() {
    let root = Authority::root("Root");
    let house = house(&root, true, Realm::Production);
    for (what, subject, why) in TRICKS {
        let leaf = root.issue(&Leaf::of(subject));
        let outcome = house.judge(&leaf, &[]).await;
        if *what == "an empty part" {
            assert!(outcome.is_err());
        } else {
            refused(&outcome, why, what);
        }
    }
}

#[tokio::test]
async fn a_v1_number_that_differs_is_seen_also_when_v1_is_off() {
    let root = Authority::root("Root");
    let house = house(&root, false, Realm::Production);
    let subject: &[&[Attribute<'_>]] =
        &[&[(ID, UTF8, "NTRNO-991825827")], &[(SN, UTF8, OTHER_ORG)]];
    let leaf = root.issue(&Leaf::of(subject));
    refused(&house.judge(&leaf, &[]).await, "differ", "off");
}

#[tokio::test]
async fn synthetic_numbers_are_taken_outside_production_only() {
    let root = Authority::root("Root");
    let leaf = root.issue(&Leaf::of(&[&[(ID, UTF8, "NTRNO-310000000")]]));
    for realm in [Realm::Test, Realm::Sandbox] {
        let outcome = house(&root, false, realm).judge(&leaf, &[]).await;
        assert_eq!(outcome.unwrap(), "310000000");
    }
}

/// What, change, reason; none: let in.
type Purpose = (&'static str, fn(&mut Leaf), Option<&'static str>);

#[tokio::test]
async fn only_certificates_for_proving_who_calls_are_taken() {
    const DIGITAL: Option<&str> = Some("does not allow digitalSignature");
    const CLIENT: Option<&str> = Some("path validation");
    let cases: &[Purpose] = &[
        ("authentication", |_| (), None),
        ("no key usage", |leaf| leaf.key_usage = None, None),
        ("no extended key usage", |leaf| leaf.extended = None, None),
        (
            "authentication and encryption",
            |leaf| leaf.key_usage = Some([5, 0xa0]),
            None,
        ),
        (
            "clientAuth among others",
            |leaf| leaf.extended = Some(vec![SERVER_AUTH, CLIENT_AUTH]),
            None,
        ),
        (
            "signing only",
            |leaf| leaf.key_usage = Some([6, 0x40]),
            DIGITAL,
        ),
        (
            "encryption only",
            |leaf| leaf.key_usage = Some([3, 0x38]),
            DIGITAL,
        ),
        (
            "certificate signing",
            |leaf| leaf.key_usage = Some([2, 0x84]),
            Some("key usage of a certificate authority"),
        ),
        (
            "serverAuth only",
            |leaf| leaf.extended = Some(vec![SERVER_AUTH]),
            CLIENT,
        ),
        (
            "any purpose is not this purpose",
            |leaf| leaf.extended = Some(vec![ANY_USAGE]),
            CLIENT,
        ),
        (
            "no purpose",
            |leaf| leaf.extended = Some(Vec::new()),
            CLIENT,
        ),
        (
            "an authority",
            |leaf| leaf.ca = true,
            Some("a certificate authority's certificate"),
        ),
    ];
    let root = Authority::root("Root");
    let house = House::trusting(&root);
    for (what, change, why) in cases {
        let mut leaf = Leaf::good();
        change(&mut leaf);
        let outcome = house.judge(&root.issue(&leaf), &[]).await;
        match why {
            Some(why) => refused(&outcome, why, what),
            None => assert_eq!(outcome.as_deref(), Ok(ORG), "{what}"),
        }
    }
}
