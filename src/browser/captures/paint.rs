//! Pictures: read, painted over, written again. Bounded in pixels before anything is unpacked.

use std::io::Cursor;

use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::codecs::png::{CompressionType, FilterType, PngDecoder, PngEncoder};
use image::codecs::webp::WebPEncoder;
use image::{DynamicImage, ImageDecoder, Limits, Rgba, RgbaImage};

use super::geometry::Rect;

/// Most pixels of a picture that is painted in: 4 bytes each while it is.
const MOST_PIXELS: u64 = 48 << 20;
/// Longest side of one.
const LONGEST_SIDE: u32 = 65_535;
/// What stands in place of a value.
const COVER: Rgba<u8> = Rgba([0, 0, 0, 255]);
/// Chromium's quality of JPEGs where none is asked for.
const QUALITY: u8 = 80;

/// How a picture is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Png,
    /// With this quality, 0 to 100.
    Jpeg(u8),
    /// Without loss, whatever quality was asked for: there is no lossy encoder here.
    Webp,
}

impl Format {
    /// By CDP's names; `None`: there is no such format.
    pub(super) fn of(name: Option<&str>, quality: Option<i64>) -> Option<Self> {
        let quality = quality.map_or(QUALITY, |asked| {
            u8::try_from(asked.clamp(0, 100)).unwrap_or(QUALITY)
        });
        match name.unwrap_or("png") {
            "png" => Some(Self::Png),
            "jpeg" => Some(Self::Jpeg(quality)),
            "webp" => Some(Self::Webp),
            _ => None,
        }
    }
}

/// Why a picture is not painted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unpainted {
    #[error("the picture has more than 50331648 pixels, or a side of more than 65535")]
    TooLarge,
    #[error("the picture cannot be read")]
    Unreadable,
    #[error("the picture cannot be written")]
    Unwritable,
    #[error("the picture is not of the size that was asked for")]
    OtherSize,
}

/// A picture that was unpacked.
pub(super) struct Picture(RgbaImage);

impl Picture {
    /// Unpacks a PNG or a JPEG.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Unpainted> {
        let cursor = Cursor::new(bytes);
        if bytes.starts_with(b"\x89PNG") {
            let decoder =
                PngDecoder::with_limits(cursor, limits()).map_err(|_| Unpainted::Unreadable)?;
            Self::unpack(decoder)
        } else {
            Self::unpack(JpegDecoder::new(cursor).map_err(|_| Unpainted::Unreadable)?)
        }
    }

    fn unpack(mut decoder: impl ImageDecoder) -> Result<Self, Unpainted> {
        let (width, height) = decoder.dimensions();
        if u64::from(width) * u64::from(height) > MOST_PIXELS || width.max(height) > LONGEST_SIDE {
            return Err(Unpainted::TooLarge);
        }
        decoder
            .set_limits(limits())
            .map_err(|_| Unpainted::TooLarge)?;
        let picture = DynamicImage::from_decoder(decoder).map_err(|_| Unpainted::Unreadable)?;
        Ok(Self(picture.into_rgba8()))
    }

    /// Width and height in pixels.
    pub(super) fn size(&self) -> (u32, u32) {
        self.0.dimensions()
    }

    /// Paints over those rectangles, in pixels; each pixel that one touches is covered. One that is nowhere is everywhere.
    pub(super) fn cover(&mut self, rects: &[Rect]) {
        let (width, height) = self.size();
        let everywhere = Rect {
            x0: 0.0,
            y0: 0.0,
            x1: f64::from(width),
            y1: f64::from(height),
        };
        for rect in rects {
            let is_nowhere = [rect.x0, rect.y0, rect.x1, rect.y1]
                .iter()
                .any(|edge| edge.is_nan());
            let rect = if is_nowhere { &everywhere } else { rect };
            let (left, right) = (pixel(rect.x0.floor(), width), pixel(rect.x1.ceil(), width));
            for y in pixel(rect.y0.floor(), height)..pixel(rect.y1.ceil(), height) {
                for x in left..right {
                    self.0.put_pixel(x, y, COVER);
                }
            }
        }
    }

    /// Packs it.
    pub(super) fn write(self, format: Format) -> Result<Vec<u8>, Unpainted> {
        let mut out = Vec::new();
        let written = match format {
            Format::Png => {
                let encoder = PngEncoder::new_with_quality(
                    &mut out,
                    CompressionType::Fast,
                    FilterType::Adaptive,
                );
                self.0.write_with_encoder(encoder)
            }
            Format::Jpeg(quality) => {
                let picture = DynamicImage::ImageRgba8(self.0).into_rgb8();
                picture.write_with_encoder(JpegEncoder::new_with_quality(&mut out, quality.max(1)))
            }
            Format::Webp => self
                .0
                .write_with_encoder(WebPEncoder::new_lossless(&mut out)),
        };
        written.map_err(|_| Unpainted::Unwritable)?;
        Ok(out)
    }
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_image_width = Some(LONGEST_SIDE);
    limits.max_image_height = Some(LONGEST_SIDE);
    // At most eight bytes a pixel, and as much again to work in.
    limits.max_alloc = Some(MOST_PIXELS * 16);
    limits
}

/// The pixel at that edge, within the picture.
fn pixel(edge: f64, size: u32) -> u32 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    // Clamped; such casts do not wrap.
    let pixel = edge.clamp(0.0, f64::from(size)) as u32;
    pixel
}

#[cfg(test)]
mod tests {
    use super::*;

    fn white(width: u32, height: u32) -> Vec<u8> {
        let picture = RgbaImage::from_pixel(width, height, Rgba([255, 255, 255, 255]));
        Picture(picture).write(Format::Png).unwrap()
    }

    fn rect(x0: f64, y0: f64, x1: f64, y1: f64) -> Rect {
        Rect { x0, y0, x1, y1 }
    }

    #[test]
    fn each_touched_pixel_is_covered_and_no_other() {
        let mut picture = Picture::read(&white(10, 8)).unwrap();
        picture.cover(&[
            rect(2.5, -7.0, 4.1, 1.2),
            rect(9.5, 7.5, 300.0, f64::INFINITY),
            rect(-9.0, -9.0, -1.0, -1.0),
        ]);
        let black: Vec<(u32, u32)> = picture
            .0
            .enumerate_pixels()
            .filter(|(_, _, p)| **p == COVER)
            .map(|(x, y, _)| (x, y))
            .collect();
        assert_eq!(
            black,
            [(2, 0), (3, 0), (4, 0), (2, 1), (3, 1), (4, 1), (9, 7)]
        );
    }

    #[test]
    fn a_cover_is_opaque_in_each_format() {
        for format in [Format::Png, Format::Jpeg(80), Format::Webp] {
            let mut picture = Picture::read(&white(32, 32)).unwrap();
            picture.cover(&[rect(0.0, 0.0, 16.0, 32.0)]);
            let written = picture.write(format).unwrap();
            let again = image::load_from_memory(&written).unwrap().into_rgba8();
            assert!(
                again.get_pixel(4, 16).0[..3].iter().all(|&c| c < 8),
                "{format:?}"
            );
            assert!(
                again.get_pixel(28, 16).0[..3].iter().all(|&c| c > 247),
                "{format:?}"
            );
        }
    }

    #[test]
    fn what_is_too_large_is_not_unpacked() {
        // A PNG that says it is 65535 pixels wide and high.
        let mut bomb = white(1, 1);
        bomb[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
        let crc = crc(&bomb[12..29]);
        bomb[29..33].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(Picture::read(&bomb).err(), Some(Unpainted::TooLarge));
        assert_eq!(Picture::read(b"GIF89a").err(), Some(Unpainted::Unreadable));
    }

    fn crc(bytes: &[u8]) -> u32 {
        let mut crc = u32::MAX;
        for &byte in bytes {
            crc ^= u32::from(byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 {
                    crc >> 1 ^ 0xedb8_8320
                } else {
                    crc >> 1
                };
            }
        }
        !crc
    }
}
