//! Heads of the trail are stamped by an authority (RFC 3161), which is `openssl ts` here; what it stamped
//! is checked by the lines of `docs/operating.md`. Whatever it does, the node serves.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use dan_tests::consumer::{EBEVIS, OWNER};
use dan_tests::node::until;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::place::{DATASET, Place, harvest, has_openssl, shown};

/// Makes a root and an authority under it, and writes what `openssl ts` needs to know.
const AUTHORITY: &str = r#"
openssl req -x509 -newkey rsa:2048 -nodes -keyout root.key -out tsa-root.pem -days 30 -subj /CN=root 2>/dev/null
openssl req -newkey rsa:2048 -nodes -keyout tsa.key -out tsa.csr -subj /CN=tsa 2>/dev/null
echo extendedKeyUsage=critical,timeStamping > tsa.ext
openssl x509 -req -in tsa.csr -CA tsa-root.pem -CAkey root.key -CAcreateserial -days 30 -extfile tsa.ext \
    -out tsa.pem 2>/dev/null
echo 01 > serial
cat > tsa.cnf <<END
[tsa]
default_tsa = one
[one]
serial = ./serial
signer_cert = tsa.pem
certs = tsa-root.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_chain = no
END
"#;

/// How an authority answers.
#[derive(Clone, Copy)]
enum Manner {
    /// As it should.
    Stamps,
    /// Nothing at all.
    Hangs,
    /// With the stamp of something else.
    Lies,
}

/// An authority on loopback. It ends when this is dropped.
struct Authority {
    url: String,
    asked: Arc<AtomicU32>,
    _serving: JoinSet<()>,
}

impl Authority {
    async fn start(folder: PathBuf, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/tsa", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicU32::new(0));
        let mut serving = JoinSet::new();
        let counted = Arc::clone(&asked);
        serving.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                answer(stream, &folder, manner, &counted).await;
            }
        });
        Self {
            url,
            asked,
            _serving: serving,
        }
    }
}

async fn answer(mut stream: TcpStream, folder: &Path, manner: Manner, asked: &AtomicU32) {
    let mut received = Vec::new();
    let query = loop {
        if stream.read_buf(&mut received).await.unwrap_or(0) == 0 {
            return;
        }
        if let Some(query) = body(&received) {
            break query;
        }
    };
    asked.fetch_add(1, Ordering::SeqCst);
    let reply = match manner {
        Manner::Hangs => return std::future::pending().await,
        Manner::Stamps => stamped(folder, query),
        Manner::Lies => {
            // One bit of the digest, which is the last but the nonce and the flag.
            let mut other = query.to_vec();
            let place = other.len() - 20;
            other[place] ^= 1;
            stamped(folder, &other)
        }
    };
    let length = reply.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/timestamp-reply\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n"
    );
    let whole = [head.as_bytes(), &reply].concat();
    stream.write_all(&whole).await.ok();
}

/// The body of a request, once it is there whole.
fn body(received: &[u8]) -> Option<&[u8]> {
    let end = received.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&received[..end]).to_ascii_lowercase();
    assert!(head.contains("application/timestamp-query"), "{head}");
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))?;
    received.get(end + 4..end + 4 + length.parse::<usize>().ok()?)
}

fn stamped(folder: &Path, query: &[u8]) -> Vec<u8> {
    std::fs::write(folder.join("query.tsq"), query).unwrap();
    let made = Command::new("openssl")
        .args([
            "ts",
            "-reply",
            "-config",
            "tsa.cnf",
            "-queryfile",
            "query.tsq",
        ])
        .args(["-out", "reply.tsr"])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    std::fs::read(folder.join("reply.tsr")).unwrap()
}

/// A place whose node asks an authority of this manner.
async fn stamping(manner: Manner) -> (Place, Authority) {
    let mut place = Place::new().await;
    let folder = place.scratch.folder().to_owned();
    let made = format!("cd {}\n{AUTHORITY}", shown(&folder));
    place.scratch.shell(&made).await.exits(0);
    let authority = Authority::start(folder, manner).await;
    place.set("trail", "timestamp_url", authority.url.clone());
    (place, authority)
}

#[tokio::test]
async fn a_head_is_stamped_exported_and_checked_with_openssl() {
    if !has_openssl() {
        return;
    }
    let (place, _authority) = stamping(Manner::Stamps).await;
    let node = place.node().await;
    until("a stamp", async || {
        (node.metric("dan_trail_stamps_total").await > 0).then_some(())
    })
    .await;
    node.stop().await;
    let file = place.file();
    let verify = ["audit", "verify", "--config", shown(&file)];
    let said = place.scratch.dan(&verify).await.exits(0).stdout;
    assert!(said.contains("1 heads have a time stamp"), "{said}");
    let folder = shown(place.scratch.folder()).to_owned();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operating.md");
    let page = std::fs::read_to_string(page).unwrap();
    // The block that ends with the check, as the page has it, in the folder of this test.
    let block = page
        .split("```sh\n")
        .find_map(|rest| {
            rest.split("```")
                .next()
                .filter(|block| block.contains("openssl ts -verify"))
        })
        .expect("the page says how a stamp is checked");
    let lines = block.replace("/etc/dan/dan.toml", shown(&file));
    let lines = format!("cd {folder}\n{lines}");
    let checked = place.scratch.shell(&lines).await.exits(0);
    assert!(checked.stdout.contains("Verification: OK"), "{checked:?}");
    // The check is one: another head does not pass.
    let lines = format!(
        "cd {folder}\nprintf x >> head.jwt\nopenssl ts -verify -data head.jwt -in stamp.der \
         -token_in -CAfile tsa-root.pem"
    );
    assert_ne!(place.scratch.shell(&lines).await.code, Some(0));
}

#[tokio::test]
async fn an_authority_that_hangs_or_lies_makes_a_warning_and_the_node_serves() {
    if !has_openssl() {
        return;
    }
    for manner in [Manner::Hangs, Manner::Lies] {
        let (place, authority) = stamping(manner).await;
        let node = place.node().await;
        until("the authority is asked", async || {
            (authority.asked.load(Ordering::SeqCst) > 0).then_some(())
        })
        .await;
        let client = place.client(&node, EBEVIS, OWNER).await;
        harvest(&client, DATASET).await.ok();
        if matches!(manner, Manner::Lies) {
            until("it is counted", async || {
                (node.metric("dan_trail_stamps_failed_total").await > 0).then_some(())
            })
            .await;
            assert!(
                node.log().contains("about something else"),
                "{}",
                node.log()
            );
        }
        assert_eq!(node.metric("dan_trail_stamps_total").await, 0);
        node.stop().await;
        let file = place.file();
        let verify = ["audit", "verify", "--config", shown(&file)];
        let said = place.scratch.dan(&verify).await.exits(0).stdout;
        assert!(!said.contains("time stamp"), "{said}");
    }
}
