//! The files of the repository, as the tidy tests see them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A Rust source file.
#[derive(Clone, Debug)]
pub struct Source {
    /// Path from the repository's root, with `/` on every platform.
    pub path: String,
    /// Its contents.
    pub text: String,
}

/// The folder that holds the workspace.
///
/// # Panics
/// Never in a checkout: the crate lies one folder below it.
pub fn repository_root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    root.expect("the crate lies in a folder of the workspace").to_path_buf()
}

/// Every Rust file of the workspace.
///
/// # Errors
/// A file or folder that cannot be read.
pub fn rust_sources() -> Result<Vec<Source>> {
    let root = repository_root();
    let files = tracked_files()?;
    let rust = files.into_iter().filter(|path| path.ends_with(".rs"));
    rust.map(|path| {
        let text = std::fs::read_to_string(root.join(&path)).with_context(|| path.clone())?;
        Ok(Source { path, text })
    })
    .collect()
}

/// Paths of all files but build results and version control, sorted.
///
/// # Errors
/// A folder that cannot be read.
pub fn tracked_files() -> Result<Vec<String>> {
    let root = repository_root();
    let mut found = Vec::new();
    let mut pending = vec![root.clone()];
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name());
            let is_folder = entry.file_type()?.is_dir();
            let skipped = name == ".git" || (is_folder && name.to_string_lossy().starts_with("target"));
            if skipped {
                continue;
            }
            if is_folder {
                pending.push(path);
            } else {
                let relative = path.strip_prefix(&root).context("the walk starts at the root")?;
                found.push(relative.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}
