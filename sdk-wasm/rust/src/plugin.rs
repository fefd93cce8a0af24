use core::cell::RefCell;
use core::fmt::Write;

use crate::event::{Event, Hook, HOOKS};
use crate::output::Output;
use crate::{host, Result, Status, Text};

/// A function for events.
pub type Handler = fn(&Event) -> Result;

/// A function that is called once, with the config: JSON.
pub type Start = fn(config: &str) -> Result;

/// Actions that a plugin can have functions for.
const MOST: usize = 128;

/// What a plugin does: it is made by the compiler, and costs nothing at run time.
pub struct Plugin {
    keys: [u32; MOST], // see key
    actions: [&'static str; MOST],
    handlers: [Handler; MOST],
    count: usize,
    hooks: [Option<Handler>; HOOKS],
    start: Option<Start>,
}

fn pass(_: &Event) -> Result {
    Ok(())
}

impl Plugin {
    /// One that does nothing.
    pub const fn new() -> Plugin {
        Plugin { keys: [0; MOST], actions: [""; MOST], handlers: [pass; MOST], count: 0, hooks: [None; HOOKS], start: None }
    }

    /// Has a function called for the hooks before and handle of an action.
    pub const fn on(mut self, action: &'static str, handler: Handler) -> Plugin {
        assert!(self.count < MOST, "a plugin has functions for up to 128 actions");
        self.keys[self.count] = key(action.as_bytes());
        self.actions[self.count] = action;
        self.handlers[self.count] = handler;
        self.count += 1;
        self
    }

    /// Has a function called for a hook; for before and handle, of all actions that have
    /// none of their own.
    pub const fn on_hook(mut self, hook: Hook, handler: Handler) -> Plugin {
        self.hooks[hook as usize] = Some(handler);
        self
    }

    /// Has a function called once, before the first event. What it leaves in statics
    /// every instance begins with. Its error fails the deploy.
    pub const fn start(mut self, start: Start) -> Plugin {
        self.start = Some(start);
        self
    }

    /// Runs the function of start.
    pub(crate) fn begin(&self, config: &str) -> Result {
        self.start.map_or(Ok(()), |start| start(config)).map_err(|status| told("start", status))
    }

    /// Runs a batch: count records in input. How many bytes of actions there are.
    pub(crate) fn batch(&self, count: usize, input: &[u8], arena: &mut [u8]) -> Result<usize> {
        let output = RefCell::new(Output::new(arena, count == 1));
        let mut rest = input;
        for index in 0..count {
            let (event, behind) = Event::read(rest, index as u16, &output).ok_or(Status::Invalid)?;
            if let Some(handler) = self.handler(&event) {
                let result = handler(&event);
                if output.borrow().full() {
                    return Err(Status::Failed); // the log says so
                }
                result.map_err(|status| told(event.action(), status))?;
            }
            rest = behind;
        }
        let used = output.borrow().used();
        Ok(used)
    }

    fn handler(&self, event: &Event) -> Option<Handler> {
        let hook = event.hook();
        if let Hook::Before | Hook::Handle = hook {
            let action = event.action_bytes();
            let wanted = key(action);
            for (i, key) in self.keys[..self.count].iter().enumerate() {
                if *key == wanted && self.actions[i].as_bytes() == action {
                    return Some(self.handlers[i]);
                }
            }
        }
        self.hooks[hook as usize]
    }
}

impl Default for Plugin {
    fn default() -> Self {
        Plugin::new()
    }
}

/// A hash that looks at little: the length, both ends and the middle.
const fn key(action: &[u8]) -> u32 {
    let n = action.len();
    if n == 0 {
        return 0;
    }
    n as u32 ^ (action[0] as u32) << 8 ^ (action[n / 2] as u32) << 16 ^ (action[n - 1] as u32) << 24
}

/// Logs which function has failed; one that says Failed has told why.
#[cold]
fn told(what: &str, status: Status) -> Status {
    if status != Status::Failed {
        let mut line = Text::<200>::new();
        let _ = write!(line, "{}: {}", what, status); // cut off if it is longer
        host::error(line.as_str());
    }
    status
}
