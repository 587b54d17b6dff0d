//! An HTTP/2 upstream that breaks off, refuses, stalls or talks garbage: the client sees what it is, and nothing is sent twice.

use std::future::poll_fn;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use bauta::config::Limits;
use bytes::Bytes;
use h2::Reason;
use http::Method;
use rustls::{ServerConnection, StreamOwned};

use super::http2_kit::{
    Client, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, Order, Raw, STATUS_200, Upstream,
    block, collect, fill, frame, get, head, play, post,
};
use super::model_http2_faults::{SHORT, before, start, stop, uploading, works};
use super::model_kit::{BOUND, SECRETS, Sidecar, TOKEN, Wire};
use super::model_tls::{Authority, over_tls};

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

/// An upstream's connection, played frame by frame.
type Played = Raw<StreamOwned<ServerConnection, TcpStream>>;

/// What an upstream does on one connection.
struct Scene(Box<dyn FnOnce(&mut Played) + Send>);

impl Scene {
    fn new(play: impl FnOnce(&mut Played) + Send + 'static) -> Self {
        Self(Box::new(play))
    }
}

/// A TLS upstream that chooses HTTP/2: one scene a connection.
fn perform(authority: &Authority, scenes: Vec<Scene>) -> (SocketAddr, JoinHandle<()>) {
    let server = Arc::new(authority.server("localhost", &["h2"]));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let thread = thread::spawn(move || {
        for scene in scenes {
            let (tcp, _) = listener.accept().unwrap();
            tcp.set_nodelay(true).unwrap();
            tcp.set_read_timeout(Some(BOUND)).unwrap();
            let tls = StreamOwned::new(ServerConnection::new(Arc::clone(&server)).unwrap(), tcp);
            let mut raw = Raw::server(tls);
            (scene.0)(&mut raw);
            raw.stream.conn.send_close_notify();
            // The other end may be gone already.
            let _ = raw.stream.flush();
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
        let first = Scene::new(move |raw| {
            assert_eq!(raw.until(HEADERS).stream, 1);
            raw.send(go_away(last, Reason::NO_ERROR));
        });
        let second = Scene::new(|raw| {
            let stream = raw.until(HEADERS).stream;
            raw.send(ok(stream));
            raw.end();
        });
        let (addr, upstream) = perform(&authority, vec![first, second]);
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
        &frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&[("a", "b")])),
        // A header of one hop.
        &frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            1,
            &[&[STATUS_200][..], &block(&[("connection", "x")])].concat(),
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
        let scene = Scene::new(move |raw| {
            raw.until(HEADERS);
            // It may hang up before it has read all of it.
            let _ = raw.try_send(bytes);
            raw.end();
        });
        let (addr, upstream) = perform(&authority, vec![scene]);
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
        let scene = Scene::new(move |raw| {
            raw.until(HEADERS);
            let length = block(&[("content-length", said)]);
            raw.send(frame(
                HEADERS,
                END_HEADERS,
                1,
                &[&[STATUS_200][..], &length].concat(),
            ));
            raw.send(frame(DATA, END_STREAM, 1, b"ok"));
            raw.end();
        });
        let (addr, upstream) = perform(&authority, vec![scene]);
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
        let before_head = Limits {
            response_timeout: SHORT,
            ..Limits::default()
        };
        let sidecar = start(&upstream, before_head).await;
        // No head.
        let mut client = Client::plain(sidecar.addr).await;
        let (answer, _) = client.begin(get("/p/x"), true);
        let mut exchange = upstream.accept().await;
        let answer = collect(answer.await.unwrap()).await.unwrap();
        assert_eq!(answer.error(), (504, "upstream_timeout".to_owned()));
        assert_eq!(exchange.cancelled().await, Some(Reason::CANCEL));
        stop(sidecar).await;
        let inside = Limits {
            idle_timeout: SHORT,
            ..Limits::default()
        };
        let sidecar = start(&upstream, inside).await;
        // Silence inside the answer.
        let mut client = Client::plain(sidecar.addr).await;
        let (answer, _) = client.begin(get("/p/x"), true);
        let mut exchange = upstream.accept().await;
        let mut reply = exchange.begin(200, false);
        let mut body = answer.await.unwrap().into_body();
        assert!(body.data().await.unwrap().unwrap_err().is_reset());
        assert_eq!(
            poll_fn(|cx| reply.poll_reset(cx)).await.unwrap(),
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
fn an_answer_that_has_no_body_is_over_though_its_stream_is_open() {
    play(async {
        let mut upstream = Upstream::bind().await;
        let mut config = upstream.config(Limits::default());
        for masking in [false, true] {
            config.model.as_mut().unwrap().mask_responses = masking;
            let config = config.clone();
            let started = move || Sidecar::with(&config, SECRETS);
            let sidecar = tokio::task::spawn_blocking(started).await.unwrap();
            let mut client = Client::plain(sidecar.addr).await;
            for (method, status) in [
                (Method::GET, 204),
                (Method::GET, 304),
                (Method::POST, 204),
                (Method::HEAD, 200),
            ] {
                let mut request = get("/p/x");
                *request.method_mut() = method;
                let (answer, mut stream) = tokio::join!(client.send(request, b""), async {
                    let mut exchange = upstream.accept().await;
                    let stream = exchange.begin(status, false);
                    (exchange, stream)
                });
                let answer = answer.unwrap();
                assert_eq!((answer.status, answer.body.len()), (status, 0));
                // What comes all the same is nobody's; the stream may be gone by now.
                let _ = stream.1.send_data(Bytes::from_static(b"more"), true);
            }
            works(&mut client, &mut upstream).await;
            stop(sidecar).await;
        }
    });
}
