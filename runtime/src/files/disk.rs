//! How much room there is before something large is written.

use std::io;
use std::path::Path;

use super::FileError;

/// Space left to the rest of the system.
const RESERVE_BYTES: u64 = 16 << 20;

/// Free bytes on the disk that would hold `path`, which need not exist yet.
///
/// # Errors
/// [`FileError::Io`] if no directory above `path` can be asked.
pub fn free_bytes(path: &Path) -> Result<u64, FileError> {
    let existing = path
        .ancestors()
        .find(|p| p.exists())
        .filter(|p| !p.as_os_str().is_empty());
    let stat = rustix::fs::statvfs(existing.unwrap_or(Path::new(".")))
        .map_err(|errno| FileError::io("measure the free space at", path, io::Error::from(errno)))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Refuses to begin what would not fit.
///
/// # Errors
/// [`FileError::NoSpace`], [`FileError::Io`].
pub fn require_free(path: &Path, needed_bytes: u64) -> Result<(), FileError> {
    let free = free_bytes(path)?;
    if needed_bytes.saturating_add(RESERVE_BYTES) <= free {
        return Ok(());
    }
    Err(FileError::NoSpace {
        path: path.to_path_buf(),
        needed_bytes,
        free_bytes: free,
    })
}
