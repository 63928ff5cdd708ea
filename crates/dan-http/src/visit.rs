//! [`Visit`]: one request, as its handler sees it.

use std::sync::Arc;

use bytes::Bytes;
use dan_core::caller::Caller;
use dan_core::error::{Code, Fault};
use dan_core::flow::{Call, Exchange, Released};
use dan_core::inquiry::OfferedTokens;
use dan_core::ports::CallContext;
use dan_core::projection::Query;
use dan_core::secret::Secret;
use http::{HeaderMap, Version};

use crate::Node;
use crate::accept::Accept;
use crate::query_string::QueryString;
use crate::render::{self, Outbound};
use crate::wire::evidence::EvidencePresenter;

/// Everything a handler may look at. Nothing of it has been decided yet.
pub(crate) struct Visit<'a> {
    pub(crate) node: &'a Node,
    pub(crate) ctx: &'a CallContext,
    pub(crate) caller: Option<&'a Caller>,
    /// Decoded values of the `{…}` segments, in order.
    pub(crate) path: &'a [String],
    pub(crate) query: &'a QueryString,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) version: Version,
    pub(crate) body: Bytes,
}

impl Visit<'_> {
    pub(crate) fn exchange(&self) -> &Exchange {
        &self.node.exchange
    }

    /// The caller and the bounds of its call.
    ///
    /// # Errors
    /// 1023 on a route that forgot to ask who calls; the table's test keeps that from happening.
    pub(crate) fn call(&self) -> Result<Call<'_>, Fault> {
        let caller = self
            .caller
            .ok_or_else(|| Fault::new(Code::MissingAuthentication))?;
        Ok(Call {
            caller,
            ctx: self.ctx,
        })
    }

    /// Evidence as a response.
    ///
    /// # Errors
    /// 1015.
    pub(crate) fn evidence(&self, released: Released) -> Result<Outbound, Fault> {
        render::evidence(released, &self.exchange().settings().public_url)
    }

    /// The n-th value of the path.
    pub(crate) fn segment(&self, at: usize) -> &str {
        self.path.get(at).map_or("", String::as_str)
    }

    /// The client's JMESPath.
    ///
    /// # Errors
    /// 1027.
    pub(crate) fn jmespath(&self) -> Result<Option<Query>, Fault> {
        let query = self.query.get("query").map_or(Ok(None), Query::parse)?;
        Ok(match self.caller {
            Some(_) => query,
            None => query.map(Query::open),
        })
    }

    /// Tokens the client offers for the source (`wire-api.md` §2.5).
    pub(crate) fn tokens(&self) -> OfferedTokens {
        let forwarded = self
            .headers
            .get("x-forward-access-token")
            .and_then(|value| value.to_str().ok());
        OfferedTokens {
            reuse: self.query.flag("reuseToken"),
            forwarded: forwarded
                .filter(|token| !token.is_empty())
                .map(|token| Arc::new(Secret::new(token.to_owned()))),
            on_behalf_of_owner: self.query.flag("tokenOnBehalfOfOwner"),
        }
    }

    /// How evidence is to be shaped; `query` counts without envelope only (`wire-api.md` §9.1).
    ///
    /// # Errors
    /// 1027.
    pub(crate) fn presenter(&self, enveloped_by_default: bool) -> Result<EvidencePresenter, Fault> {
        let enveloped = match self.query.get("envelope") {
            None => enveloped_by_default,
            Some(_) => enveloped_by_default && self.query.flag("envelope"),
        };
        let query = if enveloped { None } else { self.jmespath()? };
        Ok(EvidencePresenter {
            enveloped,
            query,
            accept: Accept::of(self.headers),
            streams: self.version >= Version::HTTP_11,
        })
    }
}
