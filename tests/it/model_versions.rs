//! What was built for one version of HTTP, over the others: WebSocket beside HTTP/2, codings, parts and masked answers over it.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use bauta::config::{Config, Limits};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::Request;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, ServerConnection, StreamOwned};
use tokio_tungstenite::tungstenite::{Message, accept, client};

use super::http2_kit::{Client, Upstream, play};
use super::model_kit::{BOUND, SECRETS, Sidecar, TOKEN, contains};
use super::model_tls::{Authority, over_tls};

/// A sidecar has a runtime of its own, which must not begin or end inside another.
async fn start(config: Config) -> Sidecar {
    tokio::task::spawn_blocking(move || Sidecar::with(&config, SECRETS))
        .await
        .unwrap()
}

async fn stop(sidecar: Sidecar) {
    let cut = tokio::task::spawn_blocking(move || sidecar.shutdown()).await;
    assert_eq!(cut.unwrap(), 0);
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn p1_a_websocket_goes_over_tls_by_http_1_1_where_http_2_is_offered_too() {
    let authority = Authority::new();
    let server = Arc::new(authority.server("localhost", &["h2", "http/1.1"]));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let mut config = over_tls("localhost", addr, Some(authority.file()));
    config.model.as_mut().unwrap().tls = Some(authority.listener("localhost"));
    let sidecar = Sidecar::with(&config, SECRETS);
    let provider = thread::spawn(move || {
        let (tcp, _) = listener.accept().unwrap();
        tcp.set_read_timeout(Some(BOUND)).unwrap();
        let connection = ServerConnection::new(server).unwrap();
        let mut socket = accept(StreamOwned::new(connection, tcp)).unwrap();
        let chosen = socket.get_ref().conn.alpn_protocol().map(<[u8]>::to_vec);
        let seen = socket.read().unwrap();
        socket.send(Message::text("welcome")).unwrap();
        assert!(socket.read().unwrap().is_close());
        // Says that the connection is over, as the close frame was answered.
        let _ = socket.flush();
        (chosen, seen.into_text().unwrap().to_string())
    });
    let tcp = TcpStream::connect(sidecar.addr).unwrap();
    tcp.set_read_timeout(Some(BOUND)).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let tls = Arc::new(authority.client(&["http/1.1"]));
    let stream = StreamOwned::new(ClientConnection::new(tls, name).unwrap(), tcp);
    let (mut socket, _) = client("wss://localhost/p/v1/responses", stream).unwrap();
    let said = format!("{{\"say\": \"{TOKEN}\"}}");
    socket.send(Message::text(said)).unwrap();
    let heard = socket.read().unwrap();
    assert_eq!(heard.into_text().unwrap().as_str(), "welcome");
    socket.close(None).unwrap();
    while socket.read().is_ok() {}
    let expected = (
        Some(b"http/1.1".to_vec()),
        r#"{"say": "x_token"}"#.to_owned(),
    );
    assert_eq!(provider.join().unwrap(), expected);
}

#[test]
fn p1_codings_and_parts_are_read_over_http_2() {
    play(async {
        let mut upstream = Upstream::bind().await;
        let sidecar = start(upstream.config(Limits::default())).await;
        let mut client = Client::plain(sidecar.addr).await;
        let parts = format!(
            "--b\r\nContent-Disposition: form-data; name=\"a\"; filename=\"{TOKEN}\"\r\n\
             Content-Type: application/json\r\n\r\n{{\"n\":\"{TOKEN}\"}}\r\n--b--\r\n"
        );
        let text = format!("{{\"a\":\"{TOKEN}\"}}");
        for (content_type, text) in [
            ("application/json", text),
            ("multipart/form-data; boundary=b", parts),
        ] {
            for coded in [false, true] {
                let mut request =
                    Request::post("http://localhost/p/x").header("content-type", content_type);
                if coded {
                    request = request.header("content-encoding", "gzip");
                }
                let body = if coded {
                    gzip(&text)
                } else {
                    text.clone().into_bytes()
                };
                let asked = async {
                    let request = request.body(()).unwrap();
                    client.send(request, &body).await.unwrap()
                };
                let answered = async {
                    let mut exchange = upstream.accept().await;
                    let seen = exchange.read().await.unwrap();
                    let expected = text.replace(TOKEN, "x_token");
                    assert_eq!(String::from_utf8(seen).unwrap(), expected);
                    assert!(!exchange.head.headers.contains_key("content-encoding"));
                    exchange.answer(200, b"ok");
                };
                let (answer, ()) = tokio::join!(asked, answered);
                assert_eq!((answer.status, &answer.body[..]), (200, &b"ok"[..]));
            }
        }
        let request = Request::post("http://localhost/p/x")
            .header("content-type", "multipart/form-data; boundary=b");
        let answer = client.send(request.body(()).unwrap(), b"--b\r\n").await;
        let expected = (400, "multipart_invalid".to_owned());
        assert_eq!(answer.unwrap().error(), expected);
        assert!(upstream.is_untouched());
        stop(sidecar).await;
    });
}

#[test]
fn answers_over_http_2_are_masked_and_lead_back_to_us() {
    play(async {
        let mut upstream = Upstream::bind().await;
        let mut config = upstream.config(Limits::default());
        let model = config.model.as_mut().unwrap();
        model.mask_responses = true;
        model.tls = Some(upstream.authority.listener("localhost"));
        let sidecar = start(config).await;
        let mut client = Client::tls(sidecar.addr, &upstream.authority).await;
        let own = format!("https://localhost:{}", sidecar.addr.port());
        let asked = async {
            let request = Request::get(format!("{own}/p/a"))
                .header("accept-encoding", "gzip")
                .body(())
                .unwrap();
            client.send(request, b"").await.unwrap()
        };
        let answered = async {
            let mut exchange = upstream.accept().await;
            let location = format!("https://localhost:{}/b?k={TOKEN}", upstream.addr.port());
            let response = http::Response::builder()
                .header("content-encoding", "gzip")
                .header("location", location)
                .header("x-echo", TOKEN)
                .body(())
                .unwrap();
            let mut stream = exchange.reply.send_response(response, false).unwrap();
            let body = gzip(&format!("you said {TOKEN}"));
            stream.send_data(body.into(), false).unwrap();
            let trailers = http::HeaderMap::from_iter([(
                http::HeaderName::from_static("x-sum"),
                http::HeaderValue::from_static(TOKEN),
            )]);
            stream.send_trailers(trailers).unwrap();
        };
        let (answer, ()) = tokio::join!(asked, answered);
        assert_eq!(String::from_utf8_lossy(&answer.body), "you said x_token");
        assert_eq!(answer.headers["location"], format!("{own}/p/b?k=x_token"));
        assert_eq!(answer.headers["x-echo"], "x_token");
        assert!(!answer.headers.contains_key("content-encoding"));
        assert_eq!(answer.trailers.unwrap()["x-sum"], "x_token");
        assert!(!contains(&answer.body, TOKEN));
        stop(sidecar).await;
    });
}
