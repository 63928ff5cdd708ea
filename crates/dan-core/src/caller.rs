//! [`Caller`]: who asks, joined from the proofs that separate authenticators found.

use std::sync::Arc;

use crate::error::{Code, Fault};
use crate::party::{OrgNumber, Party, PersonNumber};
use crate::secret::Secret;

/// One thing a request proves about its sender.
#[derive(Debug)]
pub enum Proof {
    /// An API key that is in force.
    Key(KeyProof),
    /// A bearer token of a configured issuer.
    Token(TokenProof),
    /// An enterprise certificate.
    Certificate {
        /// The organisation in its subject.
        org: OrgNumber,
    },
}

/// What an API key says about who presents it.
#[derive(Debug)]
pub struct KeyProof {
    /// Public identifier of the key, for logs and limits.
    pub id: String,
    /// Identifier of the service context the key was issued for.
    pub context_id: String,
    /// The organisation the key is bound to; `None` for keys bound to nobody.
    pub org: Option<OrgNumber>,
    /// What the operator lets its holder do who comes with a certificate and has no token to say so. Never added to
    /// the scopes of a token.
    pub scopes: Vec<String>,
    /// How much its holder may ask.
    pub allowance: Allowance,
}

impl KeyProof {
    /// A key with the node's usual limits and no scopes of its own.
    #[must_use]
    pub fn new(id: String, context_id: String, org: Option<OrgNumber>) -> Self {
        Self {
            id,
            context_id,
            org,
            scopes: Vec::new(),
            allowance: Allowance::default(),
        }
    }
}

/// How much the holder of one key may ask; `None` means what the node allows everybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Requests a second, in the long run; at least 1.
    pub per_second: Option<u32>,
    /// Requests a day (UTC); at least 1.
    pub per_day: Option<u32>,
}

/// What a verified token says about who presents it.
#[derive(Debug)]
pub struct TokenProof {
    /// The organisation it stands for: the `consumer`, or who owns the system user.
    pub org: OrgNumber,
    /// Who acts for that organisation, if any: the `supplier`, or the vendor of the system.
    pub supplier: Option<OrgNumber>,
    /// The person it was issued for (`pid`); such a token is good for nobody else's data.
    pub person: Option<PersonNumber>,
    /// Identifier of the Altinn system user that it was issued for: a UUID in text form.
    pub system_user: Option<String>,
    /// Whole-word scopes.
    pub scopes: Vec<String>,
    /// The token itself, for sources that are asked with it.
    pub token: Arc<Secret>,
}

impl TokenProof {
    /// A token of an organisation that acts for itself.
    #[must_use]
    pub const fn new(org: OrgNumber, scopes: Vec<String>, token: Arc<Secret>) -> Self {
        Self {
            org,
            supplier: None,
            person: None,
            system_user: None,
            scopes,
            token,
        }
    }
}

/// An authenticated consumer. Only [`Caller::join`] makes one.
#[derive(Clone, Debug)]
pub struct Caller {
    key_id: String,
    context_id: String,
    allowance: Allowance,
    owner: OrgNumber,
    supplier: Option<OrgNumber>,
    person: Option<PersonNumber>,
    system_user: Option<String>,
    scopes: Vec<String>,
    token: Option<Arc<Secret>>,
}

impl Caller {
    /// Joins proofs into one caller: a key, and a token or a certificate, all of one organisation
    /// (`contracts.md` §5). Scopes are those of the token; without a token, those that the operator gave the key.
    ///
    /// # Errors
    /// 1023 when the key, or both token and certificate, are missing; 1019 when two proofs name
    /// different organisations, or the token has no scope that opens the door.
    pub fn join(proofs: Vec<Proof>) -> Result<Self, Fault> {
        let mut key = None;
        let mut bearer = None;
        let mut certificate = None;
        for proof in proofs {
            match proof {
                Proof::Key(proof) => key = Some(proof),
                Proof::Token(proof) => bearer = Some(proof),
                Proof::Certificate { org } => certificate = Some(org),
            }
        }
        let Some(key) = key else {
            return Err(Fault::with(
                Code::MissingAuthentication,
                "send your API key in the header Ocp-Apim-Subscription-Key",
            ));
        };
        let Some(owner) = bearer.as_ref().map(|token| token.org).or(certificate) else {
            return Err(Fault::with(
                Code::MissingAuthentication,
                "send a bearer token in the header Authorization, or connect with an enterprise certificate",
            ));
        };
        if [key.org, certificate]
            .into_iter()
            .flatten()
            .any(|org| org != owner)
        {
            return Err(Fault::with(
                Code::AuthorizationFailed,
                "API key, token and certificate must name the same organisation",
            )
            .because(differing(&key, bearer.as_ref(), certificate)));
        }
        let proof = match bearer {
            Some(proof) => {
                if !proof.scopes.iter().any(|scope| opens_the_door(scope)) {
                    return Err(Fault::with(
                        Code::AuthorizationFailed,
                        "the token needs a scope altinn:dataaltinnno, altinn:dataaltinnno/… or dan:…",
                    ));
                }
                Some(proof)
            }
            None => None,
        };
        let certified = Self {
            key_id: key.id,
            context_id: key.context_id,
            allowance: key.allowance,
            owner,
            supplier: None,
            person: None,
            system_user: None,
            scopes: key.scopes,
            token: None,
        };
        Ok(match proof {
            None => certified,
            Some(proof) => Self {
                supplier: proof.supplier,
                person: proof.person,
                system_user: proof.system_user,
                scopes: proof.scopes,
                token: Some(proof.token),
                ..certified
            },
        })
    }

    /// Whether this caller may ask about `subject` at all: a token that was issued for a person is good for that
    /// person's own data and for nothing else.
    ///
    /// # Errors
    /// 1019 when the token stands for somebody else, or there is no subject.
    pub fn check_subject(&self, subject: Option<&Party>) -> Result<(), Fault> {
        match (&self.person, subject) {
            (None, _) => Ok(()),
            (Some(person), Some(Party::Person(subject))) if person == subject => Ok(()),
            (Some(_), _) => Err(Fault::with(
                Code::AuthorizationFailed,
                "the token was issued for a person (pid), who must be the subject",
            )),
        }
    }

    /// Refuses a caller whose token stands for one person, where the answer would be about many subjects.
    ///
    /// # Errors
    /// 1019 when the token was issued for a person.
    pub fn check_not_for_one_person(&self) -> Result<(), Fault> {
        match self.person {
            None => Ok(()),
            Some(_) => Err(Fault::with(
                Code::AuthorizationFailed,
                "the token was issued for a person (pid); ask with a token of the organisation",
            )),
        }
    }

    /// Public identifier of the API key.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Identifier of the service context the key belongs to, for instance `ebevis-product`.
    #[must_use]
    pub fn context_id(&self) -> &str {
        &self.context_id
    }

    /// How much the key's holder may ask.
    #[must_use]
    pub const fn allowance(&self) -> Allowance {
        self.allowance
    }

    /// The organisation that owns what is created.
    #[must_use]
    pub const fn owner(&self) -> OrgNumber {
        self.owner
    }

    /// Who acts for the owner, if the token was delegated.
    #[must_use]
    pub const fn supplier(&self) -> Option<OrgNumber> {
        self.supplier
    }

    /// The system user that the token was issued for.
    #[must_use]
    pub fn system_user(&self) -> Option<&str> {
        self.system_user.as_deref()
    }

    /// Scopes of the token; of the key for a caller with a certificate only.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// The token it came with.
    #[must_use]
    pub fn token(&self) -> Option<&Arc<Secret>> {
        self.token.as_ref()
    }
}

/// For the log: which key is used by whom. Holds public identifiers only.
fn differing(key: &KeyProof, token: Option<&TokenProof>, certificate: Option<OrgNumber>) -> String {
    let shown =
        |org: Option<OrgNumber>| org.map_or_else(|| "none".to_owned(), |org| org.to_string());
    format!(
        "different organisations: key {} of {}, token {}, certificate {}",
        key.id,
        shown(key.org),
        shown(token.map(|token| token.org)),
        shown(certificate)
    )
}

/// Whole words with a boundary, not a bare prefix: `altinn:dataaltinnnoXYZ` does not open
/// (`contracts.md` §5, `engine.md` W-19).
fn opens_the_door(scope: &str) -> bool {
    scope == "altinn:dataaltinnno"
        || scope.starts_with("altinn:dataaltinnno/")
        || scope.starts_with("dan:")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: &str = "991825827";
    const OTHER: &str = "974760673";

    fn key(org: Option<&str>) -> Proof {
        Proof::Key(KeyProof {
            scopes: vec!["altinn:dataaltinnno/key".to_owned()],
            ..KeyProof::new(
                "k".to_owned(),
                "ebevis-product".to_owned(),
                org.and_then(OrgNumber::parse),
            )
        })
    }

    fn token(org: &str, scope: &str) -> Proof {
        Proof::Token(TokenProof::new(
            OrgNumber::parse(org).unwrap(),
            vec![scope.to_owned()],
            Arc::new(Secret::new("t".to_owned())),
        ))
    }

    fn delegated(owner: &str, supplier: &str) -> Proof {
        let Proof::Token(proof) = token(owner, "dan:test") else {
            unreachable!("token() makes tokens")
        };
        Proof::Token(TokenProof {
            supplier: OrgNumber::parse(supplier),
            ..proof
        })
    }

    fn certificate(org: &str) -> Proof {
        Proof::Certificate {
            org: OrgNumber::parse(org).unwrap(),
        }
    }

    #[test]
    fn keys_and_certificates_are_the_consumers_also_when_a_supplier_acts() {
        let caller = Caller::join(vec![
            key(Some(OWNER)),
            delegated(OWNER, OTHER),
            certificate(OWNER),
        ])
        .unwrap();
        assert_eq!(caller.owner().as_str(), OWNER);
        assert_eq!(caller.supplier(), OrgNumber::parse(OTHER));
        for proofs in [
            vec![key(None), delegated(OWNER, OTHER), certificate(OTHER)],
            vec![key(Some(OTHER)), delegated(OWNER, OTHER)],
            vec![key(Some(OWNER)), delegated(OTHER, OWNER)],
        ] {
            assert_eq!(code(proofs), Some(Code::AuthorizationFailed));
        }
    }

    #[test]
    fn a_token_of_a_person_is_good_for_that_person_only() {
        let person = |number| PersonNumber::parse(number).unwrap();
        let Proof::Token(proof) = token(OWNER, "dan:test") else {
            unreachable!("token() makes tokens")
        };
        let proof = Proof::Token(TokenProof {
            person: Some(person("07056120453")),
            ..proof
        });
        let caller = Caller::join(vec![key(None), proof]).unwrap();
        let own = Party::Person(person("07056120453"));
        assert!(caller.check_subject(Some(&own)).is_ok());
        let others = [
            Some(Party::Person(person("03065001488"))),
            Some(Party::Organisation(OrgNumber::parse(OWNER).unwrap())),
            Some(Party::Custom("07056120453".to_owned())),
            None,
        ];
        for subject in others {
            let refused = caller.check_subject(subject.as_ref()).unwrap_err();
            assert_eq!(refused.code, Code::AuthorizationFailed);
            assert!(!refused.description().contains("0705612"));
        }
        assert!(caller.check_not_for_one_person().is_err());
        assert!(!format!("{caller:?}").contains("0705612"));
        let organisation = Caller::join(vec![key(None), token(OWNER, "dan:test")]).unwrap();
        assert!(organisation.check_subject(None).is_ok());
        assert!(organisation.check_not_for_one_person().is_ok());
    }

    fn code(proofs: Vec<Proof>) -> Option<Code> {
        Caller::join(proofs).err().map(|fault| fault.code)
    }

    #[test]
    fn a_key_and_a_token_make_a_caller() {
        let caller = Caller::join(vec![
            key(Some(OWNER)),
            token(OWNER, "altinn:dataaltinnno/x"),
        ]);
        assert_eq!(caller.unwrap().owner().as_str(), OWNER);
    }

    #[test]
    fn who_uses_the_key_of_another_is_told_in_the_log() {
        let certificate = Proof::Certificate {
            org: OrgNumber::parse(OTHER).unwrap(),
        };
        let fault = Caller::join(vec![key(Some(OWNER)), certificate]).unwrap_err();
        let cause = fault.cause.unwrap();
        for word in ["key k of 991825827", "token none", "certificate 974760673"] {
            assert!(cause.contains(word), "{cause}");
        }
    }

    #[test]
    fn scopes_of_a_key_count_with_a_certificate_and_never_with_a_token() {
        let certificate = Proof::Certificate {
            org: OrgNumber::parse(OWNER).unwrap(),
        };
        let caller = Caller::join(vec![key(None), certificate]).unwrap();
        assert_eq!(caller.owner().as_str(), OWNER);
        assert_eq!(caller.scopes(), ["altinn:dataaltinnno/key"]);
        assert!(caller.token().is_none());
        let certificate = Proof::Certificate {
            org: OrgNumber::parse(OWNER).unwrap(),
        };
        let both = vec![key(None), token(OWNER, "dan:token"), certificate];
        assert_eq!(Caller::join(both).unwrap().scopes(), ["dan:token"]);
    }

    #[test]
    fn what_is_missing_or_differs_is_refused() {
        let good = "altinn:dataaltinnno";
        let certificate = || Proof::Certificate {
            org: OrgNumber::parse(OTHER).unwrap(),
        };
        for (proofs, expected) in [
            (vec![], Code::MissingAuthentication),
            (vec![key(None)], Code::MissingAuthentication),
            (vec![token(OWNER, good)], Code::MissingAuthentication),
            (
                vec![key(Some(OTHER)), token(OWNER, good)],
                Code::AuthorizationFailed,
            ),
            (
                vec![key(None), token(OWNER, good), certificate()],
                Code::AuthorizationFailed,
            ),
            (
                vec![key(Some(OWNER)), certificate()],
                Code::AuthorizationFailed,
            ),
            (
                vec![key(None), token(OWNER, "altinn:dataaltinnnoX")],
                Code::AuthorizationFailed,
            ),
            (
                vec![key(None), token(OWNER, "xaltinn:dataaltinnno")],
                Code::AuthorizationFailed,
            ),
            (vec![key(None), token(OWNER, "")], Code::AuthorizationFailed),
        ] {
            assert_eq!(code(proofs), Some(expected));
        }
    }

    #[test]
    fn scopes_open_at_a_boundary_only_w19() {
        for scope in [
            "altinn:dataaltinnno",
            "altinn:dataaltinnno/null",
            "dan:test",
        ] {
            assert!(opens_the_door(scope), "{scope}");
        }
        for scope in ["altinn:dataaltinnnoXYZ", "dan", "DAN:x", "altinn:data"] {
            assert!(!opens_the_door(scope), "{scope}");
        }
    }
}
