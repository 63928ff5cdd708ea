//! API keys: how they look and are made, who takes them ([`ApiKey`]) and who issues them ([`Desk`]).
//!
//! A key is `dan_<id>_<secret>`: 12 and 48 lower-case hex digits. The identifier is public and
//! finds the record; the record has a SHA-256 digest of the whole key, which is enough because the
//! secret is 192 random bits. The digest is compared in constant time, also when there is no
//! record, so that time does not tell which identifiers exist.

mod authenticator;
mod desk;

use dan_core::ports::{ApiKeyRecord, Entropy, KeyGrant};
use dan_core::secret::Secret;
use dan_core::time::Timestamp;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

pub use authenticator::{ApiKey, KEPT_MS};
pub use desk::Desk;

/// What every key begins with, so that scanners of leaked secrets can find it.
pub const PREFIX: &str = "dan_";
/// Hex digits of a key's public identifier.
pub const ID_DIGITS: usize = 12;
/// Hex digits of a key's secret.
pub const SECRET_DIGITS: usize = 48;

/// Makes a key: the record to keep, and the key itself, which is shown once and never kept.
#[must_use]
pub fn mint(entropy: &dyn Entropy, grant: KeyGrant, now: Timestamp) -> (ApiKeyRecord, Secret) {
    let mut id = [0; ID_DIGITS / 2];
    entropy.fill(&mut id);
    let mut secret = Zeroizing::new([0; SECRET_DIGITS / 2]);
    entropy.fill(secret.as_mut());
    let id = hex(&id);
    let hidden = Zeroizing::new(hex(secret.as_ref()));
    let key = Secret::new([PREFIX, &id, "_", &hidden].concat());
    let record = ApiKeyRecord {
        id,
        digest: digest_of(&key),
        context_id: grant.context_id,
        org: grant.org,
        name: grant.name,
        created: now,
        expires: grant.expires,
        scopes: grant.scopes,
        networks: grant.networks,
        allowance: grant.allowance,
        replaces: None,
    };
    (record, key)
}

/// SHA-256 of the whole key, as it is kept in [`ApiKeyRecord::digest`].
#[must_use]
pub fn digest_of(key: &Secret) -> [u8; 32] {
    Sha256::digest(key.expose().as_bytes()).into()
}

/// The public identifier of a key; `None` when the text has not the form of a key.
#[must_use]
pub fn id_of(key: &Secret) -> Option<&str> {
    let (id, secret) = key.expose().strip_prefix(PREFIX)?.split_once('_')?;
    let is_hex = |text: &str, digits| {
        text.len() == digits
            && text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    (is_hex(id, ID_DIGITS) && is_hex(secret, SECRET_DIGITS)).then_some(id)
}

fn hex(bytes: &[u8]) -> String {
    // Filled without growing, so that no copy of a secret is left behind.
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        for nibble in [byte >> 4, byte & 0x0f] {
            text.extend(char::from_digit(u32::from(nibble), 16));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(std::sync::atomic::AtomicU8);

    impl Entropy for Counting {
        fn fill(&self, out: &mut [u8]) {
            for byte in out {
                *byte = self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
        }
    }

    fn minted() -> (ApiKeyRecord, Secret) {
        let grant = KeyGrant {
            context_id: "ebevis-product".to_owned(),
            name: "test".to_owned(),
            ..KeyGrant::default()
        };
        mint(&Counting(0.into()), grant, Timestamp::from_ms(1))
    }

    #[test]
    fn a_minted_key_has_its_form_and_finds_its_record() {
        let (record, key) = minted();
        assert_eq!(
            key.expose(),
            "dan_000102030405_060708090a0b0c0d0e0f101112131415161718191a1b1c1d"
        );
        assert_eq!(id_of(&key), Some(record.id.as_str()));
        assert_eq!(record.digest, digest_of(&key));
        assert_eq!(record.created, Timestamp::from_ms(1));
    }

    #[test]
    fn what_has_not_the_form_of_a_key_has_no_identifier() {
        let (_, key) = minted();
        let good = key.expose();
        for wrong in [
            String::new(),
            "dan_".to_owned(),
            good.to_uppercase(),
            good.replace("dan_", "DAN_"),
            good.replace('_', "-"),
            good.replacen('0', "g", 1),
            good.replacen('0', "\0", 1),
            good.replacen('0', "０", 1),
            format!("{good}0"),
            format!("{good} "),
            format!(" {good}"),
            format!("{good}\n"),
            format!("{good}_00"),
            good.trim_end_matches('d').to_owned(),
            "x".repeat(100_000),
        ] {
            assert_eq!(id_of(&Secret::new(wrong.clone())), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_kept_and_printed_does_not_hold_the_key() {
        let (record, key) = minted();
        let printed = format!("{record:?} {key:?}");
        assert!(!printed.contains("060708"), "{printed}");
    }
}
