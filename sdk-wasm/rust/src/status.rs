use core::fmt;

/// What functions return that can fail: a [`Status`] that is not [`Status::Ok`].
pub type Result<T = ()> = core::result::Result<T, Status>;

/// The contract's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Status {
    /// Nothing is wrong. Never an error.
    Ok = 0,
    /// There is none.
    NotFound = -1,
    /// The manifest does not ask for it, or the tenant may not.
    Denied = -2,
    /// As much as there may be is there.
    Quota = -3,
    /// An argument.
    Invalid = -4,
    /// The value is another by now.
    Conflict = -5,
    /// Later perhaps.
    Unavailable = -6,
    /// The plugin's own word: what does not fit into a buffer or the output, and [`crate::fail`].
    Failed = -7,
}

impl Status {
    /// The word in configs and logs: `not_found`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::NotFound => "not_found",
            Status::Denied => "denied",
            Status::Quota => "quota",
            Status::Invalid => "invalid",
            Status::Conflict => "conflict",
            Status::Unavailable => "unavailable",
            Status::Failed => "failed",
        }
    }

    /// What a host function has answered.
    pub(crate) const fn of(n: i32) -> Status {
        match n {
            n if n >= 0 => Status::Ok,
            -1 => Status::NotFound,
            -2 => Status::Denied,
            -3 => Status::Quota,
            -4 => Status::Invalid,
            -5 => Status::Conflict,
            -6 => Status::Unavailable,
            _ => Status::Failed,
        }
    }

    pub(crate) const fn result(self) -> Result {
        match self {
            Status::Ok => Ok(()),
            failed => Err(failed),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(feature = "std")]
impl std::error::Error for Status {}
