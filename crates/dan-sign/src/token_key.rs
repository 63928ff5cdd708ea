//! A key in a PKCS#11 token: which one is meant, and a way to open it in every build.

use std::path::PathBuf;
use std::sync::Arc;

use dan_core::secret::Secret;

use crate::private_key::{KeyError, PrivateKey};

/// Which key of which token.
#[derive(Debug)]
pub struct TokenSpec {
    /// The shared library that reaches the token.
    pub module: PathBuf,
    /// Label of the token.
    pub token: String,
    /// Label (`CKA_LABEL`) of the private key and of its public half in the token.
    pub label: String,
    /// What the user of the token logs in with.
    pub pin: Secret,
}

/// Opens the key. Waits for the token: call it where waiting is allowed.
///
/// # Errors
/// [`KeyError::Token`] when the module, the token or the key is not there, or the PIN is wrong;
/// [`KeyError::TokenUnavailable`] in a build without the feature `pkcs11`.
#[cfg(feature = "pkcs11")]
pub fn open(spec: TokenSpec) -> Result<Arc<dyn PrivateKey>, KeyError> {
    let key = crate::pkcs11_key::TokenKey::open(spec)?;
    Ok(Arc::new(key))
}

/// Opens the key, in a build that can. This one cannot.
///
/// # Errors
/// [`KeyError::TokenUnavailable`].
#[cfg(not(feature = "pkcs11"))]
pub fn open(_spec: TokenSpec) -> Result<Arc<dyn PrivateKey>, KeyError> {
    Err(KeyError::TokenUnavailable)
}
