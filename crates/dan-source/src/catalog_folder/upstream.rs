//! Reads `sources/<name>.toml`: where a source is, how it knows us, and what it may cost.

use std::sync::Arc;

use dan_core::secret::Secret;

use super::Environment;
use super::problem::{At, Mistake, Place, Problems};
use super::section::{self, Section};
use crate::authorities::tokens::ClientCredentials;
use crate::declared::definition::check_header;
use crate::declared::template::{Piece, Scope, parse};
use crate::declared::upstream::{
    CALL_TIMEOUT_S_DEFAULT, Credential, PARALLEL_DEFAULT, PARALLEL_MAX, REPLY_BYTES_DEFAULT,
    REPLY_BYTES_MAX, Upstream,
};
use crate::declared::url;

/// Longest time that a source may be given for one call, in seconds.
const TIMEOUT_S_MAX: u32 = 300;
/// Stands for the address of a source that is never asked.
const UNSET_ADDRESS: &str = "https://unset.invalid";
/// How a secret is named.
const SECRET_PREFIX: &str = "secret:";

/// The source in a file; `None` when the file has a mistake.
pub(crate) fn read(
    file: &str,
    name: &str,
    text: &str,
    environment: &Environment<'_>,
    problems: &Problems,
) -> Option<Arc<Upstream>> {
    let before = problems.count();
    let mut section = section::read(file, text, problems)?;
    // Words for the reader of the file.
    section.text("about");
    let text = section.required_text("address");
    let unset = text
        .as_ref()
        .and_then(|text| environment.settings.missing_in(&text.value));
    let endpoint = section.json("credential");
    let endpoint = endpoint.pointer("/oauth2/token_endpoint");
    let unset = unset.map(str::to_owned).or_else(|| {
        let missing = environment.settings.missing_in(endpoint?.as_str()?)?;
        Some(missing.to_owned())
    });
    let address = match &unset {
        // One catalogue serves many nodes: a source this one is not set up for closes its datasets.
        Some(_) => Some(UNSET_ADDRESS.to_owned()),
        None => text.and_then(|text| address(&text, environment, problems)),
    };
    // Nor does such a node have its secret.
    let invented = Environment::invented();
    let secrets = if unset.is_some() {
        &invented
    } else {
        environment
    };
    let credential = credential(&mut section, secrets);
    let limits = limits(&mut section);
    section.not_built(&["breaker", "egress", "retry", "cache", "fixtures"]);
    section.finish();
    if problems.count() > before {
        return None;
    }
    Some(Arc::new(
        Upstream::new(name, address?, credential, limits).without(unset),
    ))
}

fn address(
    text: &At<String>,
    environment: &Environment<'_>,
    problems: &Problems,
) -> Option<String> {
    let scope = Scope {
        settings: environment.settings,
        request: false,
        params: &[],
        calls: &[],
        item: false,
    };
    let before = problems.count();
    let pieces = parse(&text.value, &scope, &mut |mistake| {
        problems.report(&text.place, mistake);
    });
    if problems.count() > before {
        return None;
    }
    let whole: String = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(part) | Piece::Setting(part) => part.as_str(),
            Piece::Insert(_) => "",
        })
        .collect();
    url::address(&whole)
        .map_err(|mistake| problems.report(&text.place, mistake))
        .ok()
}

/// `[limits]`: bytes of an answer, seconds of a call, calls at once.
fn limits(section: &mut Section<'_>) -> (u32, u32, u32) {
    let defaults = (
        REPLY_BYTES_DEFAULT,
        CALL_TIMEOUT_S_DEFAULT,
        PARALLEL_DEFAULT,
    );
    let Some(mut limits) = section.section("limits") else {
        return defaults;
    };
    let bytes = limits.number("reply_bytes_max", 1..=REPLY_BYTES_MAX);
    let timeout = limits.seconds("timeout", TIMEOUT_S_MAX);
    let parallel = limits.number("parallel_max", 1..=PARALLEL_MAX);
    limits.finish();
    (
        bytes.map_or(defaults.0, |bytes| bytes.value),
        timeout.map_or(defaults.1, |seconds| seconds.value),
        parallel.map_or(defaults.2, |calls| calls.value),
    )
}

/// `credential = "none"`, or a table `[credential]` with `basic` or `api_key`.
fn credential(section: &mut Section<'_>, environment: &Environment<'_>) -> Credential {
    if section.json("credential").is_string() {
        if let Some(text) = section.text("credential")
            && text.value != "none"
        {
            let what = format!("`{}` is no credential", text.value);
            let hint = "write \"none\", or a table [credential] with basic or api_key";
            section.problems().hint(&text.place, what, hint);
        }
        return Credential::None;
    }
    let Some(mut table) = section.section("credential") else {
        return Credential::None;
    };
    let basic = table
        .text("basic")
        .and_then(|text| secret(&text, environment, table.problems()))
        .map(|secret| checked_basic(secret, &table));
    let key = api_key(&mut table, environment);
    let oauth2 = oauth2(&mut table, environment);
    table.not_built(&["maskinporten", "certificate", "tls", "bearer", "token"]);
    let given = [basic.is_some(), key.is_some(), oauth2.is_some()];
    if given.into_iter().filter(|is_there| *is_there).count() > 1 {
        let what = "[credential] has more than one of `basic`, `api_key` and `oauth2`";
        let hint = "a source is asked with one credential";
        table.problems().hint(table.place(), what, hint);
    }
    table.finish();
    let basic = basic.map(Credential::Basic);
    basic.or(key).or(oauth2).unwrap_or(Credential::None)
}

/// `oauth2 = { token_endpoint = "…", client = "secret:name", scope = "…" }`: client credentials.
fn oauth2(section: &mut Section<'_>, environment: &Environment<'_>) -> Option<Credential> {
    if !section.has("oauth2") {
        section.take("oauth2");
        return None;
    }
    let mut table = section.section("oauth2")?;
    let problems = table.problems();
    let endpoint = table.required_text("token_endpoint");
    let client = table.required_text("client");
    let scope = table.text("scope");
    let place = table.place().clone();
    table.finish();
    let missing = |text: &At<String>| environment.settings.missing_in(&text.value).is_some();
    let endpoint = match &endpoint {
        Some(text) if missing(text) => Some(UNSET_ADDRESS.to_owned()),
        Some(text) => address(text, environment, problems),
        None => None,
    };
    let client = secret(&client?, environment, problems)?;
    if !client.expose().contains(':') {
        let what = "the secret of `oauth2` is not of the form client_id:client_secret";
        problems.hint(&place, what, "put a colon between them");
    }
    let scope = scope.map(|scope| scope.value);
    let client = ClientCredentials::new(endpoint?, client, scope);
    Some(Credential::OAuth2(Arc::new(client)))
}

fn checked_basic(secret: Arc<Secret>, table: &Section<'_>) -> Arc<Secret> {
    if !secret.expose().contains(':') {
        let what = "the secret for `basic` is not of the form user:password";
        table
            .problems()
            .hint(table.place(), what, "put a colon between them");
    }
    secret
}

/// `api_key = { header = "x-api-key", value = "secret:name" }`.
fn api_key(section: &mut Section<'_>, environment: &Environment<'_>) -> Option<Credential> {
    let mut table = section.section("api_key")?;
    let problems = table.problems();
    let header = table.required_text("header");
    let value = table.required_text("value");
    let place = table.place().clone();
    table.finish();
    let header = header?.map(|name| name.to_ascii_lowercase());
    if let Err(mistake) = check_header(&header.value) {
        problems.report(&header.place, mistake);
    }
    let key = secret(&value?, environment, problems)?;
    check_key(&key, &place, problems);
    Some(Credential::ApiKey {
        header: header.value,
        key,
    })
}

/// What cannot stand in a header would break every call; said now, without showing it.
fn check_key(key: &Secret, place: &Place, problems: &Problems) {
    let visible = |byte: u8| (0x21..=0x7E).contains(&byte);
    if key.is_empty() || !key.expose().bytes().all(visible) {
        let what = "the secret of `api_key` is empty or holds characters that no header has";
        problems.hint(place, what, "look for a line break at the end of its file");
    }
}

fn secret(
    text: &At<String>,
    environment: &Environment<'_>,
    problems: &Problems,
) -> Option<Arc<Secret>> {
    let Some(name) = text.value.strip_prefix(SECRET_PREFIX) else {
        problems.report(
            &text.place,
            Mistake::with_hint(
                "a secret stands in a file of the catalogue",
                "write \"secret:name\" and put it under [secrets] of the node's configuration",
            ),
        );
        return None;
    };
    let found = (environment.secrets)(name);
    if found.is_none() {
        let what = format!("the secret `{name}` is not in the node's configuration");
        let hint = format!("add it under [secrets]: {name} = {{ file = \"…\" }}");
        problems.hint(&text.place, what, hint);
    }
    found
}
