//! Which execution contexts are ours, by the handles that we got of them.
//!
//! A handle is `isolate.context.number`: the isolate is a random number of the process, and a context's is given once in it, so
//! the two name a world whatever document came since. Bounded: of very many the oldest are forgotten, whose documents are long gone.

use std::collections::{HashSet, VecDeque};

/// Worlds that are remembered.
const MOST: usize = 65_536;

/// Worlds of ours.
#[derive(Default)]
pub(super) struct Ours {
    known: HashSet<Box<str>>,
    order: VecDeque<Box<str>>,
}

impl Ours {
    /// That handle is of a world of ours.
    pub fn note(&mut self, object: &str) {
        let Some(world) = world(object) else { return };
        if !self.known.insert(world.into()) {
            return;
        }
        self.order.push_back(world.into());
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// Whether a handle is, or may be, of a world of ours: what is not written as V8 writes handles may be any.
    pub fn has(&self, object: &str) -> bool {
        world(object).is_none_or(|world| self.known.contains(world))
    }
}

/// Isolate and context of a handle in the only way in which V8 writes them; it reads others too.
fn world(object: &str) -> Option<&str> {
    let is_number = |text: &str| text.parse::<i128>().is_ok_and(|n| n.to_string() == text);
    let (world, number) = object.rsplit_once('.')?;
    let (isolate, context) = world.split_once('.')?;
    (is_number(isolate) && is_number(context) && is_number(number)).then_some(world)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_of_ours_are_known_in_any_spelling() {
        let mut ours = Ours::default();
        ours.note("-77.3.1");
        for (object, is_ours) in [
            ("-77.3.1", true),
            ("-77.3.92", true),
            ("-77.03.92", true),
            ("-77.+3.92", true),
            ("-77. 3.92", true),
            ("-77.3.92.1", true),
            ("-77.3", true),
            ("", true),
            ("-77.4.1", false),
            ("77.3.1", false),
        ] {
            assert_eq!(ours.has(object), is_ours, "{object}");
        }
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let mut ours = Ours::default();
        for n in 0..=MOST {
            ours.note(&format!("1.{n}.1"));
            ours.note(&format!("1.{n}.2"));
        }
        assert!(!ours.has("1.0.1") && ours.has("1.1.1") && ours.order.len() == MOST);
    }
}
