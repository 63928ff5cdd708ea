//! Whole definitions against a fake outside: every construct, every class of failure.

mod answers;
mod bodies;
mod calls;
mod composed;
mod gates;
mod kept;
mod oauth;
mod requests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use dan_core::evidence::{Evidence, Harvest};
use dan_core::party::{Party, Realm};
use dan_core::ports::{
    CallContext, Fetch, FetchError, FetchReply, FetchRequest, PortFuture, SourceError,
};
use dan_core::secret::Secret;
use dan_core::testkit::fakes::{START, StillClock, call_context};
use serde_json::{Value, json};
use tokio::sync::Barrier;

use super::document::Inputs;
use super::token::Brought;
use super::{Definition, SourcePorts};
use crate::catalog_folder::{CatalogFiles, Environment, load};

const SOURCE: &str = "address = \"https://reg.example/api\"\n[limits]\nreply_bytes_max = 2000\n";
const HEAD: &str = "[dataset]\nabout = \"x\"\nsource = \"Reg\"\npublic = true\n";
const EXAMPLE: &str = "\n[[example]]\nfails = \"caller:5\"\nsubject = \"x\"\n";

/// What the fake outside answers to an address.
#[derive(Clone)]
enum Reply {
    Json(Value),
    Raw(u16, Option<&'static str>, Vec<u8>),
    Fails(FetchError),
    /// Answers once as many requests as the barrier wants are there.
    Together(Arc<Barrier>, Value),
}

#[derive(Default)]
struct Outside {
    replies: BTreeMap<String, Reply>,
    asked: Mutex<Vec<FetchRequest>>,
}

impl Outside {
    fn new(replies: impl IntoIterator<Item = (&'static str, Reply)>) -> Arc<Self> {
        let replies = replies
            .into_iter()
            .map(|(path, reply)| (format!("https://reg.example/api{path}"), reply));
        Arc::new(Self {
            replies: replies.collect(),
            asked: Mutex::default(),
        })
    }

    fn urls(&self) -> Vec<String> {
        let asked = self.asked.lock().expect("no panic");
        asked.iter().map(|request| request.url.clone()).collect()
    }
}

impl Fetch for Outside {
    fn fetch<'a>(
        &'a self,
        request: FetchRequest,
        _ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<FetchReply, FetchError>> {
        let reply = self.replies.get(&request.url).cloned();
        self.asked.lock().expect("no panic").push(request);
        Box::pin(async move {
            let (status, media_type, body) = match reply {
                None => (404, Some("text/plain"), b"canary-body".to_vec()),
                Some(Reply::Json(value)) => (
                    200,
                    Some("application/json"),
                    value.to_string().into_bytes(),
                ),
                Some(Reply::Raw(status, media_type, body)) => (status, media_type, body),
                Some(Reply::Fails(error)) => return Err(error),
                Some(Reply::Together(barrier, value)) => {
                    barrier.wait().await;
                    (
                        200,
                        Some("application/json"),
                        value.to_string().into_bytes(),
                    )
                }
            };
            Ok(FetchReply {
                status,
                media_type: media_type.map(str::to_owned),
                retry_after_s: None,
                body: Bytes::from(body),
            })
        })
    }
}

fn definition_with(body: &str, source: &str, extra: &[(&str, &str)]) -> Arc<Definition> {
    let mut texts = vec![
        ("sources/reg.toml".to_owned(), source.to_owned()),
        (
            "datasets/D.toml".to_owned(),
            format!("{HEAD}{body}{EXAMPLE}"),
        ),
    ];
    texts.extend(
        extra
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned())),
    );
    let files = CatalogFiles::from_texts(texts);
    let settings = BTreeMap::from([("reg".to_owned(), "https://reg.example/api".to_owned())]);
    let find = |name: &str| (name == "key").then(|| Arc::new(Secret::new("s3cret:x".to_owned())));
    match load(&files, &Environment::new(&settings, &find)) {
        Ok(mut loaded) => loaded.datasets.remove(0).definition,
        Err(problems) => {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            panic!("{}", lines.join("\n"));
        }
    }
}

fn definition(body: &str) -> Arc<Definition> {
    definition_with(body, SOURCE, &[])
}

fn call(rest: &str) -> String {
    format!(
        "[[call]]\nid = \"unit\"\nsource = \"reg\"\n{rest}\n[[value]]\nname = \"navn\"\ntype = \"string\"\nfrom = \"unit.navn\"\n"
    )
}

async fn harvest_with(
    definition: &Definition,
    outside: &Arc<Outside>,
    parameters: &[(&str, Value)],
    ctx: &CallContext,
) -> Result<Harvest, SourceError> {
    let subject = Party::parse("991825827", Realm::Production).expect("a number");
    let ports = SourcePorts::new(
        Arc::clone(outside) as _,
        Arc::new(StillClock::default()),
        None,
    );
    let inputs = Inputs {
        subject: Some(&subject),
        subject_text: None,
        requestor: Some(&subject),
        owner: None,
        parameters: parameters
            .iter()
            .map(|(name, value)| (*name, value))
            .collect(),
        now: START,
    };
    definition
        .harvest(&inputs, &Brought::default(), &ports, ctx)
        .await
        .map(|(harvest, _bytes)| harvest)
}

async fn harvest(definition: &Definition, outside: &Arc<Outside>) -> Result<Harvest, SourceError> {
    harvest_with(definition, outside, &[], &call_context()).await
}

fn values(harvest: &Harvest) -> Value {
    let Evidence::Values(values) = &harvest.evidence else {
        panic!("values are expected");
    };
    let pairs = values
        .iter()
        .map(|value| json!([value.name, value.value, value.source]));
    pairs.collect()
}
