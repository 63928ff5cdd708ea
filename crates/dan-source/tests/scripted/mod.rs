//! A way out of the process that leads nowhere: answers from a list, and notes what was sent.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use dan_core::ports::{CallContext, Fetch, FetchError, FetchReply, FetchRequest, PortFuture};
use tokio::time::Instant;

/// One answer of the list.
pub(crate) enum Answer {
    /// An HTTP answer.
    Reply(u16, String),
    /// None.
    Fails(FetchError),
    /// None, ever.
    Never,
}

/// One request that was sent.
pub(crate) struct Seen {
    pub(crate) url: String,
    /// Names and values, secret ones too.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    pub(crate) bytes_max: usize,
    pub(crate) deadline: Instant,
    /// What a log would show.
    pub(crate) shown: String,
}

/// The way out.
#[derive(Default)]
pub(crate) struct Scripted {
    answers: Mutex<VecDeque<Answer>>,
    seen: Mutex<Vec<Seen>>,
}

impl Scripted {
    pub(crate) fn new(answers: impl IntoIterator<Item = Answer>) -> Arc<Self> {
        let scripted = Self::default();
        scripted.answers.lock().unwrap().extend(answers);
        Arc::new(scripted)
    }

    /// Adds an answer at the end of the list.
    pub(crate) fn then(&self, status: u16, body: impl Into<String>) {
        let answer = Answer::Reply(status, body.into());
        self.answers.lock().unwrap().push_back(answer);
    }

    /// Takes out what was sent so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

impl Fetch for Scripted {
    fn fetch<'a>(
        &'a self,
        request: FetchRequest,
        ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<FetchReply, FetchError>> {
        let secrets = request
            .secret_headers
            .iter()
            .map(|(name, secret)| (name.clone(), secret.expose().to_owned()));
        let authorization = request.authorization.as_ref();
        let authorization =
            authorization.map(|secret| ("authorization".to_owned(), secret.expose().to_owned()));
        let headers = request
            .headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        let body = request.body.as_ref().map(|(_, bytes)| bytes.to_vec());
        self.seen.lock().unwrap().push(Seen {
            shown: format!("{request:?}"),
            headers: headers.chain(secrets).chain(authorization).collect(),
            body: String::from_utf8(body.unwrap_or_default()).unwrap(),
            bytes_max: request.reply_bytes_max,
            deadline: ctx.deadline,
            url: request.url,
        });
        let answer = self.answers.lock().unwrap().pop_front();
        Box::pin(async move {
            // Whoever asks for the same at the same time gets a chance to do so.
            tokio::task::yield_now().await;
            match answer {
                Some(Answer::Reply(status, body)) => Ok(FetchReply {
                    status,
                    media_type: Some("application/json".to_owned()),
                    retry_after_s: None,
                    body: Bytes::from(body),
                }),
                Some(Answer::Fails(error)) => Err(error),
                Some(Answer::Never) => std::future::pending().await,
                None => Err(FetchError::Network("nothing scripted".to_owned())),
            }
        })
    }
}
