//! [`Catalog`]: one immutable picture of what is offered to whom, read without locks or copies.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::context::ServiceContext;
use crate::dataset::Dataset;
use crate::error::{Code, Fault};
use crate::ports::Source;
use crate::requirement::{Requirement, Rule};
use crate::time::Timestamp;

/// A dataset as offered in one context: definition, the rules that apply there, and its source.
pub struct Offer {
    /// The name it goes by in this context.
    pub name: String,
    /// Name of the context.
    pub context: String,
    /// The definition.
    pub dataset: Arc<Dataset>,
    /// Rules of the context and of the dataset that apply here, context first.
    pub rules: Vec<Arc<Rule>>,
    /// Where the data comes from.
    pub source: Arc<dyn Source>,
}

impl Offer {
    /// Whether a rule lets the subject be other than a party.
    #[must_use]
    pub fn takes_custom_subject(&self) -> bool {
        self.rules
            .iter()
            .any(|rule| matches!(rule.requirement, Requirement::CustomSubject(_)))
    }

    /// Whether consent is part of what must hold here.
    #[must_use]
    pub fn requires_consent(&self) -> bool {
        self.rules
            .iter()
            .any(|rule| matches!(rule.requirement, Requirement::Consent(_)))
    }
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Offer({} in {})", self.name, self.context)
    }
}

/// One row of the public metadata: a dataset under one of its names.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The name it is listed under.
    pub name: String,
    /// The one context of an alias; `None` for a dataset under its own name.
    pub alias_context: Option<String>,
    /// The definition.
    pub dataset: Arc<Dataset>,
    /// All rules that apply in any of the listed contexts, with the contexts they apply in.
    pub rules: Vec<Arc<Rule>>,
}

impl Listing {
    /// Names of the contexts this row belongs to.
    #[must_use]
    pub fn contexts(&self) -> Vec<&str> {
        match &self.alias_context {
            Some(context) => vec![context],
            None => self.dataset.contexts.iter().map(String::as_str).collect(),
        }
    }
}

/// Datasets and the source that gives them.
pub struct Supply {
    /// The source.
    pub source: Arc<dyn Source>,
    /// Its datasets.
    pub datasets: Vec<Dataset>,
}

/// The picture. Built once, never changed; a new one replaces it as a whole.
#[derive(Default)]
pub struct Catalog {
    contexts: Vec<Arc<ServiceContext>>,
    offers: BTreeMap<(String, String), Arc<Offer>>,
    names: BTreeMap<String, Vec<String>>,
    open: BTreeMap<String, Arc<Offer>>,
    listings: Vec<Listing>,
    version: String,
}

impl Catalog {
    /// Builds the picture; the first definition of a name wins. Returns what was left out and why.
    ///
    /// A dataset is kept when one of its contexts is known, or when it is public
    /// (`wire-api.md` §12.2). `version` names the state of the files, for people.
    #[must_use]
    pub fn build(
        contexts: Vec<ServiceContext>,
        supplies: Vec<Supply>,
        version: String,
    ) -> (Self, Vec<String>) {
        let contexts: Vec<_> = contexts.into_iter().map(Arc::new).collect();
        let mut catalog = Self {
            contexts,
            version,
            ..Self::default()
        };
        let mut problems = Vec::new();
        let mut aliases = Vec::new();
        for supply in supplies {
            for dataset in supply.datasets {
                if catalog.names.contains_key(&dataset.name) {
                    problems.push(format!(
                        "{}: defined twice, {} is ignored",
                        dataset.name,
                        supply.source.id()
                    ));
                    continue;
                }
                problems.extend(catalog.add(&Arc::new(dataset), &supply.source, &mut aliases));
            }
        }
        catalog.listings.append(&mut aliases);
        (catalog, problems)
    }

    fn add(
        &mut self,
        dataset: &Arc<Dataset>,
        source: &Arc<dyn Source>,
        aliases: &mut Vec<Listing>,
    ) -> Vec<String> {
        let mut problems = Vec::new();
        let known: Vec<Arc<ServiceContext>> = self
            .contexts
            .iter()
            .filter(|context| dataset.contexts.contains(&context.name))
            .cloned()
            .collect();
        if dataset.aliases.is_empty() {
            for context in &known {
                self.offer_in(dataset, dataset.name.clone(), context, source);
            }
            if !known.is_empty() {
                let rules = listed_rules(dataset, &known);
                let row = Listing {
                    name: dataset.name.clone(),
                    alias_context: None,
                    dataset: Arc::clone(dataset),
                    rules,
                };
                self.listings.push(row);
            }
        }
        for alias in &dataset.aliases {
            let Some(context) = self
                .contexts
                .iter()
                .find(|context| context.name == alias.context)
                .cloned()
            else {
                continue;
            };
            if self.offer(&context.name, &alias.name).is_some() {
                let taken = format!(
                    "{}: {} is taken in {}",
                    dataset.name, alias.name, alias.context
                );
                problems.push(taken);
                continue;
            }
            self.offer_in(dataset, alias.name.clone(), &context, source);
            let rules = listed_rules(dataset, std::slice::from_ref(&context));
            aliases.push(Listing {
                name: alias.name.clone(),
                alias_context: Some(context.name.clone()),
                dataset: Arc::clone(dataset),
                rules,
            });
        }
        if dataset.public {
            let offer = Offer {
                name: dataset.name.clone(),
                context: String::new(),
                dataset: Arc::clone(dataset),
                rules: Vec::new(),
                source: Arc::clone(source),
            };
            match self.open.entry(dataset.name.to_ascii_lowercase()) {
                Entry::Vacant(free) => {
                    free.insert(Arc::new(offer));
                }
                Entry::Occupied(taken) => problems.push(format!(
                    "{}: not open, as names of open datasets go without case and {} is there",
                    dataset.name,
                    taken.get().name
                )),
            }
        }
        // A name is known even where it belongs to no context, so that 1006 and 1007 stay apart.
        self.names.entry(dataset.name.clone()).or_default();
        problems
    }

    fn offer_in(
        &mut self,
        dataset: &Arc<Dataset>,
        name: String,
        context: &ServiceContext,
        source: &Arc<dyn Source>,
    ) {
        let offer = Offer {
            name: name.clone(),
            context: context.name.clone(),
            dataset: Arc::clone(dataset),
            rules: rules_in(dataset, context),
            source: Arc::clone(source),
        };
        self.names
            .entry(name.clone())
            .or_default()
            .push(context.name.clone());
        self.offers
            .insert((context.name.clone(), name), Arc::new(offer));
    }

    /// Names the state of the files this picture was made from.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Every context, in the order of the catalogue.
    #[must_use]
    pub fn contexts(&self) -> &[Arc<ServiceContext>] {
        &self.contexts
    }

    /// The context with this identifier, compared without case.
    #[must_use]
    pub fn context_by_id(&self, id: &str) -> Option<Arc<ServiceContext>> {
        self.contexts
            .iter()
            .find(|context| context.id.eq_ignore_ascii_case(id))
            .cloned()
    }

    /// What a record of a refusal calls a dataset: its name without regard to case, or `(unknown)`.
    /// A name that nobody knows may be anything, a person number too.
    #[must_use]
    pub fn name_for_record<'n>(&self, name: &'n str) -> &'n str {
        let mut known = self.names.keys();
        if known.any(|one| one.eq_ignore_ascii_case(name)) {
            name
        } else {
            "(unknown)"
        }
    }

    /// The offer of a dataset in a context, exact names, whether or not it is listed now.
    #[must_use]
    pub fn offer(&self, context: &str, name: &str) -> Option<&Arc<Offer>> {
        // The key is two short texts; a lookup without allocation is not worth a second map type.
        self.offers.get(&(context.to_owned(), name.to_owned()))
    }

    /// The offer of a dataset in a context, as requests name it (`wire-api.md` §11, 5 and 6).
    ///
    /// # Errors
    /// 1007 for a name nobody knows; 1006 when it is not offered in this context; 1013 when it is
    /// closed.
    pub fn resolve(&self, context: &str, name: &str, now: Timestamp) -> Result<Arc<Offer>, Fault> {
        let listed = |offer: &&Arc<Offer>| offer.dataset.is_listed(now);
        match self.offer(context, name).filter(listed) {
            Some(offer) => open_offer(offer),
            None => Err(self.not_offered(context, name)),
        }
    }

    fn not_offered(&self, context: &str, name: &str) -> Fault {
        match self.names.get(name) {
            Some(contexts) if contexts.is_empty() => Fault::with(
                Code::InvalidEvidenceRequest,
                format!("{name} is offered to no service of this node under that name"),
            ),
            Some(contexts) if !contexts.iter().any(|known| known == context) => Fault::with(
                Code::InvalidEvidenceRequest,
                format!(
                    "{name} is not offered to {context}; it belongs to {}",
                    contexts.join(", ")
                ),
            ),
            _ => Fault::with(
                Code::UnknownEvidenceCode,
                "names are case-sensitive; see metadata/evidencecodes for those that exist",
            ),
        }
    }

    /// The public dataset with this name, compared without case (`wire-api.md` §4.9).
    ///
    /// # Errors
    /// 1006 when there is none; 1013 when it is closed.
    pub fn open(&self, name: &str, now: Timestamp) -> Result<Arc<Offer>, Fault> {
        let offer = self
            .open
            .get(&name.to_ascii_lowercase())
            .filter(|offer| offer.dataset.is_listed(now));
        match offer {
            Some(offer) => open_offer(offer),
            None => Err(Fault::with(
                Code::InvalidEvidenceRequest,
                "there is no open dataset of that name",
            )),
        }
    }

    /// Rows of the public metadata at this moment, aliases last.
    pub fn listings(&self, now: Timestamp) -> impl Iterator<Item = &Listing> {
        self.listings
            .iter()
            .filter(move |row| row.dataset.is_listed(now) && row.dataset.unavailable.is_none())
    }

    /// Datasets that are closed, and why; for operators.
    #[must_use]
    pub fn closed(&self) -> Vec<(&str, &str)> {
        let why = |row: &Listing| row.dataset.unavailable.is_some();
        let rows = self.listings.iter().filter(|row| why(row));
        rows.filter_map(|row| Some((row.name.as_str(), row.dataset.unavailable.as_deref()?)))
            .collect()
    }

    /// Every dataset name with an offer, for doctors and metrics.
    #[must_use]
    pub fn dataset_count(&self) -> usize {
        self.names.len()
    }
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Catalog({} contexts, {} datasets)",
            self.contexts.len(),
            self.names.len()
        )
    }
}

/// The offer, unless the dataset is closed: a rule of it cannot be understood, or this node is not
/// set up for its source. Why is for the operator (`engine.md` W-06).
fn open_offer(offer: &Arc<Offer>) -> Result<Arc<Offer>, Fault> {
    match &offer.dataset.unavailable {
        None => Ok(Arc::clone(offer)),
        Some(why) => {
            let text = format!(
                "{} is closed on this node; its operator can see why",
                offer.name
            );
            Err(Fault::with(Code::ServiceNotAvailable, text).because(why))
        }
    }
}

/// Rules of the context, then those of the dataset that apply there; a rule of the context that the
/// dataset states as well counts once (`engine.md` appendix B, 2).
fn rules_in(dataset: &Dataset, context: &ServiceContext) -> Vec<Arc<Rule>> {
    let own = || {
        dataset
            .rules
            .iter()
            .filter(|rule| rule.applies_in(&context.name))
    };
    let added = context
        .rules
        .iter()
        .filter(|rule| !own().any(|other| same(rule, other)));
    added.chain(own()).cloned().map(Arc::new).collect()
}

/// Rules of the dataset, then those of each context, marked with it (`wire-api.md` §12.2).
fn listed_rules(dataset: &Dataset, contexts: &[Arc<ServiceContext>]) -> Vec<Arc<Rule>> {
    let applies = |rule: &&Rule| {
        contexts
            .iter()
            .any(|context| rule.applies_in(&context.name))
    };
    let own = dataset.rules.iter().filter(applies).cloned();
    let added = contexts.iter().flat_map(|context| {
        let stated = |rule: &Rule| {
            dataset
                .rules
                .iter()
                .any(|other| other.applies_in(&context.name) && same(rule, other))
        };
        context
            .rules
            .iter()
            .filter(move |rule| !stated(rule))
            .cloned()
            .map(|rule| Rule {
                contexts: vec![context.name.clone()],
                ..rule
            })
    });
    own.chain(added).map(Arc::new).collect()
}

/// Whether two rules demand the same in the same way.
fn same(left: &Rule, right: &Rule) -> bool {
    left.on_failure == right.on_failure
        && left.at_harvest == right.at_harvest
        && left.requirement == right.requirement
}

/// The current picture, swapped as a whole. Readers never wait.
#[derive(Default)]
pub struct CatalogHandle {
    current: ArcSwap<Catalog>,
    refused: ArcSwap<Vec<String>>,
}

impl CatalogHandle {
    /// The picture of now; hold it for one request.
    #[must_use]
    pub fn load(&self) -> Arc<Catalog> {
        self.current.load_full()
    }

    /// Replaces the picture; what was wrong with an earlier attempt is forgotten.
    pub fn replace(&self, catalog: Catalog) {
        self.current.store(Arc::new(catalog));
        self.refused.store(Arc::default());
    }

    /// Keeps the old picture and remembers what is wrong with the new one.
    pub fn refuse(&self, problems: Vec<String>) {
        self.refused.store(Arc::new(problems));
    }

    /// What is wrong with the files as they are now; empty when the picture is theirs.
    #[must_use]
    pub fn problems(&self) -> Arc<Vec<String>> {
        self.refused.load_full()
    }
}
