//! `dan keys`: API keys of consumers.

use std::path::Path;

use dan_core::caller::Allowance;
use dan_core::network::Network;
use dan_core::party::OrgNumber;
use dan_core::ports::{ApiKeyRecord, Clock as _, KeyDesk as _, KeyError, KeyGrant};
use dan_core::time::Timestamp;
use dan_http::management::{issued_view, key_view};
use dan_store::Access;
use serde_json::Value;

use super::config_and_store;
use crate::args::KeyWish;
use crate::compose::{key_desk, load_catalog};
use crate::output::{Ending, Misuse, Outcome, complain, say, say_json};
use crate::system::SystemClock;

/// Days an old key keeps working after it was rotated, unless told otherwise.
pub use dan_http::management::OVERLAP_DAYS_DEFAULT;

/// Makes a key for a context. The key is shown once.
///
/// # Errors
/// A number or context that does not exist; a store that cannot be opened.
pub async fn create(config: &Path, context: &str, wish: KeyWish, as_json: bool) -> Ending {
    let (config, store) = config_and_store(config, Access::Tool)?;
    let contexts = load_catalog(&config)?.contexts;
    let known: Vec<String> = contexts.into_iter().map(|file| file.context.id).collect();
    let Some(id) = known.iter().find(|id| id.eq_ignore_ascii_case(context)) else {
        return Err(Misuse(format!(
            "no service context {context}; known: {}",
            known.join(", ")
        )));
    };
    let grant = grant(id, wish, SystemClock.now())?;
    let takes_certificates = config
        .server
        .tls
        .as_ref()
        .is_some_and(|tls| tls.client_roots.is_some());
    if grant.org.is_none() && takes_certificates {
        complain(
            "the key is bound to nobody: whoever has it and any enterprise certificate of server.tls.client_roots \
             comes in; --org binds it",
        );
    }
    let issued = key_desk(&store)
        .create(grant)
        .await
        .map_err(|error| refused(&error))?;
    if as_json {
        say_json(&issued_view(&issued));
    } else {
        say(format!(
            "{}\n\nThis is the only time the key is shown; it is not kept.",
            issued.key.expose()
        ));
    }
    Ok(Outcome::Yes)
}

fn grant(context_id: &str, wish: KeyWish, now: Timestamp) -> Result<KeyGrant, Misuse> {
    let org = wish.org.map(|text| {
        OrgNumber::parse(&text)
            .ok_or_else(|| Misuse(format!("{text} is no valid organisation number (9 digits)")))
    });
    let org = org.transpose()?;
    let networks = wish.networks.iter().map(|text| {
        Network::parse(text)
            .ok_or_else(|| Misuse(format!("{text} is no network such as 198.51.100.0/24")))
    });
    let fallback = || match org {
        Some(org) => format!("{org} for {context_id}"),
        None => format!("anybody for {context_id}"),
    };
    Ok(KeyGrant {
        context_id: context_id.to_owned(),
        org,
        name: wish.name.unwrap_or_else(fallback),
        expires: wish.days.map(|days| now.plus_days(days)),
        scopes: wish.scopes,
        networks: networks.collect::<Result<_, Misuse>>()?,
        allowance: Allowance {
            per_second: wish.per_second,
            per_day: wish.per_day,
        },
    })
}

/// Lists every key, without the keys themselves.
///
/// # Errors
/// A store that cannot be opened.
pub async fn list(config: &Path, as_json: bool) -> Ending {
    let (_, store) = config_and_store(config, Access::Reader)?;
    let keys = key_desk(&store)
        .list()
        .await
        .map_err(|error| refused(&error))?;
    if as_json {
        let views = keys
            .iter()
            .map(|key| key_view(&key.record, key.used.as_ref()));
        say_json(&views.collect::<Vec<Value>>());
        return Ok(Outcome::Yes);
    }
    for listed in &keys {
        let key = &listed.record;
        let org = key
            .org
            .map_or_else(|| "any organisation".to_owned(), |org| org.to_string());
        let used = listed.used.as_ref();
        let used = used.map_or_else(
            || "never used".to_owned(),
            |used| format!("used {}", used.last_used),
        );
        let (id, context, name) = (&key.id, &key.context_id, &key.name);
        say(format!(
            "{id}  {context}  {org}  {}  {used}  {name}",
            state(key)
        ));
    }
    if keys.is_empty() {
        say("no API keys; make one with `dan keys create`");
    }
    Ok(Outcome::Yes)
}

/// Makes a successor with the same rights; the old key ends after `overlap_days`.
///
/// # Errors
/// A key that does not exist, has ended or overlaps another; a store that cannot be opened.
pub async fn rotate(config: &Path, id: &str, overlap_days: u32, as_json: bool) -> Ending {
    let (_, store) = config_and_store(config, Access::Reader)?;
    let rotated = key_desk(&store).rotate(id, overlap_days).await;
    let (issued, old) = rotated.map_err(|error| refused(&error))?;
    if as_json {
        let mut view = issued_view(&issued);
        if let Value::Object(members) = &mut view {
            members.insert("old".to_owned(), key_view(&old, None));
        }
        say_json(&view);
    } else {
        let ends = old.expires.map(|ends| format!(" until {ends}"));
        say(format!(
            "{}\n\nThe old key {id} works{}.",
            issued.key.expose(),
            ends.unwrap_or_default()
        ));
    }
    Ok(Outcome::Yes)
}

/// Ends a key now.
///
/// # Errors
/// A key that does not exist or has ended; a store that cannot be opened.
pub async fn revoke(config: &Path, id: &str, as_json: bool) -> Ending {
    let (_, store) = config_and_store(config, Access::Reader)?;
    let ended = key_desk(&store)
        .revoke(id)
        .await
        .map_err(|error| refused(&error))?;
    if as_json {
        say_json(&key_view(&ended, None));
    } else {
        say(format!(
            "key {id} has ended; running nodes take it no longer within a second"
        ));
    }
    Ok(Outcome::Yes)
}

fn refused(error: &KeyError) -> Misuse {
    if *error == KeyError::Unknown {
        return Misuse("there is no such API key; see `dan keys list`".to_owned());
    }
    Misuse(error.to_string())
}

fn state(key: &ApiKeyRecord) -> String {
    match key.expires {
        Some(ends) if ends <= SystemClock.now() => format!("ended {ends}"),
        Some(ends) => format!("until {ends}"),
        None => "in force".to_owned(),
    }
}
