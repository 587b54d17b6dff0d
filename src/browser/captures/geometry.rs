//! Rectangles: of a document, of the viewport it is shown in, of the picture. All in CSS pixels but for the picture's.

/// A rectangle; `x0 <= x1`, `y0 <= y1`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rect {
    pub(super) x0: f64,
    pub(super) y0: f64,
    pub(super) x1: f64,
    pub(super) y1: f64,
}

impl Rect {
    /// Of x, y, width, height.
    pub(super) fn of([x, y, width, height]: [f64; 4]) -> Self {
        Self {
            x0: x,
            y0: y,
            x1: x + width.max(0.0),
            y1: y + height.max(0.0),
        }
    }

    /// The smallest that holds those points.
    pub(super) fn around(points: &[(f64, f64)]) -> Self {
        let (mut x0, mut y0, mut x1, mut y1) = (f64::MAX, f64::MAX, f64::MIN, f64::MIN);
        for &(x, y) in points {
            (x0, y0, x1, y1) = (x0.min(x), y0.min(y), x1.max(x), y1.max(y));
        }
        Self { x0, y0, x1, y1 }
    }

    pub(super) fn corners(self) -> [(f64, f64); 4] {
        let Self { x0, y0, x1, y1 } = self;
        [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    }

    /// The smallest that holds both.
    pub(super) fn hull(self, other: Self) -> Self {
        Self::around(&[
            (self.x0, self.y0),
            (self.x1, self.y1),
            (other.x0, other.y0),
            (other.x1, other.y1),
        ])
    }

    /// What both hold, if that is anything.
    pub(super) fn common(self, other: Self) -> Option<Self> {
        let (x0, y0) = (self.x0.max(other.x0), self.y0.max(other.y0));
        let (x1, y1) = (self.x1.min(other.x1), self.y1.min(other.y1));
        (x0 < x1 && y0 < y1).then_some(Self { x0, y0, x1, y1 })
    }

    /// Wider on each side.
    pub(super) fn grown(self, x: f64, y: f64) -> Self {
        Self {
            x0: self.x0 - x,
            y0: self.y0 - y,
            x1: self.x1 + x,
            y1: self.y1 + y,
        }
    }

    /// How far the edges of two are apart at most.
    pub(super) fn apart(self, other: Self) -> f64 {
        let edges = [
            self.x0 - other.x0,
            self.y0 - other.y0,
            self.x1 - other.x1,
            self.y1 - other.y1,
        ];
        edges.into_iter().map(f64::abs).fold(0.0, f64::max)
    }

    /// Moved, then enlarged.
    pub(super) fn mapped(self, (dx, dy): (f64, f64), factor: f64) -> Self {
        Self {
            x0: (self.x0 + dx) * factor,
            y0: (self.y0 + dy) * factor,
            x1: (self.x1 + dx) * factor,
            y1: (self.y1 + dy) * factor,
        }
    }

    pub(super) fn is_empty(self) -> bool {
        !(self.x0 < self.x1 && self.y0 < self.y1)
    }

    fn is_finite(self) -> bool {
        [self.x0, self.y0, self.x1, self.y1]
            .iter()
            .all(|edge| edge.is_finite())
    }
}

/// How a document in a frame is shown in the viewport around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Shown {
    /// It is the viewport's own.
    Itself,
    /// Its viewport of that width and height lies on the parallelogram of these corners.
    On {
        corners: [(f64, f64); 4],
        width: f64,
        height: f64,
    },
    /// In a way that is not followed (perspective): within these bounds.
    Within(Rect),
}

impl Shown {
    /// A viewport of that size on the quad of a frame's element, whose points are in units of `zoom`.
    pub(super) fn on(quad: [f64; 8], zoom: f64, width: f64, height: f64) -> Self {
        let point = |at: usize| (quad[at] * zoom, quad[at + 1] * zoom);
        let corners @ [a, b, c, d] = [point(0), point(2), point(4), point(6)];
        let skew = (a.0 + c.0 - b.0 - d.0)
            .abs()
            .max((a.1 + c.1 - b.1 - d.1).abs());
        if skew > 0.5 || !(width > 0.0 && height > 0.0) {
            return Self::Within(Rect::around(&corners));
        }
        Self::On {
            corners,
            width,
            height,
        }
    }

    /// Where a rectangle of the frame's viewport is; `None`: outside of what the frame shows.
    pub(super) fn place(self, rect: Rect) -> Option<Rect> {
        let placed = match self {
            Self::Itself => rect,
            Self::Within(bounds) => bounds,
            Self::On {
                corners,
                width,
                height,
            } => {
                let [origin, right, _, down] = corners;
                let point = |(x, y): (f64, f64)| {
                    let (x, y) = (x / width, y / height);
                    (
                        origin.0 + x * (right.0 - origin.0) + y * (down.0 - origin.0),
                        origin.1 + x * (right.1 - origin.1) + y * (down.1 - origin.1),
                    )
                };
                let bounds = Rect::around(&corners);
                Rect::around(&rect.corners().map(point)).common(bounds.grown(1.0, 1.0))?
            }
        };
        // What is not a number cannot be painted over.
        placed.is_finite().then_some(placed)
    }
}

/// Rectangles of two moments as what was there in between; `None` if they moved too far to say.
///
/// What stands still is covered as it is; what moved by up to `most` is covered from one place to the other, and as far beyond.
pub(super) fn between(before: &[Rect], after: &[Rect], most: f64) -> Option<Vec<Rect>> {
    let mut covers = Vec::with_capacity(before.len() + after.len());
    for (here, there) in [(before, after), (after, before)] {
        for &rect in here {
            let near = there.iter().map(|&other| (rect.apart(other), other));
            let (moved, other) = near.min_by(|a, b| a.0.total_cmp(&b.0))?;
            if moved > most {
                return None;
            }
            covers.push(rect.hull(other).grown(moved, moved));
        }
    }
    Some(covers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rect(x0: f64, y0: f64, x1: f64, y1: f64) -> Rect {
        Rect { x0, y0, x1, y1 }
    }

    #[test]
    fn a_frame_is_where_its_corners_are() {
        // 100 by 50, turned by a quarter, in units of a zoom of 2.
        let shown = Shown::on(
            [30.0, 10.0, 30.0, 60.0, 5.0, 60.0, 5.0, 10.0],
            2.0,
            100.0,
            50.0,
        );
        assert_eq!(
            shown.place(rect(10.0, 0.0, 20.0, 5.0)),
            Some(rect(55.0, 30.0, 60.0, 40.0))
        );
        assert_eq!(
            shown.place(rect(300.0, 0.0, 320.0, 5.0)),
            None,
            "outside of what it shows"
        );
    }

    #[test]
    fn what_is_seen_in_perspective_is_covered_as_a_whole() {
        let shown = Shown::on(
            [0.0, 10.0, 100.0, 0.0, 100.0, 60.0, 0.0, 50.0],
            1.0,
            100.0,
            50.0,
        );
        assert_eq!(shown, Shown::Within(rect(0.0, 0.0, 100.0, 60.0)));
        assert_eq!(
            shown.place(rect(1.0, 1.0, 2.0, 2.0)),
            Some(rect(0.0, 0.0, 100.0, 60.0))
        );
    }

    #[test]
    fn what_moves_is_covered_on_its_way_and_as_far_beyond() {
        let (here, there) = (rect(0.0, 0.0, 10.0, 10.0), rect(4.0, 0.0, 14.0, 10.0));
        let covers = between(&[here], &[there], 4.0).unwrap();
        assert!(covers.contains(&rect(-4.0, -4.0, 18.0, 14.0)));
        assert_eq!(between(&[here], &[there], 3.0), None, "too far");
        assert_eq!(
            between(&[here], &[here, rect(50.0, 0.0, 60.0, 10.0)], 4.0),
            None,
            "one more"
        );
        assert_eq!(between(&[here], &[], 4.0), None, "gone");
        assert_eq!(between(&[], &[], 4.0), Some(Vec::new()));
    }
}
