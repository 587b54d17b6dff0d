//! Escapes that let other bytes through: JSON's, percent-encoding, HTML's, quoted-printable. What is held is one undecided
//! unit.

use super::super::chain::Decoder;
use super::super::symbol::Sym;
use super::Decoded;
use super::grammar::{self, Is, Verdict, html, json, percent, quoted_printable};

/// Escapes of JSON, percent-encoding, HTML or quoted-printable.
#[derive(Clone)]
pub struct Escapes {
    kind: Decoder,
    held: Vec<Sym>,
    number: Option<Number>,
}

/// A numeric character reference under way. It may have any number of leading zeros.
#[derive(Clone)]
struct Number {
    first: Sym,
    last: Sym,
    hex: bool,
    value: u32,
}

impl Escapes {
    /// `kind`: a decoder that is no layer.
    pub fn new(kind: Decoder) -> Self {
        Self {
            kind,
            held: Vec::new(),
            number: None,
        }
    }

    /// First raw byte of the unit under way.
    pub fn pending(&self) -> Option<u64> {
        let number = self.number.as_ref().map(|number| &number.first);
        number.or(self.held.first()).map(|sym| sym.start)
    }

    fn begins(&self, sym: &Sym) -> bool {
        let byte = sym.byte;
        !sym.inert
            && match self.kind {
                Decoder::Json => byte == b'\\',
                Decoder::FormPercent => byte == b'%' || byte == b'+',
                Decoder::Percent => byte == b'%',
                Decoder::QuotedPrintable => byte == b'=',
                _ => byte == b'&',
            }
    }

    #[inline]
    pub fn push(&mut self, sym: &Sym, emit: &mut impl FnMut(Decoded)) {
        if self.held.is_empty() && self.number.is_none() && !self.begins(sym) {
            return emit(Decoded::Literal(*sym));
        }
        if let Some(number) = &mut self.number {
            if number.take(sym) {
                return;
            }
            let with_semicolon = sym.byte == b';';
            self.end_number(with_semicolon.then_some(sym), emit);
            if with_semicolon {
                return;
            }
            return self.push(sym, emit);
        }
        self.held.push(*sym);
        self.decide(false, emit);
    }

    pub fn flush(&mut self, emit: &mut impl FnMut(Decoded)) {
        self.end_number(None, emit);
        self.decide(true, emit);
    }

    fn end_number(&mut self, semicolon: Option<&Sym>, emit: &mut impl FnMut(Decoded)) {
        if let Some(number) = self.number.take() {
            let last = semicolon.unwrap_or(&number.last);
            let is = Is::Char(grammar::html_character(number.value));
            emit_unit(&number.first, last, is, emit);
        }
    }

    /// Hands on what can be decided of the held bytes; at the end all of them.
    fn decide(&mut self, at_end: bool, emit: &mut impl FnMut(Decoded)) {
        let mut from = 0;
        while from < self.held.len() {
            let held = &self.held[from..];
            let verdict = if self.begins(&held[0]) {
                self.verdict(held, at_end)
            } else {
                Verdict::Literal
            };
            match verdict {
                Verdict::More => break,
                Verdict::Unit { len, is } => {
                    emit_unit(&held[0], &held[len - 1], is, emit);
                    from += len;
                }
                Verdict::Number { hex, digit } => {
                    // The first digit is the newest byte: nothing is held after it.
                    self.number = Some(Number {
                        first: held[0],
                        last: held[held.len() - 1],
                        hex,
                        value: digit,
                    });
                    from = self.held.len();
                }
                Verdict::Literal => {
                    emit(Decoded::Literal(held[0]));
                    from += 1;
                }
            }
        }
        self.held.drain(..from);
    }

    fn verdict(&self, held: &[Sym], at_end: bool) -> Verdict {
        let verdict = match self.kind {
            Decoder::Json => json(held, at_end),
            Decoder::FormPercent if held[0].byte == b'+' => Verdict::Unit {
                len: 1,
                is: Is::Byte(b' '),
            },
            Decoder::FormPercent | Decoder::Percent => percent(held),
            Decoder::QuotedPrintable => quoted_printable(held),
            _ => html(held, at_end),
        };
        match verdict {
            Verdict::More if at_end => Verdict::Literal,
            verdict => verdict,
        }
    }
}

impl Number {
    /// Whether the symbol is one more digit.
    fn take(&mut self, sym: &Sym) -> bool {
        let radix = if self.hex { 16 } else { 10 };
        let Some(digit) = char::from(sym.byte).to_digit(radix) else {
            return false;
        };
        self.value = self.value.saturating_mul(radix).saturating_add(digit);
        self.last = *sym;
        true
    }
}

fn emit_unit(first: &Sym, last: &Sym, is: Is, emit: &mut impl FnMut(Decoded)) {
    match is {
        Is::Nothing => emit(Decoded::Nothing),
        Is::Byte(byte) => emit(Decoded::Byte(Sym::joined(first, last, byte))),
        Is::Char(c) => {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                emit(Decoded::Byte(Sym::joined(first, last, byte)));
            }
        }
    }
}
