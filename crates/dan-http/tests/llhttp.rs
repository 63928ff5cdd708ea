//! The listener against raw bytes: llhttp's own cases, every rule of `security.md §1.3.1`, and seeded damage.

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use base64::Engine as _;
    use bytes::Bytes;
    use dan_http::body::AnswerBody;
    use dan_http::framing::{MAX_FIELDS, MAX_HEAD_BYTES, MAX_TARGET_BYTES};
    use dan_http::head_guard::{Patience, refusal_of_body};
    use dan_http::listen::{Inbound, ListenLimits, serve};
    use http_body_util::BodyExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::oneshot;
    use tokio::task::JoinSet;

    /// Longer than any answer here takes; reached only when something hangs.
    const HANGS: Duration = Duration::from_secs(20);

    struct Server {
        address: SocketAddr,
        calls: Arc<Mutex<Vec<String>>>,
        _stop: oneshot::Sender<()>,
        _task: JoinSet<usize>,
    }

    #[derive(Debug, PartialEq, Eq)]
    struct Answer {
        status: u16,
        head: String,
        body: String,
    }

    fn answer(status: u16, body: String) -> http::Response<AnswerBody> {
        http::Response::builder()
            .status(status)
            .header("x-ours", "yes")
            .body(AnswerBody::from(Bytes::from(body)))
            .unwrap()
    }

    /// Answers what it was asked, and notes it; a refusal gets the status it calls for and `{"code":1014}`.
    async fn server_with(patience: Patience) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&calls);
        let service = move |inbound, _peer| {
            let noted = Arc::clone(&noted);
            async move {
                let refused = |status| {
                    let mut refused = answer(status, r#"{"code":1014}"#.to_owned());
                    refused
                        .headers_mut()
                        .insert("connection", "close".parse().unwrap());
                    refused
                };
                let (parts, body) = match inbound {
                    Inbound::Refused(refusal) => return refused(refusal.status),
                    Inbound::Request(request) => request.into_parts(),
                };
                let body = match body.collect().await {
                    Ok(body) => body,
                    Err(error) => return refused(refusal_of_body(&error).status),
                };
                assert!(body.trailers().is_none(), "trailers are dropped");
                let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
                let echo = format!("{} {} {body}", parts.method, parts.uri);
                noted.lock().unwrap().push(echo.clone());
                answer(200, echo)
            }
        };
        let (stop, stopped) = oneshot::channel();
        let limits = ListenLimits {
            patience,
            ..ListenLimits::default()
        };
        let mut task = JoinSet::new();
        task.spawn(serve(listener, None, limits, service, async {
            stopped.await.ok();
        }));
        Server {
            address,
            calls,
            _stop: stop,
            _task: task,
        }
    }

    async fn server() -> Server {
        server_with(Patience::default()).await
    }

    /// Every complete answer in `bytes`, and what follows the last.
    fn answers(mut bytes: &[u8]) -> (Vec<Answer>, String) {
        let mut all = Vec::new();
        while let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let status = head.get(9..12).unwrap().parse().unwrap();
            let length = head.split("content-length: ").nth(1).map_or(0, |rest| {
                rest.split("\r\n").next().unwrap().parse().unwrap()
            });
            let (body, rest) = match bytes.split_at(end).1.split_at(4).1.split_at_checked(length) {
                Some((body, rest)) => (String::from_utf8_lossy(body).into_owned(), rest),
                None => break,
            };
            all.push(Answer { status, head, body });
            bytes = rest;
        }
        (all, String::from_utf8_lossy(bytes).into_owned())
    }

    impl Server {
        /// Writes `pieces`, closes the sending side if told to, and reads until the server closes.
        async fn raw(&self, pieces: &[&[u8]], half_close: bool) -> Vec<Answer> {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let (mut reading, mut writing) = stream.split();
            let write = async {
                for piece in pieces {
                    // The server may close before all is sent; what it answered still counts.
                    if writing.write_all(piece).await.is_err() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                if half_close {
                    writing.shutdown().await.ok();
                }
            };
            let mut bytes = Vec::new();
            let read = async { reading.read_to_end(&mut bytes).await };
            let (read, ()) = tokio::time::timeout(HANGS, async { tokio::join!(read, write) })
                .await
                .expect("the connection is closed");
            if half_close {
                read.expect("not reset");
            }
            let (answers, rest) = answers(&bytes);
            assert_eq!(rest, "", "an answer is whole");
            answers
        }

        fn calls(&self) -> Vec<String> {
            std::mem::take(&mut self.calls.lock().unwrap())
        }

        async fn is_well(&self) {
            let answers = self
                .raw(
                    &[b"GET /well HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"],
                    false,
                )
                .await;
            assert_eq!(
                answers
                    .iter()
                    .map(|answer| answer.status)
                    .collect::<Vec<_>>(),
                [200]
            );
            assert_eq!(self.calls().last().unwrap(), "GET /well ");
        }
    }

    /// One answer with our body, and nothing after it.
    fn assert_refused(answers: &[Answer], status: u16, case: &str) {
        let [refusal] = answers else {
            panic!("{case:?}: {answers:?}")
        };
        assert_eq!(refusal.status, status, "{case:?}");
        assert_eq!(refusal.body, r#"{"code":1014}"#, "{case:?}");
        assert!(refusal.head.contains("x-ours: yes"), "{case:?}");
        assert!(
            refusal.head.contains("connection: close"),
            "{case:?}: {}",
            refusal.head
        );
    }

    #[tokio::test]
    async fn llhttp_strict_requests_are_never_answered_more_often_than_they_are_complete() {
        let shared = std::env::var_os("DAN_SHARED").map_or_else(
            || std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
            std::path::PathBuf::from,
        );
        let path = shared.join("suites/llhttp/llhttp-cases.json");
        let Ok(text) = std::fs::read(&path) else {
            #[expect(clippy::print_stderr, reason = "a skipped suite must be seen")]
            {
                eprintln!("SKIPPED: no llhttp cases at {}", path.display());
            }
            return;
        };
        let cases: Vec<serde_json::Value> = serde_json::from_slice(&text).unwrap();
        let server = server().await;
        let mut held = 0;
        for case in cases
            .iter()
            .filter(|case| case["kind"] == "http" && case["meta"]["type"] == "request")
        {
            let name = &case["case"];
            let raw = base64::engine::general_purpose::STANDARD
                .decode(case["raw_base64"].as_str().unwrap())
                .unwrap();
            let complete = usize::try_from(case["messages_complete"].as_u64().unwrap()).unwrap();
            for half in [raw.len(), 1] {
                let pieces: Vec<&[u8]> = raw.chunks(half.max(1)).collect();
                let answers = server.raw(&pieces, true).await;
                let served = answers.iter().filter(|answer| answer.status < 300).count();
                assert_eq!(served, server.calls().len(), "{name}");
                assert!(served <= complete, "{name}: {answers:?}");
                assert!(
                    answers
                        .iter()
                        .all(|answer| answer.head.contains("x-ours: yes")),
                    "{name}: {answers:?}"
                );
                if !case["error_code"].is_null() {
                    let refused = answers.iter().filter(|answer| answer.status >= 400).count();
                    let paused = case["error_code"] == 5 || case["error_code"] == 22;
                    assert!(refused == 1 || paused, "{name}: {answers:?}");
                }
            }
            held += 1;
        }
        server.is_well().await;
        assert_eq!(held, 134, "the suite has changed");
    }

    const HOST: &str = "GET / HTTP/1.1\r\nHost: a\r\n";

    /// Heads that are answered 400; each is sent with the connection left open behind it.
    fn refused_heads() -> Vec<String> {
        let mut heads = Vec::new();
        for fields in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5,5\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: 18446744073709551616\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: identity\r\n",
            "Transfer-Encoding: CHUNKED\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: ,chunked\r\n",
            "Transfer-Encoding : chunked\r\n",
            "Transfer_Encoding: chunked\r\n",
            "Host: a\r\n",
            "host: b\r\n",
            "X: a\nY: b\r\n",
            "X: a\rY: b\r\n",
            "X: a\r\n b\r\n",
            "X: a\0\r\n",
            "X: \x01\r\n",
            "X Y: a\r\n",
            "X: a\r\n: b\r\n",
            "no colon\r\n",
        ] {
            heads.push(format!("{HOST}{fields}\r\nhello"));
        }
        for whole in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost:\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
            "GET / HTTP/1.1\nHost: a\n\n",
            "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
            "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
            "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.2\r\nHost: a\r\n\r\n",
            "GET /\r\n\r\n",
            "GE<T / HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "REFUSED-BY-THE-GUARD-IN-FRONT-OF-HYPER / HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            heads.push(whole.to_owned());
        }
        heads
    }

    #[tokio::test]
    async fn a_head_that_smuggles_gets_one_400_with_our_body_and_the_connection_closes() {
        let server = server().await;
        for head in refused_heads() {
            // A whole request behind it: served, it would be the smuggled one.
            let sent = format!("{head}{HOST}\r\n");
            for step in [1, 17, sent.len()] {
                let pieces: Vec<&[u8]> = sent.as_bytes().chunks(step).collect();
                let answers = server.raw(&pieces, false).await;
                assert_refused(&answers, 400, &head);
            }
            assert_eq!(server.calls(), [""; 0], "{head:?}");
        }
        server.is_well().await;
    }

    #[tokio::test]
    async fn a_refusal_comes_after_the_answers_before_it() {
        let server = server().await;
        for head in refused_heads() {
            let sent = format!(
                "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\nHost: a\r\n\r\n{head}"
            );
            let answers = server.raw(&[sent.as_bytes()], false).await;
            assert_eq!(server.calls(), ["POST /1 abc", "GET /2 "], "{head:?}");
            assert_eq!(
                answers[..2].iter().map(|a| a.status).collect::<Vec<_>>(),
                [200, 200]
            );
            assert_refused(&answers[2..], 400, &head);
        }
    }

    #[tokio::test]
    async fn a_broken_chunk_fails_the_body_and_nothing_after_it_is_a_request() {
        let server = server().await;
        for chunks in [
            "5\nhello\r\n0\r\n\r\n",
            "5\r\nhelloX\r\n",
            "x\r\n",
            "5;\r\nhello\r\n",
            "0\r\nbad trailer\r\n\r\n",
            "fffffffff\r\n",
        ] {
            let sent = format!(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}{HOST}\r\n"
            );
            for step in [1, sent.len()] {
                let pieces: Vec<&[u8]> = sent.as_bytes().chunks(step).collect();
                let answers = server.raw(&pieces, false).await;
                assert_refused(&answers, 400, chunks);
                assert_eq!(server.calls(), [""; 0], "{chunks:?}");
            }
        }
        for cut in [
            "Content-Length: 9\r\n\r\nhello",
            "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        ] {
            let sent = format!("POST / HTTP/1.1\r\nHost: a\r\n{cut}");
            assert_refused(&server.raw(&[sent.as_bytes()], true).await, 400, cut);
        }
        server.is_well().await;
    }

    #[tokio::test]
    async fn lawful_requests_arrive_as_they_were_sent() {
        let server = server().await;
        let long = "x".repeat(200_000);
        let large =
            format!("PUT /large HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n{long}");
        let sent = [
            "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
            "\r\nGET http://a:1/x?y HTTP/1.1\r\nHost: A:1\r\n\r\n",
            "GET /body HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
            "POST /chunks HTTP/1.1\r\nHost: a\r\nTrailer: Host\r\nTransfer-Encoding: chunked\r\n\r\n\
             3;x=\"\r;y\"\r\nabc\r\nA\r\n0123456789\r\n000\r\nHost: evil\r\nContent-Length: 9\r\n\r\n",
            &large,
            "GET /h2c HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAAA\r\n\r\n",
            "GET /last HTTP/1.0\r\n\r\n",
        ]
        .concat()
        .replace("\"\r;y\"", "\";y\"");
        for step in [3, 4_000, sent.len()] {
            let pieces: Vec<&[u8]> = sent.as_bytes().chunks(step).collect();
            let answers = server.raw(&pieces, false).await;
            assert!(answers.iter().all(|answer| answer.status == 200));
            let large = format!("PUT /large {long}");
            let expected = [
                "OPTIONS * ",
                "GET http://a:1/x?y ",
                "GET /body hi",
                "POST /chunks abc0123456789",
                &large,
                "GET /h2c ",
                "GET /last ",
            ];
            assert_eq!(server.calls(), expected);
        }
    }

    #[tokio::test]
    async fn the_limits_hold_to_the_byte_on_the_wire() {
        let server = server().await;
        let end = "Connection: close\r\n\r\n";
        let head = |bytes: usize| {
            let start = format!("{HOST}X: ");
            format!(
                "{start}{}\r\n{end}",
                "v".repeat(bytes - start.len() - 2 - end.len())
            )
        };
        let fields = |fields: usize| format!("{HOST}{}{end}", "X: y\r\n".repeat(fields - 2));
        let target = |bytes: usize| {
            format!(
                "GET /{} HTTP/1.1\r\nHost: a\r\n{end}",
                "x".repeat(bytes - 1)
            )
        };
        for (accepted, refused, status) in [
            (head(MAX_HEAD_BYTES), head(MAX_HEAD_BYTES + 1), 431),
            (fields(MAX_FIELDS), fields(MAX_FIELDS + 1), 431),
            (target(MAX_TARGET_BYTES), target(MAX_TARGET_BYTES + 1), 414),
        ] {
            let answers = server.raw(&[accepted.as_bytes()], false).await;
            assert_eq!(
                answers
                    .iter()
                    .map(|answer| answer.status)
                    .collect::<Vec<_>>(),
                [200]
            );
            assert_eq!(server.calls().len(), 1);
            assert_refused(
                &server.raw(&[refused.as_bytes()], false).await,
                status,
                "one more",
            );
            assert_eq!(server.calls().len(), 0);
        }
    }

    #[tokio::test]
    async fn a_refused_peer_that_keeps_sending_still_gets_its_answer() {
        let server = server().await;
        let junk = vec![b'x'; 1024 * 1024];
        for _ in 0..5 {
            let answers = server.raw(&[b"GET / HTTP/1.1\r\n\r\n", &junk], true).await;
            assert_refused(&answers, 400, "junk behind a bad head");
        }
    }

    #[tokio::test]
    async fn a_slow_head_and_a_stalled_body_get_408_and_a_silent_peer_nothing() {
        let quick = Duration::from_millis(30);
        let server = server_with(Patience {
            head: quick,
            idle: quick,
            body: quick,
            ..Patience::default()
        })
        .await;
        assert_eq!(server.raw(&[], false).await, []);
        assert_refused(&server.raw(&[b"GET / HT"], false).await, 408, "head");
        let stalled = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhello";
        assert_refused(&server.raw(&[stalled], false).await, 408, "body");
        let expecting =
            b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n";
        let answers = server.raw(&[expecting], false).await;
        assert_eq!(answers[0].status, 100);
        assert_refused(&answers[1..], 408, "expectation");
        assert_eq!(server.calls(), [""; 0]);
        let answers = server.raw(&[HOST.as_bytes(), b"\r\n"], false).await;
        assert_eq!(
            answers.len(),
            1,
            "idle after one request: closed without a word"
        );
    }

    /// Seeded: requests with a few bytes damaged. Whatever passes the guard, hyper takes; whatever does not, we answer.
    #[tokio::test]
    async fn hyper_never_refuses_by_itself() {
        let server = server().await;
        let sound = format!(
            "{HOST}Accept: */*\r\nX: y\r\n\r\nPOST /p?q=[a] HTTP/1.1\r\nHost: a:1\r\nTransfer-Encoding: chunked\r\n\r\n\
             2;a=b\r\nhi\r\n0\r\nt: u\r\n\r\nPUT http://a/ HTTP/1.0\r\nContent-Length: 3\r\nHost: a\r\n\r\nabc"
        );
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = move |below: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            usize::try_from(seed >> 33).unwrap() % below
        };
        let likely = b"\r\n\t :;,=/?#*@[]\\\"<>{}|^`%0159aAzZ\0\x7f\x80\xff";
        for _ in 0..1_500 {
            let mut sent = sound.clone().into_bytes();
            for _ in 0..=next(3) {
                let at = next(sent.len());
                match next(3) {
                    0 => sent[at] = likely[next(likely.len())],
                    1 => sent.insert(at, likely[next(likely.len())]),
                    _ => {
                        sent.remove(at);
                    }
                }
            }
            let shown = String::from_utf8_lossy(&sent).into_owned();
            let answers = server.raw(&[&sent], true).await;
            let served = answers.iter().filter(|answer| answer.status == 200).count();
            assert!(
                answers
                    .iter()
                    .all(|answer| answer.head.contains("x-ours: yes")),
                "{shown:?}: {answers:?}"
            );
            assert!(
                answers.iter().skip(served).count() <= 1,
                "{shown:?}: {answers:?}"
            );
            assert_eq!(server.calls().len(), served, "{shown:?}");
        }
        server.is_well().await;
    }
}
