//! A source that is only a definition: no code of its own.
//!
//! One way through: inputs → requests (`call`) → answers (`gather`) → less (`minimise`) →
//! values (`mapping`). Everything is compiled when the catalogue is read.

mod answered;
mod body;
mod call;
mod compose;
mod convert;
mod csv;
pub(crate) mod definition;
mod document;
mod example;
mod expression;
mod failure;
mod fan;
mod faults;
mod flight;
mod format;
mod gate;
mod gather;
mod json;
mod line;
mod mapping;
mod media;
mod minimise;
mod pages;
mod parameter;
mod plan;
pub(crate) mod template;
#[cfg(test)]
mod tests;
pub(crate) mod token;
pub(crate) mod upstream;
pub(crate) mod url;
mod xml;

use std::collections::BTreeMap;
use std::sync::Arc;

use dan_core::evidence::{Evidence, Harvest, SourceCall};
use dan_core::party::Party;
use dan_core::ports::{CallContext, HarvestOrder, PortFuture, Source, SourceError, SourceFailure};
use dan_core::statement::sha256;

pub use answered::{AnswerCache, CACHE_BYTES_MAX};
pub use call::SourcePorts;
pub(crate) use compose::DEPTH_MAX as COMPOSITION_DEPTH_MAX;
pub use definition::Definition;
pub use gate::{Gates, PAUSE_S_MAX};
pub use gather::HARVEST_BYTES_MAX;
pub use upstream::{
    CALL_TIMEOUT_S_DEFAULT, PARALLEL_DEFAULT, PARALLEL_MAX, REPLY_BYTES_DEFAULT, REPLY_BYTES_MAX,
};

use document::{Document, Inputs};
use token::Brought;

/// Identifier of the source of definitions that make no call.
pub const CALLLESS_SOURCE: &str = "declared";

/// Serves the datasets whose first call goes to one source of the catalogue.
pub struct DeclaredSource {
    id: String,
    definitions: BTreeMap<String, Arc<Definition>>,
    ports: SourcePorts,
}

impl DeclaredSource {
    /// A source named `id` that serves these definitions.
    pub fn new(
        id: String,
        definitions: impl IntoIterator<Item = Arc<Definition>>,
        ports: SourcePorts,
    ) -> Self {
        let definitions = definitions
            .into_iter()
            .map(|definition| (definition.name().to_owned(), definition))
            .collect();
        Self {
            id,
            definitions,
            ports,
        }
    }

    async fn serve(&self, order: &HarvestOrder, ctx: &CallContext) -> Result<Harvest, SourceError> {
        let name = &order.dataset().name;
        let definition = self.definitions.get(name).ok_or_else(|| SourceError {
            failure: SourceFailure::Broken,
            source: self.id.to_uppercase(),
            detail: 0,
            text: None,
            cause: format!("no definition of {name}"),
        })?;
        let owner = order.owner().map(Party::Organisation);
        let parameters = order.parameters().iter();
        let inputs = Inputs {
            subject: order.subject(),
            subject_text: order.expose_subject_text(),
            requestor: order.requestor(),
            owner: owner.as_ref(),
            parameters: parameters
                .map(|parameter| (parameter.name.as_str(), &parameter.value))
                .collect(),
            now: self.ports.clock.now(),
        };
        let brought = Brought::of(order);
        let (harvest, _bytes) = definition
            .harvest(&inputs, &brought, &self.ports, ctx)
            .await?;
        Ok(harvest)
    }
}

impl Source for DeclaredSource {
    fn id(&self) -> &str {
        &self.id
    }

    fn harvest<'a>(
        &'a self,
        order: &'a HarvestOrder,
        ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<Harvest, SourceError>> {
        Box::pin(self.serve(order, ctx))
    }
}

impl Definition {
    /// Asks, takes out, and makes the values; and how many bytes were received for them.
    async fn harvest(
        &self,
        inputs: &Inputs<'_>,
        brought: &Brought,
        ports: &SourcePorts,
        ctx: &CallContext,
    ) -> Result<(Harvest, usize), SourceError> {
        let mut document = Document::new(inputs, &self.parameters, &self.tables);
        let read = (inputs, &mut document);
        let gathered = gather::gather(&self.calls, read, brought, ports, ctx).await?;
        let bytes = gathered.bytes;
        let Some(file) = &self.file else {
            return Ok((self.shape(document, gathered, inputs)?, bytes));
        };
        let job = file.call.prepare(inputs, &document)?;
        let asking = (brought, ports);
        let mut arriving = file.call.open(job, file.bytes_max, asking, ctx).await?;
        if let Some(media_type) = &file.media_type {
            arriving.media_type.clone_from(media_type);
        }
        let harvest = Harvest {
            evidence: Evidence::Stream(arriving),
            calls: gathered.calls,
        };
        Ok((harvest, bytes))
    }

    /// What comes after the last answer: no waiting in here.
    fn shape(
        &self,
        mut document: Document,
        gathered: gather::Gathered,
        inputs: &Inputs<'_>,
    ) -> Result<Harvest, SourceError> {
        let source = self.source_name();
        // What is known only in part decides nothing that keeps data in.
        let unsure = &gathered.failed | &gathered.partly;
        minimise::apply(&mut document, &self.keepings, &self.removals, &unsure)
            .map_err(|minimise::TooMany| failure::misshapen(source, "too many items to judge"))?;
        let mut calls = gathered.calls;
        if calls.is_empty() {
            // What the definition itself says is the source then.
            calls.push(SourceCall {
                id: "definition".to_owned(),
                retrieved_at: inputs.now,
                digest: sha256(self.mapping.as_bytes()),
            });
        }
        // Values may rest on several answers: the oldest one tells their age.
        let oldest = calls.iter().map(|call| call.retrieved_at).min();
        let values = mapping::values(
            &self.values,
            &mut document,
            &gathered.failed,
            &self.publisher,
            oldest.unwrap_or(inputs.now),
        )
        .map_err(|misfit| match misfit {
            mapping::Misfit::Shape(what) => failure::misshapen(source, &what),
            mapping::Misfit::Input(what) => failure::unusable(source, "definition", &what),
        })?;
        Ok(Harvest {
            evidence: Evidence::Values(values),
            calls,
        })
    }
}
