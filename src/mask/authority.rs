//! URL authorities: where short values are parts of a site's name.

use super::symbol::class;

/// Whether the text stands in the authority of a URL (RFC 3986 section 3.2): after `://`, where backslashes may stand
/// between (JSON's `\/`).
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Authority {
    mark: Mark,
    /// Symbols since the authority began.
    pub run: Option<usize>,
    /// Which of them was the last `@`, counted from 1.
    pub sign: usize,
    /// What stands behind that.
    pub part: Part,
}

/// What the last symbols of an authority are, as far as a colon tells.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Part {
    /// A host's or a user's name.
    #[default]
    Name,
    /// A colon.
    Colon,
    /// Digits behind a colon: a port, or a password.
    Port,
    /// Behind a colon, and no port.
    Password,
}

impl Part {
    /// With one more byte of the authority.
    pub fn with(self, byte: u8) -> Self {
        match (self, byte) {
            (_, b'@') => Self::Name,
            (Self::Name | Self::Colon | Self::Port, b':') => Self::Colon,
            (Self::Colon | Self::Port, b'0'..=b'9') => Self::Port,
            (Self::Colon | Self::Port, _) => Self::Password,
            (part, _) => part,
        }
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Mark {
    #[default]
    None,
    Colon,
    Slash,
}

impl Authority {
    #[inline]
    pub fn step(&mut self, byte: u8) {
        let class = class::OF[usize::from(byte)];
        if self.run.is_none() && self.mark == Mark::None && class & class::AUTHORITY_MARK == 0 {
            return;
        }
        let begins = self.mark == Mark::Slash && byte == b'/';
        self.run = match self.run {
            _ if begins => Some(0),
            Some(0) if byte == b'\\' => Some(0),
            Some(n) if class & class::AUTHORITY != 0 => Some(n + 1),
            _ => None,
        };
        self.sign = match self.run {
            Some(n) if n > 0 && byte == b'@' => n,
            Some(n) if n > 0 => self.sign,
            _ => 0,
        };
        self.part = match self.run {
            Some(n) if n > 0 => self.part.with(byte),
            _ => Part::Name,
        };
        self.mark = match (self.mark, byte) {
            (_, b':') => Mark::Colon,
            (mark, b'\\') => mark,
            (Mark::Colon, b'/') => Mark::Slash,
            _ => Mark::None,
        };
    }
}
