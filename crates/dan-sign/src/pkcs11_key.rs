//! [`TokenKey`]: a private key that never leaves its PKCS#11 token. Sessions are kept and used again;
//! one that was lost is opened anew.
//!
//! Signing waits for the token. How many wait at once is limited by `RingSigner`.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use dan_core::ports::SignError;
use dan_core::statement::sha256;
use dan_verify::public_key::{Algorithm, PublicKey};

use crate::DEVICE_SIGNATURES_MAX;
use crate::private_key::{KeyError, PrivateKey};
use crate::token_key::TokenSpec;

/// How many sessions wait to be used again.
const IDLE_SESSIONS_MAX: usize = DEVICE_SIGNATURES_MAX;
/// 1.2.840.10045.3.1.7 as DER: the only value of `CKA_EC_PARAMS` that is taken.
const P256_DER: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// Tag and length of the OCTET STRING around an uncompressed point (PKCS#11 §6.3.3).
const POINT_HEAD: &[u8] = &[0x04, 0x41];

/// A key in a token.
pub(crate) struct TokenKey {
    spec: TokenSpec,
    module: Pkcs11,
    public: PublicKey,
    idle: Mutex<Vec<Line>>,
}

/// A session with the key found in it.
struct Line {
    session: Session,
    key: ObjectHandle,
}

impl TokenKey {
    /// Finds token and key, and reads the public half.
    ///
    /// # Errors
    /// [`KeyError::Token`], or `Unsupported` for a key of another kind.
    pub(crate) fn open(spec: TokenSpec) -> Result<Self, KeyError> {
        let module = Pkcs11::new(&spec.module).map_err(|error| {
            let path = spec.module.display();
            KeyError::Token(format!("cannot load {path}: {error}"))
        })?;
        let line = Line::open(&module, &spec)?;
        let public = line.public_half(&spec)?;
        Ok(Self {
            spec,
            module,
            public,
            idle: Mutex::new(vec![line]),
        })
    }

    fn take(&self) -> Option<Line> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.pop()
    }

    fn put_back(&self, line: Line) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_SESSIONS_MAX {
            idle.push(line);
        }
    }

    /// Sessions that are idle when one is lost are lost as well.
    fn forget_idle(&self) {
        let lost = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *idle)
        };
        // Closing them asks the token, so not while the list is locked.
        drop(lost);
    }

    fn sign_anew(&self, message: &[u8]) -> Result<(Line, Vec<u8>), KeyError> {
        let line = Line::open(&self.module, &self.spec)?;
        let signature = line.sign(self.public.algorithm(), message)?;
        Ok((line, signature))
    }
}

impl PrivateKey for TokenKey {
    fn public(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        if let Some(line) = self.take() {
            if let Ok(signature) = line.sign(self.public.algorithm(), message) {
                self.put_back(line);
                return Ok(signature);
            }
            drop(line);
            self.forget_idle();
        }
        let (line, signature) = self
            .sign_anew(message)
            .map_err(|error| SignError(error.to_string()))?;
        self.put_back(line);
        Ok(signature)
    }

    fn waits(&self) -> bool {
        true
    }
}

impl Line {
    fn open(module: &Pkcs11, spec: &TokenSpec) -> Result<Self, KeyError> {
        match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            // Somebody in this process uses the same module, most likely we.
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(failed(&error)),
        }
        let mut found = None;
        for slot in module.get_slots_with_token().map_err(|e| failed(&e))? {
            // A slot that does not answer is not the one.
            let about = module.get_token_info(slot);
            if about.is_ok_and(|about| about.label().trim_end() == spec.token) {
                found = Some(slot);
                break;
            }
        }
        let slot = found.ok_or_else(|| KeyError::Token(format!("no token {:?}", spec.token)))?;
        let session = module.open_ro_session(slot).map_err(|e| failed(&e))?;
        let pin = AuthPin::new(spec.pin.expose().into());
        match session.login(UserType::User, Some(&pin)) {
            // All sessions of a process with a token are logged in, or none is.
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(error) => return Err(failed(&error)),
        }
        let key = the_one(&session, ObjectClass::PRIVATE_KEY, "private", spec)?;
        Ok(Self { session, key })
    }

    fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature = match algorithm {
            // Few tokens hash for ECDSA. The signature is r and s, one after the other.
            Algorithm::Es256 => self
                .session
                .sign(&Mechanism::Ecdsa, self.key, &sha256(message)),
            Algorithm::Rs256 => self
                .session
                .sign(&Mechanism::Sha256RsaPkcs, self.key, message),
        };
        signature.map_err(|error| failed(&error))
    }

    fn public_half(&self, spec: &TokenSpec) -> Result<PublicKey, KeyError> {
        let half = the_one(&self.session, ObjectClass::PUBLIC_KEY, "public", spec)?;
        let wanted = [
            AttributeType::KeyType,
            AttributeType::EcParams,
            AttributeType::EcPoint,
            AttributeType::Modulus,
            AttributeType::PublicExponent,
        ];
        let found = self.session.get_attributes(half, &wanted);
        read_public(&found.map_err(|error| failed(&error))?)
    }
}

fn read_public(attributes: &[Attribute]) -> Result<PublicKey, KeyError> {
    let mut kind = None;
    let (mut curve, mut point, mut modulus, mut exponent) = (None, None, None, None);
    for attribute in attributes {
        if let Attribute::KeyType(found) = attribute {
            kind = Some(*found);
        } else if let Attribute::EcParams(bytes) = attribute {
            curve = Some(bytes);
        } else if let Attribute::EcPoint(bytes) = attribute {
            point = Some(bytes);
        } else if let Attribute::Modulus(bytes) = attribute {
            modulus = Some(bytes);
        } else if let Attribute::PublicExponent(bytes) = attribute {
            exponent = Some(bytes);
        }
    }
    match kind {
        Some(KeyType::EC) => {
            if curve.is_none_or(|curve| curve != P256_DER) {
                return Err(KeyError::Unsupported(
                    "this is a key of another curve than P-256",
                ));
            }
            let point = point.map(Vec::as_slice).unwrap_or_default();
            let bare = point.strip_prefix(POINT_HEAD).unwrap_or(point);
            PublicKey::from_point(bare).ok_or(KeyError::Damaged)
        }
        Some(KeyType::RSA) => modulus
            .zip(exponent)
            .and_then(|(modulus, exponent)| PublicKey::from_rsa(modulus, exponent))
            .ok_or(KeyError::Rsa),
        Some(_) | None => Err(KeyError::Unsupported(
            "this is neither an EC nor an RSA key",
        )),
    }
}

/// The one object of this class and label.
fn the_one(
    session: &Session,
    class: ObjectClass,
    what: &str,
    spec: &TokenSpec,
) -> Result<ObjectHandle, KeyError> {
    let template = [
        Attribute::Class(class),
        Attribute::Label(spec.label.clone().into_bytes()),
    ];
    let found = session.find_objects(&template).map_err(|e| failed(&e))?;
    match found.as_slice() {
        [one] => Ok(*one),
        others => Err(KeyError::Token(format!(
            "the token {:?} has {} {what} keys with the label {:?}; one is needed",
            spec.token,
            others.len(),
            spec.label
        ))),
    }
}

fn failed(error: &Error) -> KeyError {
    KeyError::Token(if let Error::Pkcs11(value, function) = error {
        format!("{function:?} answers {value:?}")
    } else {
        error.to_string()
    })
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenKey({})", self.public.thumbprint())
    }
}
