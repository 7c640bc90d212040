//! Ctrl-C: removes what is half written and ends the process.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// What shells give for a process that was ended by an interrupt.
const INTERRUPTED: i32 = 130;

/// Temporary directories to remove as a whole.
static TEMPORARY: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Whether an interrupt is being handled.
static HANDLING: AtomicBool = AtomicBool::new(false);

/// Installs the handler. Without one, an interrupt ends the process but may leave a partial file.
pub(crate) fn clean_up_on_ctrl_c() {
    let installed = ctrlc::set_handler(|| {
        HANDLING.store(true, Ordering::SeqCst);
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

/// Leaves the end of the process to the handler if there was an interrupt: a command whose files are being removed fails, and
/// that is no error of its own.
pub(crate) fn yield_to_handler() {
    while HANDLING.load(Ordering::SeqCst) {
        std::thread::park();
    }
}

/// Has an interrupt remove a temporary directory.
pub(crate) fn remove_on_ctrl_c(directory: &Path) {
    TEMPORARY
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(directory.to_path_buf());
}
