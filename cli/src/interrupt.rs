//! Ctrl-C: removes what is half written and ends the process.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What shells give for a process that was ended by an interrupt.
const INTERRUPTED: i32 = 130;

/// Temporary directories to remove as a whole.
static TEMPORARY: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Installs the handler. Without one, an interrupt ends the process but may leave a partial file.
pub(crate) fn clean_up_on_ctrl_c() {
    let installed = ctrlc::set_handler(|| {
        heron_runtime::files::remove_partial_files();
        for directory in TEMPORARY.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            // It may be gone already, and nothing can be done about the rest.
            let _ = std::fs::remove_dir_all(directory);
        }
        std::process::exit(INTERRUPTED);
    });
    if let Err(error) = installed {
        eprintln!("warning: an interrupt may leave partial files: {error}");
    }
}

/// Has an interrupt remove a temporary directory.
pub(crate) fn remove_on_ctrl_c(directory: &Path) {
    TEMPORARY
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(directory.to_path_buf());
}
