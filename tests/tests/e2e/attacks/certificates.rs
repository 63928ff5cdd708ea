//! Enterprise certificates: from a proxy in `Client-Cert` (RFC 9440) and over TLS of the node's own.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dan_tests::client::Answer;
use dan_tests::consumer::{AGENCY, EBEVIS, OWNER};
use p256::pkcs8::{EncodePrivateKey as _, LineEnding};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use toml::Table;

use super::forge::key;
use super::pki::{
    Attribute, Authority, COMMON_NAME, Content, DAY_S, ORGANIZATION, ORGANIZATION_IDENTIFIER as ID,
    SERIAL_NUMBER as SN, SERVER_AUTH, pem,
};
use super::{Asked, Bench, Outcome, Row};
use crate::place::Place;

/// Serial number of a certificate that was taken back.
const REVOKED: u8 = 0x66;
/// More than any chain of enterprise certificates.
const MANY: u8 = 20;
const EXPIRED: Outcome = bad("a certificate of the path has expired");
const TOO_EARLY: Outcome = bad("a certificate of the path is not valid yet");
const NO_PATH: Outcome = bad("no path to a trusted root");
const MISSIGNED: Outcome = bad("a certificate of the path was not signed by its issuer");
const TAKEN_BACK: Outcome = bad("revoked, by a revocation list");
const UNTOLD: Outcome = bad("whether it is revoked cannot be told");
const NOT_FOR_CLIENTS: Outcome = bad("path validation");
const NOT_NTRNO: Outcome = bad("organizationIdentifier is not NTRNO-");
const NO_NUMBER: Outcome = bad("no organisation number in the subject");
const PERSON: Outcome = bad("a person's certificate");
const PURPOSE: Outcome = bad("does not allow digitalSignature");
const UNREADABLE: Outcome = Outcome::Refused(400, 1014, "Client-Cert");
const NO_PROOF: Outcome = Outcome::Refused(401, 1023, "connect with an enterprise certificate");
const OTHER_OWNER: Outcome = Outcome::Refused(403, 1019, "different organisations: key");

/// Refused with 401 and 1000, for this reason.
const fn bad(reason: &'static str) -> Outcome {
    Outcome::Refused(401, 1000, reason)
}

/// A root, and who issues below it.
struct Trust {
    root: Authority,
    issuing: Authority,
    /// Also below the root, but nobody has a list of it.
    listless: Authority,
}

impl Trust {
    fn new() -> Self {
        let root = Authority::root("Example Root", 30);
        Self {
            issuing: root.below("Example Issuing", 31),
            listless: root.below("Example Without List", 32),
            root,
        }
    }

    /// Writes roots and lists where a node finds them, and tells it.
    fn install(&self, place: &mut Place, more: &str) {
        place.scratch.write("roots.pem", pem(&self.root.der));
        place.scratch.write("crls/root.crl", self.root.list(&[]));
        place
            .scratch
            .write("crls/issuing.crl", self.issuing.list(&[REVOKED]));
        let tls = format!("client_roots = \"roots.pem\"\nclient_crls = \"crls\"\n{more}");
        place.set("server", "tls", tls.parse::<Table>().unwrap());
    }
}

fn item(der: &[u8]) -> String {
    format!(":{}:", STANDARD.encode(der))
}

impl Row {
    /// A certificate and its chain in the fields of a proxy.
    fn certificate(self, leaf: &[u8], chain: &[&[u8]]) -> Self {
        let row = self
            .header("Client-Cert", item(leaf))
            .secret(&STANDARD.encode(leaf));
        if chain.is_empty() {
            return row;
        }
        let chain: Vec<String> = chain.iter().map(|der| item(der)).collect();
        row.header("Client-Cert-Chain", chain.join(", "))
    }
}

#[tokio::test]
async fn no_attack_with_a_certificate_gets_in_and_each_leaves_one_trace() {
    let trust = Trust::new();
    let mut place = Place::new().await;
    trust.install(&mut place, "");
    let (_, other_key) = place.key(EBEVIS, AGENCY).await;
    let bench = Bench::of(place).await;
    let token = bench.place.sandbox.token(EBEVIS.scope, AGENCY).await;
    let mut all = paths(&bench.key, &trust);
    all.extend(purposes(&bench.key, &trust));
    all.extend(subjects(&bench.key, &trust));
    all.extend(fields(&bench.key, &trust));
    let good = trust.issuing.issue(&Content::good());
    let with =
        |what: &str, outcome| Row::new(what, outcome).certificate(&good, &[&trust.issuing.der]);
    all.push(with("another organisation's key", OTHER_OWNER).key(&other_key));
    all.push(
        with("another organisation's token", OTHER_OWNER)
            .key(&bench.key)
            .bearer(&token),
    );
    let no_key = Outcome::Refused(401, 1023, "send your API key");
    all.push(with("no key", no_key));
    println!("{} attacks with certificates", all.len());
    bench.hold(all).await;
}

/// Who vouches for it, and until when.
fn paths(key: &str, trust: &Trust) -> Vec<Row> {
    let Trust {
        root,
        issuing,
        listless,
    } = trust;
    let good = Content::good();
    let at = |from: i64, until: i64| Content {
        valid: (from * DAY_S, until * DAY_S),
        ..good.clone()
    };
    let other = Authority::root("Another Root", 40);
    let namesake = Authority::root("Example Root", 41);
    let look_alike = namesake.below("Example Issuing", 42);
    let by_leaf = Authority::with(&good, issuing.issue(&good));
    let revoked = Content {
        serial: REVOKED,
        ..good.clone()
    };
    let own = Authority::self_signed(&good).der;
    let row = |what: &str, outcome, leaf: &[u8], chain: &[&[u8]]| {
        Row::new(what, outcome).key(key).certificate(leaf, chain)
    };
    let mut chain = vec![root.below("Level 0", 100)];
    for level in 1..MANY {
        let next = chain
            .last()
            .unwrap()
            .below(&format!("Level {level}"), 100 + level);
        chain.push(next);
    }
    let deep = chain.last().unwrap().issue(&good);
    let chain: Vec<&[u8]> = chain.iter().rev().map(|one| one.der.as_slice()).collect();
    vec![
        row(
            "a good one",
            Outcome::Taken,
            &issuing.issue(&good),
            &[&issuing.der],
        ),
        row(
            "with its root",
            Outcome::Taken,
            &issuing.issue(&good),
            &[&issuing.der, &root.der],
        ),
        row(
            "expired",
            EXPIRED,
            &issuing.issue(&at(-30, -1)),
            &[&issuing.der],
        ),
        row(
            "not yet valid",
            TOO_EARLY,
            &issuing.issue(&at(1, 30)),
            &[&issuing.der],
        ),
        row(
            "of another root",
            NO_PATH,
            &other.issue(&good),
            &[&other.der],
        ),
        row(
            "of a root of the same name",
            MISSIGNED,
            &namesake.issue(&good),
            &[&namesake.der],
        ),
        row(
            "of an authority of the same name",
            MISSIGNED,
            &look_alike.issue(&good),
            &[&issuing.der],
        ),
        row(
            "of such an authority, which is sent",
            MISSIGNED,
            &look_alike.issue(&good),
            &[&look_alike.der],
        ),
        row("self-signed", NO_PATH, &own, &[]),
        row(
            "issued by a client",
            NO_PATH,
            &by_leaf.issue(&good),
            &[&by_leaf.der, &issuing.der],
        ),
        row(
            "without its intermediate",
            NO_PATH,
            &issuing.issue(&good),
            &[],
        ),
        row("20 intermediates", UNREADABLE, &deep, &chain),
        row("4 of 20 intermediates", NO_PATH, &deep, &chain[..4]),
        row(
            "revoked",
            TAKEN_BACK,
            &issuing.issue(&revoked),
            &[&issuing.der],
        ),
        row(
            "nobody says whether it was revoked",
            UNTOLD,
            &listless.issue(&good),
            &[&listless.der],
        ),
    ]
}

/// What it is for.
fn purposes(key: &str, trust: &Trust) -> Vec<Row> {
    let row = |what: &str, outcome, change: fn(&mut Content)| {
        let mut content = Content::good();
        change(&mut content);
        let leaf = trust.issuing.issue(&content);
        Row::new(what, outcome)
            .key(key)
            .certificate(&leaf, &[&trust.issuing.der])
    };
    vec![
        row("for signing documents only", PURPOSE, |one| {
            one.key_usage = [6, 0x40];
        }),
        row("for encryption only", PURPOSE, |one| {
            one.key_usage = [3, 0x38];
        }),
        row("for servers only", NOT_FOR_CLIENTS, |one| {
            one.extended = Some(SERVER_AUTH);
        }),
        row("without an extended usage", Outcome::Taken, |one| {
            one.extended = None;
        }),
        row("an authority's", bad("authority"), |one| one.ca = true),
    ]
}

/// Whom it names.
fn subjects(key: &str, trust: &Trust) -> Vec<Row> {
    const NAME: &[Attribute<'static>] = &[(COMMON_NAME, "Etaten")];
    const GOOD: &[Attribute<'static>] = &[(ID, "NTRNO-991825827")];
    let row = |what: &str, outcome, subject: &[&[Attribute<'_>]]| {
        let leaf = trust.issuing.issue(&Content::of(subject));
        Row::new(what, outcome)
            .key(key)
            .certificate(&leaf, &[&trust.issuing.der])
    };
    let identified = |what: &str, id: &str| row(what, NOT_NTRNO, &[NAME, &[(ID, id)]]);
    let differ = bad("serialNumber differ");
    let several = bad("several values");
    vec![
        row(
            "a Buypass person",
            PERSON,
            &[NAME, &[(SN, "9578-4050-100")]],
        ),
        row(
            "a Commfides person",
            PERSON,
            &[NAME, &[(SN, "UN:NO-9578-4050-1")]],
        ),
        row(
            "two organizationIdentifiers",
            bad("two organizationIdentifier"),
            &[GOOD, &[(ID, "NTRNO-974760673")]],
        ),
        row(
            "numbers of v1 and v2 differ",
            differ,
            &[GOOD, &[(SN, "974760673")]],
        ),
        row(
            "numbers of v1 and v2 agree",
            Outcome::Taken,
            &[GOOD, &[(SN, OWNER)]],
        ),
        row(
            "smuggled in O",
            NO_NUMBER,
            &[NAME, &[(ORGANIZATION, "X, SERIALNUMBER=991825827")]],
        ),
        row(
            "smuggled in CN",
            NO_NUMBER,
            &[&[(COMMON_NAME, "X,2.5.4.97=NTRNO-991825827,C=NO")]],
        ),
        row(
            "in a part with several values",
            several,
            &[&[(COMMON_NAME, "Etaten"), (ID, "NTRNO-991825827")]],
        ),
        identified("full-width digits", "NTRNO-\u{ff19}\u{ff19}\u{ff11}825827"),
        identified("a NUL behind", "NTRNO-991825827\0"),
        identified("a NUL inside", "NTRNO-99182\u{0}5827"),
        identified("another register", "NTRSE-991825827"),
        identified("8 digits", "NTRNO-99182582"),
        identified("10 digits", "NTRNO-9918258270"),
        identified("lower case", "ntrno-991825827"),
        row(
            "a wrong control digit",
            bad("wrong control digit"),
            &[NAME, &[(ID, "NTRNO-500000003")]],
        ),
    ]
}

/// How a proxy passes it on.
fn fields(key: &str, trust: &Trust) -> Vec<Row> {
    let leaf = trust.issuing.issue(&Content::good());
    let text = STANDARD.encode(&leaf);
    let row = |what: &str, outcome| Row::new(what, outcome).key(key).secret(&text);
    let with = |what: &str, value: String| row(what, UNREADABLE).header("Client-Cert", value);
    vec![
        with("twice", item(&leaf)).header("Client-Cert", item(&leaf)),
        with(
            "two in one field",
            format!("{}, {}", item(&leaf), item(&leaf)),
        ),
        with("bare base64", text.clone()),
        with("PEM, percent-encoded", pem(&leaf).replace('\n', "%0A")),
        with("no certificate", ":AAAA:".to_owned()),
        with("a parameter", format!("{};a=1", item(&leaf))),
        row("a chain without its leaf", UNREADABLE).header("Client-Cert-Chain", item(&leaf)),
        row("under another name", NO_PROOF).header("X-SSL-Cert", item(&leaf)),
        row("none", NO_PROOF),
    ]
}

/// Over TLS that the node ends itself, from an address that is nobody's proxy.
#[tokio::test]
async fn over_tls_it_is_the_certificate_of_the_connection_that_counts() {
    let trust = Trust::new();
    let mut place = Place::new().await;
    let server_key = key(50);
    let server = Content {
        here: true,
        extended: Some(SERVER_AUTH),
        key: server_key.clone(),
        ..Content::of(&[&[(COMMON_NAME, "server")]])
    };
    place
        .scratch
        .write("server.pem", pem(&trust.root.issue(&server)));
    let server_key = server_key.to_pkcs8_pem(LineEnding::LF).unwrap();
    place.scratch.write("server.key", server_key.as_bytes());
    trust.install(
        &mut place,
        "certificate = \"server.pem\"\nkey = { file = \"server.key\" }",
    );
    let (_, key) = place.key(EBEVIS, OWNER).await;
    let node = place.node().await;
    let bench = Bench { place, node, key };

    let good = Content::good();
    let leaf = trust.issuing.issue(&good);
    let expired = Content {
        valid: (-30 * DAY_S, -DAY_S),
        ..good.clone()
    };
    let own = Authority::self_signed(&good);
    let revoked = Content {
        serial: REVOKED,
        ..good.clone()
    };
    let chained = |content: &Content| vec![trust.issuing.issue(content), trust.issuing.der.clone()];
    let mut asked = Vec::new();
    for (what, outcome, chain) in [
        ("good", Outcome::Taken, chained(&good)),
        ("expired", EXPIRED, chained(&expired)),
        ("revoked", TAKEN_BACK, chained(&revoked)),
        ("self-signed", NO_PATH, vec![own.der]),
        ("none", NO_PROOF, Vec::new()),
    ] {
        let row = Row::new(what, outcome).key(&bench.key);
        asked.push(ask_over_tls(&bench, &trust, row, chain).await);
    }
    let row = Row::new("none, and a good one in a field", NO_PROOF).key(&bench.key);
    let row = row.certificate(&leaf, &[&trust.issuing.der]);
    asked.push(ask_over_tls(&bench, &trust, row, Vec::new()).await);
    let row = Row::new("an expired one, and a good one in a field", EXPIRED).key(&bench.key);
    let row = row.certificate(&leaf, &[&trust.issuing.der]);
    asked.push(ask_over_tls(&bench, &trust, row, chained(&expired)).await);
    bench.judge(asked).await;
}

/// Sends a row over a connection with this certificate and chain; the key is that of [`Content::good`].
async fn ask_over_tls(bench: &Bench, trust: &Trust, row: Row, chain: Vec<Vec<u8>>) -> Asked {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from(trust.root.der.clone()))
        .unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots);
    let mut row = row;
    let config = if chain.is_empty() {
        config.with_no_client_auth()
    } else {
        for der in &chain {
            row = row.secret(&STANDARD.encode(der));
        }
        let own = Content::good().key.to_pkcs8_der().unwrap();
        let own = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own.as_bytes().to_vec()));
        let chain = chain.into_iter().map(CertificateDer::from).collect();
        config.with_client_auth_cert(chain, own).unwrap()
    };
    let stream = TcpStream::connect(&bench.node.address).await.unwrap();
    let name = "127.0.0.1".try_into().unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(name, stream).await.unwrap();
    // What a forwarding field says is nobody's word here.
    let head = row.head("10.1.1.1");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    // It may close without a goodbye; what it said before counts.
    stream.read_to_end(&mut said).await.ok();
    let answer = Answer::read(&row.what, &said);
    Asked {
        row,
        address: "127.0.0.1".to_owned(),
        answer,
    }
}
