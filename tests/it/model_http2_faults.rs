//! What goes wrong on an HTTP/2 connection is visible to the other side, and harms no other stream.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bauta::config::Limits;
use bytes::Bytes;
use h2::Reason;
use rustls::{ServerConnection, StreamOwned};

use super::http2_kit::{
    Client, DATA, END_HEADERS, END_STREAM, Exchange, GOAWAY, HEADERS, Order, RST_STREAM, Raw,
    STATUS_200, Upstream, collect, fill, frame, get, head, play, post,
};
use super::model_kit::{OK, SECRETS, Sidecar, TOKEN, Wire, contains};
use super::model_tls::{Authority, over_tls};

/// Small enough to wait for, long enough for what must come in time.
const SHORT: Duration = Duration::from_millis(300);

/// More than is held back for an exact length, and less than that and half a stream's window: it goes in before upstream reads.
const MORE_THAN_THE_BUFFER: usize = (8 << 20) + (256 << 10);

async fn start(upstream: &Upstream, limits: Limits) -> Sidecar {
    let config = upstream.config(limits);
    tokio::task::spawn_blocking(move || Sidecar::with(&config, SECRETS))
        .await
        .unwrap()
}

async fn before(upstream: &Upstream) -> Sidecar {
    start(upstream, Limits::default()).await
}

async fn stop(sidecar: Sidecar) -> usize {
    tokio::task::spawn_blocking(move || sidecar.shutdown())
        .await
        .unwrap()
}

/// An ordinary request goes through.
async fn works(client: &mut Client, upstream: &mut Upstream) -> usize {
    let (answer, connection) = tokio::join!(
        client.send(post("/p/x").body(()).unwrap(), TOKEN.as_bytes()),
        async {
            let mut exchange = upstream.accept().await;
            assert_eq!(exchange.read().await.unwrap(), b"x_token");
            exchange.answer(200, b"ok");
            exchange.connection
        }
    );
    assert_eq!(answer.unwrap().body, b"ok");
    connection
}

#[test]
fn a_client_that_resets_its_request_cancels_the_upstreams() {
    play(async {
        let mut upstream = Upstream::bind().await;
        let sidecar = before(&upstream).await;
        let mut client = Client::plain(sidecar.addr).await;
        for answering in [false, true] {
            let (answer, mut stream) = client.begin(get("/p/x"), true);
            let mut exchange = upstream.accept().await;
            let mut reply = answering.then(|| exchange.begin(200, false));
            let body = if answering {
                let mut body = answer.await.unwrap().into_body();
                reply
                    .as_mut()
                    .unwrap()
                    .send_data(Bytes::from_static(b"a"), false)
                    .unwrap();
                assert_eq!(body.data().await.unwrap().unwrap(), "a");
                Some(body)
            } else {
                None
            };
            stream.send_reset(Reason::CANCEL);
            let reason = match &mut reply {
                Some(reply) => std::future::poll_fn(|cx| reply.poll_reset(cx)).await.ok(),
                None => exchange.cancelled().await,
            };
            assert_eq!(reason, Some(Reason::CANCEL));
            drop(body);
        }
        // The connections live on, on both sides.
        assert_eq!(works(&mut client, &mut upstream).await, 0);
        stop(sidecar).await;
    });
}

#[test]
fn a_client_that_goes_cancels_all_of_its_requests_and_no_other() {
    play(async {
        let mut upstream = Upstream::bind().await;
        let sidecar = before(&upstream).await;
        let mut other = Client::plain(sidecar.addr).await;
        works(&mut other, &mut upstream).await;
        let mut client = Client::plain(sidecar.addr).await;
        let answers = [
            client.begin(get("/p/1"), true),
            client.begin(get("/p/2"), true),
        ];
        let mut exchanges = [upstream.accept().await, upstream.accept().await];
        let (kept, _) = other.begin(get("/p/3"), true);
        let mut third = upstream.accept().await;
        client.driver.abort();
        for exchange in &mut exchanges {
            assert_eq!(exchange.cancelled().await, Some(Reason::CANCEL));
        }
        third.answer(200, b"ok");
        assert_eq!(collect(kept.await.unwrap()).await.unwrap().body, b"ok");
        drop(answers);
        stop(sidecar).await;
    });
}

/// A client that has sent more than is held back and goes on, and what the upstream has of it.
async fn uploading(
    client: &mut Client,
    upstream: &mut Upstream,
) -> (h2::client::ResponseFuture, h2::SendStream<Bytes>, Exchange) {
    let (answer, mut stream) = client.begin(post("/p/x").body(()).unwrap(), false);
    fill(&mut stream, MORE_THAN_THE_BUFFER).await;
    let mut exchange = upstream.accept().await;
    assert!(!exchange.head.headers.contains_key("content-length"));
    assert!(!exchange.head.headers.contains_key("transfer-encoding"));
    let mut seen = 0;
    while seen < MORE_THAN_THE_BUFFER {
        let data = exchange.body.data().await.unwrap().unwrap();
        exchange
            .body
            .flow_control()
            .release_capacity(data.len())
            .unwrap();
        seen += data.len();
    }
    (answer, stream, exchange)
}

#[test]
fn a_request_that_breaks_off_never_looks_complete_upstream() {
    play(async {
        let mut upstream = Upstream::bind().await;
        let sidecar = before(&upstream).await;
        for reason in [Some(Reason::CANCEL), Some(Reason::NO_ERROR), None] {
            let mut client = Client::plain(sidecar.addr).await;
            let (answer, mut stream, mut exchange) = uploading(&mut client, &mut upstream).await;
            match reason {
                Some(reason) => stream.send_reset(reason),
                None => client.driver.abort(),
            }
            let error = exchange.read().await.unwrap_err();
            assert!(error.is_reset() && error.is_remote(), "{reason:?}: {error}");
            drop(answer);
        }
        stop(sidecar).await;
    });
}

#[test]
fn within_the_buffer_upstream_never_hears_of_a_request_that_breaks_off() {
    play(async {
        let mut upstream = Upstream::bind().await;
        let sidecar = before(&upstream).await;
        let mut client = Client::plain(sidecar.addr).await;
        for reason in [Reason::CANCEL, Reason::NO_ERROR] {
            let (_answer, mut stream) = client.begin(post("/p/x").body(()).unwrap(), false);
            stream
                .send_data(Bytes::from_static(b"half"), false)
                .unwrap();
            stream.send_reset(reason);
        }
        // What follows on the connection has been read after it.
        let gone = client.send(get("/nowhere"), b"").await.unwrap();
        assert_eq!(gone.status, 404);
        stop(sidecar).await;
        assert!(upstream.is_untouched());
    });
}

#[test]
fn p8_a_refusal_after_the_beginning_went_on_resets_upstream_and_answers_the_client() {
    play(async {
        let mut upstream = Upstream::bind().await;
        let limits = Limits {
            max_body_bytes: (MORE_THAN_THE_BUFFER + 5) as u64,
            ..Limits::default()
        };
        let sidecar = start(&upstream, limits).await;
        let mut client = Client::plain(sidecar.addr).await;
        let (answer, mut stream, mut exchange) = uploading(&mut client, &mut upstream).await;
        stream
            .send_data(Bytes::from_static(&[b'.'; 1000]), false)
            .unwrap();
        assert!(exchange.read().await.unwrap_err().is_reset());
        let answer = collect(answer.await.unwrap()).await.unwrap();
        assert_eq!(answer.error(), (413, "body_too_large".to_owned()));
        assert_eq!(works(&mut client, &mut upstream).await, 0);
        stop(sidecar).await;
    });
}

#[test]
fn an_answer_that_comes_before_the_request_is_through_reaches_the_client() {
    play(async {
        let mut upstream = Upstream::bind().await;
        let sidecar = before(&upstream).await;
        let mut client = Client::plain(sidecar.addr).await;
        let (answer, _stream, mut exchange) = uploading(&mut client, &mut upstream).await;
        exchange.answer(429, b"slow");
        // h2 resets with NO_ERROR once nobody holds a stream that is answered and not read.
        drop(exchange);
        let answer = collect(answer.await.unwrap()).await.unwrap();
        assert_eq!((answer.status, &answer.body[..]), (429, &b"slow"[..]));
        assert_eq!(works(&mut client, &mut upstream).await, 0);
        stop(sidecar).await;
    });
}

/// How an upstream breaks an exchange off.
#[derive(Clone, Copy, Debug)]
enum Break {
    Reset(Reason),
    Connection(Order),
}

const BREAKS: [Break; 5] = [
    Break::Reset(Reason::INTERNAL_ERROR),
    Break::Reset(Reason::NO_ERROR),
    Break::Reset(Reason::CANCEL),
    Break::Connection(Order::Abrupt),
    Break::Connection(Order::Close),
];

#[test]
fn an_upstream_that_breaks_off_before_its_answer_is_a_502_and_nothing_is_sent_twice() {
    play(async {
        let mut upstream = Upstream::bind().await;
        let sidecar = before(&upstream).await;
        let mut client = Client::plain(sidecar.addr).await;
        for how in BREAKS {
            let (answer, ()) = tokio::join!(
                client.send(post("/p/x").body(()).unwrap(), b"once"),
                async {
                    let mut exchange = upstream.accept().await;
                    exchange.read().await.unwrap();
                    match how {
                        Break::Reset(reason) => exchange.reply.send_reset(reason),
                        Break::Connection(order) => upstream.order(order),
                    }
                }
            );
            assert_eq!(
                answer.unwrap().error(),
                (502, "upstream_closed".to_owned()),
                "{how:?}"
            );
            assert!(upstream.is_untouched(), "{how:?}: sent twice");
        }
        works(&mut client, &mut upstream).await;
        stop(sidecar).await;
    });
}

#[test]
fn an_answer_that_is_cut_never_looks_complete() {
    play(async {
        let mut upstream = Upstream::bind().await;
        let sidecar = before(&upstream).await;
        let mut client = Client::plain(sidecar.addr).await;
        for how in BREAKS {
            let (answer, _) = client.begin(get("/p/x"), true);
            // Beside it an old client, whose answer is in chunks.
            let mut old = sidecar.connect();
            old.send("GET /p/old HTTP/1.1\r\nHost: localhost\r\n\r\n");
            let mut replies = Vec::new();
            for _ in 0..2 {
                let mut exchange = upstream.accept().await;
                let mut reply = exchange.begin(200, false);
                reply.send_data(Bytes::from_static(b"half"), false).unwrap();
                replies.push((exchange, reply));
            }
            let mut body = answer.await.unwrap().into_body();
            assert_eq!(body.data().await.unwrap().unwrap(), "half");
            old.head();
            assert_eq!(old.chunk().unwrap(), b"half");
            match how {
                Break::Reset(reason) => {
                    for (_, reply) in &mut replies {
                        reply.send_reset(reason);
                    }
                }
                Break::Connection(order) => upstream.order(order),
            }
            let error = body.data().await.expect("no end").unwrap_err();
            assert!(error.is_reset() && error.is_remote(), "{how:?}: {error}");
            assert_eq!(old.chunk(), None, "{how:?}");
        }
        works(&mut client, &mut upstream).await;
        stop(sidecar).await;
    });
}

#[test]
fn a_request_that_the_upstream_refused_unread_is_sent_again() {
    play(async {
        let mut upstream = Upstream::bind().await;
        let sidecar = before(&upstream).await;
        let mut client = Client::plain(sidecar.addr).await;
        let (answer, ()) = tokio::join!(
            client.send(post("/p/x").body(()).unwrap(), TOKEN.as_bytes()),
            async {
                for _ in 0..2 {
                    let mut exchange = upstream.accept().await;
                    assert_eq!(exchange.read().await.unwrap(), b"x_token");
                    exchange.reply.send_reset(Reason::REFUSED_STREAM);
                }
                let mut exchange = upstream.accept().await;
                assert_eq!(exchange.read().await.unwrap(), b"x_token");
                assert_eq!(exchange.head.headers["content-length"], "7");
                exchange.answer(200, b"ok");
            }
        );
        assert_eq!(answer.unwrap().body, b"ok");
        // Three times in all, not more.
        let (answer, ()) = tokio::join!(client.send(get("/p/x"), b""), async {
            for _ in 0..3 {
                upstream
                    .accept()
                    .await
                    .reply
                    .send_reset(Reason::REFUSED_STREAM);
            }
        });
        assert_eq!(answer.unwrap().error(), (502, "upstream_closed".to_owned()));
        assert!(upstream.is_untouched());
        stop(sidecar).await;
    });
}

#[test]
fn a_request_that_is_not_held_in_full_is_not_sent_again() {
    play(async {
        let mut upstream = Upstream::bind().await;
        let sidecar = before(&upstream).await;
        let mut client = Client::plain(sidecar.addr).await;
        let (answer, _stream, mut exchange) = uploading(&mut client, &mut upstream).await;
        exchange.reply.send_reset(Reason::REFUSED_STREAM);
        let answer = collect(answer.await.unwrap()).await.unwrap();
        assert_eq!(answer.error(), (502, "upstream_closed".to_owned()));
        assert!(upstream.is_untouched());
        stop(sidecar).await;
    });
}

/// A TLS upstream that is played frame by frame: one scene a connection.
fn scenes(
    authority: &Authority,
    scenes: Vec<
        Box<dyn FnOnce(&mut Raw<StreamOwned<ServerConnection, std::net::TcpStream>>) + Send>,
    >,
) -> (std::net::SocketAddr, thread::JoinHandle<()>) {
    let server = Arc::new(authority.server("localhost", &["h2"]));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let thread = thread::spawn(move || {
        for scene in scenes {
            let (tcp, _) = listener.accept().unwrap();
            tcp.set_nodelay(true).unwrap();
            tcp.set_read_timeout(Some(super::model_kit::BOUND)).unwrap();
            let tls = StreamOwned::new(ServerConnection::new(Arc::clone(&server)).unwrap(), tcp);
            let mut raw = Raw::server(tls);
            scene(&mut raw);
            raw.stream.conn.send_close_notify();
            let _ = std::io::Write::flush(&mut raw.stream);
        }
    });
    (addr, thread)
}

fn go_away(last: u32, reason: Reason) -> Vec<u8> {
    let payload = [last.to_be_bytes(), u32::from(reason).to_be_bytes()].concat();
    frame(GOAWAY, 0, 0, &payload)
}

fn ok(stream: u32) -> Vec<u8> {
    let head = frame(HEADERS, END_HEADERS, stream, &[STATUS_200]);
    [head, frame(DATA, END_STREAM, stream, b"ok")].concat()
}

#[test]
fn only_a_request_above_goaways_last_one_is_sent_again() {
    for (last, again) in [(0, true), (1, false)] {
        let authority = Authority::new();
        let first = Box::new(move |raw: &mut Raw<_>| {
            assert_eq!(raw.until(HEADERS).stream, 1);
            raw.send(go_away(last, Reason::NO_ERROR));
        }) as Box<dyn FnOnce(&mut _) + Send>;
        let second = Box::new(|raw: &mut Raw<_>| {
            let stream = raw.until(HEADERS).stream;
            raw.send(ok(stream));
            raw.end();
        }) as Box<dyn FnOnce(&mut _) + Send>;
        let (addr, upstream) = scenes(&authority, vec![first, second]);
        let sidecar = Sidecar::with(
            &over_tls("localhost", addr, Some(authority.file())),
            SECRETS,
        );
        let mut client = sidecar.connect();
        let get = "GET /p/x HTTP/1.1\r\nHost: localhost\r\n\r\n";
        client.send(get);
        if again {
            assert_eq!(client.message("GET").body, b"ok");
        } else {
            assert_eq!(
                client.message("GET").error(),
                (502, "upstream_closed".to_owned())
            );
            // The second connection is for the next request.
            client.send(get);
            assert_eq!(client.message("GET").body, b"ok");
        }
        drop(client);
        sidecar.shutdown();
        upstream.join().unwrap();
    }
}

#[test]
fn an_upstream_that_does_not_speak_what_it_chose_is_a_502() {
    let garbage: [&[u8]; 5] = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        // A body on a stream that nobody opened.
        &frame(DATA, END_STREAM, 7, b"ok"),
        // An answer without a status.
        &frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            1,
            &super::http2_kit::block(&[("a", "b")]),
        ),
        // A header of one hop.
        &frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            1,
            &[
                &[STATUS_200][..],
                &super::http2_kit::block(&[("connection", "x")]),
            ]
            .concat(),
        ),
        // An index that no table has.
        &frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            1,
            &[0xff, 0xff, 0xff, 0x7f],
        ),
    ];
    for bytes in garbage {
        let bytes = bytes.to_vec();
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(20)]).into_owned();
        let authority = Authority::new();
        let scene = Box::new(move |raw: &mut Raw<_>| {
            raw.until(HEADERS);
            // It may hang up before it has read all of it.
            let _ = raw.try_send(bytes);
            raw.end();
        }) as Box<dyn FnOnce(&mut _) + Send>;
        let (addr, upstream) = scenes(&authority, vec![scene]);
        let sidecar = Sidecar::with(
            &over_tls("localhost", addr, Some(authority.file())),
            SECRETS,
        );
        let mut client = sidecar.connect();
        client.send("GET /p/x HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(
            client.message("GET").error(),
            (502, "upstream_garbage".to_owned()),
            "{shown:?}"
        );
        drop(client);
        sidecar.shutdown();
        upstream.join().unwrap();
    }
}

#[test]
fn an_answer_whose_length_is_not_what_it_says_is_cut() {
    for (said, reset) in [("5", true), ("1", true), ("2", false)] {
        let authority = Authority::new();
        let scene = Box::new(move |raw: &mut Raw<_>| {
            raw.until(HEADERS);
            let length = super::http2_kit::block(&[("content-length", said)]);
            raw.send(frame(
                HEADERS,
                END_HEADERS,
                1,
                &[&[STATUS_200][..], &length].concat(),
            ));
            raw.send(frame(DATA, END_STREAM, 1, b"ok"));
            raw.end();
        }) as Box<dyn FnOnce(&mut _) + Send>;
        let (addr, upstream) = scenes(&authority, vec![scene]);
        let sidecar = Sidecar::with(
            &over_tls("localhost", addr, Some(authority.file())),
            SECRETS,
        );
        let mut client = Raw::client(sidecar.addr);
        client.send(head(1, END_STREAM, &[]));
        let answer = client.answer(1);
        let complete = answer.is_some_and(|(status, _)| status == STATUS_200);
        assert_eq!(complete, !reset, "{said}");
        drop(client);
        sidecar.shutdown();
        upstream.join().unwrap();
    }
}

#[test]
fn goaway_retires_a_connection_and_lets_its_answers_end() {
    play(async {
        let mut upstream = Upstream::bind().await;
        let sidecar = before(&upstream).await;
        let mut client = Client::plain(sidecar.addr).await;
        let (answer, _) = client.begin(get("/p/x"), true);
        let mut exchange = upstream.accept().await;
        let mut reply = exchange.begin(200, false);
        let mut body = answer.await.unwrap().into_body();
        upstream.order(Order::Graceful);
        reply.send_data(Bytes::from_static(b"one "), false).unwrap();
        assert_eq!(body.data().await.unwrap().unwrap(), "one ");
        // Until the notice has come through, a request may still go on the old connection and is answered there.
        while works(&mut client, &mut upstream).await == 0 {}
        reply.send_data(Bytes::from_static(b"two"), true).unwrap();
        assert_eq!(body.data().await.unwrap().unwrap(), "two");
        assert!(body.data().await.is_none());
        stop(sidecar).await;
    });
}

#[test]
fn an_upstream_that_stalls_is_given_up() {
    play(async {
        let mut upstream = Upstream::bind().await;
        let limits = Limits {
            response_timeout: SHORT,
            idle_timeout: SHORT,
            ..Limits::default()
        };
        let sidecar = start(&upstream, limits).await;
        // No head.
        let mut client = Client::plain(sidecar.addr).await;
        let (answer, _) = client.begin(get("/p/x"), true);
        let mut exchange = upstream.accept().await;
        let answer = collect(answer.await.unwrap()).await.unwrap();
        assert_eq!(answer.error(), (504, "upstream_timeout".to_owned()));
        assert_eq!(exchange.cancelled().await, Some(Reason::CANCEL));
        // Silence inside the answer.
        let mut client = Client::plain(sidecar.addr).await;
        let (answer, _) = client.begin(get("/p/x"), true);
        let mut exchange = upstream.accept().await;
        let mut reply = exchange.begin(200, false);
        let mut body = answer.await.unwrap().into_body();
        assert!(body.data().await.unwrap().unwrap_err().is_reset());
        assert_eq!(
            std::future::poll_fn(|cx| reply.poll_reset(cx))
                .await
                .unwrap(),
            Reason::CANCEL
        );
        // It reads nothing of the request.
        let mut client = Client::plain(sidecar.addr).await;
        let (answer, mut stream) = client.begin(post("/p/x").body(()).unwrap(), false);
        stream
            .send_data(Bytes::from(vec![b'.'; 1 << 20]), true)
            .unwrap();
        let _exchange = upstream.accept().await;
        let answer = collect(answer.await.unwrap()).await.unwrap();
        assert_eq!(answer.error(), (504, "upstream_stalled".to_owned()));
        stop(sidecar).await;
    });
}

#[test]
fn clients_that_do_not_read_hold_up_no_other_answer_on_the_shared_connection() {
    play(async {
        let mut upstream = Upstream::bind().await;
        let sidecar = before(&upstream).await;
        let mut client = Client::plain(sidecar.addr).await;
        works(&mut client, &mut upstream).await;
        let mut slow: Vec<Wire> = Vec::new();
        let mut writers = Vec::new();
        for _ in 0..20 {
            let mut wire = sidecar.connect();
            wire.send("GET /p/slow HTTP/1.1\r\nHost: localhost\r\n\r\n");
            slow.push(wire);
            let mut exchange = upstream.accept().await;
            assert_eq!(exchange.connection, 0);
            let mut reply = exchange.begin(200, false);
            // More than all buffers on the way: it waits for its client.
            writers.push(tokio::spawn(
                async move { fill(&mut reply, 64 << 20).await },
            ));
        }
        let (answer, _) = client.begin(get("/p/quick"), true);
        let mut exchange = upstream.accept().await;
        assert_eq!(exchange.connection, 0);
        let mut reply = exchange.begin(200, false);
        let writer = tokio::spawn(async move {
            fill(&mut reply, 8 << 20).await;
            reply.send_data(Bytes::new(), true).unwrap();
        });
        assert_eq!(
            collect(answer.await.unwrap()).await.unwrap().body.len(),
            8 << 20
        );
        writer.await.unwrap();
        assert!(writers.iter().all(|writer| !writer.is_finished()));
        for writer in writers {
            writer.abort();
        }
        drop(slow);
        stop(sidecar).await;
    });
}

#[test]
fn a_client_that_takes_nothing_is_given_up_and_its_neighbours_are_not() {
    play(async {
        let mut upstream = Upstream::bind().await;
        let limits = Limits {
            idle_timeout: SHORT,
            ..Limits::default()
        };
        let sidecar = start(&upstream, limits).await;
        // It reads frames, and gives no stream any room.
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(0);
        let tcp = tokio::net::TcpStream::connect(sidecar.addr).await.unwrap();
        let mut client = Client::with(builder, tcp).await;
        let (answer, _) = client.begin(get("/p/x"), true);
        let mut exchange = upstream.accept().await;
        let mut reply = exchange.begin(200, false);
        reply
            .send_data(Bytes::from(vec![b'.'; 100_000]), false)
            .unwrap();
        let mut body = answer.await.unwrap().into_body();
        let neighbour = async {
            let mut other = Client::plain(sidecar.addr).await;
            works(&mut other, &mut upstream).await;
        };
        neighbour.await;
        assert!(body.data().await.unwrap().unwrap_err().is_reset());
        assert_eq!(
            std::future::poll_fn(|cx| reply.poll_reset(cx))
                .await
                .unwrap(),
            Reason::CANCEL
        );
        stop(sidecar).await;
    });
}

#[test]
fn a_body_whose_length_is_not_what_it_says_is_refused_and_upstream_hears_nothing() {
    let upstream = super::model_kit::Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let mut client = Raw::client(sidecar.addr);
    let rows: [(&[(&str, &str)], &[u8]); 6] = [
        (&[("content-length", "5")], b"four"),
        (&[("content-length", "3")], b"four"),
        (&[("content-length", "4"), ("content-length", "5")], b"four"),
        (&[("content-length", "x")], b"four"),
        (&[("content-length", "-4")], b"four"),
        (&[("content-length", "4")], b""),
    ];
    let mut stream = 1;
    for (headers, body) in rows {
        client.send(head(
            stream,
            if body.is_empty() { END_STREAM } else { 0 },
            headers,
        ));
        if !body.is_empty() {
            client.send(frame(DATA, END_STREAM, stream, body));
        }
        assert_eq!(
            client.reset_of(stream),
            Reason::PROTOCOL_ERROR,
            "{headers:?}"
        );
        stream += 2;
    }
    assert!(upstream.is_untouched());
    client.send(head(stream, 0, &[("content-length", "4")]));
    client.send(frame(DATA, END_STREAM, stream, b"four"));
    let mut peer = upstream.accept();
    assert_eq!(peer.request().body, b"four");
    peer.send(OK);
    assert_eq!(client.answer(stream), Some((STATUS_200, b"ok".to_vec())));
}

#[test]
fn a_malformed_head_resets_its_stream_and_harms_no_other() {
    let upstream = super::model_kit::Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let mut client = Raw::client(sidecar.addr);
    let fields: [&[(&str, &str)]; 14] = [
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "localhost"),
        ],
        &[
            (":method", "GET"),
            (":authority", "localhost"),
            (":path", "/p/x"),
        ],
        &[
            (":scheme", "http"),
            (":authority", "localhost"),
            (":path", "/p/x"),
        ],
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "localhost"),
            (":path", ""),
        ],
        &[
            (":method", "GET"),
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "localhost"),
            (":path", "/p/x"),
        ],
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "localhost"),
            (":path", "/p/x"),
            (":status", "200"),
        ],
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "localhost"),
            ("a", "b"),
            (":path", "/p/x"),
        ],
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "local host"),
            (":path", "/p/x"),
        ],
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "localhost"),
            (":path", "/p/ x"),
        ],
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "localhost"),
            (":path", "/p/x"),
            ("connection", "close"),
        ],
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "localhost"),
            (":path", "/p/x"),
            ("transfer-encoding", "chunked"),
        ],
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "localhost"),
            (":path", "/p/x"),
            ("upgrade", "websocket"),
        ],
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "localhost"),
            (":path", "/p/x"),
            ("te", "gzip"),
        ],
        &[
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "http"),
            (":authority", "localhost"),
            (":path", "/p/x"),
        ],
    ];
    let mut stream = 1;
    for fields in fields {
        client.send(frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            stream,
            &super::http2_kit::block(fields),
        ));
        assert_eq!(
            client.reset_of(stream),
            Reason::PROTOCOL_ERROR,
            "{fields:?}"
        );
        stream += 2;
    }
    assert!(upstream.is_untouched());
    client.send(head(stream, END_STREAM, &[]));
    let mut peer = upstream.accept();
    peer.request();
    peer.send(OK);
    assert_eq!(client.answer(stream), Some((STATUS_200, b"ok".to_vec())));
    // A value or a name that no header may have ends the connection or the stream, and goes nowhere.
    for (name, value) in [
        ("X-Upper", "1"),
        ("a b", "1"),
        ("x", "1\r\nx-y: 2"),
        ("x", "a\0b"),
        ("", "1"),
    ] {
        let mut client = Raw::client(sidecar.addr);
        client.send(head(1, END_STREAM, &[(name, value)]));
        let refused = std::iter::from_fn(|| client.next())
            .any(|frame| [RST_STREAM, GOAWAY].contains(&frame.kind));
        assert!(refused, "{name:?}: {value:?}");
    }
    assert!(!contains(&peer.seen, "x-y"));
    assert!(upstream.is_untouched());
}
