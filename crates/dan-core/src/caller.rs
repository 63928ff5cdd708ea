//! [`Caller`]: who asks, joined from the proofs that separate authenticators found.

use std::sync::Arc;

use crate::error::{Code, Fault};
use crate::party::OrgNumber;
use crate::secret::Secret;

/// One thing a request proves about its sender.
#[derive(Debug)]
pub enum Proof {
    /// An API key that is in force.
    Key {
        /// Public identifier of the key, for logs and limits.
        id: String,
        /// Identifier of the service context the key was issued for.
        context_id: String,
        /// The organisation the key is bound to; `None` for keys bound to nobody.
        org: Option<OrgNumber>,
    },
    /// A bearer token of a configured issuer.
    Token {
        /// The `consumer` organisation.
        org: OrgNumber,
        /// The `supplier` that acts for the consumer, if any.
        supplier: Option<OrgNumber>,
        /// Whole-word scopes.
        scopes: Vec<String>,
        /// The token itself, for sources that are asked with it.
        token: Arc<Secret>,
    },
    /// An enterprise certificate.
    Certificate {
        /// The organisation in its subject.
        org: OrgNumber,
    },
}

/// An authenticated consumer. Only [`Caller::join`] makes one.
#[derive(Clone, Debug)]
pub struct Caller {
    key_id: String,
    context_id: String,
    owner: OrgNumber,
    supplier: Option<OrgNumber>,
    scopes: Vec<String>,
    token: Option<Arc<Secret>>,
}

impl Caller {
    /// Joins proofs into one caller: a key, and a token or a certificate, all of one organisation
    /// (`contracts.md` §5).
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
                Proof::Key {
                    id,
                    context_id,
                    org,
                } => key = Some((id, context_id, org)),
                Proof::Token {
                    org,
                    supplier,
                    scopes,
                    token,
                } => {
                    bearer = Some((org, supplier, scopes, token));
                }
                Proof::Certificate { org } => certificate = Some(org),
            }
        }
        let Some((key_id, context_id, bound)) = key else {
            return Err(Fault::with(
                Code::MissingAuthentication,
                "send your API key in the header Ocp-Apim-Subscription-Key",
            ));
        };
        let Some(owner) = bearer.as_ref().map(|b| b.0).or(certificate) else {
            return Err(Fault::with(
                Code::MissingAuthentication,
                "send a bearer token in the header Authorization",
            ));
        };
        if [bound, certificate]
            .into_iter()
            .flatten()
            .any(|org| org != owner)
        {
            return Err(Fault::with(
                Code::AuthorizationFailed,
                "API key, token and certificate must name the same organisation",
            ));
        }
        let (supplier, scopes, token) = match bearer {
            Some((_, supplier, scopes, token)) => {
                if !scopes.iter().any(|scope| opens_the_door(scope)) {
                    return Err(Fault::with(
                        Code::AuthorizationFailed,
                        "the token needs a scope altinn:dataaltinnno, altinn:dataaltinnno/… or dan:…",
                    ));
                }
                (supplier, scopes, Some(token))
            }
            None => (None, Vec::new(), None),
        };
        Ok(Self {
            key_id,
            context_id,
            owner,
            supplier,
            scopes,
            token,
        })
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

    /// Scopes of the token; empty for a caller with a certificate only.
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
        Proof::Key {
            id: "k".to_owned(),
            context_id: "ebevis-product".to_owned(),
            org: org.and_then(OrgNumber::parse),
        }
    }

    fn token(org: &str, scope: &str) -> Proof {
        Proof::Token {
            org: OrgNumber::parse(org).unwrap(),
            supplier: None,
            scopes: vec![scope.to_owned()],
            token: Arc::new(Secret::new("t".to_owned())),
        }
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
