//! Where a page goes: addresses that a client names, entries of the history, documents that it makes itself.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::params::{answer, failed, read, rest};
use super::url::{self, Kind, Wrong};
use super::{Inspector, admit, place};
use crate::browser::context::Context;
use crate::browser::{Command, Refusal, Verdict};
use crate::guard::{Ask, Spot};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Where {
    url: String,
    frame_id: Option<String>,
}

impl Inspector {
    pub(super) async fn navigate(
        &self,
        context: &Context,
        command: &Command,
    ) -> Result<Verdict, Refusal> {
        match &*command.method {
            "Page.setDocumentContent" => document(context, command).await,
            "Page.navigateToHistoryEntry" => history(context, command).await,
            _ => self.address(context, command).await,
        }
    }

    async fn address(&self, context: &Context, command: &Command) -> Result<Verdict, Refusal> {
        let Where { url, frame_id } = read(command)?;
        if url::check(&url)? == Kind::Local {
            return Ok(Verdict::Pass);
        }
        let frame = if let Some(frame) = frame_id {
            frame
        } else {
            let target = context.member.target_of(command.session.as_deref());
            target.map_or_else(|| "new".to_owned(), |target| target.id.to_string())
        };
        let place = place(url.parse().ok().as_ref(), &frame);
        let ticket = admit(context, command, &place).await?;
        let drafted = url::draft(
            &url,
            ticket.snapshot().finder(),
            |key, place, destination| {
                let spots = &[Spot {
                    place,
                    header: None,
                }];
                let ask = Ask {
                    key,
                    spots,
                    destination,
                };
                ticket.entry(&ask).map(drop)
            },
        );
        let (mut inside, origin) = match drafted {
            Ok(None) => return Ok(Verdict::Pass),
            Ok(Some(drafted)) => drafted,
            Err(Wrong::Denied(key, denied)) => {
                return Err(self.said.denied(&ticket, &key, &denied));
            }
            Err(Wrong::Place(key, reason)) => return Err(self.said.refused(&ticket, &key, reason)),
        };
        let mut draft = super::draft::Draft::default();
        draft
            .raw("{")
            .raw(rest(command, &["url"])?)
            .raw("\"url\":\"");
        draft.append(std::mem::take(&mut inside)).raw("\"}");
        let params = draft.fill(&ticket, &origin, &self.said).await?;
        Ok(Verdict::With(params))
    }
}

/// A document that the client makes takes no values. Nor does one that came into the frame meanwhile, for it may be that one which
/// was changed.
async fn document(context: &Context, command: &Command) -> Result<Verdict, Refusal> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Content {
        frame_id: String,
        #[serde(rename = "html")]
        _html: IgnoredAny,
    }
    let Content { frame_id, .. } = read(command)?;
    let gone = || Refusal::new("No frame for given id found");
    let before = loader(context, command, &frame_id).await?;
    context.pages.taint(&before.ok_or_else(gone)?);
    let session = command.session.as_deref();
    let changed = context
        .member
        .call(session, &command.method, command.params())
        .await;
    // Whatever it answers, or does not.
    if let Some(after) = loader(context, command, &frame_id).await? {
        context.pages.taint(&after);
    }
    changed.map(Verdict::Answer).map_err(failed)
}

/// The document that is in a frame now; `None`: there is no such frame.
async fn loader(
    context: &Context,
    command: &Command,
    frame: &str,
) -> Result<Option<String>, Refusal> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        frame_tree: Tree,
    }
    let tree = context
        .member
        .call(command.session.as_deref(), "Page.getFrameTree", b"{}")
        .await;
    let tree = tree.map_err(failed)?;
    let Answer { frame_tree } = answer(&tree)?;
    Ok(frame_tree.loader(frame).map(str::to_owned))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tree {
    frame: Frame,
    #[serde(default)]
    child_frames: Vec<Tree>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Frame {
    id: String,
    loader_id: String,
}

impl Tree {
    /// The loader id of that frame's document. As deep as the reader of JSON goes at most.
    fn loader(&self, frame: &str) -> Option<&str> {
        if self.frame.id == frame {
            return Some(&self.frame.loader_id);
        }
        self.child_frames
            .iter()
            .find_map(|child| child.loader(frame))
    }
}

/// The history may hold addresses that somebody else visited.
async fn history(context: &Context, command: &Command) -> Result<Verdict, Refusal> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Which {
        entry_id: i64,
    }
    #[derive(Deserialize)]
    struct Answer {
        entries: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        id: i64,
        url: String,
    }
    let Which { entry_id } = read(command)?;
    let session = command.session.as_deref();
    let history = context
        .member
        .call(session, "Page.getNavigationHistory", b"{}");
    let history = history.await.map_err(failed)?;
    let Answer { entries } = answer(&history)?;
    if let Some(entry) = entries.iter().find(|entry| entry.id == entry_id) {
        url::check(&entry.url)?;
    }
    Ok(Verdict::Pass)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loaders_of_frames() {
        let tree = r#"{"frame": {"id": "a", "loaderId": "1"}, "childFrames": [
            {"frame": {"id": "b", "loaderId": "2"}, "childFrames": [{"frame": {"id": "c", "loaderId": "3"}}]}]}"#;
        let tree: Tree = serde_json::from_str(tree).unwrap();
        for (frame, expected) in [
            ("a", Some("1")),
            ("b", Some("2")),
            ("c", Some("3")),
            ("d", None),
        ] {
            assert_eq!(tree.loader(frame), expected);
        }
    }
}
