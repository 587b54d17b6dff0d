//! An answer that names the provider's own URL leads its client back to us.

use super::model_kit::{Message, OK, SECRETS, Sidecar, TOKEN, Upstream, config, contains, post};
use bauta::config::Limits;

/// The answer to a GET of `/p/a/b` to which the upstream adds these header lines.
fn answered(sidecar: &Sidecar, upstream: &Upstream, host: &str, headers: &str) -> Message {
    let mut client = sidecar.connect();
    client.send(format!("GET /p/a/b HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    let mut peer = upstream.accept();
    peer.request();
    peer.send(format!(
        "HTTP/1.1 201 Created\r\n{headers}Connection: close\r\nContent-Length: 0\r\n\r\n"
    ));
    client.message("GET")
}

#[test]
fn p1_a_resumable_upload_stays_with_us() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let own = format!("localhost:{}", sidecar.addr.port());
    let mut client = sidecar.connect();
    let start = format!(
        "POST /p/upload/v1beta/files HTTP/1.1\r\nHost: {own}\r\nX-Goog-Upload-Protocol: resumable\r\n\
         X-Goog-Upload-Command: start\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
    );
    client.send(start);
    let mut peer = upstream.accept();
    assert_eq!(peer.request().line(), "POST /upload/v1beta/files HTTP/1.1");
    peer.send(format!(
        "HTTP/1.1 200 OK\r\nX-Goog-Upload-Status: active\r\n\
         X-Goog-Upload-URL: {0}/upload/v1beta/files?upload_id=AbC-1&upload_protocol=resumable\r\n\
         X-Goog-Upload-Control-URL: {0}/upload/v1beta/files?upload_id=AbC-1\r\n\
         X-Goog-Upload-Chunk-Granularity: 262144\r\nContent-Length: 0\r\n\r\n",
        upstream.url()
    ));
    let answer = client.message("POST");
    let url = answer.header("x-goog-upload-url").unwrap();
    let expected =
        format!("http://{own}/p/upload/v1beta/files?upload_id=AbC-1&upload_protocol=resumable");
    assert_eq!(url, expected);
    assert_eq!(
        answer.header("x-goog-upload-control-url").unwrap(),
        format!("http://{own}/p/upload/v1beta/files?upload_id=AbC-1")
    );
    assert_eq!(
        answer.header("x-goog-upload-chunk-granularity").unwrap(),
        "262144"
    );

    // As a client follows it, on a connection of its own to what the URL names.
    let target = url.strip_prefix(&format!("http://{own}")).unwrap();
    let mut client = sidecar.connect();
    let body = format!("file with {TOKEN}\n");
    let headers = "X-Goog-Upload-Command: upload, finalize\r\nX-Goog-Upload-Offset: 0\r\n";
    client.send(post(target, headers, body.as_bytes()));
    let seen = peer.request();
    assert_eq!(
        seen.line(),
        "POST /upload/v1beta/files?upload_id=AbC-1&upload_protocol=resumable HTTP/1.1"
    );
    assert_eq!(seen.body, b"file with x_token\n");
    assert_eq!(seen.header("x-goog-upload-offset").unwrap(), "0");
    peer.send(OK);
    assert_eq!(client.message("POST").body, b"ok");
    assert!(!contains(&peer.seen, TOKEN));
}

#[test]
fn p1_references_lead_through_the_route_by_the_name_that_the_client_used() {
    let upstream = Upstream::bind();
    let base = format!("{}/base/v1", upstream.url());
    let sidecar = Sidecar::with(&config(&base, Limits::default()), SECRETS);
    let up = upstream.addr;
    for (host, header, expected) in [
        (
            "localhost",
            format!("Location: http://{up}/base/v1/x?y"),
            Some("http://localhost/p/x?y"),
        ),
        (
            "bauta.internal:9",
            format!("Location: http://{up}/base/v1/x"),
            Some("http://bauta.internal:9/p/x"),
        ),
        (
            "[::1]:9",
            format!("Operation-Location: HTTP://{up}/base/v1"),
            Some("http://[::1]:9/p"),
        ),
        (
            "localhost",
            format!("X-Next-Page: http://{up}/base/v1/x"),
            Some("http://localhost/p/x"),
        ),
        (
            "localhost",
            format!("Link: <http://{up}/base/v1/x>; rel=next"),
            Some("<http://localhost/p/x>; rel=next"),
        ),
        ("localhost", "Location: /base/v1/x".to_owned(), Some("/p/x")),
        ("localhost", "Location: ../x".to_owned(), Some("/p/x")),
        ("localhost", "Location: x".to_owned(), Some("x")),
        (
            "localhost",
            "Location: https://storage.example/x".to_owned(),
            Some("https://storage.example/x"),
        ),
        // No route leads there.
        ("localhost", format!("Location: http://{up}/x"), None),
        ("localhost", "Location: /p/x".to_owned(), None),
        ("localhost", "Alt-Svc: h3=\":443\"".to_owned(), None),
    ] {
        let answer = answered(&sidecar, &upstream, host, &format!("{header}\r\n"));
        let name = header.split(':').next().unwrap();
        assert_eq!(answer.status(), 201);
        assert_eq!(answer.header(name).as_deref(), expected, "{header}");
    }
    let mut client = sidecar.connect();
    client.send("GET http://127.0.0.1:5/p/a HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut peer = upstream.accept();
    peer.request();
    peer.send(format!(
        "HTTP/1.1 307 T\r\nLocation: {base}/b\r\nContent-Length: 0\r\n\r\n"
    ));
    let answer = client.message("GET");
    assert_eq!(
        answer.header("location").unwrap(),
        "http://127.0.0.1:5/p/b",
        "the target's authority counts"
    );
}
