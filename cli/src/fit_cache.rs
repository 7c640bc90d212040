//! Fits that were kept: one file for each model with its calibration samples and options.
//!
//! In `$XDG_CACHE_HOME/heron/fits`, or `~/.cache/heron/fits`. A file that cannot be read, or holds anything else, counts as none;
//! one that cannot be written is not. Deleting them costs time and nothing else.

use std::cell::Cell;
use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use heron_compiler::approximate::FitStore;
use heron_plan::Digest;
use heron_runtime::files::{Overwrite, write_bytes};

/// What was fitted in less is fitted again.
const WORTH_KEEPING: Duration = Duration::from_secs(2);

/// No network that is compiled has fits of this size.
const MOST_BYTES: u64 = 1 << 28;

/// Whether fits are kept.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct FitCacheOption {
    /// Fit polynomials anew, and keep none for the next time
    #[arg(long)]
    pub(crate) no_cache: bool,
}

impl FitCacheOption {
    /// The user's cache, or none.
    pub(crate) fn open(self) -> FitCache {
        let variable = |name: &str| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let caches = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
        FitCache {
            directory: caches
                .filter(|_| !self.no_cache)
                .map(|caches| caches.join("heron").join("fits")),
            asked: Cell::new(None),
        }
    }
}

/// A directory of fits.
#[derive(Debug)]
pub(crate) struct FitCache {
    directory: Option<PathBuf>,
    /// When fits were asked for in vain: fitting began then.
    asked: Cell<Option<Instant>>,
}

impl FitCache {
    fn path(&self, key: Digest) -> Option<PathBuf> {
        Some(self.directory.as_ref()?.join(key.to_string()))
    }
}

impl FitStore for FitCache {
    fn load(&self, key: Digest) -> Option<Vec<u8>> {
        self.asked.set(Some(Instant::now()));
        let mut bytes = Vec::new();
        let file = File::open(self.path(key)?).ok()?;
        file.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    fn keep(&self, key: Digest, bytes: &[u8]) {
        let worth = self.asked.get().is_some_and(|asked| asked.elapsed() >= WORTH_KEEPING);
        let (true, Some(path), Some(directory)) = (worth, self.path(key), &self.directory) else {
            return;
        };
        if std::fs::create_dir_all(directory).is_ok() {
            // A full disk is no reason to stop what the user asked for.
            write_bytes(&path, bytes, Overwrite::Replace).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(directory: Option<PathBuf>) -> FitCache {
        FitCache {
            directory,
            asked: Cell::new(None),
        }
    }

    #[test]
    fn what_took_long_is_kept_and_found_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let cache = cache(Some(folder.path().join("heron/fits")));
        let key = Digest::of(b"key");
        assert_eq!(cache.load(key), None);
        cache.keep(key, b"quick");
        assert_eq!(cache.load(key), None);
        cache.asked.set(Instant::now().checked_sub(2 * WORTH_KEEPING));
        cache.keep(key, b"slow");
        assert_eq!(cache.load(key).as_deref(), Some(&b"slow"[..]));
    }

    #[test]
    fn without_a_directory_nothing_is_kept() {
        let cache = cache(None);
        cache.asked.set(Instant::now().checked_sub(2 * WORTH_KEEPING));
        cache.keep(Digest::of(b"key"), b"slow");
        assert_eq!(cache.load(Digest::of(b"key")), None);
    }
}
