//! Hides what identifies a person: encryption for what is kept, a keyed index for what is compared.
//!
//! Two keys are derived from the node's subject key (HMAC-SHA-256 with a label each), so that the
//! index says nothing about what is sealed.
//!
//! A sealed text is base64 of `1 ‖ salt (16) ‖ nonce (12) ‖ ciphertext ‖ tag (16)`: AES-256-GCM
//! under a key of its own, which is HMAC-SHA-256 of the salt. With one key for everything, random
//! nonces would have to end after 2^32 records (NIST SP 800-38D §8.3); a busy node gets there.
//! The associated data names the kind of record, the field and the record's identifier: a sealed
//! text that is moved to another row does not open.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::{
    STANDARD_NO_PAD, STANDARD_PAD_INDIFFERENT, URL_SAFE_PAD_INDIFFERENT,
};
use dan_core::secret::Secret;
use zeroize::Zeroizing;

use crate::hex;

/// Length of the subject key in bytes.
pub(crate) const KEY_BYTES: usize = 32;
/// The first byte of everything sealed.
const VERSION: u8 = 1;
const SALT_BYTES: usize = 16;
const TAG_BYTES: usize = 16;

/// Reads a subject key: 64 hexadecimal digits, or base64 of 32 bytes in either alphabet. White
/// space around it, as at the end of a file, is ignored. `None` when it is neither.
pub(crate) fn parse_key(text: &Secret) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let text = text.expose().trim();
    if let Some(bytes) = hex::decode(text) {
        return Some(Zeroizing::new(bytes));
    }
    let bytes = STANDARD_PAD_INDIFFERENT
        .decode(text)
        .or_else(|_other_alphabet| URL_SAFE_PAD_INDIFFERENT.decode(text))
        .map(Zeroizing::new)
        .ok()?;
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    if bytes.len() != key.len() {
        return None;
    }
    key.copy_from_slice(&bytes);
    Some(key)
}

/// Where a sealed text belongs.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    /// Kind of record. No zero bytes.
    pub(crate) kind: &'static str,
    /// Field of the record. No zero bytes.
    pub(crate) field: &'static str,
    /// Identifier of the record.
    pub(crate) id: &'a str,
}

impl Place<'_> {
    fn associated_data(&self) -> String {
        format!("{}\0{}\0{}", self.kind, self.field, self.id)
    }
}

/// It could not be sealed, or does not open: another key, another place, or changed bytes. Which
/// of these cannot be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SealError;

/// Seals, opens and indexes. Prints nothing.
pub(crate) struct Sealer {
    seal: hmac::Key,
    index: hmac::Key,
}

impl Sealer {
    pub(crate) fn new(key: &[u8; KEY_BYTES]) -> Self {
        let master = hmac::Key::new(hmac::HMAC_SHA256, key);
        let derive = |label: &str| {
            let derived = hmac::sign(&master, label.as_bytes());
            hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref())
        };
        Self {
            seal: derive("dan store seal 1"),
            index: derive("dan store index 1"),
        }
    }

    /// A sealer whose key is forgotten with it.
    pub(crate) fn random() -> Result<Self, SealError> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        rand::fill(key.as_mut_slice()).map_err(hidden)?;
        Ok(Self::new(&key))
    }

    /// Encrypts; the same text is another one each time.
    pub(crate) fn seal(&self, place: Place<'_>, plain: &[u8]) -> Result<String, SealError> {
        let mut salt = [0; SALT_BYTES];
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut salt).map_err(hidden)?;
        rand::fill(&mut nonce).map_err(hidden)?;
        // Encrypted in place, in a buffer that need not grow: no copy of the text stays behind.
        let mut text = Zeroizing::new(Vec::with_capacity(plain.len().saturating_add(TAG_BYTES)));
        text.extend_from_slice(plain);
        self.record_key(&salt)?
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(place.associated_data()),
                &mut *text,
            )
            .map_err(hidden)?;
        let mut sealed = vec![VERSION];
        sealed.extend_from_slice(&salt);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&text);
        Ok(STANDARD_NO_PAD.encode(sealed))
    }

    /// Decrypts what [`Sealer::seal`] made for the same place.
    pub(crate) fn open(
        &self,
        place: Place<'_>,
        sealed: &str,
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let bytes = STANDARD_NO_PAD.decode(sealed).map_err(hidden)?;
        let (&version, rest) = bytes.split_first().ok_or(SealError)?;
        let (salt, rest) = rest.split_first_chunk::<SALT_BYTES>().ok_or(SealError)?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>().ok_or(SealError)?;
        if version != VERSION {
            return Err(SealError);
        }
        let mut text = Zeroizing::new(text.to_vec());
        let length = self
            .record_key(salt)?
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(place.associated_data()),
                &mut text,
            )
            .map_err(hidden)?
            .len();
        text.truncate(length);
        Ok(text)
    }

    /// The same for the same text, and worth nothing without the key: HMAC-SHA-256 as base64.
    pub(crate) fn index(&self, text: &str) -> String {
        STANDARD_NO_PAD.encode(hmac::sign(&self.index, text.as_bytes()))
    }

    fn record_key(&self, salt: &[u8; SALT_BYTES]) -> Result<LessSafeKey, SealError> {
        let key = hmac::sign(&self.seal, salt);
        UnboundKey::new(&AES_256_GCM, key.as_ref())
            .map(LessSafeKey::new)
            .map_err(hidden)
    }
}

/// Why it failed is not told, not even to us: that is how an oracle begins.
fn hidden<E>(_cause: E) -> SealError {
    SealError
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'_> = Place {
        kind: "grant",
        field: "subject",
        id: "1",
    };

    fn sealer() -> Sealer {
        Sealer::new(&[7; KEY_BYTES])
    }

    #[test]
    fn what_was_sealed_opens() {
        for plain in [&b""[..], b"07056120453", &[0xFF; 100_000]] {
            let sealed = sealer().seal(PLACE, plain).unwrap();
            assert_eq!(sealer().open(PLACE, &sealed).unwrap().as_slice(), plain);
        }
    }

    #[test]
    fn equal_texts_look_different() {
        let sealer = sealer();
        let one = sealer.seal(PLACE, b"07056120453").unwrap();
        assert_ne!(one, sealer.seal(PLACE, b"07056120453").unwrap());
        assert!(!one.contains("07056120453"));
    }

    #[test]
    fn nothing_opens_elsewhere_or_with_another_key() {
        let sealed = sealer().seal(PLACE, b"07056120453").unwrap();
        for place in [
            Place { id: "2", ..PLACE },
            Place {
                field: "requestor",
                ..PLACE
            },
            Place {
                kind: "audit",
                ..PLACE
            },
        ] {
            assert_eq!(sealer().open(place, &sealed).err(), Some(SealError));
        }
        let other = Sealer::new(&[8; KEY_BYTES]);
        assert_eq!(other.open(PLACE, &sealed).err(), Some(SealError));
    }

    #[test]
    fn a_changed_bit_is_noticed_anywhere() {
        let sealer = sealer();
        let sealed = sealer.seal(PLACE, b"x").unwrap();
        let bytes = STANDARD_NO_PAD.decode(&sealed).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let text = STANDARD_NO_PAD.encode(&changed);
            assert_eq!(sealer.open(PLACE, &text).err(), Some(SealError), "{at}");
            let cut = STANDARD_NO_PAD.encode(&bytes[..at]);
            assert_eq!(sealer.open(PLACE, &cut).err(), Some(SealError), "{at}");
        }
        assert_eq!(sealer.open(PLACE, "no base64!").err(), Some(SealError));
    }

    #[test]
    fn the_index_is_stable_and_keyed() {
        let index = sealer().index("nor-freg::07056120453");
        assert_eq!(index, sealer().index("nor-freg::07056120453"));
        assert_ne!(index, sealer().index("nor-freg::07056120454"));
        assert_ne!(
            index,
            Sealer::new(&[8; KEY_BYTES]).index("nor-freg::07056120453")
        );
    }

    #[test]
    fn keys_are_read_from_hexadecimal_and_base64() {
        let read = |text: &str| parse_key(&Secret::new(text.to_owned())).map(|key| *key);
        assert_eq!(read(&"0f".repeat(32)), Some([0x0F; 32]));
        assert_eq!(read(&format!("  {}\n", "FF".repeat(32))), Some([0xFF; 32]));
        let base64 = "//////////////////////////////////////////8=";
        assert_eq!(read(base64), Some([0xFF; 32]));
        assert_eq!(read(base64.trim_end_matches('=')), Some([0xFF; 32]));
        assert_eq!(read(&base64.replace('/', "_")), Some([0xFF; 32]));
        for wrong in ["", "secret", &"0f".repeat(31), &"0f".repeat(33), "AAAA"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
