//! `dan keys`: API keys of consumers.

use std::path::Path;

use dan_auth::api_key::mint;
use dan_core::party::OrgNumber;
use dan_core::ports::{ApiKeyRecord, Batch, Clock as _, Write};
use dan_core::time::Timestamp;
use serde_json::json;

use super::{config_and_store, store_failed};
use crate::compose::load_catalog;
use crate::output::{Ending, Misuse, Outcome, say, say_json};
use crate::system::{SystemClock, SystemEntropy};

/// Days an old key keeps working after it was rotated, unless told otherwise.
pub const OVERLAP_DAYS_DEFAULT: u32 = 14;

/// Makes a key for a context and an organisation. The key is shown once.
///
/// # Errors
/// A number or context that does not exist; a store that cannot be opened.
pub async fn create(
    config: &Path,
    context: &str,
    org: &str,
    name: Option<String>,
    as_json: bool,
) -> Ending {
    let (config, store) = config_and_store(config)?;
    let contexts = load_catalog(&config)?.contexts;
    let known: Vec<String> = contexts.into_iter().map(|file| file.context.id).collect();
    let Some(id) = known.iter().find(|id| id.eq_ignore_ascii_case(context)) else {
        return Err(Misuse(format!(
            "no service context {context}; known: {}",
            known.join(", ")
        )));
    };
    let org = OrgNumber::parse(org)
        .ok_or_else(|| Misuse(format!("{org} is no valid organisation number (9 digits)")))?;
    let grant = KeyGrant {
        context_id: id.clone(),
        org: Some(org),
        name: name.unwrap_or_else(|| format!("{org} for {id}")),
        ..KeyGrant::default()
    };
    let (record, key) = mint(&SystemEntropy::new(), grant, SystemClock.now());
    let shown = describe(&record);
    let batch = Batch(vec![Write::PutApiKey(Box::new(record))]);
    store.commit(&batch).await.map_err(store_failed)?;
    if as_json {
        let mut shown = shown;
        if let Some(members) = shown.as_object_mut() {
            members.insert("key".to_owned(), key.expose().into());
        }
        say_json(&shown);
    } else {
        say(format!(
            "{}\n\nThis is the only time the key is shown; it is not kept.",
            key.expose()
        ));
    }
    Ok(Outcome::Yes)
}

/// Lists every key, without the keys themselves.
///
/// # Errors
/// A store that cannot be opened.
pub async fn list(config: &Path, as_json: bool) -> Ending {
    let (_, store) = config_and_store(config)?;
    let keys = store.api_keys().await.map_err(store_failed)?;
    if as_json {
        say_json(&keys.iter().map(describe).collect::<Vec<_>>());
        return Ok(Outcome::Yes);
    }
    for key in &keys {
        let org = key
            .org
            .map_or_else(|| "any organisation".to_owned(), |org| org.to_string());
        say(format!(
            "{}  {}  {org}  {}  {}",
            key.id,
            key.context_id,
            state(key),
            key.name
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
/// A key that does not exist or has ended; a store that cannot be opened.
pub async fn rotate(config: &Path, id: &str, overlap_days: u32, as_json: bool) -> Ending {
    let (_, store) = config_and_store(config)?;
    let now = SystemClock.now();
    let mut old = in_force(store.api_key(id).await.map_err(store_failed)?, id, now)?;
    let grant = KeyGrant {
        context_id: old.context_id.clone(),
        org: old.org,
        name: old.name.clone(),
        expires: None,
        scopes: old.scopes.clone(),
        networks: old.networks.clone(),
        allowance: old.allowance,
    };
    let (new, key) = mint(&SystemEntropy::new(), grant, now);
    let ends = now.plus_days(overlap_days);
    old.expires = Some(old.expires.map_or(ends, |already| already.min(ends)));
    let new_id = new.id.clone();
    let batch = Batch(vec![
        Write::PutApiKey(Box::new(new)),
        Write::PutApiKey(Box::new(old)),
    ]);
    store.commit(&batch).await.map_err(store_failed)?;
    if as_json {
        say_json(
            &json!({"id": new_id, "key": key.expose(), "old_id": id, "old_ends": ends.to_string()}),
        );
    } else {
        say(format!(
            "{}\n\nThe old key {id} works until {ends}.",
            key.expose()
        ));
    }
    Ok(Outcome::Yes)
}

/// Ends a key now.
///
/// # Errors
/// A key that does not exist or has ended; a store that cannot be opened.
pub async fn revoke(config: &Path, id: &str) -> Ending {
    let (_, store) = config_and_store(config)?;
    let now = SystemClock.now();
    let mut key = in_force(store.api_key(id).await.map_err(store_failed)?, id, now)?;
    key.expires = Some(now);
    let batch = Batch(vec![Write::PutApiKey(Box::new(key))]);
    store.commit(&batch).await.map_err(store_failed)?;
    say(format!("key {id} ended at {now}"));
    Ok(Outcome::Yes)
}

fn in_force(key: Option<ApiKeyRecord>, id: &str, now: Timestamp) -> Result<ApiKeyRecord, Misuse> {
    let key = key.ok_or_else(|| Misuse(format!("no API key {id}; see `dan keys list`")))?;
    match key.expires {
        Some(ended) if ended <= now => Err(Misuse(format!("key {id} ended at {ended}"))),
        _ => Ok(key),
    }
}

fn state(key: &ApiKeyRecord) -> String {
    match key.expires {
        Some(ends) if ends <= SystemClock.now() => format!("ended {ends}"),
        Some(ends) => format!("until {ends}"),
        None => "in force".to_owned(),
    }
}

fn describe(key: &ApiKeyRecord) -> serde_json::Value {
    json!({
        "id": key.id,
        "context": key.context_id,
        "org": key.org.map(|org| org.to_string()),
        "name": key.name,
        "created": key.created.to_string(),
        "expires": key.expires.map(|moment| moment.to_string()),
    })
}
