//! [`Plan`]: how a source is asked — whom, under which address, with what — in one of the variants
//! of a `[[call]]`.

use std::collections::BTreeMap;
use std::sync::Arc;

use dan_core::jmespath::Budget;
use dan_core::ports::{FetchRequest, Method};
use dan_core::secret::Secret;

use super::body::Body;
use super::document::Document;
use super::expression::{Expr, is_true};
use super::template::{Template, Unusable};
use super::token::CallToken;
use super::upstream::Upstream;
use super::url::{self, UrlTemplate};

/// Longest value of a header that is sent, in bytes.
const HEADER_BYTES_MAX: usize = 4096;
/// What the condition of a variant may cost.
const CONDITION_BUDGET: Budget = Budget {
    steps: 10_000,
    output_bytes: 64 * 1024,
};

/// A source, and the addresses it is asked under; the next one is asked when one answers 404.
pub(crate) struct Target {
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) addresses: Vec<UrlTemplate>,
}

/// Who is asked.
pub(crate) enum Targets {
    /// The same for every request.
    One(Target),
    /// The one that a member of the item names; all of them are known when the file is read.
    ByItem {
        member: String,
        known: BTreeMap<String, Target>,
    },
}

/// How a call is made.
pub(crate) struct Plan {
    pub(crate) targets: Targets,
    /// Encoded name and value; a value that is empty is left out.
    pub(crate) query: Vec<(String, Template)>,
    pub(crate) headers: Vec<(String, Template)>,
    /// What is sent; with one, the call is a POST.
    pub(crate) body: Option<Body>,
    pub(crate) token: CallToken,
}

/// A plan, and when it is the one.
pub(crate) struct Variant {
    /// `None`: whenever no variant before it is.
    pub(crate) when: Option<Expr>,
    pub(crate) plan: Arc<Plan>,
}

/// Requests to one source, ready to be sent but for the token.
pub(crate) struct Prepared {
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) plan: Arc<Plan>,
    /// One for each address.
    pub(crate) requests: Vec<FetchRequest>,
}

/// The plan that this request goes by: the first whose condition holds. One that cannot be answered
/// does not hold.
pub(crate) fn choose<'a>(variants: &'a [Variant], document: &Document) -> Option<&'a Arc<Plan>> {
    let holds = |variant: &&Variant| {
        variant.when.as_ref().is_none_or(|when| {
            let found = when.search(document.whole(), CONDITION_BUDGET);
            found.is_ok_and(|found| is_true(&found))
        })
    };
    variants.iter().find(holds).map(|variant| &variant.plan)
}

impl Plan {
    /// Every source that may be asked.
    pub(crate) fn upstreams(&self) -> Vec<&Arc<Upstream>> {
        match &self.targets {
            Targets::One(target) => vec![&target.upstream],
            Targets::ByItem { known, .. } => known.values().map(|it| &it.upstream).collect(),
        }
    }

    fn target(&self, document: &Document) -> Result<&Target, Unusable> {
        match &self.targets {
            Targets::One(target) => Ok(target),
            Targets::ByItem { member, known } => document
                .find("item")
                .get(member)
                .and_then(|name| known.get(name.as_str()?))
                .ok_or_else(|| Unusable("the item names no source".to_owned())),
        }
    }

    /// Makes the requests, which accept these media types.
    ///
    /// # Errors
    /// What cannot be filled in for this request.
    pub(crate) fn prepare(
        self: &Arc<Self>,
        document: &Document,
        accept: &str,
    ) -> Result<Prepared, Unusable> {
        let target = self.target(document)?;
        let mut query = String::new();
        for (name, template) in &self.query {
            if let Some(value) = template.fill(document)? {
                query.push_str(&format!("&{name}={}", url::encoded(&value)));
            }
        }
        let query = query.strip_prefix('&').unwrap_or_default();
        let body = self
            .body
            .as_ref()
            .map(|body| body.fill(document))
            .transpose()?;
        let mut requests = Vec::with_capacity(target.addresses.len());
        for address in &target.addresses {
            let mut url = address.fill(document)?;
            if !query.is_empty() {
                url.push(if address.has_query() { '&' } else { '?' });
                url.push_str(query);
            }
            url::check(&url)?;
            let upstream = &target.upstream;
            let mut request = FetchRequest::get(&upstream.name, url, upstream.reply_bytes_max);
            if let Some(body) = &body {
                request.method = Method::Post;
                request.body = Some(body.clone());
            }
            request.headers = vec![("accept", accept.to_owned())];
            self.add_headers(&mut request, document)?;
            upstream.sign_on(&mut request);
            requests.push(request);
        }
        Ok(Prepared {
            upstream: Arc::clone(&target.upstream),
            plan: Arc::clone(self),
            requests,
        })
    }

    /// Headers of a definition may hold a person's number, so they travel as secrets.
    fn add_headers(&self, request: &mut FetchRequest, document: &Document) -> Result<(), Unusable> {
        for (name, template) in &self.headers {
            let Some(value) = template.fill(document)? else {
                continue;
            };
            let visible = value.bytes().all(|byte| (0x20..=0x7E).contains(&byte));
            if !visible || value.len() > HEADER_BYTES_MAX {
                return Err(Unusable(format!("a value cannot be sent as header {name}")));
            }
            if name == "accept" {
                request.headers.retain(|(name, _)| *name != "accept");
                request.headers.push(("accept", value));
            } else {
                request
                    .secret_headers
                    .push((name.clone(), Secret::new(value)));
            }
        }
        Ok(())
    }
}
