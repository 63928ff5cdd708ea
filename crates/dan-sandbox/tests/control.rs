//! Faults, counted calls, and the life of a fake world.

#[cfg(test)]
#[expect(dead_code, reason = "each test crate uses its own part of the client")]
mod world;

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::SocketAddr;
    use std::sync::Arc;
    use std::time::Duration;

    use dan_sandbox::{Sandbox, SandboxConfig};
    use serde_json::{Value, json};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::task::JoinSet;
    use tokio::time::{Instant, timeout};

    use super::world::{HANGS, get, send, world};

    const TAX: &str = "/skatt/v2/ebevis/991825827";

    async fn put(to: SocketAddr, name: &str, fault: &Value) {
        let head = format!("PUT /control/faults/{name}\ncontent-type: application/json");
        let answer = send(to, &head, fault.to_string().as_bytes()).await.unwrap();
        assert_eq!(answer.status, 204, "{fault}");
    }

    async fn delete(to: SocketAddr, kind: &str, name: &str) {
        let head = format!("DELETE /control/{kind}/{name}");
        assert_eq!(send(to, &head, b"").await.unwrap().status, 204);
    }

    async fn calls(to: SocketAddr, name: &str) -> Value {
        get(to, &format!("/control/calls/{name}")).await.json()
    }

    async fn count_reaches(to: SocketAddr, count: u64) {
        let reached = async { while calls(to, "skatt").await["count"] != count {} };
        timeout(HANGS, reached).await.unwrap();
    }

    #[tokio::test]
    async fn a_fault_answers_instead_until_it_is_ended() {
        let world = world().await;
        let to = world.address;
        put(
            to,
            "skatt",
            &json!({"status": 503, "body": {"feil": "nede"}}),
        )
        .await;
        for _ in 0..2 {
            let answer = get(to, TAX).await;
            assert_eq!(answer.status, 503);
            assert_eq!(answer.json(), json!({"feil": "nede"}));
        }
        put(to, "skatt", &json!({"body": "<html>", "status": 502})).await;
        let answer = get(to, TAX).await;
        assert_eq!((answer.status, answer.text()), (502, "<html>"));
        assert_eq!(get(to, "/testdata/dokumenter/991825827").await.status, 200);
        delete(to, "faults", "skatt").await;
        delete(to, "faults", "skatt").await;
        assert_eq!(get(to, TAX).await.status, 200);
    }

    #[tokio::test]
    async fn a_fault_with_times_ends_by_itself() {
        let world = world().await;
        put(
            world.address,
            "sandbox-plugin",
            &json!({"status": 500, "times": 2}),
        )
        .await;
        let mut seen = Vec::new();
        for _ in 0..3 {
            let answer = get(world.address, "/plugin/api/evidencecodes").await;
            seen.push(answer.status);
        }
        assert_eq!(seen, [500, 500, 200]);
    }

    #[tokio::test]
    async fn a_dropped_connection_gets_no_answer() {
        let world = world().await;
        let to = world.address;
        put(to, "register", &json!({"drop": true, "times": 1})).await;
        let unit = "GET /enhetsregisteret/api/enheter/991825827";
        assert!(send(to, unit, b"").await.is_none());
        assert_eq!(send(to, unit, b"").await.unwrap().status, 200);
        put(to, "register", &json!({"drop": false})).await;
        assert_eq!(send(to, unit, b"").await.unwrap().status, 200);
        let posted = json!({"drop": true, "delay_ms": 1});
        put(to, "sandbox-plugin", &posted).await;
        let head = "POST /plugin/api/PluginBinar";
        assert!(send(to, head, &[b' '; 100_000]).await.is_none());
    }

    #[tokio::test]
    async fn a_delay_is_waited_for_and_then_the_real_answer_comes() {
        let world = world().await;
        put(world.address, "testdata", &json!({"delay_ms": 50})).await;
        let before = Instant::now();
        let answer = get(world.address, "/testdata/apne/1").await;
        assert_eq!(answer.status, 200);
        assert!(before.elapsed() >= Duration::from_millis(50));
    }

    #[tokio::test]
    async fn the_fault_of_the_issuer_spares_the_generator() {
        let world = world().await;
        let to = world.address;
        put(to, "issuer", &json!({"status": 500})).await;
        for path in ["/.well-known/oauth-authorization-server", "/jwk"] {
            assert_eq!(get(to, path).await.status, 500);
        }
        assert_eq!(send(to, "POST /token", b"").await.unwrap().status, 500);
        let token = get(to, "/api/GetEnterpriseToken?scopes=a").await;
        assert_eq!(token.status, 200);
        assert_eq!(calls(to, "issuer").await["count"], 3);
    }

    #[tokio::test]
    async fn the_register_goes_by_two_names() {
        let world = world().await;
        let to = world.address;
        put(to, "er", &json!({"status": 503})).await;
        let path = "/enhetsregisteret/api/enheter/991825827";
        assert_eq!(get(to, path).await.status, 503);
        delete(to, "faults", "register").await;
        assert_eq!(get(to, path).await.status, 200);
        assert_eq!(calls(to, "er").await, calls(to, "register").await);
        assert_eq!(calls(to, "register").await["count"], 2);
    }

    #[tokio::test]
    async fn calls_are_counted_with_what_was_asked_and_when() {
        let world = world().await;
        let to = world.address;
        get(to, "/testdata/regnskap/991825827?antall=2").await;
        get(to, "/testdata/hva").await;
        send(to, "POST /testdata/apne/1", b"x").await;
        let one =
            |method, path| json!({"method": method, "path": path, "at": "2027-01-15T08:00:00Z"});
        assert_eq!(
            calls(to, "testdata").await,
            json!({"count": 3, "in_flight_max": 1, "calls": [
                one("GET", "/testdata/regnskap/991825827?antall=2"),
                one("GET", "/testdata/hva"),
                one("POST", "/testdata/apne/1"),
            ]})
        );
        delete(to, "calls", "testdata").await;
        let none = json!({"count": 0, "in_flight_max": 0, "calls": []});
        assert_eq!(calls(to, "testdata").await, none);
        get(to, "/testdata/apne/1").await;
        get(to, "/altinn/api").await;
        assert_eq!(calls(to, "altinn").await["count"], 1);
        world.reset_calls();
        assert_eq!(calls(to, "testdata").await, none);
        assert_eq!(calls(to, "altinn").await, none);
    }

    #[tokio::test]
    async fn the_most_calls_in_flight_are_remembered_and_a_lost_client_ends_its_call() {
        let world = world().await;
        let to = world.address;
        put(to, "skatt", &json!({"delay_ms": 600_000})).await;
        let mut clients = JoinSet::new();
        for _ in 0..5 {
            clients.spawn(async move { get(to, TAX).await.status });
        }
        count_reaches(to, 5).await;
        assert_eq!(calls(to, "skatt").await["in_flight_max"], 5);
        clients.shutdown().await;
        let ended = async {
            while calls(to, "skatt").await["in_flight_max"] != 0 {
                delete(to, "calls", "skatt").await;
            }
        };
        timeout(HANGS, ended).await.unwrap();
    }

    #[tokio::test]
    async fn what_the_control_interface_does_not_know_is_refused() {
        let world = world().await;
        let to = world.address;
        let answer = send(to, "PUT /control/faults/nobody", b"{}").await.unwrap();
        assert_eq!(answer.status, 404);
        let known = answer.json()["known"].clone();
        let known: Vec<&str> = known
            .as_array()
            .unwrap()
            .iter()
            .flat_map(Value::as_str)
            .collect();
        let (agencies, others): (Vec<&str>, Vec<&str>) =
            known.iter().partition(|name| name.starts_with("tilda-"));
        assert_eq!(
            others,
            [
                "issuer",
                "register",
                "altinn",
                "testdata",
                "skatt",
                "skatt_person",
                "freg",
                "produkter",
                "arbeidstilsynet",
                "vegvesen",
                "sandbox-plugin",
                "er",
            ]
        );
        assert_eq!(agencies.len(), 24);
        let bad = send(to, "PUT /control/faults/skatt", br#"{"stauts":500}"#).await;
        let bad = bad.unwrap();
        assert_eq!(bad.status, 400);
        assert!(bad.json()["error"].as_str().unwrap().contains("stauts"));
        assert_eq!(get(to, TAX).await.status, 200);
        for (head, status) in [
            ("POST /control/faults/skatt", 405),
            ("GET /control/faults/skatt", 405),
            ("PUT /control/calls/skatt", 405),
            ("GET /control/other/skatt", 404),
            ("GET /control/calls", 404),
            ("GET /control/calls/skatt/x", 404),
            ("GET /", 404),
            ("GET /altinn/api", 404),
        ] {
            let answer = send(to, head, b"{}").await.unwrap();
            assert_eq!(answer.status, status, "{head}");
            assert!(answer.json()["error"].is_string(), "{head}");
        }
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_is_refused() {
        let world = world().await;
        let to = world.address;
        let fits = vec![b' '; 1024 * 1024];
        let answer = send(to, "PUT /control/faults/skatt", &fits).await.unwrap();
        assert_eq!(answer.status, 400);
        let mut stream = TcpStream::connect(to).await.unwrap();
        let head = b"POST /plugin/api/x HTTP/1.1\r\nhost: x\r\ncontent-length: 2000000\r\n\r\n";
        stream.write_all(head).await.unwrap();
        stream.write_all(&fits).await.unwrap();
        stream.write_all(b" ").await.unwrap();
        let mut status = [0; 12];
        timeout(HANGS, stream.read_exact(&mut status))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(&status, b"HTTP/1.1 413");
    }

    #[tokio::test]
    async fn an_address_others_can_reach_is_refused() {
        let config = SandboxConfig {
            listen: SocketAddr::from(([0, 0, 0, 0], 0)),
            clock: Arc::new(|| 0),
            audience: String::new(),
        };
        let Err(error) = Sandbox::start(config).await else {
            panic!("it must not listen there");
        };
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }

    #[tokio::test]
    async fn it_ends_when_it_is_stopped_and_when_it_is_dropped() {
        let stopped = world().await;
        let to = stopped.address;
        put(to, "skatt", &json!({"delay_ms": 600_000})).await;
        let mut client = JoinSet::new();
        client.spawn(async move { send(to, &format!("GET {TAX}"), b"").await.is_none() });
        count_reaches(to, 1).await;
        stopped.stop().await;
        assert!(TcpStream::connect(to).await.is_err());
        assert!(client.join_next().await.unwrap().unwrap(), "it was cut");

        let dropped = world().await;
        let to = dropped.address;
        drop(dropped);
        let refused = async { while TcpStream::connect(to).await.is_ok() {} };
        timeout(HANGS, refused).await.unwrap();
    }
}
