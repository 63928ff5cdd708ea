//! Keys in a real PKCS#11 token: `SoftHSM`, from the Debian package `softhsm2`. Without it the test says
//! so and passes.
//!
//! The module reads its configuration from the environment of the process. So [`in_a_token`] makes a
//! token and starts this program again, with the tests of `inside`, in an environment of their own.

#[cfg(test)]
mod bench;

#[cfg(test)]
mod token {
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::sync::Arc;

    use dan_core::ports::EnvelopeFormat;
    use dan_core::secret::Secret;
    use dan_sign::key_ring::{KeySource, KeySpec};
    use dan_sign::private_key::{KeyError, PrivateKey};
    use dan_sign::rsa_key::RsaKey;
    use dan_sign::token_key::{TokenSpec, open};

    use super::bench::{ALL, bench, soft};

    /// Where Debian, and others, put the module.
    const MODULES: [&str; 3] = [
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib64/softhsm/libsofthsm2.so",
        "/usr/lib/pkcs11/libsofthsm2.so",
    ];
    const TOKEN: &str = "dan-test";
    const PIN: &str = "246813";
    /// Set in the environment that has a token.
    const INSIDE: &str = "DAN_TEST_TOKEN";

    fn module() -> Option<PathBuf> {
        let found = MODULES.iter().map(PathBuf::from).find(|path| path.exists());
        found.filter(|_| {
            Command::new("softhsm2-util")
                .arg("--version")
                .output()
                .is_ok()
        })
    }

    #[expect(
        clippy::print_stderr,
        reason = "what was skipped or went wrong must be seen"
    )]
    fn say(text: &str) {
        eprintln!("{text}");
    }

    fn softhsm(configuration: &Path, arguments: &[&str]) {
        let output = Command::new("softhsm2-util")
            .env("SOFTHSM2_CONF", configuration)
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
    }

    fn import(folder: &Path, configuration: &Path, label: &str, id: &str, pem: &Secret) {
        let file = folder.join(format!("{id}.pem"));
        std::fs::write(&file, pem.expose()).unwrap();
        let file = file.display().to_string();
        let key = ["--import", &file, "--label", label, "--id", id];
        let arguments = [&key[..], &["--token", TOKEN, "--pin", PIN]].concat();
        softhsm(configuration, &arguments);
    }

    #[test]
    fn keys_in_a_token_sign() {
        if module().is_none() {
            say("skipped: softhsm2 is not there");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let tokens = folder.path().join("tokens");
        std::fs::create_dir(&tokens).unwrap();
        let configuration = folder.path().join("softhsm2.conf");
        let text = format!("directories.tokendir = {}\n", tokens.display());
        std::fs::write(&configuration, text).unwrap();
        let init = ["--init-token", "--free", "--label", TOKEN];
        let init = [&init[..], &["--pin", PIN, "--so-pin", "135792"]].concat();
        softhsm(&configuration, &init);
        for (label, id, pem) in [
            ("ec", "01", soft(1).to_pem().unwrap()),
            ("rsa", "02", RsaKey::generate().unwrap().to_pem().unwrap()),
            ("twice", "03", soft(3).to_pem().unwrap()),
            ("twice", "04", soft(4).to_pem().unwrap()),
        ] {
            import(folder.path(), &configuration, label, id, &pem);
        }
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["token::inside", "--test-threads=1"])
            .env("SOFTHSM2_CONF", &configuration)
            .env(INSIDE, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}\n{errors}");
        assert!(
            said.contains("a_lost_session_is_opened_again ... ok"),
            "{said}"
        );
    }

    mod inside {
        use super::*;

        fn spec(token: &str, label: &str, pin: &str) -> TokenSpec {
            TokenSpec {
                module: module().unwrap(),
                token: token.to_owned(),
                label: label.to_owned(),
                pin: Secret::new(pin.to_owned()),
            }
        }

        fn is_outside() -> bool {
            std::env::var_os(INSIDE).is_none()
        }

        fn key(label: &str) -> Arc<dyn PrivateKey> {
            open(spec(TOKEN, label, PIN)).unwrap()
        }

        fn held(label: &str) -> KeySpec {
            KeySpec::new(KeySource::Held(key(label)))
        }

        /// As `signer_conformance!` makes them, but for one test, which needs the token only once.
        macro_rules! each {
            ($make:expr, $($case:ident,)*) => {
                $(dan_core::testkit::signer_suite::$case($make).await;)*
            };
        }

        macro_rules! all {
            ($make:expr) => {
                each!(
                    $make,
                    what_is_signed_verifies_with_what_is_published,
                    the_members_of_a_statement_come_out_as_they_went_in,
                    evidence_of_every_kind_comes_out,
                    no_changed_byte_goes_unnoticed,
                    another_body_does_not_verify,
                    a_format_is_not_taken_for_another,
                    a_statement_that_is_none_carries_no_evidence,
                    a_header_carries_no_evidence,
                    many_at_once_are_signed,
                    a_dropped_signature_leaves_the_signer_as_it_was,
                    what_cannot_be_made_is_said_before,
                    the_published_keys_are_public_and_have_names,
                    another_key_of_that_name_does_not_verify,
                );
            };
        }

        #[tokio::test]
        async fn a_p256_key_holds_to_the_suite() {
            if is_outside() {
                return;
            }
            all!(bench(&[held("ec")], &ALL));
            assert_eq!(key("ec").public(), soft(1).public());
        }

        #[tokio::test]
        async fn an_rsa_key_holds_to_the_suite() {
            if is_outside() {
                return;
            }
            let jws = [EnvelopeFormat::Jwt, EnvelopeFormat::Jose];
            all!(bench(&[held("rsa")], &jws));
        }

        #[test]
        fn what_cannot_be_opened_is_named() {
            if is_outside() {
                return;
            }
            let why = |spec| open(spec).map(|_| ()).unwrap_err().to_string();
            let missing = TokenSpec {
                module: PathBuf::from("/nonexistent.so"),
                ..spec(TOKEN, "ec", PIN)
            };
            for (spec, words) in [
                (missing, "cannot load /nonexistent.so"),
                (spec("other", "ec", PIN), "no token \"other\""),
                (spec(TOKEN, "none", PIN), "0 private keys"),
                (spec(TOKEN, "twice", PIN), "2 private keys"),
            ] {
                let why = why(spec);
                assert!(why.contains(words), "{why}");
                assert!(!why.contains(PIN), "{why}");
            }
        }

        /// Logging out ends what every session of the process may do, as a token does that was pulled.
        #[test]
        fn a_lost_session_is_opened_again() {
            if is_outside() {
                return;
            }
            use cryptoki::context::Pkcs11;
            use cryptoki::session::UserType;
            let key = key("ec");
            let verifies = |signature: &[u8]| key.public().verifies(b"m", signature);
            assert!(verifies(&key.sign(b"m").unwrap()));
            let module = Pkcs11::new(module().unwrap()).unwrap();
            let slots = module.get_slots_with_token().unwrap();
            let slot = slots.into_iter().find(|slot| {
                let about = module.get_token_info(*slot);
                about.is_ok_and(|about| about.label() == TOKEN)
            });
            let slot = slot.unwrap();
            for _ in 0..3 {
                let session = module.open_ro_session(slot).unwrap();
                session.logout().unwrap();
                assert!(verifies(&key.sign(b"m").unwrap()));
                // As when the driver was restarted: nothing that was open is there any more.
                module.clone().finalize().unwrap();
                assert!(verifies(&key.sign(b"m").unwrap()));
            }
            let wrong = cryptoki::types::AuthPin::new("000000".into());
            let session = module.open_ro_session(slot).unwrap();
            session.logout().unwrap();
            assert!(session.login(UserType::User, Some(&wrong)).is_err());
            let outcome = open(spec(TOKEN, "ec", "000000"));
            assert!(matches!(outcome, Err(KeyError::Token(_))));
        }
    }
}
