//! What goes wrong on a client's HTTP/2 connection is visible upstream, and harms no other stream.

use std::time::Duration;

use bauta::config::Limits;
use bytes::Bytes;
use h2::Reason;

use super::http2_kit::{
    Client, DATA, END_HEADERS, END_STREAM, Exchange, GOAWAY, HEADERS, PING, REQUEST, RST_STREAM,
    Raw, STATUS_200, Upstream, block, collect, fill, frame, get, head, play, post,
};
use super::model_kit::{OK, SECRETS, Sidecar, TOKEN, contains};

/// Small enough to wait for, long enough for what must come in time.
pub const SHORT: Duration = Duration::from_millis(300);

/// More than is held back for an exact length, and less than that and half a stream's window: it goes in before upstream reads.
const MORE_THAN_THE_BUFFER: usize = (8 << 20) + (256 << 10);

pub async fn start(upstream: &Upstream, limits: Limits) -> Sidecar {
    let config = upstream.config(limits);
    tokio::task::spawn_blocking(move || Sidecar::with(&config, SECRETS))
        .await
        .unwrap()
}

pub async fn before(upstream: &Upstream) -> Sidecar {
    start(upstream, Limits::default()).await
}

pub async fn stop(sidecar: Sidecar) -> usize {
    tokio::task::spawn_blocking(move || sidecar.shutdown())
        .await
        .unwrap()
}

/// An ordinary request goes through.
pub async fn works(client: &mut Client, upstream: &mut Upstream) -> usize {
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
pub async fn uploading(
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
    let rows = [
        (vec!["5"], "four"),
        (vec!["3"], "four"),
        (vec!["4", "5"], "four"),
        (vec!["x"], "four"),
        (vec!["-4"], "four"),
        (vec!["4"], ""),
    ];
    let mut stream = 1;
    for (lengths, body) in rows {
        let headers: Vec<_> = lengths
            .into_iter()
            .map(|length| ("content-length", length))
            .collect();
        client.send(head(
            stream,
            if body.is_empty() { END_STREAM } else { 0 },
            &headers,
        ));
        if !body.is_empty() {
            client.send(frame(DATA, END_STREAM, stream, body.as_bytes()));
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
fn an_early_answer_is_not_followed_by_a_reset_at_once() {
    let upstream = super::model_kit::Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let mut client = Raw::client(sidecar.addr);
    let elsewhere = [REQUEST[0], REQUEST[1], REQUEST[2], (":path", "/nowhere")];
    client.send(frame(HEADERS, END_HEADERS, 1, &block(&elsewhere)));
    let (_, body) = client.answer(1).unwrap();
    assert!(contains(&body, "route_unknown"));
    // What the client still sends is swallowed, and its ping answered before the stream is reset.
    client.send(frame(DATA, 0, 1, &[b'.'; 10_000]));
    client.send(frame(PING, 0, 0, &[1; 8]));
    let next =
        std::iter::from_fn(|| client.next()).find(|frame| [PING, RST_STREAM].contains(&frame.kind));
    assert_eq!(next.map(|frame| frame.kind), Some(PING));
    assert_eq!(client.reset_of(1), Reason::NO_ERROR);
    assert!(upstream.is_untouched());
}

#[test]
fn a_malformed_head_resets_its_stream_and_harms_no_other() {
    let upstream = super::model_kit::Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let mut client = Raw::client(sidecar.addr);
    let whole = [(":method", "GET"), REQUEST[1], REQUEST[2], REQUEST[3]];
    let without = |name| {
        whole
            .into_iter()
            .filter(|(n, _)| *n != name)
            .collect::<Vec<_>>()
    };
    let with = |name, value| [&whole[..], &[(name, value)]].concat();
    let instead = |name, value| [&[(name, value)], &without(name)[..]].concat();
    let heads = [
        without(":path"),
        without(":scheme"),
        without(":method"),
        instead(":path", ""),
        instead(":path", "/p/ x"),
        instead(":authority", "local host"),
        [&[("a", "b")], &whole[..]].concat(),
        with(":method", "GET"),
        with(":status", "200"),
        with("connection", "close"),
        with("transfer-encoding", "chunked"),
        with("upgrade", "websocket"),
        with("te", "gzip"),
        [
            &[(":protocol", "websocket")],
            &instead(":method", "CONNECT")[..],
        ]
        .concat(),
    ];
    let mut stream = 1;
    for fields in heads {
        client.send(frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            stream,
            &block(&fields),
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
