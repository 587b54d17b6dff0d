//! A login page on loopback: it keeps what its form was sent, and shows it back to who is logged in.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::{provider, story};

const LOGIN: &str = "<!doctype html><title>Shop: log in</title><form method=post action=/account>\
    <input id=user name=user autocomplete=username><input id=password name=password type=password><button>Log in</button></form>";

/// A site on a free port of loopback. Dropping it stops it.
pub(super) struct Site {
    addr: SocketAddr,
    forms: Arc<Mutex<Vec<(String, String)>>>,
    task: JoinHandle<()>,
}

impl Site {
    pub(super) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let addr = listener.local_addr()?;
        let forms = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&forms);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A connection that breaks shows as a form that is missing.
                tokio::spawn(serve(stream, Arc::clone(&record)));
            }
        });
        Ok(Self { addr, forms, task })
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// User and password of each form that was sent.
    pub(super) fn forms(&self) -> Vec<(String, String)> {
        let mut all = self.forms.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut all)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, record: Arc<Mutex<Vec<(String, String)>>>) -> io::Result<()> {
    loop {
        let request = provider::read(&mut stream).await?;
        if request.is_empty() {
            return Ok(());
        }
        let page = if request.starts_with(b"POST ") {
            let form = form(provider::body(&request).unwrap_or_default());
            let page = account(&form);
            record
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(form);
            page
        } else {
            LOGIN.to_owned()
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\r\n",
            page.len()
        );
        stream.write_all((head + &page).as_bytes()).await?;
    }
}

fn form(body: &[u8]) -> (String, String) {
    let body = String::from_utf8_lossy(body);
    let field = |name: &str| {
        let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
        let mut values = pairs
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| story::unform(value));
        values.next().unwrap_or_default()
    };
    (field("user"), field("password"))
}

/// What a careless site shows.
fn account((user, password): &(String, String)) -> String {
    format!(
        "<!doctype html><title>Shop: {user}</title><p>Welcome, {user}. Your password is {password}</p>",
        user = story::html(user),
        password = story::html(password),
    )
}
