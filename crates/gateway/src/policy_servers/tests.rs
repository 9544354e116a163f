//! Real exchanges over TCP and Unix sockets with a server of a few lines.

use rstest::rstest;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;

use super::*;

fn servers() -> HttpPolicyServers {
    HttpPolicyServers::new(Network::default(), [("KEY".to_owned(), "s3cret".to_owned())].into(), PathBuf::new())
}

fn place(url: String) -> Place {
    Place { url, secret_env: Some("KEY".to_owned()) }
}

fn review(largest: usize) -> Message {
    Message { path: protocol::REVIEW, body: Some(Bytes::from_static(b"{}")), largest }
}

/// Reads one request and answers with `body`; gives what it has read.
async fn answer_one<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, body: &str) -> (String, S) {
    let read = read_one(&mut stream).await;
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await.unwrap();
    (read, stream)
}

async fn read_one(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut read = Vec::new();
    while !read.windows(4).any(|end| end == b"\r\n\r\n") || read.starts_with(b"POST") && !read.ends_with(b"{}") {
        read.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(read).unwrap()
}

#[tokio::test]
async fn a_message_goes_below_the_url_with_the_secret_and_the_connection_is_kept() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let servers = servers();
    let url = format!("http://{}/policies/a/", listener.local_addr().unwrap());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (first, stream) = answer_one(listener.accept().await.unwrap().0, "one").await;
        (first, answer_one(stream, "two").await.0)
    });
    let server = servers.at(&place(url)).unwrap();
    for body in ["one", "two"] {
        assert_eq!(server.send(review(9)).await, Ok(Reply { status: 200, body: Bytes::from_static(body.as_bytes()) }));
    }
    let (first, second) = tasks.join_next().await.unwrap().unwrap();
    assert!(first.starts_with("POST /policies/a/v1/review HTTP/1.1\r\n"), "{first}");
    assert!(first.contains("authorization: Bearer s3cret\r\n"), "{first}");
    let token = servers.token().unwrap();
    assert!(second.contains(&format!("x-luthien-unreviewed: {}\r\n", token.expose_secret())), "{second}");
    servers.shutdown().await;
}

#[tokio::test]
async fn a_socket_is_reached_and_again_after_it_was_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.sock");
    let servers = servers();
    let server = servers.at(&place(format!("unix:{}", path.display()))).unwrap();
    assert!(matches!(server.send(review(9)).await, Err(ServerError::Unreachable(_))));
    for _ in 0..2 {
        let listener = UnixListener::bind(&path).unwrap();
        let serving = async { answer_one(listener.accept().await.unwrap().0, "yes").await.0 };
        let message = Message { path: protocol::DESCRIBE, body: None, largest: 9 };
        let (reply, asked) = tokio::join!(server.send(message), serving);
        assert_eq!(reply.unwrap().body, "yes");
        assert!(asked.starts_with("GET /v1/describe HTTP/1.1\r\n"), "{asked}");
        std::fs::remove_file(&path).unwrap();
    }
    servers.shutdown().await;
}

#[rstest]
#[case::too_large(Some("0123456789"), ServerError::TooLarge(9))]
#[case::broken(None, ServerError::Broken("connection closed before message completed".to_owned()))]
#[tokio::test]
async fn what_is_too_large_or_breaks_off_is_told_apart(#[case] body: Option<&str>, #[case] failed: ServerError) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let servers = servers();
    let server = servers.at(&place(format!("http://{}", listener.local_addr().unwrap()))).unwrap();
    let serving = async {
        let mut stream = listener.accept().await.unwrap().0;
        match body {
            Some(body) => drop(answer_one(stream, body).await),
            None => drop(read_one(&mut stream).await),
        }
    };
    assert_eq!(tokio::join!(server.send(review(9)), serving).0, Err(failed));
}

#[rstest]
#[case("http://", None, &["url"], "")]
#[case("https://u:p@host", None, &["url"], "a user or a password")]
#[case("http://host/?a=b", None, &["url"], "a query")]
#[case("unix:sock", None, &["url"], "must be absolute")]
#[case("http://host", Some("NONE"), &["secret", "env"], "NONE is not set")]
#[tokio::test]
async fn what_cannot_be_used_is_told_by_its_field(
    #[case] url: &str,
    #[case] secret: Option<&str>,
    #[case] field: &[&str],
    #[case] why: &str,
) {
    let place = Place { url: url.to_owned(), secret_env: secret.map(str::to_owned) };
    let unusable = servers().at(&place).unwrap_err();
    assert_eq!(unusable.field, field);
    assert!(unusable.why.contains(why), "{}", unusable.why);
}

#[tokio::test]
async fn secrets_are_not_shown() {
    let server = servers().at(&place("http://host".to_owned())).unwrap();
    assert!(!format!("{server:?}").contains("s3cret"));
}

#[rstest::rstest]
#[case("http://127.0.0.1:9000/p", true)]
#[case("http://[::1]:9000", true)]
#[case("http://localhost", true)]
#[case("http://policies.example.com", false)]
#[case("http://127.0.0.1.example.com", false)]
#[case("http://10.0.0.7:9000", false)]
fn only_this_machine_is_loopback(#[case] url: &str, #[case] expected: bool) {
    assert_eq!(super::is_loopback(url), expected);
}
