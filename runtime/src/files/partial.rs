//! The files and directories that are being written, so that an interrupted process can remove them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::FileError;

struct Registry {
    partial: BTreeSet<PathBuf>,
    interrupted: bool,
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry {
    partial: BTreeSet::new(),
    interrupted: false,
});

fn registry() -> MutexGuard<'static, Registry> {
    // A panic while the lock was held leaves a set of paths, which is as good as before.
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes everything that is being written, and refuses to begin anything else. Finished files stay.
///
/// For a handler of Ctrl-C, which then ends the process. Returns how many files and directories were removed.
pub fn remove_partial_files() -> usize {
    let mut registry = registry();
    registry.interrupted = true;
    let removed = |path: &PathBuf| {
        std::fs::remove_file(path)
            .or_else(|_| std::fs::remove_dir_all(path))
            .is_ok()
    };
    std::mem::take(&mut registry.partial)
        .iter()
        .filter(|path| removed(path))
        .count()
}

/// Does what must not be cut in two by an interruption: [`remove_partial_files`] waits for it.
pub(super) fn uninterrupted<T>(act: impl FnOnce() -> T) -> T {
    let _held = registry();
    act()
}

/// A path that is being written; forgotten when dropped.
pub(super) struct Partial {
    path: PathBuf,
}

impl Partial {
    /// Registers what `create` creates, so that no interruption falls between the two.
    ///
    /// # Errors
    /// [`FileError::Interrupted`] after [`remove_partial_files`]; whatever `create` gives.
    pub(super) fn create<T>(
        create: impl FnOnce() -> Result<T, FileError>,
        path: impl FnOnce(&T) -> &Path,
    ) -> Result<(T, Self), FileError> {
        let mut registry = registry();
        if registry.interrupted {
            return Err(FileError::Interrupted);
        }
        let created = create()?;
        let path = path(&created).to_path_buf();
        registry.partial.insert(path.clone());
        Ok((created, Self { path }))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        registry().partial.remove(&self.path);
    }
}
