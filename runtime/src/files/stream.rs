//! Streams over the records of a container, and parsers over both: what is long is never held as a whole.

use std::io::{self, Read, Seek, Write};

use heron_ckks::ReadError;
use zeroize::Zeroizing;

use super::ContainerError;
use super::container::{ContainerReader, ContainerWriter};

/// Bytes per record of a long stream.
const STREAM_RECORD_BYTES: usize = 1 << 20;

/// A stream of bytes cut into records: what is long is written and read without being held as a whole.
pub(super) struct StreamWriter<'a, W> {
    container: ContainerWriter<'a, W>,
    pending: Zeroizing<Vec<u8>>,
}

impl<'a, W: Write + Seek> StreamWriter<'a, W> {
    pub(super) fn new(container: ContainerWriter<'a, W>) -> Self {
        Self {
            container,
            pending: Zeroizing::new(Vec::with_capacity(STREAM_RECORD_BYTES)),
        }
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.container.finish()
    }
}

impl<W: Write + Seek> Write for StreamWriter<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.pending.len() == STREAM_RECORD_BYTES {
            self.flush()?;
        }
        let taken = bytes.len().min(STREAM_RECORD_BYTES - self.pending.len());
        self.pending.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.pending.is_empty() {
            self.container.record(&self.pending)?;
            self.pending.clear();
        }
        Ok(())
    }
}

/// Reads what [`StreamWriter`] wrote; every byte it gives has passed its checksum.
pub(super) struct StreamReader<R> {
    container: ContainerReader<R>,
    current: Zeroizing<Vec<u8>>,
    position: usize,
}

impl<R: Read> StreamReader<R> {
    pub(super) fn new(container: ContainerReader<R>) -> Self {
        Self {
            container,
            current: Zeroizing::default(),
            position: 0,
        }
    }

    /// Parses the stream, which must end where the parser stops.
    pub(super) fn parse<T>(
        mut self,
        parse: impl FnOnce(&mut Self) -> Result<T, ReadError>,
    ) -> Result<T, ContainerError> {
        let parsed = parse(&mut self).map_err(|error| content(self.container.position(), error))?;
        match self.read(&mut [0]) {
            Ok(0) => Ok(parsed),
            Ok(_) => Err(content(self.container.position(), LEFT_OVER)),
            Err(error) => Err(content(self.container.position(), ReadError::Io(error))),
        }
    }
}

impl<R: Read> Read for StreamReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.position == self.current.len() {
            match self.container.record().map_err(io::Error::other)? {
                Some(record) => (self.current, self.position) = (record, 0),
                None => return Ok(0),
            }
        }
        let taken = out.len().min(self.current.len() - self.position);
        out[..taken].copy_from_slice(&self.current[self.position..self.position + taken]);
        self.position += taken;
        Ok(taken)
    }
}

const LEFT_OVER: ReadError = ReadError::Malformed {
    what: "record",
    reason: "bytes are left over",
};

/// What a parser's error means for the file.
fn content(index: u64, error: ReadError) -> ContainerError {
    let reason = match error {
        ReadError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => "it ends early".to_owned(),
        ReadError::Io(error) => match error.downcast::<ContainerError>() {
            Ok(own) => return own,
            Err(error) => return ContainerError::Io(error),
        },
        malformed @ ReadError::Malformed { .. } => malformed.to_string(),
    };
    ContainerError::Content { index, reason }
}

/// Parses one record, which must end where the parser stops.
pub(super) fn parse_record<T>(
    index: u64,
    mut payload: &[u8],
    parse: impl FnOnce(&mut &[u8]) -> Result<T, ReadError>,
) -> Result<T, ContainerError> {
    let parsed = parse(&mut payload).map_err(|error| content(index, error))?;
    if payload.is_empty() {
        Ok(parsed)
    } else {
        Err(content(index, LEFT_OVER))
    }
}
