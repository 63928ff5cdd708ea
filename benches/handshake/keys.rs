//! The certificates of a measurement: one server, and a client of each kind, with a chain of three as Norwegian
//! enterprise certificates have.

use std::path::Path;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, SerialNumber, SignatureAlgorithm, date_time_ymd,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What stands behind the country and the register in an enterprise certificate.
const ORGANISATION: &str = "NTRNO-991825827";
const ORGANIZATION_IDENTIFIER: [u64; 4] = [2, 5, 4, 97];
/// Files that hold a revocation list each.
pub const LISTS: usize = 4;

/// A client: what it presents, and its key.
pub struct Client {
    pub name: &'static str,
    pub chain: Vec<CertificateDer<'static>>,
    key: String,
}

impl Client {
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("our own key")
    }
}

/// Everything; the files of the server are in the folder.
pub struct Keys {
    pub clients: Vec<Client>,
    /// What clients check the server against.
    pub server: CertificateDer<'static>,
}

struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str, kind: &'static SignatureAlgorithm, above: Option<&Self>) -> Self {
        let key = KeyPair::generate_for(kind).expect("a key");
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, name.to_owned());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2090, 1, 1);
        params.use_authority_key_identifier_extension = above.is_some();
        let certificate = match above {
            Some(above) => params.signed_by(&key, &above.issuer),
            None => params.self_signed(&key),
        };
        Self {
            certificate: certificate.expect("an authority"),
            issuer: Issuer::new(params, key),
        }
    }

    /// A revocation list without an entry.
    fn list(&self) -> Vec<u8> {
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 2),
            next_update: date_time_ymd(2089, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).expect("a list");
        list.der().to_vec()
    }
}

fn client(name: &'static str, kind: &'static SignatureAlgorithm, below: &Authority) -> Client {
    let key = KeyPair::generate_for(kind).expect("a key");
    let mut params = CertificateParams::default();
    let subject = &mut params.distinguished_name;
    subject.push(DnType::CommonName, "An agency");
    let organisation = DnType::CustomDnType(ORGANIZATION_IDENTIFIER.to_vec());
    subject.push(organisation, ORGANISATION);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2089, 1, 1);
    let leaf = params
        .signed_by(&key, &below.issuer)
        .expect("a certificate");
    Client {
        name,
        chain: vec![leaf.der().clone(), below.certificate.der().clone()],
        key: key.serialize_pem(),
    }
}

/// Makes all of them, and the files that servers read: `server.pem`, `server.key`, `roots.pem` and `0.crl` and on.
pub fn make(folder: &Path) -> Keys {
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.join(name), bytes).expect("a folder to write in");
    };
    let server = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a server");
    write("server.pem", server.cert.pem().as_bytes());
    write("server.key", server.signing_key.serialize_pem().as_bytes());
    let mut roots = String::new();
    let mut clients = Vec::new();
    let mut lists = Vec::new();
    let kinds = [
        ("P-256", &PKCS_ECDSA_P256_SHA256),
        ("RSA-2048", &PKCS_RSA_SHA256),
    ];
    for (name, kind) in kinds {
        let root = Authority::new(&format!("root {name}"), kind, None);
        let middle = Authority::new(&format!("issuer {name}"), kind, Some(&root));
        roots.push_str(&root.certificate.pem());
        clients.push(client(name, kind, &middle));
        lists.extend([root.list(), middle.list()]);
    }
    write("roots.pem", roots.as_bytes());
    assert_eq!(lists.len(), LISTS);
    for (place, list) in lists.iter().enumerate() {
        write(&format!("{place}.crl"), list);
    }
    Keys {
        clients,
        server: server.cert.der().clone(),
    }
}
