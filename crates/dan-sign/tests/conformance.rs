//! The suite of the signer port, run on every kind of key. Keys in a token are in `pkcs11.rs`.

#[cfg(test)]
mod bench;

#[cfg(test)]
mod suites {
    use std::sync::Arc;

    use dan_core::ports::SignError;
    use dan_sign::key_ring::{KeySource, KeySpec};
    use dan_sign::private_key::PrivateKey;
    use dan_sign::soft_key::SoftKey;
    use dan_verify::public_key::PublicKey;

    use super::bench::{ALL, bench, soft};

    /// The pure implementation, which a ring would replace with the fast one.
    #[derive(Debug)]
    struct Pure(SoftKey);

    impl PrivateKey for Pure {
        fn public(&self) -> &PublicKey {
            self.0.public()
        }

        fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
            PrivateKey::sign(&self.0, message)
        }
    }

    /// A key that waits, as one in a device does.
    #[derive(Debug)]
    struct Slow(SoftKey);

    impl PrivateKey for Slow {
        fn public(&self) -> &PublicKey {
            self.0.public()
        }

        fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
            PrivateKey::sign(&self.0, message)
        }

        fn waits(&self) -> bool {
            true
        }
    }

    fn held(key: impl PrivateKey + 'static) -> Vec<KeySpec> {
        vec![KeySpec::new(KeySource::Held(Arc::new(key)))]
    }

    dan_core::signer_conformance!(p256, async { (bench(&held(Pure(soft(1))), &ALL), ()) });

    dan_core::signer_conformance!(device, async { (bench(&held(Slow(soft(1))), &ALL), ()) });

    fn pem(seed: u8) -> KeySpec {
        KeySpec::new(soft(seed).to_pem().unwrap())
    }

    // What a node has: with the feature `aws-lc`, the TLS library signs.
    dan_core::signer_conformance!(ring_of_p256, async { (bench(&[pem(1), pem(2)], &ALL), ()) });

    #[cfg(feature = "aws-lc")]
    mod rsa {
        use std::sync::LazyLock;

        use dan_core::ports::EnvelopeFormat;
        use dan_core::secret::Secret;

        use super::*;

        static PEM: LazyLock<String> = LazyLock::new(|| {
            let key = dan_sign::rsa_key::RsaKey::generate().unwrap();
            key.to_pem().unwrap().expose().to_owned()
        });

        fn rsa() -> KeySpec {
            KeySpec {
                kid: Some("rsa".to_owned()),
                ..KeySpec::new(Secret::new(PEM.clone()))
            }
        }

        /// The same with a certificate, which then stands in every header.
        fn certified() -> KeySpec {
            let pair = rcgen::KeyPair::from_pem(&PEM).unwrap();
            let about = rcgen::CertificateParams::new(vec!["dan.example".to_owned()]).unwrap();
            KeySpec {
                certificate: Some(about.self_signed(&pair).unwrap().pem()),
                ..rsa()
            }
        }

        const JWS: [EnvelopeFormat; 2] = [EnvelopeFormat::Jwt, EnvelopeFormat::Jose];

        dan_core::signer_conformance!(alone, async { (bench(&[rsa()], &JWS), ()) });

        dan_core::signer_conformance!(beside_p256, async {
            (bench(&[certified(), pem(1)], &ALL), ())
        });
    }
}
