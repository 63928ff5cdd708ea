//! Reads `token` and `scope` of a `[[call]]`: what the source is asked with.

use crate::catalog_folder::problem::{At, Problems};
use crate::catalog_folder::section::Section;
use crate::declared::token::CallToken;
use crate::declared::upstream::{Credential, Upstream};

/// `token = "consent"`, `token = "caller"` with `scope`, or `token = { scope = "…" }`.
pub(super) fn read(section: &mut Section<'_>, upstream: Option<&Upstream>) -> CallToken {
    let problems = section.problems();
    let place = section.place().clone();
    let token = if section.json("token").is_object() {
        own_token(section)
    } else if let Some(word) = section.text("token") {
        match word.value.as_str() {
            "consent" => CallToken::Consent,
            "caller" => section
                .required_text("scope")
                .and_then(|text| scope(&text, problems))
                .map_or(CallToken::None, |scope| CallToken::Caller { scope }),
            other => {
                let what = format!("`token = \"{other}\"` is not built");
                let hint = "write \"caller\" with scope = \"…\", \"consent\", or { scope = \"…\" } for a token of ours";
                problems.hint(&word.place, what, hint);
                CallToken::None
            }
        }
    } else {
        CallToken::None
    };
    if token == CallToken::None && section.has("scope") {
        let hint = "write token = \"caller\" or token = { scope = \"…\" }";
        section.take("scope");
        problems.hint(&place, "`scope` without the `token` it is for", hint);
    }
    let signed = upstream.is_some_and(|source| {
        matches!(
            source.credential,
            Credential::Basic(_) | Credential::OAuth2(_)
        )
    });
    if signed && token != CallToken::None {
        let what = "the call wants a token, and its source has `basic` or `oauth2`";
        let hint = "a request has one Authorization: leave out one of the two";
        problems.hint(&place, what, hint);
    }
    token
}

fn own_token(section: &mut Section<'_>) -> CallToken {
    let problems = section.problems();
    let Some(mut table) = section.section("token") else {
        return CallToken::None;
    };
    let scope = table
        .required_text("scope")
        .and_then(|text| scope(&text, problems));
    table.not_built(&["resource", "consumer", "on_behalf_of"]);
    table.finish();
    scope.map_or(CallToken::None, |scope| CallToken::Own { scope })
}

/// One scope, or several with one blank between them (RFC 6749 §3.3).
fn scope(text: &At<String>, problems: &Problems) -> Option<String> {
    let fits = |byte: u8| byte.is_ascii_graphic() && !b"\"\\,".contains(&byte);
    let one = |scope: &str| !scope.is_empty() && scope.bytes().all(fits);
    if text.value.split(' ').all(one) {
        return Some(text.value.clone());
    }
    let what = format!("`{}` is no scope", text.value);
    problems.hint(
        &text.place,
        what,
        "write scopes with one blank between them",
    );
    None
}
