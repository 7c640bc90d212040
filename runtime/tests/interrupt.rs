//! Ctrl-C leaves no partial file. In a process of its own: an interrupted process writes nothing any more.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use heron_runtime::files::{FileError, Overwrite, remove_partial_files, write_bytes};

fn is_partial_there(directory: &Path) -> bool {
    let mut entries = fs::read_dir(directory).expect("it exists");
    entries.any(|entry| {
        entry
            .expect("it is readable")
            .file_name()
            .to_string_lossy()
            .starts_with(".heron-partial-")
    })
}

#[test]
fn an_interruption_removes_what_is_being_written_and_refuses_more() {
    let scratch = tempfile::tempdir().expect("a directory");
    let kept = scratch.path().join("kept.json");
    write_bytes(&kept, b"kept", Overwrite::Refuse).expect("it is new");
    let path = scratch.path().join("large.ct");
    let writer = thread::spawn({
        let path = path.clone();
        move || write_bytes(&path, &vec![7; 512 << 20], Overwrite::Refuse)
    });
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_partial_there(scratch.path()) && !writer.is_finished() && Instant::now() < deadline {
        thread::yield_now();
    }
    let removed = remove_partial_files();
    assert!(!is_partial_there(scratch.path()));
    let written = writer.join().expect("it does not panic");
    assert_eq!(removed == 1, written.is_err(), "{written:?}");
    assert_eq!(written.is_ok(), path.exists());
    assert_eq!(fs::read(&kept).expect("finished files stay"), b"kept");
    let refused = write_bytes(&scratch.path().join("late.ct"), b"late", Overwrite::Refuse);
    assert!(matches!(refused, Err(FileError::Interrupted)));
}
