//! Every key with its default and meaning; `docs/configuration.md` is written from it.

/// One key of the configuration file.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Full name; `[]` marks a table that may repeat.
    pub name: &'static str,
    /// Default, or `required`, or `none`.
    pub default: &'static str,
    /// What it means, in a sentence or two.
    pub meaning: &'static str,
}

macro_rules! keys {
    ($($name:literal $default:literal $meaning:literal;)*) => {
        /// Every key there is.
        pub const KEYS: &[Key] = &[$(Key { name: $name, default: $default, meaning: $meaning },)*];
    };
}

keys! {
    "server.listen" "127.0.0.1:8080" "Address of the public API. Port 0 means any.";
    "server.public_url" "http(s)://<listen>/v1" "What `Location` headers and the `iss` of signed statements say. Set it in production: statements are verified years later.";
    "server.behind_proxy" "[]" "Networks of proxies, for instance `10.0.0.0/8`. From these, `X-Forwarded-For`, `X-NADOBE-AUTHORIZATION`, `Client-Cert` and `Client-Cert-Chain` (RFC 9440) count.";
    "server.host_names" "[]" "Host names, without port, that a request may name in an absolute-form target besides the host of `server.public_url`.";
    "server.realm" "production" "Which national numbers are real: `production` refuses synthetic ones, `test` refuses those of real persons.";
    "server.tls.certificate" "none" "PEM chain of the public listener; read again every ten seconds and on SIGHUP, as the key is. Without it plain HTTP is spoken, and refused on a non-loopback address unless `server.behind_proxy` names the proxies.";
    "server.tls.key" "required with certificate" "PEM key, as a secret.";
    "server.tls.client_roots" "none" "PEM file with the roots of enterprise certificates. Clients are asked for a certificate and may present none; behind a proxy that ends TLS, the header `Client-Cert` counts.";
    "server.tls.client_intermediates" "none" "PEM file with certificates between the roots and the clients', for clients that do not send theirs.";
    "server.tls.client_crls" "none" "Folder of revocation lists, PEM or DER, read again every ten seconds and on SIGHUP. A certificate that no list decides is refused, unless OCSP decides.";
    "server.tls.client_ocsp" "[]" "OCSP responders that may be asked: a certificate's own counts when it begins with one of these, for instance `http://ocsp.buypass.no/`.";
    "server.tls.client_ocsp_default" "none" "OCSP responder for certificates that name none of these.";
    "server.tls.client_revocation_soft_s" "3600" "Seconds that a certificate is still taken when its status cannot be learnt, counted from the last good answer or the end of the list; then it is refused (1000).";
    "server.tls.client_seid_v1" "false" "Take the organisation number from `serialNumber` where there is no `organizationIdentifier`, as certificates made before SEID 2.0 have it.";
    "management.listen" "127.0.0.1:8081" "Address of `/livez`, `/readyz`, `/metrics`, `/audit/head` and `/keys`. Never the public port.";
    "management.token" "none" "Who sends it as a bearer token may manage API keys at `/keys` of the management listener, as a secret of at least 32 characters. Without it `/keys` is closed. Only on loopback: plain HTTP is spoken there.";
    "limits.key_per_second" "500" "Requests a second of one API key in the long run; a key may have its own (`dan keys create --per-second`). 0: no limit, as for each of these.";
    "limits.key_burst" "200" "Requests of one key that may come at once after a pause.";
    "limits.organisation_per_second" "1000" "Requests a second of one organisation over all its keys.";
    "limits.organisation_burst" "400" "Requests of one organisation that may come at once after a pause.";
    "limits.key_concurrent" "128" "Requests of one key under way at the same time, on one node.";
    "limits.key_per_day" "0" "Requests of one key a day (UTC), over all nodes on one store; a key may have its own (`--per-day`).";
    "issuers[].name" "required" "Name of an identity provider, for logs.";
    "issuers[].discovery" "required" "Address of its discovery document; the `issuer` in it is what tokens must carry, to the letter.";
    "issuers[].audience" "required unless accept_any_audience" "Audience that tokens must carry.";
    "issuers[].accept_any_audience" "false" "Take tokens that were issued for somebody else, as data.altinn.no does.";
    "issuers[].persons" "false" "Take tokens that stand for a person (`pid`). Such a token is good for that person as the subject, and for nobody else; lists are closed to it.";
    "issuers[].delegation_sources" "[]" "What `delegation_source` of a supplier's token may say, to the letter; a supplier's token shows it. Without one, delegated tokens are refused. The consumer stays the owner, the supplier is recorded.";
    "issuers[].system_users" "false" "Take tokens of Altinn's system users (`authorization_details`). The organisation that owns the system user is the owner; the vendor of the system and the system user are recorded.";
    "issuers[].lifetime_max_s" "3600" "Longest life of a token in seconds, from now and from its `iat`; at most 86400.";
    "issuers[].remember_tokens" "true" "Verify the signature of a token once for as long as the issuer's keys stay the same, for at most 10000 tokens. Expiry, audience and every other claim are judged at each use all the same.";
    "catalog.path" "built in" "Folder of the catalogue, for instance a Git checkout. Watched; a folder with a mistake leaves the last good one in force.";
    "plugins[].name" "required" "Short name of an existing DAN plugin.";
    "plugins[].url" "required" "Its address up to and including `/api`.";
    "plugins[].key" "none" "Its function key, as a secret; sent as `x-functions-key`.";
    "store.url" "sqlite:dan.db" "`sqlite:FILE`, or `memory:` for tests. A relative file lies in `--data-dir`, else beside the configuration file.";
    "store.subject_key" "required for sqlite" "32 random bytes as base64 (`openssl rand -base64 32`): national identity numbers are encrypted with it. Losing it loses them.";
    "store.durability" "process" "`process`: a killed process loses nothing. `power`: nor does a power cut.";
    "signing.keys[].kid" "the key's thumbprint" "Identifier of the key in the published key set. The table is read again every ten seconds and on SIGHUP, with its files; one with a mistake leaves the keys that sign in force.";
    "signing.keys[].key" "required without pkcs11" "PEM key, as a secret (`dan signing-key new`): P-256 signs ES256, RSA of 2048 to 8192 bits RS256. The first that is active signs, all are published. COSE is ES256 only: the first active P-256 key signs it.";
    "signing.keys[].certificate" "none" "PEM chain of the key, its own certificate first, at most 4 of them and 6 KiB. It stands as `x5c` in the key set and in the header of every signature.";
    "signing.keys[].pkcs11.module" "required without key" "Shared library that reaches a PKCS#11 token with the key, in a program built with the feature `pkcs11`.";
    "signing.keys[].pkcs11.token" "required with module" "Label of the token.";
    "signing.keys[].pkcs11.label" "required with module" "Label of the private key in the token, and of its public half.";
    "signing.keys[].pkcs11.pin" "required with module" "PIN of the token's user, as a secret.";
    "signing.keys[].signs_from" "at once" "RFC 3339 moment from which the key signs; it is published at once, so that verifiers know it before.";
    "signing.keys[].retired_at" "none" "RFC 3339 moment from which the key does not sign; it stays published. The public half is enough then.";
    "settings.<name>" "none" "What catalogue files call `{setting.<name>}`.";
    "secrets.<name>" "none" "What catalogue files call `secret:<name>`, as a secret.";
    "registry.url" "https://data.brreg.no/enhetsregisteret/api" "The entity register that parties are looked up in.";
    "token_client.token_endpoint" "required with token_client" "Address of Maskinporten's token endpoint. With a token client the node gets tokens of its own, for Altinn and for sources that ask for one.";
    "token_client.client_id" "required with token_client" "Its client identifier.";
    "token_client.audience" "the endpoint up to its last slash" "Issuer that the assertion is made out to.";
    "token_client.key_id" "the key's thumbprint" "Identifier under which the key is registered. Not together with `certificate`.";
    "token_client.key" "required with token_client" "Its RSA (RS256) or P-256 (ES256) key in PEM, as a secret.";
    "token_client.certificate" "none" "PEM file with the enterprise certificate of the key. With it the assertion carries the certificate (`x5c`) and no key identifier.";
    "altinn.url" "required with altinn" "Address of the Altinn 3 platform. Without `[altinn]`, rules about roles and rights answer 503: nobody can be asked.";
    "altinn.subscription_key" "none" "Subscription key of the platform, as a secret.";
    "altinn.scope" "required with altinn" "Scope that the token for Altinn is fetched for; needs `[token_client]`.";
    "retention.ended_days" "30" "Days after its end at which an accreditation is purged. The audit trail keeps a record that it was.";
    "trail.timestamp_url" "none" "Address of a time-stamping authority (RFC 3161) that is shown the newest signed head of the audit trail, at most once a minute. It gets a digest and nothing else; when it fails, there is a warning and no stamp.";
    "consent.provider" "none" "`altinn3` or `local`. Read; not used by this version: consent is never in force, so datasets that need it are granted and not harvested.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_meaning_and_a_place_of_its_own() {
        let mut names: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), KEYS.len());
        assert!(
            KEYS.iter()
                .all(|key| key.meaning.len() > 20 || key.meaning.ends_with('.'))
        );
    }
}
