//! Writes files and directories so that they appear under their names complete or not at all.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::FileError;
use super::partial::{Partial, uninterrupted};

/// What to do when something is already there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    /// Refuse.
    Refuse,
    /// Replace it, once the new one is complete.
    Replace,
}

/// Who may read what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Its owner only (mode 0600, directories 0700).
    Owner,
    /// Whomever the process' file mode mask allows.
    Mask,
}

impl Access {
    fn file(self) -> Permissions {
        Permissions::from_mode(match self {
            Self::Owner => 0o600,
            Self::Mask => 0o666,
        })
    }

    fn directory(self) -> Permissions {
        Permissions::from_mode(match self {
            Self::Owner => 0o700,
            Self::Mask => 0o777,
        })
    }
}

/// Names that directories of ours hold; a directory with anything else is never replaced.
const OUR_NAMES: [&str; 7] = [
    "plan.json",
    "weights.bin",
    "client.json",
    "report.json",
    "secret.key",
    "eval.key",
    "public.key",
];

/// Begins the names of unfinished files.
const PARTIAL_PREFIX: &str = ".heron-partial-";

/// The directory that a path lies in.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Refuses before the work what writing to a path would refuse after it.
///
/// # Errors
/// [`FileError::Exists`], [`FileError::NoDirectory`].
pub fn check_output_path(path: &Path, overwrite: Overwrite) -> Result<(), FileError> {
    if !parent(path).is_dir() {
        return Err(FileError::NoDirectory {
            path: parent(path).to_path_buf(),
        });
    }
    if overwrite == Overwrite::Refuse && exists(path) {
        return Err(FileError::Exists {
            path: path.to_path_buf(),
        });
    }
    Ok(())
}

/// Makes a rename durable.
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Writes a file through a temporary one in the same directory.
///
/// # Errors
/// [`FileError::Exists`], [`FileError::DiskFull`], [`FileError::Io`]; nothing is left behind.
pub(super) fn write_file(
    path: &Path,
    access: Access,
    overwrite: Overwrite,
    fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), FileError> {
    check_output_path(path, overwrite)?;
    // A rename would put a file in the place of a device, a link or a directory.
    if path.symlink_metadata().is_ok_and(|found| !found.is_file()) {
        return Err(FileError::NotAFile {
            path: path.to_path_buf(),
        });
    }
    let failed = |source| FileError::io("write", path, source);
    let begin = || {
        let mut builder = tempfile::Builder::new();
        builder.prefix(PARTIAL_PREFIX).permissions(access.file());
        builder.tempfile_in(parent(path)).map_err(failed)
    };
    let (partial, _registered) = Partial::create(begin, |file| file.path())?;
    let (file, partial) = partial.into_parts();
    let mut writer = BufWriter::with_capacity(1 << 20, file);
    fill(&mut writer).map_err(failed)?;
    let file = writer.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    match overwrite {
        Overwrite::Replace => partial.persist(path).map_err(|error| failed(error.error))?,
        Overwrite::Refuse => partial
            .persist_noclobber(path)
            .map_err(|error| match error.error.kind() {
                io::ErrorKind::AlreadyExists => FileError::Exists {
                    path: path.to_path_buf(),
                },
                _ => failed(error.error),
            })?,
    }
    sync_directory(parent(path)).map_err(failed)
}

/// Writes bytes to a file, such as a report.
///
/// # Errors
/// [`FileError::Exists`], [`FileError::DiskFull`], [`FileError::Io`]; nothing is left behind.
pub fn write_bytes(path: &Path, bytes: &[u8], overwrite: Overwrite) -> Result<(), FileError> {
    write_file(path, Access::Mask, overwrite, |writer| writer.write_all(bytes))
}

/// Writes a directory through a temporary one beside it. A directory that it replaces must hold nothing but our files.
///
/// # Errors
/// [`FileError::Exists`], [`FileError::NotReplaceable`], [`FileError::Io`], whatever `fill` gives; nothing is left behind.
pub(super) fn write_directory(
    path: &Path,
    access: Access,
    overwrite: Overwrite,
    fill: impl FnOnce(&Path) -> Result<(), FileError>,
) -> Result<(), FileError> {
    check_output_path(path, overwrite)?;
    check_replaceable(path)?;
    let failed = |source| FileError::io("write", path, source);
    let begin = || {
        let mut builder = tempfile::Builder::new();
        builder.prefix(PARTIAL_PREFIX).permissions(access.directory());
        builder.tempdir_in(parent(path)).map_err(failed)
    };
    let (partial, _registered) = Partial::create(begin, |dir| dir.path())?;
    fill(partial.path())?;
    sync_directory(partial.path()).map_err(failed)?;
    if exists(path) {
        uninterrupted(|| replace_directory(path, partial.path(), access)).map_err(failed)?;
    } else {
        fs::rename(partial.path(), path).map_err(failed)?;
    }
    // It has its final name: dropping the handle must not remove what another process may create under the old one.
    let _moved = partial.keep();
    sync_directory(parent(path)).map_err(failed)
}

/// Moves the old directory aside, the new one into its place, and removes the old one.
fn replace_directory(path: &Path, new: &Path, access: Access) -> io::Result<()> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PARTIAL_PREFIX).permissions(access.directory());
    let aside = builder.tempdir_in(parent(path))?;
    let old = aside.path().join("replaced");
    fs::rename(path, &old)?;
    fs::rename(new, path).inspect_err(|_| {
        // The old directory is better than none; if this fails too, it stays under its temporary name.
        let _restored = fs::rename(&old, path);
    })?;
    aside.close()
}

fn check_replaceable(path: &Path) -> Result<(), FileError> {
    if !exists(path) {
        return Ok(());
    }
    let failed = |source| FileError::io("replace", path, source);
    for entry in fs::read_dir(path).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let ours = name.to_str().is_some_and(|name| OUR_NAMES.contains(&name));
        if !ours {
            let found = name.to_string_lossy().into_owned();
            return Err(FileError::NotReplaceable {
                path: path.to_path_buf(),
                found,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entry = |entry: io::Result<fs::DirEntry>| entry.expect("it is readable").file_name().into_string();
        fs::read_dir(directory)
            .expect("it exists")
            .map(|e| entry(e).expect("our names are text"))
            .collect()
    }

    fn full(_: &mut BufWriter<File>) -> io::Result<()> {
        Err(io::Error::from(io::ErrorKind::StorageFull))
    }

    #[test]
    fn a_writer_that_fails_leaves_nothing_and_keeps_the_old_file() {
        let scratch = tempfile::tempdir().expect("a directory");
        let path = scratch.path().join("x.ct");
        let refused = write_file(&path, Access::Mask, Overwrite::Refuse, |writer| {
            writer.write_all(&[1; 100_000])?;
            full(writer)
        });
        assert!(matches!(refused, Err(FileError::DiskFull { .. })));
        assert!(names(scratch.path()).is_empty());

        write_bytes(&path, b"old", Overwrite::Refuse).expect("it is new");
        assert!(write_file(&path, Access::Mask, Overwrite::Replace, full).is_err());
        assert_eq!(fs::read(&path).expect("it stays"), b"old");
        assert_eq!(names(scratch.path()), ["x.ct"]);
    }

    #[test]
    fn nothing_is_replaced_unless_told() {
        let scratch = tempfile::tempdir().expect("a directory");
        let path = scratch.path().join("report.json");
        write_bytes(&path, b"old", Overwrite::Refuse).expect("it is new");
        let refused = write_bytes(&path, b"new", Overwrite::Refuse);
        assert!(matches!(refused, Err(FileError::Exists { .. })));
        assert_eq!(fs::read(&path).expect("it stays"), b"old");
        write_bytes(&path, b"new", Overwrite::Replace).expect("it was told");
        assert_eq!(fs::read(&path).expect("it is there"), b"new");
    }

    #[test]
    fn a_file_that_appears_meanwhile_is_kept() {
        let scratch = tempfile::tempdir().expect("a directory");
        let path = scratch.path().join("x.ct");
        let refused = write_file(&path, Access::Mask, Overwrite::Refuse, |_| fs::write(&path, b"theirs"));
        assert!(matches!(refused, Err(FileError::Exists { .. })));
        assert_eq!(fs::read(&path).expect("it stays"), b"theirs");
        assert_eq!(names(scratch.path()), ["x.ct"]);
    }

    #[test]
    fn a_directory_appears_whole_or_not_at_all() {
        let scratch = tempfile::tempdir().expect("a directory");
        let path = scratch.path().join("digits.plan");
        let fill = |contents: &'static [u8]| {
            move |partial: &Path| write_bytes(&partial.join("plan.json"), contents, Overwrite::Refuse)
        };
        let broken = write_directory(&path, Access::Mask, Overwrite::Refuse, |partial| {
            fill(b"half")(partial)?;
            Err(FileError::Interrupted)
        });
        assert!(matches!(broken, Err(FileError::Interrupted)));
        assert!(names(scratch.path()).is_empty());

        write_directory(&path, Access::Mask, Overwrite::Refuse, fill(b"old")).expect("it is new");
        let refused = write_directory(&path, Access::Mask, Overwrite::Refuse, fill(b"new"));
        assert!(matches!(refused, Err(FileError::Exists { .. })));
        write_directory(&path, Access::Mask, Overwrite::Replace, fill(b"new")).expect("it was told");
        assert_eq!(fs::read(path.join("plan.json")).expect("it is there"), b"new");
        assert_eq!(names(scratch.path()), ["digits.plan"]);
    }

    #[test]
    fn a_directory_with_foreign_files_is_never_replaced() {
        let scratch = tempfile::tempdir().expect("a directory");
        fs::write(scratch.path().join("thesis.tex"), b"years of work").expect("a file");
        let refused = write_directory(scratch.path(), Access::Mask, Overwrite::Replace, |_| Ok(()));
        assert!(matches!(refused, Err(FileError::NotReplaceable { found, .. }) if found == "thesis.tex"));
        assert_eq!(names(scratch.path()), ["thesis.tex"]);
    }

    #[test]
    fn a_directory_that_does_not_exist_and_what_is_no_file_are_refused_before_the_work() {
        let scratch = tempfile::tempdir().expect("a directory");
        let nowhere = check_output_path(&scratch.path().join("no/where"), Overwrite::Replace);
        assert!(matches!(nowhere, Err(FileError::NoDirectory { .. })));
        let link = scratch.path().join("link");
        std::os::unix::fs::symlink("/dev/null", &link).expect("a link");
        for path in [scratch.path(), &link] {
            let refused = write_bytes(path, b"", Overwrite::Replace);
            assert!(matches!(refused, Err(FileError::NotAFile { .. })));
        }
    }
}
