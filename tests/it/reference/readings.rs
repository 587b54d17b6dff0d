//! The readings of a text: the root, and what every permitted chain of decoders makes of it.

use std::rc::Rc;

use bauta::mask::Syntax;

use super::decode::{Decoder, Symbol, decode};
use super::json::Document;
use super::runs::runs;

/// A chain has at most this many steps.
const STEPS: usize = 3;
/// So many JSON decoders in a row are one step.
const JSON_LEVELS: usize = 6;
/// So many percent decoders in a row are one step.
const PERCENT_LEVELS: usize = 2;

/// One text: the root, or what a decoder made of another.
pub struct Text {
    /// The text before, unless this is the root.
    pub parent: Option<Rc<Text>>,
    /// All decoders from the root, outermost first.
    pub chain: Vec<Decoder>,
    /// The text itself.
    pub symbols: Vec<Symbol>,
    /// Base64 and hex: the first symbol of the run in the text before.
    pub run_start: usize,
    /// Base64: the run's last group was followed by `=`.
    pub padded: bool,
}

/// What a walk over the readings needs to know.
pub struct Walk<'a> {
    /// The raw bytes, one symbol each.
    pub raw: Vec<Symbol>,
    /// The syntax of the text.
    pub syntax: Syntax,
    /// Runs that decode to fewer bytes are not read.
    pub shortest: usize,
    /// Decoders that change nothing are read all the same: costs much, finds nothing more.
    pub unpruned: bool,
    /// Called for every reading.
    pub visit: &'a mut dyn FnMut(&Rc<Text>),
}

impl<'a> Walk<'a> {
    /// A walk over the readings of `text`.
    pub fn new(
        text: &[u8],
        syntax: Syntax,
        shortest: usize,
        visit: &'a mut dyn FnMut(&Rc<Text>),
    ) -> Self {
        let symbol = |(at, &byte)| Symbol {
            byte: Some(byte),
            start: at,
            end: at + 1,
            from: at,
            to: at + 1,
        };
        Self {
            raw: text.iter().enumerate().map(symbol).collect(),
            syntax,
            shortest,
            unpruned: false,
            visit,
        }
    }

    /// Visits the root and all readings below it.
    pub fn run(&mut self, document: Option<&Document>) {
        let mut symbols = self.raw.clone();
        if let Some(document) = document {
            for (symbol, &escape) in symbols.iter_mut().zip(&document.escape) {
                if escape {
                    symbol.byte = None;
                }
            }
        }
        let root = Text {
            parent: None,
            chain: Vec::new(),
            symbols,
            run_start: 0,
            padded: false,
        };
        self.below(&Rc::new(root));
    }

    fn below(&mut self, text: &Rc<Text>) {
        (self.visit)(text);
        let is_root = text.chain.is_empty();
        let mut texts = Vec::new();
        for decoder in [
            Decoder::Json,
            Decoder::Percent,
            Decoder::Query,
            Decoder::Html,
            Decoder::QuotedPrintable,
        ] {
            if decoder == Decoder::Query
                && !(is_root && matches!(self.syntax, Syntax::Form | Syntax::Query))
            {
                continue;
            }
            let Some(chain) = extend(&text.chain, decoder) else {
                continue;
            };
            // JSON escapes are breaks for all but the decoder that reads them. That one also reads what follows by itself: where
            // the text stops being JSON, other decoders may see there what it makes of it.
            let over_breaks = is_root && decoder == Decoder::Json && self.raw != text.symbols;
            let raw = over_breaks.then_some(&self.raw);
            for input in raw.into_iter().chain([&text.symbols]) {
                let (symbols, changed) = decode(decoder, input);
                let otherwise = is_root && reads_otherwise(&symbols, &text.symbols);
                if changed || self.unpruned || otherwise {
                    texts.push((chain.clone(), symbols));
                }
            }
        }
        for (chain, symbols) in texts {
            self.below(&Rc::new(Text {
                parent: Some(Rc::clone(text)),
                chain,
                symbols,
                run_start: 0,
                padded: false,
            }));
        }
        for decoder in [0, 1, 2, 3]
            .map(Decoder::Base64)
            .into_iter()
            .chain([0, 1].map(Decoder::Hex))
        {
            let Some(chain) = extend(&text.chain, decoder) else {
                continue;
            };
            for run in runs(decoder, &text.symbols) {
                if run.symbols.len() >= self.shortest.max(1) {
                    let chain = chain.clone();
                    let parent = Some(Rc::clone(text));
                    self.below(&Rc::new(Text {
                        parent,
                        chain,
                        symbols: run.symbols,
                        run_start: run.start,
                        padded: run.padded,
                    }));
                }
            }
        }
    }
}

fn reads_otherwise(one: &[Symbol], other: &[Symbol]) -> bool {
    !one.iter()
        .map(|symbol| (symbol.byte, symbol.start, symbol.end))
        .eq(other
            .iter()
            .map(|symbol| (symbol.byte, symbol.start, symbol.end)))
}

/// The chain with one more decoder, if that is a reading.
fn extend(chain: &[Decoder], decoder: Decoder) -> Option<Vec<Decoder>> {
    let mut longer = chain.to_vec();
    longer.push(decoder);
    let steps: usize = longer.chunk_by(same_row).map(steps).sum();
    (steps <= STEPS).then_some(longer)
}

fn same_row(one: &Decoder, next: &Decoder) -> bool {
    let percent = |decoder: &Decoder| matches!(decoder, Decoder::Percent | Decoder::Query);
    (*one == Decoder::Json && *next == Decoder::Json) || (percent(one) && percent(next))
}

/// What a row of the same decoder counts. A row that is too long for one step is two: otherwise a decoder that changes nothing,
/// put into the row, would make a reading of what is none, and whether it is there could depend on what stands elsewhere.
fn steps(row: &[Decoder]) -> usize {
    let levels = match row[0] {
        Decoder::Json => JSON_LEVELS,
        Decoder::Percent | Decoder::Query => PERCENT_LEVELS,
        Decoder::Html | Decoder::QuotedPrintable | Decoder::Base64(_) | Decoder::Hex(_) => 1,
    };
    row.len().div_ceil(levels)
}
