//! Downloads from a server in the test itself, which speaks as much HTTP as
//! each case needs.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use super::*;
use crate::catalog::{Check, Kind};

type TestResult = Result<(), Box<dyn std::error::Error>>;

const CONTENT: &[u8] = b"0123456789abcdef0123456789abcdef";

fn entry(url: String) -> Entry {
    Entry {
        name: "test".into(),
        kind: Kind::Document,
        file: "test.bin".into(),
        url,
        sha256: source::sha256_hex(CONTENT),
        bytes: CONTENT.len() as u64,
        licence: "none".into(),
        attribution: "none".into(),
        format: None,
        end_sha256: None,
        check: Check::Text,
        check_reason: None,
        counts: None,
    }
}

/// Answers one request and returns the request.
fn serve(
    answer: impl FnOnce(&str, &mut TcpStream) -> std::io::Result<()> + Send + 'static,
) -> std::io::Result<(String, JoinHandle<std::io::Result<String>>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/test.bin", listener.local_addr()?);
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        let mut head = String::new();
        let mut lines = BufReader::new(stream.try_clone()?);
        while lines.read_line(&mut head)? > 2 {}
        answer(&head, &mut stream)?;
        Ok(head)
    });
    Ok((url, server))
}

fn joined(server: JoinHandle<std::io::Result<String>>) -> std::io::Result<String> {
    server
        .join()
        .unwrap_or_else(|_| Err(std::io::Error::other("the server panicked")))
}

fn whole(_: &str, stream: &mut TcpStream) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        CONTENT.len()
    )?;
    stream.write_all(CONTENT)
}

#[test]
fn a_file_is_downloaded_checked_and_named() -> TestResult {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("deep/test.bin");
    let (url, server) = serve(whole)?;
    let mut seen = Vec::new();
    download(&entry(url), &path, &mut |progress| seen.push(progress))?;
    assert!(!joined(server)?.to_lowercase().contains("range:"));
    assert_eq!(fs::read(&path)?, CONTENT);
    assert!(!with_suffix(&path, ".part").exists());
    let total = CONTENT.len() as u64;
    assert_eq!(seen.first(), Some(&Progress { done: 0, total }));
    assert_eq!(seen.last(), Some(&Progress { done: total, total }));
    Ok(())
}

#[test]
fn a_broken_download_is_kept_and_continued() -> TestResult {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("test.bin");
    let (url, server) = serve(|_, stream| {
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            CONTENT.len()
        )?;
        stream.write_all(&CONTENT[..10])
    })?;
    let error = download(&entry(url), &path, &mut |_| ())
        .expect_err("the server stops")
        .to_string();
    joined(server)?;
    assert!(
        error.contains("10 of 32 bytes") && error.contains("fetch again"),
        "{error}"
    );
    assert!(!path.exists());

    let (url, server) = serve(|_, stream| {
        write!(
            stream,
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 10-31/32\r\nContent-Length: 22\r\n\r\n"
        )?;
        stream.write_all(&CONTENT[10..])
    })?;
    download(&entry(url), &path, &mut |_| ())?;
    assert!(joined(server)?.to_lowercase().contains("range: bytes=10-"));
    assert_eq!(fs::read(&path)?, CONTENT);
    Ok(())
}

#[test]
fn a_server_without_ranges_starts_over() -> TestResult {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("test.bin");
    fs::write(with_suffix(&path, ".part"), b"another start")?;
    let (url, server) = serve(whole)?;
    download(&entry(url), &path, &mut |_| ())?;
    joined(server)?;
    assert_eq!(fs::read(&path)?, CONTENT);
    Ok(())
}

#[test]
fn a_wrong_file_is_refused_and_kept_aside() -> TestResult {
    for wrong in [vec![b'x'; CONTENT.len()], vec![b'x'; 10 * CONTENT.len()]] {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("test.bin");
        let (url, server) = serve(move |_, stream| {
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                wrong.len()
            )?;
            // The client need not read all of a file that is too long.
            let _ = stream.write_all(&wrong);
            Ok(())
        })?;
        let error = download(&entry(url), &path, &mut |_| ())
            .expect_err("another file")
            .to_string();
        joined(server)?;
        assert!(
            error.contains("wrong checksum") && error.contains("kept here and not used"),
            "{error}"
        );
        assert!(!path.exists() && !with_suffix(&path, ".part").exists());
        assert!(with_suffix(&with_suffix(&path, ".part"), ".wrong").exists());
    }
    Ok(())
}

#[test]
fn an_answer_other_than_success_is_named() -> TestResult {
    let dir = tempfile::tempdir()?;
    let (url, server) = serve(|_, stream| {
        write!(
            stream,
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        )
    })?;
    let error = download(&entry(url), &dir.path().join("t"), &mut |_| ())
        .expect_err("no file")
        .to_string();
    joined(server)?;
    assert!(
        error.contains("404") && error.contains("SYNCBENCH_DATASETS"),
        "{error}"
    );
    Ok(())
}

#[test]
fn no_server_is_one_clear_line() -> TestResult {
    let dir = tempfile::tempdir()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/", listener.local_addr()?);
    drop(listener);
    let error = download(&entry(url), &dir.path().join("t"), &mut |_| ())
        .expect_err("nobody listens")
        .to_string();
    assert!(
        error.starts_with("cannot fetch `test` from http://127.0.0.1"),
        "{error}"
    );
    assert!(!error.contains('\n'), "{error}");
    Ok(())
}
