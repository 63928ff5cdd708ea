//! [`Desk`]: makes keys, replaces them and ends them, each with its record in the audit trail.

use std::sync::Arc;

use dan_core::audit::{Action, AuditRecord};
use dan_core::ports::{
    ApiKeyRecord, Batch, Clock, Entropy, IssuedKey, KEY_LIST_MAX, KEY_NAME_CHARS_MAX, KeyDesk,
    KeyError, KeyGrant, ListedKey, OVERLAP_DAYS_MAX, PortFuture, Store, StoreError, Write,
    random_id,
};
use dan_core::time::Timestamp;

use super::mint;

/// How often ending a key is tried when somebody changes it at the same time.
const REVOKE_TRIES_MAX: usize = 5;

/// The desk over a store.
pub struct Desk {
    store: Arc<dyn Store>,
    entropy: Arc<dyn Entropy>,
    clock: Arc<dyn Clock>,
}

impl Desk {
    /// A desk over `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, entropy: Arc<dyn Entropy>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            entropy,
            clock,
        }
    }

    async fn in_force(&self, id: &str, now: Timestamp) -> Result<ApiKeyRecord, KeyError> {
        let found = self.store.api_key(id).await.map_err(KeyError::Store)?;
        let record = found.ok_or(KeyError::Unknown)?;
        match record.expires {
            Some(ended) if ended <= now => Err(KeyError::Ended(ended)),
            Some(_) | None => Ok(record),
        }
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<(), KeyError> {
        let batch = Batch(writes);
        self.store.commit(&batch).await.map_err(KeyError::Store)
    }

    fn record(&self, action: Action, key: &ApiKeyRecord, at: Timestamp) -> Write {
        let request_id = random_id(self.entropy.as_ref());
        Write::AppendAudit(Box::new(AuditRecord {
            key_id: key.id.clone(),
            owner: key.org,
            context: key.context_id.clone(),
            ..AuditRecord::done(at, action, request_id)
        }))
    }

    async fn make(&self, grant: KeyGrant) -> Result<IssuedKey, KeyError> {
        let now = self.clock.now();
        check(&grant, now)?;
        let (record, key) = mint(self.entropy.as_ref(), grant, now);
        self.commit(vec![
            Write::new_api_key(record.clone()),
            self.record(Action::ApiKeyCreated, &record, now),
        ])
        .await?;
        Ok(IssuedKey { record, key })
    }

    async fn replace(
        &self,
        id: &str,
        overlap_days: u32,
    ) -> Result<(IssuedKey, ApiKeyRecord), KeyError> {
        if overlap_days > OVERLAP_DAYS_MAX {
            let why = format!("two keys may overlap for {OVERLAP_DAYS_MAX} days at most");
            return Err(KeyError::Invalid(why));
        }
        let now = self.clock.now();
        let read = self.in_force(id, now).await?;
        let mut old = read.clone();
        let all = self.store.api_keys().await.map_err(KeyError::Store)?;
        let works = |key: &&ApiKeyRecord| key.expires.is_none_or(|ends| ends > now);
        if let Some(older) = all
            .iter()
            .filter(works)
            .find(|key| old.replaces.as_deref() == Some(&key.id))
            && let Some(ends) = older.expires
            && overlap_days > 0
        {
            let older = older.id.clone();
            return Err(KeyError::Overlapping { older, ends });
        }
        if let Some(newer) = all
            .iter()
            .filter(works)
            .find(|key| key.replaces.as_deref() == Some(&old.id))
        {
            let why = format!(
                "the key was replaced by {} already; rotate that one",
                newer.id
            );
            return Err(KeyError::Invalid(why));
        }
        let grant = KeyGrant {
            context_id: old.context_id.clone(),
            org: old.org,
            name: old.name.clone(),
            // As long as the old one was made for.
            expires: old.expires.map(|ends| {
                let life_ms = ends.as_ms().saturating_sub(old.created.as_ms());
                now.plus_ms(life_ms)
            }),
            scopes: old.scopes.clone(),
            networks: old.networks.clone(),
            allowance: old.allowance,
        };
        let (mut new, key) = mint(self.entropy.as_ref(), grant, now);
        new.replaces = Some(old.id.clone());
        let ends = now.plus_days(overlap_days);
        old.expires = Some(old.expires.map_or(ends, |already| already.min(ends)));
        self.commit(vec![
            Write::new_api_key(new.clone()),
            Write::change_api_key(old.clone(), read),
            self.record(Action::ApiKeyCreated, &new, now),
            self.record(Action::ApiKeyReplaced, &old, now),
        ])
        .await?;
        Ok((IssuedKey { record: new, key }, old))
    }

    /// Ends the key whatever else happens to it at the same moment.
    async fn end(&self, id: &str) -> Result<ApiKeyRecord, KeyError> {
        for _ in 0..REVOKE_TRIES_MAX {
            let now = self.clock.now();
            let read = self.in_force(id, now).await?;
            let mut key = read.clone();
            key.expires = Some(now);
            let done = self.commit(vec![
                Write::change_api_key(key.clone(), read),
                self.record(Action::ApiKeyRevoked, &key, now),
            ]);
            match done.await {
                Ok(()) => return Ok(key),
                Err(KeyError::Store(StoreError::Conflict)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(KeyError::Store(StoreError::Conflict))
    }
}

/// What makes no sense is refused before a key exists.
fn check(grant: &KeyGrant, now: Timestamp) -> Result<(), KeyError> {
    let invalid = |why: String| Err(KeyError::Invalid(why));
    if grant.name.chars().count() > KEY_NAME_CHARS_MAX {
        return invalid(format!(
            "the name is longer than {KEY_NAME_CHARS_MAX} characters"
        ));
    }
    if grant.name.chars().any(char::is_control) {
        return invalid("the name has control characters".to_owned());
    }
    if grant.scopes.len().max(grant.networks.len()) > KEY_LIST_MAX {
        return invalid(format!("more than {KEY_LIST_MAX} scopes or networks"));
    }
    let is_scope =
        |scope: &String| !scope.is_empty() && scope.bytes().all(|byte| byte.is_ascii_graphic());
    if let Some(odd) = grant.scopes.iter().find(|scope| !is_scope(scope)) {
        return invalid(format!("{odd:?} is no scope"));
    }
    if !grant.scopes.is_empty() && grant.org.is_none() {
        return invalid(
            "scopes are for the holder of a certificate; bind the key to an organisation too"
                .to_owned(),
        );
    }
    if [grant.allowance.per_second, grant.allowance.per_day].contains(&Some(0)) {
        return invalid("a limit is at least 1; leave it out to have the node's own".to_owned());
    }
    if grant.expires.is_some_and(|ends| ends <= now) {
        return invalid("the key would have ended already".to_owned());
    }
    Ok(())
}

impl KeyDesk for Desk {
    fn create(&self, grant: KeyGrant) -> PortFuture<'_, Result<IssuedKey, KeyError>> {
        Box::pin(self.make(grant))
    }

    fn list(&self) -> PortFuture<'_, Result<Vec<ListedKey>, KeyError>> {
        Box::pin(async move {
            let keys = self.store.api_keys().await.map_err(KeyError::Store)?;
            let uses = self.store.key_uses(None).await.map_err(KeyError::Store)?;
            let listed = |record: ApiKeyRecord| {
                let at = uses.binary_search_by(|used| used.key_id.cmp(&record.id));
                let used = at.ok().and_then(|at| uses.get(at)).cloned();
                ListedKey { record, used }
            };
            Ok(keys.into_iter().map(listed).collect())
        })
    }

    fn rotate<'a>(
        &'a self,
        id: &'a str,
        overlap_days: u32,
    ) -> PortFuture<'a, Result<(IssuedKey, ApiKeyRecord), KeyError>> {
        Box::pin(self.replace(id, overlap_days))
    }

    fn revoke<'a>(&'a self, id: &'a str) -> PortFuture<'a, Result<ApiKeyRecord, KeyError>> {
        Box::pin(self.end(id))
    }
}
