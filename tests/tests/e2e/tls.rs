//! TLS by the node itself, asked with `openssl` and `curl`; without them a test says so and holds nothing.

use dan_tests::client::Call;
use dan_tests::consumer::{COMPANY, DAN_TEST, OWNER};
use dan_tests::node::{Node, until};
use http::Method;
use toml::Table;

use crate::place::{DATASET, Place, has_openssl, has_openssl_and_curl, shown};

/// Makes `NAME.pem` and `NAME.key`, self-signed, beside the configuration.
async fn make_certificate(place: &Place, name: &str) {
    make(place, name, "CA:FALSE").await;
}

async fn make(place: &Place, name: &str, constraints: &str) {
    let lines = format!(
        "cd {}; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
         -subj /CN={name} -addext subjectAltName=IP:127.0.0.1 \
         -addext basicConstraints=critical,{constraints} -keyout {name}.key -out {name}.pem",
        shown(place.scratch.folder())
    );
    place.scratch.shell(&lines).await.exits(0);
}

/// Has the node serve `server.pem`, and ask for client certificates where `roots` says so.
fn serve_tls(place: &mut Place, roots: &str) {
    let tls = format!("certificate = \"server.pem\"\nkey = {{ file = \"server.key\" }}\n{roots}");
    place.set("server", "tls", tls.parse::<Table>().unwrap());
    let server = place.config["server"].as_table_mut().unwrap();
    server.remove("public_url");
}

#[tokio::test]
async fn with_a_certificate_the_node_answers_over_https_only() {
    if !has_openssl() {
        return;
    }
    let mut place = Place::new().await;
    make_certificate(&place, "server").await;
    serve_tls(&mut place, "");
    let node = place.node().await;

    let path = format!("/v1/opendata/{DATASET}/{COMPANY}");
    let ask = format!(
        "printf 'GET {path} HTTP/1.1\\r\\nHost: {0}\\r\\nConnection: close\\r\\n\\r\\n' | openssl \
         s_client -quiet -connect {0} -CAfile {1} -verify_return_error -verify_ip 127.0.0.1",
        node.address,
        shown(&place.scratch.path("server.pem")),
    );
    let answer = place.scratch.shell(&ask).await.exits(0).stdout;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let body_file = place.scratch.write("body", body);
    let signature = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let ours = name.eq_ignore_ascii_case("x-signature-jwt");
        ours.then(|| value.trim().to_owned())
    });
    let signature = place.scratch.write("signature", signature.unwrap());
    // Anybody who trusts the certificate can fetch the keys over the same connection.
    let verify = format!(
        "SSL_CERT_FILE={} dan verify --json --body {} --signature {} --jwks https://{}/.well-known/jwks.json",
        shown(&place.scratch.path("server.pem")),
        shown(&body_file),
        shown(&signature),
        node.address,
    );
    let said = place.scratch.shell(&verify).await.exits(0).json();
    let iss = format!("https://{}/v1", node.address);
    assert_eq!(said["claims"]["iss"], iss, "{said}");
    // Who does not trust it gets no keys.
    let (_, untrusting) = verify.split_once(' ').unwrap();
    place.scratch.shell(untrusting).await.exits(2);
    // Plain HTTP is not spoken there; health still is, on its own address.
    let plain = format!("printf 'GET {path} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'");
    let plain = raw(&node, &plain).await;
    assert!(!plain.contains("HTTP/1.1"), "{plain}");
    let live = Call::new(Method::GET, format!("{}/livez", node.management));
    live.send().await.ok();
}

/// What `curl` makes of the open data: protocol and status, as `2 200`.
async fn curl(place: &Place, node: &Node, trust: &str, options: &str) -> String {
    let lines = format!(
        "cd {}; curl -sS -o /dev/null -w '%{{http_version}} %{{http_code}}' --cacert {trust} {options} \
         https://{}/v1/opendata/{DATASET}/{COMPANY}",
        shown(place.scratch.folder()),
        node.address,
    );
    place.scratch.shell(&lines).await.stdout
}

#[tokio::test]
async fn http_2_and_client_certificates_reach_the_routes() {
    if !has_openssl_and_curl() {
        return;
    }
    let mut place = Place::new().await;
    make_certificate(&place, "server").await;
    make_certificate(&place, "client").await;
    make(&place, "root", "CA:TRUE").await;
    serve_tls(&mut place, "client_roots = \"root.pem\"");
    let node = place.node().await;
    let own = "--cert client.pem --key client.key";
    let strange = "--cert server.pem --key server.key";
    for (options, expected) in [
        ("--http2", "2 200"),
        ("--http1.1", "1.1 200"),
        ("--http1.1 --tls-max 1.2", "1.1 200"),
        (&*format!("--http2 {own}"), "2 200"),
        (&*format!("--http2 --tls-max 1.2 {own}"), "2 200"),
        (&*format!("--http1.1 {own}"), "1.1 200"),
        // Whom to believe is not for the handshake to say.
        (&*format!("--http2 {strange}"), "2 200"),
    ] {
        let said = curl(&place, &node, "server.pem", options).await;
        assert_eq!(said, expected, "{options}");
    }
}

#[tokio::test]
async fn the_trailer_of_a_large_answer_verifies_with_the_published_keys_over_both_protocols() {
    if !has_openssl_and_curl() {
        return;
    }
    let mut place = Place::new().await;
    make_certificate(&place, "server").await;
    serve_tls(&mut place, "");
    let node = place.node().await;
    let (_, key) = place.key(DAN_TEST, OWNER).await;
    let token = place.sandbox.token(DAN_TEST.scope, OWNER).await;
    for (protocol, end) in [
        ("--http2", ""),
        ("--http1.1 -H 'te: trailers'", ""),
        ("--http2", "&slutt=brudd"),
        ("--http1.1", "&slutt=brudd"),
    ] {
        let lines = format!(
            "cd {}; curl='curl -sS --cacert server.pem'; root=https://{}\n\
             $curl {protocol} -D head -o body -H 'ocp-apim-subscription-key: {key}' -H 'authorization: Bearer {token}' \
             \"$root/v1/directharvest/DanTestFil?subject={COMPANY}&kib=5000{end}\"\n\
             $curl -o keys $root/.well-known/jwks.json\n\
             sed -n 's/^x-signature-jwt: //p' head | tr -d '\\r\\n' >signature\n\
             dan verify --body body --signature signature --jwks keys",
            shown(place.scratch.folder()),
            node.address,
        );
        let ended = place.scratch.shell(&lines).await;
        if end.is_empty() {
            let body = std::fs::read(place.scratch.path("body")).unwrap();
            assert_eq!(body.len(), 5000 * 1024);
            ended.exits(0);
        } else {
            // A reset stream, or a body without its last chunk.
            assert!(matches!(ended.code, Some(18 | 56 | 92)), "{ended:?}");
        }
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_served_without_a_restart_and_a_bad_one_is_not() {
    if !has_openssl_and_curl() {
        return;
    }
    let mut place = Place::new().await;
    make_certificate(&place, "server").await;
    make_certificate(&place, "renewed").await;
    serve_tls(&mut place, "");
    let node = place.node().await;
    place.scratch.write(
        "old.pem",
        std::fs::read_to_string(place.scratch.path("server.pem")).unwrap(),
    );
    assert_eq!(curl(&place, &node, "old.pem", "").await, "2 200");
    let page = Call::new(Method::GET, format!("{}/metrics", node.management));
    let page = String::from_utf8(page.send().await.ok().body.to_vec()).unwrap();
    let ends = "dan_expiry_timestamp_seconds{kind=\"server_certificate\",name=\"CN=server\"} ";
    assert!(page.contains(ends), "{page}");
    // A certificate with a key that is not its own.
    let folder = shown(place.scratch.folder()).to_owned();
    let shell = |lines: &str| format!("cd {folder}; {lines}");
    place
        .scratch
        .shell(&shell("cp renewed.pem server.pem"))
        .await
        .exits(0);
    node.hang_up();
    until("the node complains", async || {
        node.log()
            .contains("the new TLS files are not good")
            .then_some(())
    })
    .await;
    assert_eq!(curl(&place, &node, "old.pem", "").await, "2 200");
    place
        .scratch
        .shell(&shell("cp renewed.key server.key"))
        .await
        .exits(0);
    node.hang_up();
    until("the new one serves", async || {
        let served = curl(&place, &node, "renewed.pem", "").await;
        (served == "2 200").then_some(())
    })
    .await;
    node.stop().await;
}

#[tokio::test]
async fn tls_files_that_cannot_be_read_are_named_at_the_start() {
    if !has_openssl() {
        return;
    }
    let mut place = Place::new().await;
    make_certificate(&place, "server").await;
    for (roots, named) in [
        ("client_roots = \"nowhere.pem\"", "server.tls.client_roots"),
        ("client_roots = \"server.key\"", "client roots"),
        (
            "client_roots = \"server.pem\"\nclient_crls = \"nowhere\"",
            "server.tls.client_crls",
        ),
    ] {
        serve_tls(&mut place, roots);
        let file = place.file();
        let said = place
            .scratch
            .dan_edge(&["--config", shown(&file)])
            .await
            .exits(2)
            .stderr;
        assert!(said.contains(named), "{said}");
    }
}

/// What the API's port says to bytes in clear.
async fn raw(node: &Node, bytes: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(&node.address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    // It may close or reset; what it said before counts.
    stream.read_to_end(&mut said).await.ok();
    String::from_utf8_lossy(&said).into_owned()
}
