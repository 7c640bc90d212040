//! Counts the bytes that go through a stream and tells how many there were, for progress bars.

use std::io::{self, Read, Write};

/// Bytes between two reports: a bar needs no more, and keys are written a few bytes at a time.
const REPORT_EVERY: u64 = 1 << 20;

/// A stream that reports its bytes at every full mebibyte.
pub(super) struct Meter<'a, S> {
    stream: &'a mut S,
    bytes: u64,
    progress: &'a mut dyn FnMut(u64),
}

impl<'a, S> Meter<'a, S> {
    /// Starts at zero bytes.
    pub(super) fn new(stream: &'a mut S, progress: &'a mut dyn FnMut(u64)) -> Self {
        Self {
            stream,
            bytes: 0,
            progress,
        }
    }

    fn count(&mut self, bytes: usize) {
        let before = self.bytes / REPORT_EVERY;
        self.bytes += bytes as u64;
        if self.bytes / REPORT_EVERY > before {
            (self.progress)(self.bytes);
        }
    }
}

impl<S: Write> Write for Meter<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.stream.write(bytes)?;
        self.count(taken);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl<S: Read> Read for Meter<'_, S> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let given = self.stream.read(out)?;
        self.count(given);
        Ok(given)
    }
}
