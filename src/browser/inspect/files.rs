//! Files of this machine: one folder for downloads and uploads.
//!
//! Downloads go into the folder wherever a client wanted them: clients that name a folder of their own go on by the events, which
//! tell where a file is. Uploads come out of it: a path is resolved, symlinks and all, and what the browser gets is the resolved
//! path. Who may write into the folder could put a symlink there between the two; give that to nobody whom uploads must not serve.

use std::path::Path;

use serde::Deserialize;
use serde_json::json;

use super::params::{read, rest};
use crate::browser::context::Context;
use crate::browser::{Command, Refusal, Settings, Verdict};

/// Files of one command.
const MOST_FILES: usize = 1024;

/// `Browser.setDownloadBehavior`, `Page.setDownloadBehavior`, `DOM.setFileInputFiles`, `Input.dispatchDragEvent`.
pub async fn take(context: &Context, command: &Command) -> Result<Verdict, Refusal> {
    let folder = &context.settings.folder;
    match &*command.method {
        "Browser.setDownloadBehavior" | "Page.setDownloadBehavior" => {
            downloads_to(folder, command).await
        }
        "DOM.setFileInputFiles" => upload(folder, command).await,
        _ => drag(folder, command).await,
    }
}

/// Parameters of `Browser.setDownloadBehavior` that lead a browser context's downloads into the folder. The hub says so of the
/// default context.
pub(super) fn downloads(settings: &Settings, browser_context: &str) -> String {
    let params = json!({
        "behavior": "allow",
        "downloadPath": absolute(&settings.folder),
        "browserContextId": browser_context,
    });
    params.to_string()
}

fn absolute(folder: &Path) -> String {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    folder.to_string_lossy().into_owned()
}

async fn downloads_to(folder: &Path, command: &Command) -> Result<Verdict, Refusal> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Downloads {
        behavior: String,
        download_path: Option<String>,
    }
    let Downloads {
        behavior,
        download_path,
    } = read(command)?;
    let behavior = match behavior.as_str() {
        "deny" => "deny",
        "allowAndName" => "allowAndName",
        "allow" | "default" => "allow",
        _ => {
            return Err(Refusal::new(
                "a download behavior is deny, allow, allowAndName or default",
            ));
        }
    };
    let rest = rest(command, &["behavior", "downloadPath"])?;
    if behavior == "deny" {
        return Ok(Verdict::With(
            format!("{{{rest}\"behavior\":\"deny\"}}").into(),
        ));
    }
    // A folder inside ours may be chosen; anything else is ours.
    let path = match download_path {
        Some(path) => inside(folder, &path).await.ok(),
        None => None,
    };
    let path = json!(path.unwrap_or_else(|| absolute(folder)));
    Ok(Verdict::With(
        format!("{{{rest}\"behavior\":\"{behavior}\",\"downloadPath\":{path}}}").into(),
    ))
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
        rest: serde_json::Map<String, serde_json::Value>,
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
