//! Answers as somebody keeps them: bodies, signatures, envelopes and keys as files, of a sandbox.

use std::path::PathBuf;

use dan_tests::client::Answer;
use dan_tests::consumer::{COMPANY, EBEVIS, OWNER, PERSON, Service, TILDA};
use dan_tests::node::{Client, Sandbox, Scratch};
use http::Method;
use serde_json::json;

use crate::place::{DATASET, shown};

/// Files in a folder. The sandbox ends before the folder goes.
pub(crate) struct Archive {
    pub(crate) sandbox: Sandbox,
    pub(crate) scratch: Scratch,
}

impl Archive {
    /// A sandbox and its keys, in `keys.json`.
    pub(crate) async fn new() -> Self {
        let scratch = Scratch::new();
        let sandbox = Sandbox::start(&scratch, &[]).await;
        scratch.write("keys.json", sandbox.node.keys().await.to_string());
        Self { sandbox, scratch }
    }

    /// [`OWNER`] under a service.
    pub(crate) async fn client(&self, service: Service) -> Client {
        let token = self.sandbox.token(service.scope, OWNER).await;
        self.sandbox
            .node
            .client(self.sandbox.key(service.id), &token)
    }

    /// Keeps an answer about a company as `{name}.body` and `{name}.sig`.
    pub(crate) async fn keep(&self, name: &str, query: &str) -> Answer {
        let client = self.client(EBEVIS).await;
        let path = format!("directharvest/{DATASET}?subject={COMPANY}{query}");
        self.kept(name, client.get(&path).await)
    }

    /// Keeps an answer about a company in an envelope, as `{name}.body`.
    pub(crate) async fn keep_as(&self, name: &str, accept: &str, query: &str) -> Answer {
        let client = self.client(EBEVIS).await;
        let path = format!("directharvest/{DATASET}?subject={COMPANY}{query}");
        let call = client.call(Method::GET, &path).header("Accept", accept);
        self.kept(name, call.send().await)
    }

    /// Keeps an answer about a person as `{name}.body` and `{name}.sig`.
    pub(crate) async fn keep_person(&self, name: &str) -> Answer {
        let client = self.client(TILDA).await;
        let body = json!({"subject": PERSON});
        let answer = client.post("directharvest/TildaMetadatav1", &body).await;
        self.kept(name, answer)
    }

    /// Keeps what the register says about a company.
    pub(crate) async fn keep_origin(&self, name: &str) -> Answer {
        let outside = &self.sandbox.outside;
        let url = format!("{outside}/enhetsregisteret/api/enheter/{COMPANY}");
        let answer = dan_tests::client::Call::new(Method::GET, url)
            .send()
            .await
            .ok();
        self.scratch.write(name, &answer.body);
        answer
    }

    fn kept(&self, name: &str, answer: Answer) -> Answer {
        keep(&self.scratch, name, answer)
    }

    /// The path of a file as an argument.
    pub(crate) fn file(&self, name: &str) -> String {
        shown(&self.path(name)).to_owned()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.scratch.path(name)
    }

    /// `dan verify` with the keys and these arguments, each `@` before the name of a file here.
    pub(crate) async fn verify(&self, arguments: &str) -> dan_tests::node::Ended {
        let mut all = vec![
            "verify".to_owned(),
            "--jwks".to_owned(),
            self.file("keys.json"),
        ];
        all.extend(arguments.split_whitespace().map(|argument| {
            argument
                .strip_prefix('@')
                .map_or_else(|| argument.to_owned(), |name| self.file(name))
        }));
        self.scratch.dan(&all).await
    }
}

/// Keeps an answer as `{name}.body` and `{name}.sig`.
pub(crate) fn keep(scratch: &Scratch, name: &str, answer: Answer) -> Answer {
    let answer = answer.ok();
    let signature = answer.proof("x-signature-jwt").unwrap();
    scratch.write(&format!("{name}.body"), &answer.body);
    // As `curl` and an editor leave it.
    scratch.write(&format!("{name}.sig"), format!("{signature}\n"));
    answer
}
