//! Live figures for Prometheus: answers `GET /metrics` with the latest text.
//!
//! One request a connection, HTTP/1.1 without keep-alive: a scraper comes once
//! in some seconds, and less code runs beside a measurement.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

/// A request whose head is longer is refused.
const LONGEST_HEAD: usize = 8 * 1024;

/// A connection is closed after this, however far it is.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connections served at a time; the rest wait in the system's queue.
const CONNECTIONS: usize = 16;

/// After a failed accept, as when descriptors have run out.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers `GET /metrics` on `listener` with the text that `latest` holds, as
/// `content_type`, and every other path with 404. Serves for ever: drop the
/// future to end it, which drops its connections too.
pub async fn serve(
    listener: TcpListener,
    latest: watch::Receiver<Arc<str>>,
    content_type: &'static str,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let latest = latest.clone();
        connections.spawn(async move {
            // A scraper that goes away or dawdles is its own problem.
            let _ = timeout(PATIENCE, answer(stream, &latest, content_type)).await;
            drop(place);
        });
    }
}

async fn answer(
    mut stream: TcpStream,
    latest: &watch::Receiver<Arc<str>>,
    content_type: &str,
) -> io::Result<()> {
    let Some(head) = read_head(&mut stream).await? else {
        return respond(
            &mut stream,
            Answer::plain("431 Request Header Fields Too Large"),
        )
        .await;
    };
    let answer = match request(&head) {
        Some(("GET", "/metrics")) => Answer::text(content_type, latest.borrow().to_string()),
        Some(("HEAD", "/metrics")) => Answer {
            without_body: true,
            ..Answer::text(content_type, latest.borrow().to_string())
        },
        Some((_, "/metrics")) => Answer::plain("405 Method Not Allowed"),
        Some(_) => Answer::plain("404 Not Found"),
        None => Answer::plain("400 Bad Request"),
    };
    respond(&mut stream, answer).await
}

/// The request up to its empty line; `None` if that does not come in time.
async fn read_head(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::with_capacity(1024);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() >= LONGEST_HEAD {
            return Ok(None);
        }
        let room = (LONGEST_HEAD - head.len()) as u64;
        if (&mut *stream).take(room).read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(Some(head))
}

/// Method and path of a request, without its query.
fn request(head: &[u8]) -> Option<(&str, &str)> {
    let line = head.split(|&byte| byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let path = target.split('?').next()?;
    (version.starts_with("HTTP/1.") && words.next().is_none()).then_some((method, path))
}

struct Answer<'a> {
    status: &'static str,
    content_type: &'a str,
    body: String,
    without_body: bool,
}

impl<'a> Answer<'a> {
    fn text(content_type: &'a str, body: String) -> Self {
        Self {
            status: "200 OK",
            content_type,
            body,
            without_body: false,
        }
    }

    /// An answer that is no more than its status.
    fn plain(status: &'static str) -> Self {
        Self {
            status,
            ..Self::text("text/plain; charset=utf-8", format!("{status}\n"))
        }
    }
}

async fn respond(stream: &mut TcpStream, answer: Answer<'_>) -> io::Result<()> {
    let Answer {
        status,
        content_type,
        body,
        ..
    } = &answer;
    let length = body.len();
    let mut response = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n"
    );
    if !answer.without_body {
        response.push_str(body);
    }
    stream.write_all(response.as_bytes()).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the answer of the server to the bytes `request`.
    async fn answer_to(request: &[u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (update, latest) = watch::channel(Arc::from("old 0\n"));
        let server = tokio::spawn(serve(listener, latest, "text/plain; version=0.0.4"));
        update.send_replace(Arc::from("up 1\n"));
        let mut stream = TcpStream::connect(addr).await.unwrap();
        // The server may answer and close before it has read all.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        server.abort();
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn a_scraper_gets_the_latest_text() {
        let answer = answer_to(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains("Content-Type: text/plain; version=0.0.4"));
        assert!(head.contains("Content-Length: 5"));
        assert_eq!(body, "up 1\n");
    }

    #[tokio::test]
    async fn everything_else_is_refused_with_its_reason() {
        for (request, status) in [
            ("GET / HTTP/1.1\r\n\r\n", "404"),
            ("GET /metrics/../x HTTP/1.1\r\n\r\n", "404"),
            ("POST /metrics HTTP/1.1\r\n\r\n", "405"),
            ("GET /metrics SPDY/9\r\n\r\n", "400"),
            ("\r\n\r\n", "400"),
        ] {
            let answer = answer_to(request.as_bytes()).await;
            let expected = format!("HTTP/1.1 {status} ");
            assert!(answer.starts_with(&expected), "{request:?}: {answer}");
        }
    }

    #[tokio::test]
    async fn a_head_is_answered_without_a_body() {
        let answer = answer_to(b"HEAD /metrics?x=1 HTTP/1.1\r\n\r\n").await;
        assert!(answer.contains("Content-Length: 5") && answer.ends_with("\r\n\r\n"));
    }

    #[tokio::test]
    async fn a_request_without_end_is_cut_off() {
        let endless = vec![b'x'; LONGEST_HEAD];
        let answer = answer_to(&endless).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
}
