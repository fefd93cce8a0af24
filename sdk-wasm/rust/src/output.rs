use crate::{host, Result, Status};

/// Bytes of an action without what its references name.
const ACTION: usize = 56;

/// One action, as the contract has it.
#[derive(Default)]
pub(crate) struct Action<'a> {
    pub kind: u16,
    pub flags: u32,
    pub code: u32,
    pub number: i64,
    /// Stands in front of the first reference, with a space between; empty for none.
    pub method: &'a [u8],
    pub refs: [&'a [u8]; 4],
}

/// The list of actions of a batch.
pub(crate) struct Output<'a> {
    arena: &'a mut [u8],
    used: usize,
    alone: bool, // the batch has one event, and nobody else's actions are here
    full: bool,  // something did not fit, and the log says so: the batch has failed
}

impl<'a> Output<'a> {
    pub fn new(arena: &'a mut [u8], alone: bool) -> Self {
        Output { arena, used: 0, alone, full: false }
    }

    pub fn used(&self) -> usize {
        self.used
    }

    pub fn full(&self) -> bool {
        self.full
    }

    /// Writes an action behind the others, or nothing.
    pub fn put(&mut self, record: u16, a: &Action) -> Result {
        let Output { arena, used, alone, full } = self;
        let to = match size(a).and_then(|size| arena[*used..].get_mut(..size)) {
            Some(to) => to,
            None => {
                if !*full {
                    *full = true;
                    // Events that are not alone are run again in smaller batches, and may come to their end there.
                    let tell = if *alone { host::error } else { host::warn };
                    tell("the output is full: an action does not fit; plugin! makes it larger by output = BYTES");
                }
                return Err(Status::Failed);
            }
        };
        let size = to.len();
        to[size - 8..].fill(0); // what is behind the last reference
        to[..4].copy_from_slice(&(size as u32).to_le_bytes());
        to[4..6].copy_from_slice(&a.kind.to_le_bytes());
        to[6..8].copy_from_slice(&record.to_le_bytes());
        to[8..12].copy_from_slice(&a.flags.to_le_bytes());
        to[12..16].copy_from_slice(&a.code.to_le_bytes());
        to[16..24].copy_from_slice(&a.number.to_le_bytes());
        let mut at = ACTION;
        for (i, text) in a.refs.iter().enumerate() {
            let from = at;
            if i == 0 && !a.method.is_empty() {
                at = append(to, at, a.method);
                at = append(to, at, b" ");
            }
            at = append(to, at, text);
            to[24 + 8 * i..28 + 8 * i].copy_from_slice(&(from as u32).to_le_bytes());
            to[28 + 8 * i..32 + 8 * i].copy_from_slice(&((at - from) as u32).to_le_bytes());
        }
        *used += size;
        Ok(())
    }
}

/// Bytes of an action; `None` if there are too many to count.
fn size(a: &Action) -> Option<usize> {
    let mut n = ACTION + 7;
    if !a.method.is_empty() {
        n = n.checked_add(a.method.len())?.checked_add(1)?;
    }
    for text in a.refs {
        n = n.checked_add(text.len())?;
    }
    Some(n & !7)
}

fn append(to: &mut [u8], at: usize, text: &[u8]) -> usize {
    to[at..at + text.len()].copy_from_slice(text);
    at + text.len()
}
