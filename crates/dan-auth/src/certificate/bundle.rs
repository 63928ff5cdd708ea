//! Files with certificates or revocation lists, as the operator gives them: PEM with several
//! blocks, or one DER object.

use x509_parser::pem::Pem;

use crate::ConfigError;

/// Largest file with certificates or revocation lists, in bytes. The lists of large issuers have a
/// few megabytes.
pub const FILE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// The first byte of every certificate and list in DER: a SEQUENCE.
const DER_SEQUENCE: u8 = 0x30;

/// A file that somebody else has read: this crate opens none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedFile {
    /// Its path or another name, for messages to the operator.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Certificates,
    RevocationLists,
}

impl Content {
    const fn label(self) -> &'static str {
        match self {
            Self::Certificates => "CERTIFICATE",
            Self::RevocationLists => "X509 CRL",
        }
    }

    const fn noun(self) -> &'static str {
        match self {
            Self::Certificates => "certificate",
            Self::RevocationLists => "revocation list",
        }
    }
}

impl NamedFile {
    /// The DER objects in the file, in its order; never none.
    ///
    /// # Errors
    /// [`ConfigError`] that names the file: too large, a damaged block, a block of another kind (a
    /// private key does not belong here), or nothing of the kind at all.
    pub(crate) fn objects(&self, content: Content) -> Result<Vec<Vec<u8>>, ConfigError> {
        let noun = content.noun();
        if self.bytes.len() > FILE_BYTES_MAX {
            return Err(self.wrong(&format!("larger than {FILE_BYTES_MAX} bytes")));
        }
        if self.bytes.first() == Some(&DER_SEQUENCE) {
            return Ok(vec![self.bytes.clone()]);
        }
        let mut found = Vec::new();
        for (at, block) in (1_u32..).zip(Pem::iter_from_buffer(&self.bytes)) {
            let block = block
                .map_err(|error| self.wrong(&format!("PEM block {at} is damaged ({error})")))?;
            if block.label != content.label() {
                let what = format!("PEM block {at} is no {noun}; only {noun}s belong here");
                return Err(self.wrong(&what));
            }
            found.push(block.contents);
        }
        if found.is_empty() {
            return Err(self.wrong(&format!("no {noun} in it, neither PEM nor DER")));
        }
        Ok(found)
    }

    /// A message about this file.
    pub(crate) fn wrong(&self, what: &str) -> ConfigError {
        ConfigError(format!("{}: {what}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<Vec<u8>>, ConfigError> {
        let file = NamedFile {
            name: "tls/roots.pem".to_owned(),
            bytes: bytes.to_vec(),
        };
        file.objects(Content::Certificates)
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_name() {
        for (bytes, why) in [
            (&b""[..], "no certificate in it"),
            (b"just some words\n", "no certificate in it"),
            (b"-----BEGIN CERTIFICATE-----\nMAA=\n", "damaged"),
            (
                b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
                "damaged",
            ),
            (
                b"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n",
                "only certificates belong here",
            ),
            (
                b"-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n",
                "only certificates belong here",
            ),
        ] {
            let said = read(bytes).unwrap_err().0;
            assert!(said.starts_with("tls/roots.pem: "), "{said}");
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn every_block_of_a_file_is_read_and_text_between_them_is_not() {
        let block = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        let text = format!("Root one\n{block}\nRoot two\n{block}");
        assert_eq!(
            read(text.as_bytes()).unwrap(),
            [vec![0x30, 0], vec![0x30, 0]]
        );
        assert_eq!(read(&[0x30, 0]).unwrap(), [[0x30, 0]]);
    }
}
