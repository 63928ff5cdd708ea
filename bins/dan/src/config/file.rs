//! Reads the file, and says what is wrong with it so that it can be mended.

use std::path::Path;

use super::{Config, Tls, nearest};

/// Largest configuration file, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Reads and checks a configuration file.
///
/// # Errors
/// What is wrong, with line and column, and for an unknown key its nearest neighbour.
pub fn read(path: &Path) -> Result<Config, String> {
    let shown = path.display();
    let size = std::fs::metadata(path)
        .map_err(|error| format!("cannot read {shown}: {error}"))?
        .len();
    if size > FILE_BYTES_MAX {
        return Err(format!("{shown} is larger than 1 MiB"));
    }
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let mut config = parse(&text).map_err(|error| format!("{shown}: {error}"))?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    config.file = Some(path.to_path_buf());
    config.folder = folder.unwrap_or(Path::new(".")).to_path_buf();
    Ok(config)
}

/// Reads the text of a configuration file.
fn parse(text: &str) -> Result<Config, String> {
    let config: Config = toml::from_str(text).map_err(|error| explain(&error, text))?;
    check(&config)?;
    Ok(config)
}

fn explain(error: &toml::de::Error, text: &str) -> String {
    let place = error.span().map_or_else(String::new, |span| {
        let before = text.get(..span.start).unwrap_or(text);
        let line = before.matches('\n').count().saturating_add(1);
        format!("line {line}: ")
    });
    let message = error.message();
    let Some(rest) = message.strip_prefix("unknown field `") else {
        return format!("{place}{message}");
    };
    let mut words = rest.split('`').step_by(2);
    let unknown = words.next().unwrap_or_default();
    let known: Vec<&str> = words_in_ticks(rest).collect();
    match nearest(unknown, known.iter().copied()) {
        Some(meant) => format!("{place}unknown key `{unknown}`; did you mean `{meant}`?"),
        None => format!(
            "{place}unknown key `{unknown}`; known here: {}",
            known.join(", ")
        ),
    }
}

/// The words between backticks after the first one.
fn words_in_ticks(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(2).step_by(2)
}

/// What types alone cannot say; asked again after the command line has spoken.
///
/// # Errors
/// What would be unsafe, or is not supported.
pub fn check(config: &Config) -> Result<(), String> {
    for issuer in &config.issuers {
        if issuer.audience.is_none() && !issuer.accept_any_audience {
            return Err(format!(
                "issuers.{}: audience is required; set accept_any_audience = true to take tokens meant for others",
                issuer.name
            ));
        }
    }
    if let Some(tls) = &config.server.tls {
        check_tls(tls, &config.server.behind_proxy)?;
    }
    for name in &config.server.host_names {
        if name.is_empty() || name.contains([':', '/', ' ']) {
            return Err(format!(
                "server.host_names: `{name}` is no host name; leave scheme and port out"
            ));
        }
    }
    let loopback = config.server.listen.ip().is_loopback();
    if !loopback && !config.speaks_tls() && config.server.behind_proxy.is_empty() {
        return Err(format!(
            "server.listen: plain HTTP on {} would send evidence in clear; add [server.tls], or name \
             the proxies in server.behind_proxy",
            config.server.listen
        ));
    }
    if config.management.token.is_some() && !config.management.listen.ip().is_loopback() {
        return Err(format!(
            "management.token: new API keys would cross the network in clear on {}; listen on loopback and reach it \
             through a tunnel, or leave the token out and use `dan keys`",
            config.management.listen
        ));
    }
    for key in &config.signing.keys {
        if key.key.is_some() == key.pkcs11.is_some() {
            return Err(
                "signing.keys[].key: a key lies in `key` or in `pkcs11`; give one of the two"
                    .to_owned(),
            );
        }
    }
    for network in &config.server.behind_proxy {
        if dan_core::network::Network::parse(network).is_none() {
            return Err(format!(
                "server.behind_proxy: `{network}` is no network such as 10.0.0.0/8"
            ));
        }
    }
    Ok(())
}

fn check_tls(tls: &Tls, proxies: &[String]) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("server.tls.{what}"));
    if tls.certificate.is_some() != tls.key.is_some() {
        return wrong("certificate: certificate and key go together; give both or none");
    }
    let further = [
        ("client_crls", tls.client_crls.is_some()),
        ("client_intermediates", tls.client_intermediates.is_some()),
        (
            "client_ocsp",
            !tls.client_ocsp.is_empty() || tls.client_ocsp_default.is_some(),
        ),
        ("client_seid_v1", tls.client_seid_v1),
    ];
    if tls.client_roots.is_none() {
        if let Some((key, _)) = further.iter().find(|(_, given)| *given) {
            return wrong(&format!(
                "{key}: means nothing without client_roots; name the roots too"
            ));
        }
        if tls.certificate.is_none() {
            return wrong(
                "certificate: [server.tls] says nothing; name certificate and key, or client_roots",
            );
        }
    } else if tls.certificate.is_none() && proxies.is_empty() {
        return wrong(
            "client_roots: nobody brings client certificates: name certificate and key, or the proxies that end \
             TLS in server.behind_proxy",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_named_with_their_neighbour() {
        let error = parse("[server]\nlisen = \"127.0.0.1:1\"\n").unwrap_err();
        assert_eq!(error, "line 2: unknown key `lisen`; did you mean `listen`?");
        let error = parse("[serverr]\n").unwrap_err();
        assert!(error.contains("did you mean `server`?"), "{error}");
    }

    #[test]
    fn an_issuer_vouches_for_organisations_only_unless_it_is_told_otherwise() {
        let plain = "[[issuers]]\nname = \"m\"\ndiscovery = \"https://x\"\naudience = \"a\"\n";
        let issuer = parse(plain).unwrap().issuers.remove(0);
        assert!(!issuer.persons && !issuer.system_users && issuer.delegation_sources.is_empty());
        assert!(issuer.remember_tokens);
        assert_eq!(issuer.lifetime_max_s, 3600);
        let told = format!(
            "{plain}persons = true\nsystem_users = true\ndelegation_sources = [\"s\"]\n\
             lifetime_max_s = 120\nremember_tokens = false\n"
        );
        let issuer = parse(&told).unwrap().issuers.remove(0);
        assert!(issuer.persons && issuer.system_users && !issuer.remember_tokens);
        assert_eq!(issuer.delegation_sources, ["s"]);
        assert_eq!(issuer.lifetime_max_s, 120);
        let error = parse(&format!("{plain}person = true\n")).unwrap_err();
        assert!(error.contains("did you mean `persons`?"), "{error}");
    }

    #[test]
    fn what_would_be_unsafe_is_refused() {
        for (text, word) in [
            ("[server]\nlisten = \"0.0.0.0:80\"", "behind_proxy"),
            ("[server]\nhost_names = [\"a:80\"]", "no host name"),
            ("[server]\nbehind_proxy = [\"x\"]", "no network"),
            (
                "[[issuers]]\nname = \"m\"\ndiscovery = \"https://x\"",
                "audience",
            ),
            ("[server]\nrealm = \"sandbox\"", "line 2"),
            ("[store]\ndurability = \"none\"", "line 2"),
            (
                "[server.tls]\ncertificate=\"a\"\nkey={file=\"b\"}\nclient_crls=\"c\"",
                "client_roots",
            ),
            ("[server.tls]\ncertificate=\"a\"", "go together"),
            ("[server.tls]", "says nothing"),
            (
                "[management]\nlisten=\"0.0.0.0:1\"\ntoken={file=\"t\"}",
                "in clear",
            ),
            ("[server.tls]\nclient_roots=\"a\"", "nobody brings"),
            ("[server.tls]\nclient_seid_v1=true", "client_seid_v1"),
            ("[signing]\nkeys=[{kid=\"k\"}]", "one of the two"),
            (
                "[signing]\nkeys=[{key={file=\"k\"},pkcs11={module=\"m\",token=\"t\",label=\"l\",pin={env=\"P\"}}}]",
                "one of the two",
            ),
            (
                "[signing]\nkeys=[{pkcs11={module=\"m\",token=\"t\",label=\"l\",pin=\"1234\"}}]",
                "line 2",
            ),
            (
                "[signing]\nkeys=[{certifcate=\"c\"}]",
                "did you mean `certificate`?",
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
        assert!(
            parse("[server]\nlisten = \"0.0.0.0:80\"\nbehind_proxy = [\"10.0.0.0/8\"]").is_ok()
        );
        assert!(parse("").is_ok());
    }
}
