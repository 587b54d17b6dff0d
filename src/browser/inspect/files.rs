//! Files of this machine: one folder for downloads and uploads.
//!
//! Downloads go into the folder wherever a client wanted them: clients that name a folder of their own go on by the events, which
//! tell where a file is. Uploads come out of it: a path is resolved, symlinks and all, and what the browser gets is the resolved
//! path. Who may write into the folder could put a symlink there between the two; give that to nobody whom uploads must not serve.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Inspector;
use super::params::{failed, read, rest};
use crate::browser::context::Context;
use crate::browser::hub::CallError;
use crate::browser::{Command, Refusal, Settings, Verdict};

/// Files of one command.
const MOST_FILES: usize = 1024;

impl Inspector {
    /// `Browser.setDownloadBehavior`, `Page.setDownloadBehavior`, `DOM.setFileInputFiles`, `Input.dispatchDragEvent`.
    pub(super) async fn files(
        &self,
        context: &Context,
        command: &Command,
    ) -> Result<Verdict, Refusal> {
        let folder = &context.settings.folder;
        match &*command.method {
            "Browser.setDownloadBehavior" | "Page.setDownloadBehavior" => {
                self.downloads(context, command).await
            }
            "DOM.setFileInputFiles" => upload(folder, command).await,
            _ => drag(folder, command).await,
        }
    }

    /// Says so on our own session: what a client's session had said, Chromium takes back when it goes, and downloads would go to
    /// the folder of the browser's user. The client's session is told the events, if it wants them.
    async fn downloads(&self, context: &Context, command: &Command) -> Result<Verdict, Refusal> {
        const METHOD: &str = "Browser.setDownloadBehavior";
        let mut wanted = wanted(&context.settings.folder, command).await?;
        if &*command.method == METHOD {
            let mut events = json!({ "behavior": "default", "eventsEnabled": wanted.events });
            if let Some(id) = &wanted.browser_context {
                events["browserContextId"] = id.as_str().into();
            }
            let (session, events) = (command.session.as_deref(), events.to_string());
            let told = context.member.call(session, METHOD, events.as_bytes());
            told.await.map_err(failed)?;
        } else {
            let target = context.member.target_of(command.session.as_deref());
            wanted.browser_context =
                target.and_then(|target| target.browser_context.as_deref().map(str::to_owned));
        }
        let mut params = json!({ "behavior": wanted.behavior });
        if let Some(path) = wanted.path {
            params["downloadPath"] = path.into();
        }
        if let Some(id) = wanted.browser_context {
            let mut of_context = params.clone();
            of_context["browserContextId"] = id.into();
            match context.hub.call(None, METHOD, of_context).await {
                Ok(_) => return Ok(Verdict::Answer(Bytes::from_static(b"{}"))),
                // The default context is not found by its id.
                Err(CallError::Refused { .. }) if &*command.method != METHOD => {}
                Err(error) => return Err(failed(error)),
            }
        }
        self.state().downloads = Some((Arc::clone(&context.hub), Arc::clone(&context.settings)));
        context
            .hub
            .call(None, METHOD, params)
            .await
            .map_err(failed)?;
        Ok(Verdict::Answer(Bytes::from_static(b"{}")))
    }
}

/// What a client that left had made of the default context's downloads is undone.
impl Drop for Inspector {
    fn drop(&mut self) {
        let changed = self.state().downloads.take();
        let runtime = tokio::runtime::Handle::try_current();
        if let (Some((hub, settings)), Ok(runtime)) = (changed, runtime) {
            runtime.spawn(async move {
                let said = hub
                    .call(
                        None,
                        "Browser.setDownloadBehavior",
                        downloads(&settings, None),
                    )
                    .await;
                if let Err(error) = said {
                    tracing::debug!(%error, "downloads stay as a client that left had them");
                }
            });
        }
    }
}

/// Parameters of `Browser.setDownloadBehavior` that lead downloads into the folder; `None`: of the default context.
pub(super) fn downloads(settings: &Settings, browser_context: Option<&str>) -> Value {
    let mut params = json!({ "behavior": "allow", "downloadPath": absolute(&settings.folder) });
    if let Some(id) = browser_context {
        params["browserContextId"] = id.into();
    }
    params
}

fn absolute(folder: &Path) -> String {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    folder.to_string_lossy().into_owned()
}

/// What is done about downloads.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    behavior: &'static str,
    path: Option<String>,
    browser_context: Option<String>,
    events: bool,
}

async fn wanted(folder: &Path, command: &Command) -> Result<Wanted, Refusal> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Downloads {
        behavior: String,
        download_path: Option<String>,
        browser_context_id: Option<String>,
        events_enabled: Option<bool>,
    }
    let asked: Downloads = read(command)?;
    let behavior = match asked.behavior.as_str() {
        "deny" => "deny",
        "allowAndName" => "allowAndName",
        "allow" | "default" => "allow",
        _ => {
            return Err(Refusal::new(
                "a download behavior is deny, allow, allowAndName or default",
            ));
        }
    };
    // A folder inside ours may be chosen; anything else is ours.
    let path = match asked.download_path {
        _ if behavior == "deny" => None,
        Some(path) => Some(
            inside(folder, &path)
                .await
                .unwrap_or_else(|_| absolute(folder)),
        ),
        None => Some(absolute(folder)),
    };
    Ok(Wanted {
        behavior,
        path,
        browser_context: asked.browser_context_id,
        events: asked.events_enabled.unwrap_or_default(),
    })
}

async fn upload(folder: &Path, command: &Command) -> Result<Verdict, Refusal> {
    #[derive(Deserialize)]
    struct Upload {
        files: Vec<String>,
    }
    let Upload { files } = read(command)?;
    let files = json!(all_inside(folder, &files).await?);
    let rest = rest(command, &["files"])?;
    Ok(Verdict::With(format!("{{{rest}\"files\":{files}}}").into()))
}

async fn drag(folder: &Path, command: &Command) -> Result<Verdict, Refusal> {
    #[derive(Deserialize)]
    struct Drag {
        data: Option<Data>,
    }
    #[derive(Deserialize)]
    struct Data {
        files: Option<Vec<String>>,
        #[serde(flatten)]
        rest: serde_json::Map<String, Value>,
    }
    let Drag { data } = read(command)?;
    let Some(Data {
        files: Some(files),
        rest: mut data,
    }) = data
    else {
        return Ok(Verdict::Pass);
    };
    if files.is_empty() {
        return Ok(Verdict::Pass);
    }
    data.insert("files".to_owned(), json!(all_inside(folder, &files).await?));
    let data = json!(data);
    let rest = rest(command, &["data"])?;
    Ok(Verdict::With(format!("{{{rest}\"data\":{data}}}").into()))
}

async fn all_inside(folder: &Path, files: &[String]) -> Result<Vec<String>, Refusal> {
    if files.len() > MOST_FILES {
        return Err(Refusal::new(format!(
            "at most {MOST_FILES} files at a time"
        )));
    }
    let mut resolved = Vec::with_capacity(files.len());
    for file in files {
        resolved.push(inside(folder, file).await?);
    }
    Ok(resolved)
}

/// The path as the file system resolves it, if that is in the folder.
async fn inside(folder: &Path, path: &str) -> Result<String, Refusal> {
    let outside = || {
        Refusal::new(format!(
            "files come from, and go to, the folder {} only (`folder` of [browser]); what is named is not there",
            absolute(folder)
        ))
    };
    if !Path::new(path).is_absolute() {
        return Err(outside());
    }
    let root = tokio::fs::canonicalize(folder)
        .await
        .map_err(|_| outside())?;
    let found = tokio::fs::canonicalize(path).await.map_err(|_| outside())?;
    let path = found
        .starts_with(&root)
        .then_some(found)
        .ok_or_else(outside)?;
    path.into_os_string().into_string().map_err(|_| outside())
}

#[cfg(test)]
mod tests;
