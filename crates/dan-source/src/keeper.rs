//! [`CatalogKeeper`]: watches the files and the plugins, and swaps the catalogue as a whole.
//!
//! A folder with a mistake changes nothing but the list of problems; a plugin that does not answer
//! keeps the datasets it last offered (`engine.md` W-21).

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dan_core::catalog::{Catalog, CatalogHandle, Supply};
use dan_core::dataset::Dataset;
use dan_core::ports::{CallContext, PortFuture, Source};
use dan_core::requirement::CpvList;
use dan_core::secret::Secret;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::catalog_folder::{CatalogFiles, Environment, Loaded, Marked, Problem, Stamp, load};
use crate::declared::SourcePorts;

/// How often the folder is looked at.
pub const FOLDER_POLL: Duration = Duration::from_millis(500);
/// Every so many looks the files are read even if they look unchanged: two changes within the
/// resolution of a file's time leave the same trace.
pub const FOLDER_READ_EVERY: u32 = 20;
/// How often a plugin is asked what it offers.
pub const PLUGIN_REFRESH: Duration = Duration::from_secs(300);
/// When a plugin that did not answer is asked again.
pub const PLUGIN_RETRY: Duration = Duration::from_secs(10);
/// How long a plugin may take to say what it offers (`engine.md` §5.1).
pub const PLUGIN_TIMEOUT: Duration = Duration::from_secs(25);
/// How long a silent plugin's datasets stay offered.
pub const PLUGIN_STALE_MAX: Duration = Duration::from_secs(24 * 3600);
/// How often it is looked whether a plugin is due.
const PLUGIN_TICK: Duration = Duration::from_secs(1);

/// A source that says by itself what it offers: a plugin.
pub trait Discover: Send + Sync {
    /// The source that serves what is offered.
    fn source(&self) -> Arc<dyn Source>;

    /// Asks for the datasets, within `ctx.deadline`. Rules about legal bases go by the codes of the
    /// catalogue; without them they are not understood. May be dropped at any time.
    ///
    /// # Errors
    /// Why there is no answer, for the log.
    fn discover<'a>(
        &'a self,
        cpv: Option<Arc<CpvList>>,
        ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<Vec<Dataset>, String>>;
}

/// Where the files of the catalogue are.
#[derive(Clone, Debug)]
pub enum CatalogOrigin {
    /// In the binary.
    Embedded,
    /// In a folder that may change at any time.
    Folder(PathBuf),
}

/// Puts something around the source of each plugin, for instance a breaker. Called again for each new picture
/// with a source of the same identifier, so state has to be kept by identifier.
pub type Decorate = dyn Fn(Arc<dyn Source>) -> Arc<dyn Source> + Send + Sync;

/// What the keeper works with.
pub struct KeeperConfig {
    /// Where the files are.
    pub origin: CatalogOrigin,
    /// Behind `{setting.…}`.
    pub settings: BTreeMap<String, String>,
    /// Behind `secret:…`.
    pub secrets: BTreeMap<String, Arc<Secret>>,
    /// The outside of declared sources.
    pub ports: SourcePorts,
    /// Plugins, in the order of the configuration.
    pub plugins: Vec<Arc<dyn Discover>>,
    /// Put around the source of each plugin.
    pub decorate: Arc<Decorate>,
}

/// What became of a look at the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// They are as they were.
    Unchanged,
    /// They are in force now.
    Replaced,
    /// They have mistakes; what was in force stays.
    Refused(Vec<Problem>),
}

/// What is known about one plugin.
struct PluginState {
    plugin: Arc<dyn Discover>,
    /// What it last offered, and when.
    known: Option<(Vec<Dataset>, Instant)>,
    due: Instant,
    asking: bool,
    /// What it is being asked with has changed meanwhile.
    again: bool,
}

/// Keeps one [`CatalogHandle`] up to date.
pub struct CatalogKeeper {
    handle: Arc<CatalogHandle>,
    origin: CatalogOrigin,
    settings: Arc<BTreeMap<String, String>>,
    secrets: Arc<BTreeMap<String, Arc<Secret>>>,
    ports: SourcePorts,
    decorate: Arc<Decorate>,
    plugins: Vec<PluginState>,
    loaded: Arc<Loaded>,
    /// What is wrong with the files as they are now.
    refused: Vec<Problem>,
    /// What the files looked like before they were last read, and their version.
    seen: Option<(Stamp, String)>,
    looks: u32,
}

impl CatalogKeeper {
    /// A keeper that has not looked yet.
    #[must_use]
    pub fn new(handle: Arc<CatalogHandle>, config: KeeperConfig) -> Self {
        let now = Instant::now();
        let plugins = config.plugins.into_iter().map(|plugin| PluginState {
            plugin,
            known: None,
            due: now,
            asking: false,
            again: false,
        });
        Self {
            handle,
            origin: config.origin,
            settings: Arc::new(config.settings),
            secrets: Arc::new(config.secrets),
            ports: config.ports,
            decorate: config.decorate,
            plugins: plugins.collect(),
            loaded: Arc::default(),
            refused: Vec::new(),
            seen: None,
            looks: 0,
        }
    }

    /// What the files say now, if they have been read without a mistake.
    #[must_use]
    pub const fn loaded(&self) -> &Arc<Loaded> {
        &self.loaded
    }

    /// Reads the files, and takes them over when they have changed and have no mistake.
    ///
    /// Reading and compiling happen on a thread of their own. Dropping it changes nothing.
    pub async fn refresh_folder(&mut self) -> Refresh {
        let read = match &self.origin {
            CatalogOrigin::Embedded => Ok((Stamp::default(), Ok(CatalogFiles::embedded()))),
            CatalogOrigin::Folder(root) => {
                let root = root.clone();
                // The look comes before the reading, so that a change in between is seen next time.
                spawn_blocking(move || {
                    let stamp = CatalogFiles::stamp(&root);
                    (stamp, CatalogFiles::read_folder(&root))
                })
                .await
            }
        };
        let (stamp, files) = match read {
            Ok(read) => read,
            Err(error) => return self.refuse(vec![whole(&error.to_string())]),
        };
        let files = match files {
            Ok(files) => files,
            Err(problems) => {
                self.seen = Some((stamp, String::new()));
                return self.refuse(problems);
            }
        };
        let version = files.version();
        if self.seen.as_ref().is_some_and(|(_, seen)| *seen == version) {
            self.seen = Some((stamp, version));
            return Refresh::Unchanged;
        }
        self.seen = Some((stamp, version));
        match self.load(files).await {
            Ok(loaded) => {
                if !same_codes(self.loaded.cpv.as_deref(), loaded.cpv.as_deref()) {
                    self.ask_all_again();
                }
                self.loaded = Arc::new(loaded);
                self.refused.clear();
                self.rebuild();
                tracing::info!(
                    version = %self.loaded.version,
                    datasets = self.loaded.datasets.len(),
                    "catalogue in force"
                );
                Refresh::Replaced
            }
            Err(problems) => self.refuse(problems),
        }
    }

    async fn load(&self, files: CatalogFiles) -> Result<Loaded, Vec<Problem>> {
        let (settings, secrets) = (Arc::clone(&self.settings), Arc::clone(&self.secrets));
        let loading = spawn_blocking(move || {
            let find = |name: &str| secrets.get(name).cloned();
            let loaded = load(&files, &Environment::new(&settings, &find))?;
            // A definition that does not do what its own example says is a mistake like others.
            let failing = loaded.run_examples();
            if failing.is_empty() {
                Ok(loaded)
            } else {
                Err(failing)
            }
        });
        match loading.await {
            Ok(loaded) => loaded,
            Err(error) => Err(vec![whole(&error.to_string())]),
        }
    }

    /// Rules of plugins hold the codes they were read with.
    fn ask_all_again(&mut self) {
        for state in &mut self.plugins {
            state.due = later(Duration::ZERO);
            state.again = state.asking;
        }
    }

    fn refuse(&mut self, problems: Vec<Problem>) -> Refresh {
        if self.refused != problems {
            for problem in &problems {
                tracing::error!(%problem, "mistake in the catalogue; the earlier one stays in force");
            }
        }
        self.refused.clone_from(&problems);
        self.tell_refused();
        Refresh::Refused(problems)
    }

    fn tell_refused(&self) {
        let lines = self.refused.iter().map(ToString::to_string);
        self.handle.refuse(lines.collect());
    }

    /// Builds the picture of what is known now, and swaps it in.
    fn rebuild(&self) {
        let mut supplies = self.loaded.supplies(&self.ports);
        for state in &self.plugins {
            if let Some((datasets, _)) = &state.known {
                // Declared sources are guarded call by call, by the gate of each source they ask.
                supplies.push(Supply {
                    source: (self.decorate)(state.plugin.source()),
                    datasets: datasets.clone(),
                });
            }
        }
        let contexts = self.loaded.service_contexts();
        let version = self.loaded.version.clone();
        let (catalog, left_out) = Catalog::build(contexts, supplies, version);
        for what in left_out {
            tracing::warn!(%what, "left out of the catalogue");
        }
        self.handle.replace(catalog);
        // A new picture forgets what was wrong with the files; that it still is, is told again.
        if !self.refused.is_empty() {
            self.tell_refused();
        }
    }

    /// Asks every plugin at once, and takes over what they offer. Those that do not answer keep
    /// what they offered before. Returns how many answered. Dropped, it leaves the rest to
    /// [`Self::run`].
    pub async fn refresh_plugins(&mut self, request_id: &Arc<str>) -> usize {
        let mut asking = JoinSet::new();
        for at in 0..self.plugins.len() {
            self.ask(at, request_id, &mut asking);
        }
        let mut answered = 0_usize;
        while let Some(joined) = asking.join_next().await {
            if let Ok((at, answer)) = joined {
                answered = answered.saturating_add(usize::from(answer.is_ok()));
                self.take(at, answer);
            }
        }
        self.rebuild();
        answered
    }

    fn ask(
        &mut self,
        at: usize,
        request_id: &Arc<str>,
        asking: &mut JoinSet<(usize, Result<Vec<Dataset>, String>)>,
    ) {
        let Some(state) = self.plugins.get_mut(at) else {
            return;
        };
        state.asking = true;
        let plugin = Arc::clone(&state.plugin);
        let cpv = self.loaded.cpv.clone();
        let request_id = Arc::clone(request_id);
        asking.spawn(async move {
            let deadline = later(PLUGIN_TIMEOUT);
            let ctx = CallContext {
                request_id,
                deadline,
            };
            let answer = tokio::time::timeout_at(deadline, plugin.discover(cpv, &ctx)).await;
            (
                at,
                answer.unwrap_or_else(|_| Err("no answer in time".to_owned())),
            )
        });
    }

    /// Remembers an answer; true when what is offered may be another now.
    fn take(&mut self, at: usize, answer: Result<Vec<Dataset>, String>) -> bool {
        let Some(state) = self.plugins.get_mut(at) else {
            return false;
        };
        state.asking = false;
        let name = state.plugin.source().id().to_owned();
        match answer {
            Ok(datasets) => {
                tracing::debug!(source.id = %name, datasets = datasets.len(), "plugin answered");
                state.known = Some((datasets, later(Duration::ZERO)));
                let again = std::mem::take(&mut state.again);
                state.due = later(if again {
                    Duration::ZERO
                } else {
                    PLUGIN_REFRESH
                });
                true
            }
            Err(reason) => {
                tracing::warn!(source.id = %name, %reason, "plugin does not say what it offers");
                let stale = |known: &(Vec<Dataset>, Instant)| known.1.elapsed() > PLUGIN_STALE_MAX;
                state.due = later(PLUGIN_RETRY);
                let gone = state.known.take_if(|known| stale(known)).is_some();
                if gone {
                    tracing::error!(source.id = %name, "plugin silent for too long; its datasets are gone");
                }
                gone
            }
        }
    }

    /// Looks after folder and plugins until `shutdown` is done.
    pub async fn run(mut self, request_id: Arc<str>, shutdown: impl Future<Output = ()> + Send) {
        tokio::pin!(shutdown);
        self.take_up();
        let mut folder = ticks(FOLDER_POLL);
        let mut plugins = ticks(PLUGIN_TICK);
        let mut asking = JoinSet::new();
        loop {
            tokio::select! {
                () = &mut shutdown => return,
                _ = folder.tick() => self.look().await,
                _ = plugins.tick() => {
                    for at in self.due() {
                        self.ask(at, &request_id, &mut asking);
                    }
                }
                Some(joined) = asking.join_next() => {
                    if let Ok((at, answer)) = joined && self.take(at, answer) {
                        self.rebuild();
                    }
                }
            }
        }
    }

    /// An earlier [`Self::refresh_plugins`] may have been dropped: its questions are gone, and what
    /// was answered is not in the picture yet.
    fn take_up(&mut self) {
        let mut dropped = false;
        for state in &mut self.plugins {
            dropped |= std::mem::take(&mut state.asking);
        }
        if dropped {
            self.rebuild();
        }
    }

    /// Plugins that are to be asked now.
    fn due(&self) -> Vec<usize> {
        let now = later(Duration::ZERO);
        let places = self.plugins.iter().enumerate();
        places
            .filter(|(_, state)| !state.asking && state.due <= now)
            .map(|(at, _)| at)
            .collect()
    }

    /// Reads the folder when it looks changed, and now and then anyway.
    async fn look(&mut self) {
        let CatalogOrigin::Folder(root) = &self.origin else {
            return;
        };
        self.looks = self.looks.wrapping_add(1);
        let root = root.clone();
        let stamp = spawn_blocking(move || CatalogFiles::stamp(&root))
            .await
            .ok();
        let seen = self.seen.as_ref().map(|(stamp, _)| stamp);
        if stamp.as_ref() != seen || self.looks.is_multiple_of(FOLDER_READ_EVERY) {
            self.refresh_folder().await;
        }
    }
}

/// A moment from now on.
fn later(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(time).unwrap_or(now)
}

fn ticks(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn same_codes(one: Option<&CpvList>, other: Option<&CpvList>) -> bool {
    let parts =
        |list: Option<&CpvList>| list.map(|list| (list.version.clone(), list.codes.clone()));
    parts(one) == parts(other)
}

/// A problem of the catalogue as a whole.
fn whole(what: &str) -> Problem {
    Problem {
        file: ".".to_owned(),
        line: 0,
        marked: Marked::default(),
        what: what.to_owned(),
        hint: None,
    }
}
