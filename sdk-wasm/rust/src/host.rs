use crate::event::utf8;
use crate::raw::host;
use crate::{Result, Status};

/// Writes a line that the tenant's developer reads.
pub fn debug(text: impl AsRef<str>) {
    host::log(0, text.as_ref())
}

/// The same, as information.
pub fn info(text: impl AsRef<str>) {
    host::log(1, text.as_ref())
}

/// The same, as a warning.
pub fn warn(text: impl AsRef<str>) {
    host::log(2, text.as_ref())
}

/// The same, as an error.
pub fn error(text: impl AsRef<str>) {
    host::log(3, text.as_ref())
}

/// Logs why as an error, and fails: an event's whole batch, or the deploy.
pub fn fail<T>(why: impl AsRef<str>) -> Result<T> {
    error(why);
    Err(Status::Failed)
}

/// Adds to a counter. The status, of this and the next two, is for who wants to know.
pub fn count(name: &str, n: f64) -> Status {
    Status::of(host::metric(0, name, n))
}

/// Sets a gauge.
pub fn gauge(name: &str, value: f64) -> Status {
    Status::of(host::metric(1, name, value))
}

/// Observes a duration.
pub fn observe(name: &str, seconds: f64) -> Status {
    Status::of(host::metric(2, name, seconds))
}

/// Unix milliseconds.
pub fn now() -> i64 {
    host::now()
}

/// Fills a buffer with bytes that nobody can guess.
pub fn random(buffer: &mut [u8]) -> Result {
    Status::of(host::random(buffer)).result()
}

/// The plugin's config, the JSON that start was given.
pub fn config<B: Buffer + ?Sized>(buffer: &mut B) -> Result<&str> {
    read(buffer, host::config).map(utf8)
}

/// A secret of the operator's config.
pub fn secret<'b, B: Buffer + ?Sized>(name: &str, buffer: &'b mut B) -> Result<&'b str> {
    read(buffer, |b| host::secret(name, b)).map(utf8)
}

/// Where a value of the host's is written to: an array, a slice, or a `Vec`, which grows.
/// What it holds behind the value is nothing.
pub trait Buffer {
    /// The bytes of the buffer, n if it can grow so far.
    fn space(&mut self, n: usize) -> &mut [u8];
}

impl Buffer for [u8] {
    fn space(&mut self, _: usize) -> &mut [u8] {
        self
    }
}

impl<const N: usize> Buffer for [u8; N] {
    fn space(&mut self, _: usize) -> &mut [u8] {
        self
    }
}

#[cfg(any(feature = "alloc", feature = "std"))]
impl Buffer for alloc::vec::Vec<u8> {
    fn space(&mut self, n: usize) -> &mut [u8] {
        if self.len() < n {
            self.resize(n, 0);
        }
        self
    }
}

/// Has the host fill a buffer, which answers how long the value is, and has written it if it fits.
pub(crate) fn read<B: Buffer + ?Sized>(buffer: &mut B, fill: impl Fn(&mut [u8]) -> i32) -> Result<&[u8]> {
    let mut n = fill(buffer.space(256));
    Status::of(n).result()?;
    if n as usize > buffer.space(0).len() {
        if buffer.space(n as usize).len() < n as usize {
            return Err(Status::Failed);
        }
        n = fill(buffer.space(0));
        Status::of(n).result()?;
    }
    buffer.space(0).get(..n as usize).ok_or(Status::Failed)
}
