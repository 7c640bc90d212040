//! Ctrl-C: nothing half-written stays.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::artefacts::scratch;
use crate::heron::{binary, names_in};

/// What shells give for a process that was ended by an interrupt.
const INTERRUPTED: i32 = 130;
/// No step of the demo takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

fn wait_for(what: &str, mut happened: impl FnMut() -> bool) {
    let started = Instant::now();
    while !happened() {
        assert!(started.elapsed() < PATIENCE, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn interrupt(child: &Child) {
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.expect("there is a kill command").success());
}

/// Whether some directory below has a file.
fn has_file(folder: &Path) -> bool {
    let paths = || names_in(folder).into_iter().map(|name| folder.join(name));
    paths().any(|path| path.is_file() || (path.is_dir() && has_file(&path)))
}

#[test]
fn an_interrupted_demo_leaves_nothing_behind() {
    let folder = scratch("interrupted-demo");
    let mut demo = Command::new(binary());
    demo.args(["demo", "--model", "mlp_mnist", "--n", "30"])
        .env("TMPDIR", &folder);
    let mut child = demo
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    wait_for("the first file", || has_file(&folder));
    interrupt(&child);
    assert_eq!(child.wait().expect("it ends").code(), Some(INTERRUPTED));
    assert!(names_in(&folder).is_empty(), "left behind: {:?}", names_in(&folder));
}
