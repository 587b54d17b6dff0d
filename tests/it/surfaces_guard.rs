//! The needles and the admission of the cases in `surfaces/`, by the real guard and its audit log.

use std::sync::{Arc, LazyLock};

use bauta::audit::Recorder;
use bauta::guard::{About, Guard, Rules, Snapshot, Ticket};
use bauta::secret::{Secret, View};
use serde_json::{Map, json};
use tempfile::TempDir;

use super::audit_kit::Place;
use super::model_kit::secrets as read;
use super::surfaces::VALUES;

fn secrets() -> Vec<Secret> {
    let values: Map<_, _> = VALUES
        .map(|(key, value)| (key.to_owned(), json!(value)))
        .into_iter()
        .collect();
    read(&json!({ "https://example.com": values }).to_string())
}

pub fn snapshot() -> Arc<Snapshot> {
    static SNAPSHOT: LazyLock<Arc<Snapshot>> = LazyLock::new(|| Arc::new(secrets().into()));
    Arc::clone(&SNAPSHOT)
}

/// A guard and the folder of its log, which goes after it.
struct Housed(Arc<Guard>, #[expect(dead_code)] TempDir);

impl Housed {
    fn new() -> Self {
        let place = Place::new();
        let recorder = Recorder::open(place.settings(), place.keeper.clone()).unwrap();
        let view = View::new(secrets());
        let guard = Guard::new(view, Rules::default(), Arc::new(recorder), "agent", None);
        Self(Arc::new(guard), place.folder)
    }
}

pub async fn ticket() -> Ticket {
    thread_local!(static GUARD: Housed = Housed::new());
    let guard = GUARD.with(|housed| Arc::clone(&housed.0));
    let about = About {
        channel: "model",
        target: "p".into(),
        method: "GET",
    };
    guard.admit(about).await.unwrap()
}
