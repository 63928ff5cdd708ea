//! The keeper swaps the catalogue as a whole, and never for a worse one.

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use dan_core::catalog::CatalogHandle;
    use dan_core::dataset::Dataset;
    use dan_core::ports::{
        CallContext, Fetch, FetchError, FetchReply, FetchRequest, PortFuture, Source,
    };
    use dan_core::requirement::CpvList;
    use dan_core::testkit::builders;
    use dan_core::testkit::fakes::{FakeSource, START, StillClock};
    use dan_source::declared::SourcePorts;
    use dan_source::keeper::{CatalogKeeper, CatalogOrigin, Discover, KeeperConfig, Refresh};

    struct Nowhere;

    impl Fetch for Nowhere {
        fn fetch<'a>(
            &'a self,
            _request: FetchRequest,
            _ctx: &'a CallContext,
        ) -> PortFuture<'a, Result<FetchReply, FetchError>> {
            let error = FetchError::Network("nowhere".to_owned());
            Box::pin(std::future::ready(Err(error)))
        }
    }

    /// A plugin that offers what the test says.
    struct Plugin {
        source: Arc<FakeSource>,
        offers: Mutex<Result<Vec<&'static str>, String>>,
        /// Versions of the CPV codes it was asked with.
        codes: Mutex<Vec<Option<String>>>,
    }

    impl Plugin {
        fn new(offers: Result<Vec<&'static str>, String>) -> Arc<Self> {
            Arc::new(Self {
                source: Arc::default(),
                offers: Mutex::new(offers),
                codes: Mutex::default(),
            })
        }

        fn set(&self, offers: Result<Vec<&'static str>, String>) {
            *self.offers.lock().unwrap() = offers;
        }
    }

    impl Discover for Plugin {
        fn source(&self) -> Arc<dyn Source> {
            Arc::clone(&self.source) as _
        }

        fn discover<'a>(
            &'a self,
            cpv: Option<Arc<CpvList>>,
            _ctx: &'a CallContext,
        ) -> PortFuture<'a, Result<Vec<Dataset>, String>> {
            let version = cpv.map(|list| list.version.clone());
            self.codes.lock().unwrap().push(version);
            let offers = self.offers.lock().unwrap().clone();
            let datasets = offers.map(|names| {
                let datasets = names.iter().map(|name| Dataset {
                    contexts: vec!["A".to_owned()],
                    ..builders::dataset(name)
                });
                datasets.collect()
            });
            Box::pin(std::future::ready(datasets))
        }
    }

    /// A plugin that never answers its first question.
    #[derive(Default)]
    struct SilentOnce {
        source: Arc<FakeSource>,
        asked: AtomicUsize,
    }

    impl Discover for SilentOnce {
        fn source(&self) -> Arc<dyn Source> {
            Arc::clone(&self.source) as _
        }

        fn discover<'a>(
            &'a self,
            _cpv: Option<Arc<CpvList>>,
            _ctx: &'a CallContext,
        ) -> PortFuture<'a, Result<Vec<Dataset>, String>> {
            if self.asked.fetch_add(1, Ordering::SeqCst) == 0 {
                return Box::pin(std::future::pending());
            }
            let dataset = Dataset {
                contexts: vec!["A".to_owned()],
                ..builders::dataset("S")
            };
            Box::pin(std::future::ready(Ok(vec![dataset])))
        }
    }

    fn keeper(
        origin: CatalogOrigin,
        plugins: Vec<Arc<dyn Discover>>,
    ) -> (CatalogKeeper, Arc<CatalogHandle>) {
        let handle = Arc::new(CatalogHandle::default());
        let settings = ["er", "freg", "skatt", "skatt_person", "testdata"]
            .map(|name| (name.to_owned(), format!("https://{name}.example")));
        let config = KeeperConfig {
            origin,
            settings: settings.into(),
            secrets: BTreeMap::new(),
            ports: SourcePorts::new(Arc::new(Nowhere), Arc::new(StillClock::default()), None),
            plugins,
            decorate: Arc::new(|source| source),
        };
        (CatalogKeeper::new(Arc::clone(&handle), config), handle)
    }

    fn context(root: &Path, id: &str, text: &str) {
        let folder = root.join("contexts");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{id}.toml")), text).unwrap();
    }

    fn names(handle: &CatalogHandle) -> Vec<String> {
        let catalog = handle.load();
        let contexts = catalog.contexts().iter();
        contexts.map(|context| context.name.clone()).collect()
    }

    fn offered(handle: &CatalogHandle) -> Vec<String> {
        let catalog = handle.load();
        catalog
            .listings(START)
            .map(|row| row.name.clone())
            .collect()
    }

    #[tokio::test]
    async fn the_embedded_catalogue_is_taken_over_once() {
        let (mut keeper, handle) = keeper(CatalogOrigin::Embedded, Vec::new());
        assert_eq!(keeper.refresh_folder().await, Refresh::Replaced);
        assert_eq!(keeper.refresh_folder().await, Refresh::Unchanged);
        assert_eq!(names(&handle).len(), 13);
        assert!(
            handle
                .load()
                .offer("eBevis", "UnitBasicInformation")
                .is_some()
        );
        assert_eq!(keeper.loaded().version, handle.load().version());
    }

    #[tokio::test]
    async fn a_change_swaps_and_a_mistake_keeps_what_was_good() {
        let root = tempfile::tempdir().unwrap();
        context(root.path(), "a", "name = \"A\"\nowner = \"O\"\n");
        let origin = CatalogOrigin::Folder(root.path().to_owned());
        let (mut keeper, handle) = keeper(origin, Vec::new());
        assert_eq!(keeper.refresh_folder().await, Refresh::Replaced);
        let first = handle.load();

        // The same length within the same moment: contents decide.
        context(root.path(), "a", "name = \"B\"\nowner = \"O\"\n");
        assert_eq!(keeper.refresh_folder().await, Refresh::Replaced);
        assert_eq!(names(&handle), ["B"]);
        assert_eq!(first.contexts()[0].name, "A", "a request keeps its picture");

        context(root.path(), "c", "name = \"C\"\nowmer = \"O\"\n");
        let Refresh::Refused(problems) = keeper.refresh_folder().await else {
            panic!("a mistake is refused");
        };
        assert_eq!(problems.len(), 2);
        assert_eq!(names(&handle), ["B"]);
        assert_eq!(
            handle.problems()[1],
            "contexts/c.toml:2: unknown key `owmer` in this file; did you mean `owner`?"
        );
        assert_eq!(keeper.refresh_folder().await, Refresh::Unchanged);
        assert_eq!(handle.problems().len(), 2);

        context(root.path(), "c", "name = \"C\"\nowner = \"O\"\norder = 1\n");
        assert_eq!(keeper.refresh_folder().await, Refresh::Replaced);
        assert_eq!(names(&handle), ["C", "B"]);
        assert!(handle.problems().is_empty());
    }

    #[tokio::test]
    async fn a_folder_that_disappears_and_comes_back_changes_nothing_in_between() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("catalog");
        context(&folder, "a", "name = \"A\"\nowner = \"O\"\n");
        let (mut keeper, handle) = keeper(CatalogOrigin::Folder(folder.clone()), Vec::new());
        assert_eq!(keeper.refresh_folder().await, Refresh::Replaced);
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(matches!(keeper.refresh_folder().await, Refresh::Refused(_)));
        assert_eq!(names(&handle), ["A"]);
        context(&folder, "a", "name = \"A\"\nowner = \"O\"\n");
        keeper.refresh_folder().await;
        assert_eq!(names(&handle), ["A"]);
        assert!(handle.problems().is_empty());
    }

    #[tokio::test]
    async fn a_silent_plugin_keeps_what_it_offered_w_21() {
        let root = tempfile::tempdir().unwrap();
        context(root.path(), "a", "name = \"A\"\nowner = \"O\"\n");
        let (one, other) = (
            Plugin::new(Ok(vec!["P1"])),
            Plugin::new(Err("down".to_owned())),
        );
        let plugins: Vec<Arc<dyn Discover>> = vec![Arc::clone(&one) as _, Arc::clone(&other) as _];
        let origin = CatalogOrigin::Folder(root.path().to_owned());
        let (mut keeper, handle) = keeper(origin, plugins);
        let id: Arc<str> = Arc::from("catalogue");
        assert_eq!(keeper.refresh_folder().await, Refresh::Replaced);
        assert_eq!(keeper.refresh_plugins(&id).await, 1);
        assert_eq!(offered(&handle), ["P1"]);

        one.set(Err("down".to_owned()));
        other.set(Ok(vec!["Q1", "Q2"]));
        assert_eq!(keeper.refresh_plugins(&id).await, 1);
        assert_eq!(offered(&handle), ["P1", "Q1", "Q2"]);

        // Nor does a new catalogue forget it, and a plugin's new offer does not hide a mistake.
        context(root.path(), "b", "name = \"B\"\nowner = \"O\"\n");
        assert_eq!(keeper.refresh_folder().await, Refresh::Replaced);
        assert_eq!(offered(&handle), ["P1", "Q1", "Q2"]);
        context(root.path(), "b", "name = 5\n");
        assert!(matches!(keeper.refresh_folder().await, Refresh::Refused(_)));
        one.set(Ok(vec!["P2"]));
        keeper.refresh_plugins(&id).await;
        assert_eq!(offered(&handle), ["P2", "Q1", "Q2"]);
        assert!(!handle.problems().is_empty());
        assert_eq!(names(&handle), ["A", "B"]);
    }

    /// Rules of plugins hold the codes they were read with, so new codes are read again at once.
    #[tokio::test]
    async fn plugins_are_asked_with_the_codes_of_the_catalogue_and_again_when_they_change() {
        let root = tempfile::tempdir().unwrap();
        context(root.path(), "a", "name = \"A\"\nowner = \"O\"\n");
        let write = |version: &str| {
            let folder = root.path().join("tables");
            std::fs::create_dir_all(&folder).unwrap();
            let text = format!("version = \"{version}\"\n[[code]]\ncode = \"45000000-7\"\n");
            std::fs::write(folder.join("cpv_risk.toml"), text).unwrap();
        };
        let plugin = Plugin::new(Ok(vec!["P"]));
        let origin = CatalogOrigin::Folder(root.path().to_owned());
        let (mut keeper, _handle) = keeper(origin, vec![Arc::clone(&plugin) as _]);
        let id: Arc<str> = Arc::from("catalogue");
        keeper.refresh_plugins(&id).await;
        write("v1");
        assert_eq!(keeper.refresh_folder().await, Refresh::Replaced);
        keeper.refresh_plugins(&id).await;
        write("v2");
        assert_eq!(keeper.refresh_folder().await, Refresh::Replaced);
        let enough = async {
            while plugin.codes.lock().unwrap().len() < 3 {
                tokio::task::yield_now().await;
            }
        };
        let enough = async {
            let waiting = tokio::time::timeout(Duration::from_secs(60), enough).await;
            waiting.expect("the plugin is asked at once");
        };
        keeper.run(id, enough).await;
        let asked = plugin.codes.lock().unwrap().clone();
        let asked: Vec<Option<&str>> = asked.iter().map(Option::as_deref).collect();
        assert_eq!(asked, [None, Some("v1"), Some("v2")]);
    }

    /// A start does not wait for every plugin; what it leaves unanswered is asked again.
    #[tokio::test]
    async fn plugins_whose_question_was_dropped_are_asked_again() {
        let silent = Arc::new(SilentOnce::default());
        let quick = Plugin::new(Ok(vec!["Q"]));
        let plugins: Vec<Arc<dyn Discover>> = vec![quick, Arc::clone(&silent) as _];
        let root = tempfile::tempdir().unwrap();
        context(root.path(), "a", "name = \"A\"\nowner = \"O\"\n");
        let (mut keeper, handle) = keeper(CatalogOrigin::Folder(root.path().to_owned()), plugins);
        keeper.refresh_folder().await;
        let id: Arc<str> = Arc::from("catalogue");
        let begun = async {
            while silent.asked.load(Ordering::SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = keeper.refresh_plugins(&id) => unreachable!("one plugin never answers"),
            () = begun => {}
        }
        let enough = async {
            while offered(&handle).len() < 2 {
                tokio::task::yield_now().await;
            }
        };
        let enough = async {
            let waiting = tokio::time::timeout(Duration::from_secs(60), enough).await;
            waiting.expect("both plugins are offered");
        };
        keeper.run(id, enough).await;
        assert_eq!(offered(&handle), ["Q", "S"]);
    }

    #[tokio::test]
    async fn it_runs_until_it_is_told_to_stop() {
        let plugin = Plugin::new(Ok(vec!["P"]));
        let (keeper, _handle) = keeper(CatalogOrigin::Embedded, vec![plugin]);
        keeper
            .run(Arc::from("catalogue"), std::future::ready(()))
            .await;
    }
}
