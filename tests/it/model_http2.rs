//! HTTP/2 on both sides: the same masking, the same rules, answers as they come.

use bauta::config::{Config, Limits};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::http2_kit::{Answer, Client, Exchange, Upstream, collect, get, play, post, tls};
use super::model_kit::{self, SECRETS, Sidecar, TOKEN, config, contains};
use super::model_tls::{Authority, over_tls};

/// Sends one request over HTTP/1.1.
async fn send_http1(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> (u16, Vec<u8>) {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io))
        .await
        .unwrap();
    let driver = tokio::spawn(connection);
    let request = Request::post(format!("/p/{TOKEN}?k={TOKEN}"))
        .header("host", "localhost")
        .header("x-a", TOKEN)
        .body(Full::new(Bytes::from(format!("{TOKEN} the end"))))
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response
        .into_body()
        .collect()
        .await
        .unwrap()
        .to_bytes()
        .to_vec();
    drop(sender);
    driver.await.unwrap().unwrap();
    (status, body)
}

async fn send_http2(mut client: Client, scheme: &str) -> (u16, Vec<u8>) {
    let request = Request::post(format!("{scheme}://localhost/p/{TOKEN}?k={TOKEN}"))
        .header("x-a", TOKEN)
        .body(())
        .unwrap();
    let answer = client
        .send(request, format!("{TOKEN} the end").as_bytes())
        .await
        .unwrap();
    (answer.status, answer.body)
}

fn with_listener(mut config: Config, authority: &Authority) -> Config {
    config.model.as_mut().unwrap().tls = Some(authority.listener("localhost"));
    config
}

/// The four ways in, one after another.
async fn all_ways_in(
    config: &Config,
    authority: &Authority,
    mut check: impl AsyncFnMut((u16, Vec<u8>)),
) {
    let plain = start(config).await;
    let addr = plain.addr;
    check(send_http1(TcpStream::connect(addr).await.unwrap()).await).await;
    check(send_http2(Client::plain(addr).await, "http").await).await;
    stop(plain).await;
    let secure = start(&with_listener(config.clone(), authority)).await;
    let addr = secure.addr;
    check(send_http1(tls(addr, authority, &["http/1.1"]).await.unwrap()).await).await;
    check(send_http2(Client::tls(addr, authority).await, "https").await).await;
    stop(secure).await;
}

/// A sidecar has a runtime of its own, which must not begin or end inside another.
async fn start(config: &Config) -> Sidecar {
    start_with(config, SECRETS).await
}

async fn start_with(config: &Config, secrets: &'static str) -> Sidecar {
    let config = config.clone();
    tokio::task::spawn_blocking(move || Sidecar::with(&config, secrets))
        .await
        .unwrap()
}

async fn stop(sidecar: Sidecar) -> usize {
    tokio::task::spawn_blocking(move || sidecar.shutdown())
        .await
        .unwrap()
}

async fn before(upstream: &Upstream) -> Sidecar {
    start(&upstream.config(Limits::default())).await
}

#[test]
fn p1_masking_holds_from_either_version_to_http_2() {
    play(async {
        let mut upstream = Upstream::bind().await;
        let config = upstream.config(Limits::default());
        let listener = Authority::new();
        let authority = format!("localhost:{}", upstream.addr.port());
        let sender = async {
            let mut answers = Vec::new();
            all_ways_in(&config, &listener, async |answer| answers.push(answer)).await;
            answers
        };
        let provider = async {
            for _ in 0..4 {
                let mut exchange = upstream.accept().await;
                let body = exchange.read().await.unwrap();
                assert_eq!(body, b"x_token the end");
                let head = &exchange.head;
                let uri: Uri = format!("https://{authority}/x_token?k=x_token")
                    .parse()
                    .unwrap();
                assert_eq!((&head.method, &head.uri), (&Method::POST, &uri));
                assert_eq!(head.headers["x-a"], "x_token");
                assert_eq!(head.headers["content-length"], body.len().to_string());
                assert!(!head.headers.contains_key("host"));
                exchange.answer(200, b"done");
            }
        };
        let (answers, ()) = tokio::join!(sender, provider);
        assert_eq!(answers, vec![(200, b"done".to_vec()); 4]);
    });
}

#[test]
fn p1_masking_holds_from_either_version_to_http_1_1_over_tls() {
    play(async {
        const OK: &str = "HTTP/1.1 200 OK\r\nConnection: close, x-hop\r\nX-Hop: 1\r\nContent-Length: 4\r\n\r\ndone";
        // One connection each.
        let servers: Vec<_> = (0..4)
            .map(|_| {
                let upstream = Authority::new();
                let (addr, thread) = upstream.serve("localhost", OK, true);
                (upstream, addr, thread)
            })
            .collect();
        let listener = Authority::new();
        for (way, (upstream, addr, thread)) in servers.into_iter().enumerate() {
            let config = over_tls("localhost", addr, Some(upstream.file()));
            let config = if way < 2 {
                config
            } else {
                with_listener(config, &listener)
            };
            let sidecar = start(&config).await;
            let answer = match way {
                0 => send_http1(TcpStream::connect(sidecar.addr).await.unwrap()).await,
                1 => send_http2(Client::plain(sidecar.addr).await, "http").await,
                2 => send_http1(tls(sidecar.addr, &listener, &["http/1.1"]).await.unwrap()).await,
                _ => send_http2(Client::tls(sidecar.addr, &listener).await, "https").await,
            };
            assert_eq!(answer, (200, b"done".to_vec()));
            let seen = tokio::task::spawn_blocking(|| thread.join().unwrap())
                .await
                .unwrap();
            assert!(contains(&seen, "POST /x_token?k=x_token HTTP/1.1\r\n"));
            assert!(contains(&seen, "x-a: x_token\r\n") && contains(&seen, "x_token the end"));
            assert!(contains(
                &seen,
                &format!("host: localhost:{}\r\n", addr.port())
            ));
            assert!(contains(&seen, "content-length: 15\r\n") && !contains(&seen, TOKEN));
            stop(sidecar).await;
        }
    });
}

#[test]
fn events_pass_one_by_one_through_http_2_on_both_sides() {
    play(async {
        let mut upstream = Upstream::bind().await;
        let sidecar = before(&upstream).await;
        let mut client = Client::plain(sidecar.addr).await;
        let (answer, mut request) = client.begin(post("/p/x").body(()).unwrap(), false);
        request.send_data(Bytes::from_static(b"{}"), true).unwrap();
        let mut exchange = upstream.accept().await;
        exchange.read().await.unwrap();
        let mut events = exchange.begin(200, false);
        let mut body = answer.await.unwrap().into_body();
        for number in 0..50 {
            let event = format!("data: {number}\n\n");
            events.send_data(Bytes::from(event.clone()), false).unwrap();
            assert_eq!(body.data().await.unwrap().unwrap(), event);
        }
        events.send_data(Bytes::new(), true).unwrap();
        while let Some(rest) = body.data().await {
            assert!(rest.unwrap().is_empty());
        }
        stop(sidecar).await;
    });
}

#[test]
fn requests_share_connections_on_both_sides_and_end_in_any_order() {
    play(async {
        let mut upstream = Upstream::bind().await;
        let sidecar = before(&upstream).await;
        let mut client = Client::plain(sidecar.addr).await;
        // The first makes the connection that the others share.
        let (first, ()) = tokio::join!(client.send(get("/p/first"), b""), async {
            upstream.accept().await.answer(200, b"first");
        });
        assert_eq!(first.unwrap().body, b"first");
        let answers: Vec<_> = (0..50)
            .map(|number| {
                let (answer, mut stream) = client.begin(post("/p/x").body(()).unwrap(), false);
                stream
                    .send_data(Bytes::from(format!("{number} {TOKEN}")), true)
                    .unwrap();
                answer
            })
            .collect();
        let mut exchanges = Vec::new();
        for _ in 0..50 {
            let mut exchange = upstream.accept().await;
            assert_eq!(exchange.connection, 0);
            let body = exchange.read().await.unwrap();
            exchanges.push((exchange, body));
        }
        for (mut exchange, body) in exchanges.into_iter().rev() {
            exchange.answer(200, &body);
        }
        for (number, answer) in answers.into_iter().enumerate() {
            let answer = collect(answer.await.unwrap()).await.unwrap();
            assert_eq!(answer.body, format!("{number} x_token").as_bytes());
        }
        stop(sidecar).await;
    });
}

#[test]
fn as_many_connections_as_the_upstreams_limit_of_streams_asks_for() {
    play(async {
        let mut builder = h2::server::Builder::new();
        builder.max_concurrent_streams(2);
        let mut upstream = Upstream::with(builder).await;
        let sidecar = before(&upstream).await;
        let mut client = Client::plain(sidecar.addr).await;
        let answers: Vec<_> = (0..7).map(|_| client.begin(get("/p/x"), true).0).collect();
        let mut exchanges: Vec<Exchange> = Vec::new();
        for _ in 0..7 {
            exchanges.push(upstream.accept().await);
        }
        for number in 0..7 {
            let streams = exchanges
                .iter()
                .filter(|exchange| exchange.connection == number);
            assert!(streams.count() <= 2);
        }
        for mut exchange in exchanges {
            exchange.answer(200, b"ok");
        }
        for answer in answers {
            assert_eq!(collect(answer.await.unwrap()).await.unwrap().status, 200);
        }
        stop(sidecar).await;
    });
}

async fn exchange_one(
    client: &mut Client,
    upstream: &mut Upstream,
    request: Request<()>,
    answer: impl FnOnce(&mut Exchange),
) -> (Exchange, Answer) {
    let (got, exchange) = tokio::join!(client.send(request, b""), async {
        let mut exchange = upstream.accept().await;
        answer(&mut exchange);
        exchange
    });
    (exchange, got.unwrap())
}

#[test]
fn trailers_of_an_answer_pass_without_those_of_one_hop_and_a_requests_are_dropped() {
    play(async {
        let mut upstream = Upstream::bind().await;
        let sidecar = before(&upstream).await;
        let mut client = Client::plain(sidecar.addr).await;
        let (answer, mut stream) = client.begin(post("/p/x").body(()).unwrap(), false);
        stream.send_data(Bytes::from_static(b"hi"), false).unwrap();
        let mut own = HeaderMap::new();
        own.insert("x-mine", TOKEN.parse().unwrap());
        stream.send_trailers(own).unwrap();
        let mut exchange = upstream.accept().await;
        assert_eq!(exchange.read().await.unwrap(), b"hi");
        assert!(exchange.body.trailers().await.unwrap().is_none());
        let mut reply = exchange.begin(200, false);
        reply.send_data(Bytes::from_static(b"ok"), false).unwrap();
        let mut theirs = HeaderMap::new();
        theirs.insert("x-sum", "1".parse().unwrap());
        reply.send_trailers(theirs).unwrap();
        let answer = collect(answer.await.unwrap()).await.unwrap();
        assert_eq!(answer.body, b"ok");
        let trailers = answer.trailers.unwrap();
        assert_eq!(
            (trailers.len(), &trailers["x-sum"]),
            (1, &"1".parse().unwrap())
        );
        stop(sidecar).await;
    });
    // HTTP/1.1 names them before the body.
    let upstream = model_kit::Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let provider = std::thread::spawn(move || {
        let mut peer = upstream.accept();
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n2\r\nok\r\n0\r\n");
        peer.send("X-Sum: 1\r\nConnection: x-hop\r\nKeep-Alive: 1\r\nX-Hop: 1\r\n\r\n");
    });
    let addr = sidecar.addr;
    let answer = play(async {
        Client::plain(addr)
            .await
            .send(get("/p/x"), b"")
            .await
            .unwrap()
    });
    provider.join().unwrap();
    let trailers = answer.trailers.unwrap();
    assert_eq!(
        (&answer.body[..], trailers.len(), &trailers["x-sum"]),
        (&b"ok"[..], 1, &"1".parse().unwrap())
    );
}

#[test]
fn answers_without_a_body_keep_their_headers() {
    play(async {
        let mut upstream = Upstream::bind().await;
        let sidecar = before(&upstream).await;
        let mut client = Client::plain(sidecar.addr).await;
        let mut head = get("/p/x");
        *head.method_mut() = Method::HEAD;
        let with_length = |exchange: &mut Exchange| {
            let response = http::Response::builder()
                .header("content-length", "500")
                .body(())
                .unwrap();
            exchange.reply.send_response(response, true).unwrap();
        };
        let (exchange, answer) = exchange_one(&mut client, &mut upstream, head, with_length).await;
        assert_eq!(exchange.head.method, Method::HEAD);
        assert_eq!(
            (answer.status, &answer.headers["content-length"]),
            (200, &"500".parse().unwrap())
        );
        for status in [204, 304] {
            let empty = |exchange: &mut Exchange| drop(exchange.begin(status, true));
            let (_, answer) = exchange_one(&mut client, &mut upstream, get("/p/x"), empty).await;
            assert_eq!((answer.status, answer.body.len()), (status, 0));
            assert!(!answer.headers.contains_key("content-length"));
        }
        stop(sidecar).await;
    });
}

#[test]
fn a_post_without_a_body_says_so_upstream_and_a_get_says_nothing() {
    play(async {
        let mut upstream = Upstream::bind().await;
        let sidecar = before(&upstream).await;
        let mut client = Client::plain(sidecar.addr).await;
        for (method, length) in [(Method::POST, Some("0")), (Method::GET, None)] {
            let mut request = get("/p/x");
            *request.method_mut() = method;
            let answer = |exchange: &mut Exchange| exchange.answer(200, b"ok");
            let (exchange, _) = exchange_one(&mut client, &mut upstream, request, answer).await;
            let sent = exchange.head.headers.get("content-length");
            assert_eq!(sent.map(|length| length.to_str().unwrap()), length);
            assert!(exchange.body.is_end_stream());
        }
        stop(sidecar).await;
    });
}

#[test]
fn headers_of_one_hop_and_ours_stay_on_it() {
    play(async {
        let mut upstream = Upstream::bind().await;
        let sidecar = before(&upstream).await;
        let mut client = Client::plain(sidecar.addr).await;
        let request = post("/p/x")
            .header("te", "trailers")
            .header("proxy-authorization", "Basic eDp5")
            .header("expect", "banana")
            .header("x-kept", "1")
            .body(())
            .unwrap();
        let answer = |exchange: &mut Exchange| exchange.answer(200, b"ok");
        let (exchange, _) = exchange_one(&mut client, &mut upstream, request, answer).await;
        let names: Vec<&str> = exchange
            .head
            .headers
            .keys()
            .map(http::HeaderName::as_str)
            .collect();
        assert_eq!(names, ["content-type", "x-kept", "content-length"]);
        stop(sidecar).await;
    });
}

#[test]
fn p1_a_cookie_in_crumbs_is_masked_as_a_whole() {
    play(async {
        let mut upstream = Upstream::bind().await;
        let secrets = r#"{"https://example.com": {"x_cookie": "first; second-part"}}"#;
        let sidecar = start_with(&upstream.config(Limits::default()), secrets).await;
        let mut client = Client::plain(sidecar.addr).await;
        let mut request = get("/p/x");
        for crumb in ["a=first", "second-part", "c=d"] {
            request
                .headers_mut()
                .append("cookie", crumb.parse().unwrap());
        }
        let answer = |exchange: &mut Exchange| exchange.answer(200, b"ok");
        let (exchange, _) = exchange_one(&mut client, &mut upstream, request, answer).await;
        let cookies = exchange.head.headers.get_all("cookie").iter();
        let whole: Vec<&[u8]> = cookies.map(http::HeaderValue::as_bytes).collect();
        assert_eq!(whole.join(&b"; "[..]), b"a=x_cookie; c=d");
        stop(sidecar).await;
    });
}

#[test]
fn a_request_is_for_us_by_the_same_rules() {
    play(async {
        let mut upstream = Upstream::bind().await;
        let sidecar = before(&upstream).await;
        let mut client = Client::plain(sidecar.addr).await;
        let (port, ok) = (sidecar.addr.port(), None::<(u16, &str)>);
        let rows = [
            ("http://localhost/p/x", "", ok),
            (&format!("http://127.0.0.1:{port}/p/x"), "", ok),
            ("http://bauta.internal/p/x", "", ok),
            ("http://localhost/p/x", "host: localhost", ok),
            ("http://localhost/p/x", "host: LOCALHOST", ok),
            (
                "http://localhost/p/x",
                "host: 127.0.0.1",
                Some((400, "host_invalid")),
            ),
            (
                "http://localhost/p/x",
                "host: evil.example",
                Some((421, "host_foreign")),
            ),
            (
                "http://evil.example/p/x",
                "host: localhost",
                Some((400, "host_invalid")),
            ),
            ("http://evil.example/p/x", "", Some((421, "host_foreign"))),
            ("http://user@localhost/p/x", "", Some((400, "host_invalid"))),
            ("https://localhost/p/x", "", Some((400, "target_invalid"))),
            ("ftp://localhost/p/x", "", Some((400, "target_invalid"))),
            (
                "http://localhost/p/x",
                "origin: http://localhost",
                Some((403, "origin_foreign")),
            ),
            (
                "http://localhost/p/x",
                "sec-fetch-site: same-origin",
                Some((403, "origin_foreign")),
            ),
            (
                "http://localhost/p/..%2fx",
                "",
                Some((400, "path_ambiguous")),
            ),
            ("http://localhost/nowhere", "", Some((404, "route_unknown"))),
        ];
        for (uri, header, refused) in rows {
            let mut request = Request::get(uri);
            if let Some((name, value)) = header.split_once(": ") {
                request = request.header(name, value);
            }
            let request = request.body(()).unwrap();
            if let Some((status, code)) = refused {
                let answer = client.send(request, b"").await.unwrap();
                assert_eq!(answer.error(), (status, code.to_owned()), "{uri} {header}");
                assert!(upstream.is_untouched());
            } else {
                let answer = |exchange: &mut Exchange| exchange.answer(200, b"ok");
                exchange_one(&mut client, &mut upstream, request, answer).await;
            }
        }
        let mut connect = Request::new(());
        *connect.method_mut() = Method::CONNECT;
        *connect.uri_mut() = "localhost:443".parse().unwrap();
        let answer = client.send(connect, b"").await.unwrap();
        assert_eq!(answer.error(), (400, "method_not_relayed".to_owned()));
        stop(sidecar).await;
    });
}

#[test]
fn a_client_that_expects_100_hears_it_when_its_body_is_wanted() {
    play(async {
        let mut upstream = Upstream::bind().await;
        let sidecar = before(&upstream).await;
        let mut client = Client::plain(sidecar.addr).await;
        let expecting = |path| {
            post(path)
                .header("expect", "100-continue")
                .body(())
                .unwrap()
        };
        let (mut answer, mut stream) = client.begin(expecting("/p/x"), false);
        let go_on = std::future::poll_fn(|cx| answer.poll_informational(cx)).await;
        assert_eq!(go_on.unwrap().unwrap().status().as_u16(), 100);
        stream.send_data(Bytes::from_static(b"hi"), true).unwrap();
        let mut exchange = upstream.accept().await;
        assert_eq!(exchange.read().await.unwrap(), b"hi");
        exchange.answer(200, b"ok");
        assert_eq!(answer.await.unwrap().status().as_u16(), 200);

        let (mut answer, _stream) = client.begin(expecting("/nowhere"), false);
        let go_on = std::future::poll_fn(|cx| answer.poll_informational(cx)).await;
        assert!(go_on.is_none(), "no 100 for a body that nobody wants");
        assert_eq!(answer.await.unwrap().status().as_u16(), 404);
        stop(sidecar).await;
    });
}

#[test]
fn plain_upstreams_speak_http_1_1() {
    let upstream = model_kit::Upstream::bind();
    let sidecar = Sidecar::with(&config(&upstream.url(), Limits::default()), SECRETS);
    let addr = sidecar.addr;
    let provider = std::thread::spawn(move || {
        let mut peer = upstream.accept();
        let seen = peer.request();
        peer.send(model_kit::OK);
        seen
    });
    let answer = play(async {
        let mut client = Client::plain(addr).await;
        client
            .send(post("/p/x").body(()).unwrap(), TOKEN.as_bytes())
            .await
            .unwrap()
    });
    let seen = provider.join().unwrap();
    assert_eq!(
        (seen.line(), &seen.body[..]),
        ("POST /x HTTP/1.1", &b"x_token"[..])
    );
    assert_eq!((answer.status, &answer.body[..]), (200, &b"ok"[..]));
}
