//! Who may call, and which upstream path a call reaches.

use super::model_kit::{OK, Sidecar, Upstream, config};
use bauta::config::Limits;

/// What comes of a request: it goes on, or status and code of our error.
type Expected<T> = Result<T, (u16, &'static str)>;

#[test]
fn targets_reach_one_path_below_the_base_or_none() {
    let upstream = Upstream::bind();
    let base = format!("{}/base/v1", upstream.url());
    let sidecar = Sidecar::with(&config(&base, Limits::default()), super::model_kit::SECRETS);
    let rows: [(&str, Expected<&str>); 40] = [
        ("/p/x", Ok("/base/v1/x")),
        ("/p", Ok("/base/v1")),
        ("/p/", Ok("/base/v1/")),
        ("/p?a=1", Ok("/base/v1?a=1")),
        ("/p/x?a=/../b", Ok("/base/v1/x?a=/../b")),
        (
            "/p/models/a%2Fb:run?alt=sse",
            Ok("/base/v1/models/a%2Fb:run?alt=sse"),
        ),
        ("/p/a%20b%C3%AB", Ok("/base/v1/a%20b%C3%AB")),
        ("/p/a//b", Ok("/base/v1/a//b")),
        ("/p/x#frag", Ok("/base/v1/x")),
        (
            "/p/http://evil.example/",
            Ok("/base/v1/http://evil.example/"),
        ),
        ("/p/@evil.example", Ok("/base/v1/@evil.example")),
        ("http://localhost/p/x", Ok("/base/v1/x")),
        ("http://127.0.0.1:1/p/x?q", Ok("/base/v1/x?q")),
        ("/p//x", Err((400, "path_ambiguous"))),
        ("/p/../x", Err((400, "path_ambiguous"))),
        ("/p/..", Err((400, "path_ambiguous"))),
        ("/p/.", Err((400, "path_ambiguous"))),
        ("/p/a/../../x", Err((400, "path_ambiguous"))),
        ("/p/%2e%2e/x", Err((400, "path_ambiguous"))),
        ("/p/%2E%2e%2fx", Err((400, "path_ambiguous"))),
        ("/p/.%2e/x", Err((400, "path_ambiguous"))),
        ("/p/%252e%252e/x", Err((400, "path_ambiguous"))),
        ("/p/..%2fx", Err((400, "path_ambiguous"))),
        ("/p/..%5cx", Err((400, "path_ambiguous"))),
        ("/p/..;a=b/x", Err((400, "path_ambiguous"))),
        ("/p/%00", Err((400, "path_ambiguous"))),
        ("/p/a%0d%0aX:%201", Err((400, "path_ambiguous"))),
        ("/p%2fx", Err((404, "route_unknown"))),
        ("/%70/x", Err((404, "route_unknown"))),
        ("/P/x", Err((404, "route_unknown"))),
        ("/px", Err((404, "route_unknown"))),
        ("//p/x", Err((404, "route_unknown"))),
        ("/", Err((404, "route_unknown"))),
        ("/bauta", Err((404, "path_reserved"))),
        ("/bauta/v1/x", Err((404, "path_reserved"))),
        ("*", Err((400, "target_invalid"))),
        ("https://localhost/p/x", Err((400, "target_invalid"))),
        ("http://evil.example/p/x", Err((421, "host_foreign"))),
        ("http://user@localhost/p/x", Err((400, "host_invalid"))),
        ("ftp://localhost/p/x", Err((400, "target_invalid"))),
    ];
    let mut client = sidecar.connect();
    let mut peer = None;
    for (target, expected) in rows {
        client.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        match expected {
            Ok(path) => {
                let peer = peer.get_or_insert_with(|| upstream.accept());
                assert_eq!(
                    peer.request().line(),
                    format!("GET {path} HTTP/1.1"),
                    "{target}"
                );
                peer.send(OK);
                assert_eq!(client.message("GET").status(), 200);
            }
            Err((status, code)) => {
                assert_eq!(
                    client.message("GET").error(),
                    (status, code.to_owned()),
                    "{target}"
                );
            }
        }
    }
    assert!(upstream.is_untouched());
}

#[test]
fn an_empty_base_path_still_makes_an_origin_form_target() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let mut client = sidecar.connect();
    client.send("GET /p?a=1 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut peer = upstream.accept();
    assert_eq!(peer.request().line(), "GET /?a=1 HTTP/1.1");
    peer.send(OK);
    client.message("GET");
    client.send("GET /p//evil.example/x HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(client.message("GET").error().0, 400);
}

#[test]
fn targets_that_no_parser_takes_are_refused() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    for request in [
        "GET /p/a\0b HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /p/a b HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET p/x HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET  HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /p/x HTTP/1.1\r\nHost: localhost\r\nX\0: 1\r\n\r\n",
        "GET /p/x HTTP/3.0\r\nHost: localhost\r\n\r\n",
        "CONNECT example.com:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "TRACE /p/x HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "\x16\x03\x01\x02\0\x01\0\x01\x7c\x03\x03\r\n\r\n",
    ] {
        let mut client = sidecar.connect();
        client.send(request);
        let head = client.head();
        assert!(
            matches!(super::model_kit::status_of(&head), 400 | 421),
            "{request:?}: {head}"
        );
    }
    assert!(upstream.is_untouched());
}

#[test]
fn only_our_own_names_and_no_web_page_may_call() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let port = sidecar.addr.port();
    let own = format!("Host: localhost:{port}\r\nOrigin: http://localhost:{port}");
    let rows: [(&str, Expected<()>); 18] = [
        ("Host: localhost", Ok(())),
        ("Host: LOCALHOST:1", Ok(())),
        ("Host: 127.0.0.1:8601", Ok(())),
        ("Host: [::1]:8601", Ok(())),
        ("Host: bauta.internal", Ok(())),
        ("Host: evil.example", Err((421, "host_foreign"))),
        ("Host: localhost.evil.example", Err((421, "host_foreign"))),
        ("Host: 10.1.2.3", Err((421, "host_foreign"))),
        ("Host: 127.1", Err((400, "host_invalid"))),
        ("Host: local host", Err((400, "host_invalid"))),
        ("Host:", Err((400, "host_invalid"))),
        ("X-A: 1", Err((400, "host_invalid"))),
        (
            "Host: localhost\r\nHost: localhost",
            Err((400, "host_invalid")),
        ),
        (
            "Host: localhost\r\nOrigin: https://evil.example",
            Err((403, "origin_foreign")),
        ),
        // A page that came through us is a page too.
        (&own, Err((403, "origin_foreign"))),
        (
            "Host: localhost\r\nSec-Fetch-Site: cross-site",
            Err((403, "origin_foreign")),
        ),
        (
            "Host: localhost\r\nOrigin: null",
            Err((403, "origin_foreign")),
        ),
        (
            "Host: localhost\r\nOrigin: http://localhost:3000",
            Err((403, "origin_foreign")),
        ),
    ];
    let mut peer = None;
    for (headers, expected) in rows {
        let mut client = sidecar.connect();
        client.send(format!("GET /p/x HTTP/1.1\r\n{headers}\r\n\r\n"));
        match expected {
            Ok(()) => {
                let peer = peer.get_or_insert_with(|| upstream.accept());
                peer.request();
                peer.send(OK);
                assert_eq!(client.message("GET").status(), 200, "{headers}");
            }
            Err((status, code)) => {
                assert_eq!(
                    client.message("GET").error(),
                    (status, code.to_owned()),
                    "{headers}"
                );
            }
        }
    }
}
