//! How a viewport becomes a picture.

use serde::Deserialize;
use serde_json::json;

use super::gate::numbers;
use super::geometry::Rect;
use crate::browser::hub::{CallError, Hub};
use crate::browser::pages::read;

/// Room that scroll bars take, in CSS pixels: pictures include them, viewports do not.
const BARS: f64 = 24.0;

/// What a page's viewports are at one moment, in CSS pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct View {
    /// Pixels of a picture to a CSS pixel.
    ratio: f64,
    /// How far the layout viewport is scrolled.
    pub(super) scroll: (f64, f64),
    /// Where the visual viewport is in it, its size and scale.
    pub(super) offset: (f64, f64),
    size: (f64, f64),
    scale: f64,
    /// The size of the document.
    content: (f64, f64),
    /// Whether its own scroll bars take room.
    pub(super) has_bars: bool,
}

/// A part of the document, as `Page.captureScreenshot` takes it.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub(super) struct Clip {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    scale: f64,
}

/// What a picture shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Shot {
    /// The visual viewport.
    Viewport,
    /// A part of the document.
    Part(Clip),
    /// The document.
    Whole,
}

/// How the layout viewport lies in a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Lens {
    shift: (f64, f64),
    pub(super) factor: f64,
    /// The least size of the picture in pixels, and by how much it may be more.
    size: (f64, f64),
    slack: f64,
}

impl View {
    /// What they are now.
    pub(super) async fn of(hub: &Hub, session: &str, target: &str) -> Result<Self, CallError> {
        #[derive(Deserialize)]
        struct Metrics {
            #[serde(rename = "cssLayoutViewport")]
            layout: Layout,
            #[serde(rename = "cssVisualViewport")]
            visual: Visual,
            #[serde(rename = "cssContentSize")]
            content: Content,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Layout {
            page_x: f64,
            page_y: f64,
            client_width: f64,
            client_height: f64,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Visual {
            offset_x: f64,
            offset_y: f64,
            client_width: f64,
            client_height: f64,
            scale: f64,
        }
        #[derive(Deserialize)]
        struct Content {
            width: f64,
            height: f64,
        }
        let ask = "devicePixelRatio + ' ' + innerWidth + ' ' + innerHeight";
        let [ratio, width, height] = numbers(hub, session, target, ask).await?;
        let metrics = hub
            .call(Some(session), "Page.getLayoutMetrics", json!({}))
            .await?;
        let Metrics {
            layout,
            visual,
            content,
        } = read(&metrics)?;
        Ok(Self {
            ratio,
            scroll: (layout.page_x, layout.page_y),
            offset: (visual.offset_x, visual.offset_y),
            size: (visual.client_width, visual.client_height),
            scale: visual.scale,
            content: (content.width, content.height),
            has_bars: layout.client_width < width - 0.5 || layout.client_height < height - 0.5,
        })
    }

    /// How it lies in that picture.
    pub(super) fn lens(&self, shot: Shot) -> Lens {
        let (shift, factor, (width, height), slack) = match shot {
            Shot::Viewport => (
                (-self.offset.0, -self.offset.1),
                self.ratio * self.scale,
                self.size,
                BARS * self.ratio,
            ),
            Shot::Part(clip) => (
                (self.scroll.0 - clip.x, self.scroll.1 - clip.y),
                self.ratio * clip.scale,
                (clip.width, clip.height),
                0.0,
            ),
            Shot::Whole => (self.scroll, self.ratio, self.content, BARS * self.ratio),
        };
        Lens {
            shift,
            factor,
            size: (width * factor, height * factor),
            slack,
        }
    }
}

impl Lens {
    /// Where a rectangle of the layout viewport is in the picture, in pixels.
    pub(super) fn pixels(&self, rect: Rect) -> Rect {
        rect.mapped(self.shift, self.factor)
    }

    /// Whether a picture is of the size that it must be; else it does not show what it should.
    pub(super) fn fits(&self, (width, height): (u32, u32)) -> bool {
        let fits = |pixels: u32, least: f64| {
            let pixels = f64::from(pixels);
            pixels >= least - 2.0 && pixels <= least + self.slack + 2.0
        };
        self.factor.is_finite() && fits(width, self.size.0) && fits(height, self.size.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEW: View = View {
        ratio: 2.0,
        scroll: (0.0, 300.0),
        offset: (10.0, 20.0),
        size: (450.0, 300.0),
        scale: 2.0,
        content: (885.0, 2153.0),
        has_bars: false,
    };
    const RECT: Rect = Rect {
        x0: 30.0,
        y0: 40.0,
        x1: 50.0,
        y1: 60.0,
    };

    fn pixels(shot: Shot) -> String {
        let Rect { x0, y0, x1, y1 } = VIEW.lens(shot).pixels(RECT);
        format!("{x0} {y0} {x1} {y1}")
    }

    #[test]
    fn the_viewport_the_document_and_a_part_of_it() {
        assert_eq!(pixels(Shot::Viewport), "80 80 160 160");
        assert_eq!(pixels(Shot::Whole), "60 680 100 720");
        let clip = Clip {
            x: 20.0,
            y: 310.0,
            width: 500.0,
            height: 400.0,
            scale: 0.5,
        };
        assert_eq!(pixels(Shot::Part(clip)), "10 30 30 50");
    }

    #[test]
    fn a_picture_of_another_size_does_not_fit() {
        let lens = VIEW.lens(Shot::Viewport);
        assert!(lens.fits((1800, 1200)));
        assert!(lens.fits((1830, 1230)), "with scroll bars");
        assert!(!lens.fits((900, 600)));
        assert!(!lens.fits((3600, 2400)));
    }
}
