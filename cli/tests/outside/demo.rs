//! The first command of the README.

use crate::artefacts::scratch;
use crate::heron::{heron, names_in};
use crate::secrets::holds_secret;

#[test]
fn the_demo_shows_pictures_answers_cost_and_security() {
    let folder = scratch("demo");
    let shown = heron(&folder, "demo --n 2").succeeds().stdout;
    for word in ["label", "clear", "encrypted", "largest difference", "128", "ternary"] {
        assert!(shown.contains(word), "`{word}` is missing:\n{shown}");
    }
    assert!(shown.contains('█'), "no picture:\n{shown}");
    assert!(names_in(&folder).is_empty(), "the demo left something behind");
}

#[test]
fn the_demo_s_server_never_holds_the_secret_key() {
    let folder = scratch("demo-kept");
    heron(&folder, "demo --n 1 --keep parties").succeeds();
    assert!(!holds_secret(&folder.join("parties/server")));
    assert!(holds_secret(&folder.join("parties/client")));
    assert!(!folder.join("parties/client/weights.bin").exists());
}

#[test]
fn the_demo_names_the_classes_of_models_without_pictures() {
    let folder = scratch("demo-cancer");
    let shown = heron(&folder, "demo --model breast_cancer_mlp_relu --n 2")
        .succeeds()
        .stdout;
    assert!(shown.contains("benign") || shown.contains("malignant"), "{shown}");
}

#[test]
fn the_demo_as_json_has_one_entry_per_sample() {
    let folder = scratch("demo-json");
    let shown = heron(&folder, "demo --n 3 --format json").succeeds().json();
    assert_eq!(shown["samples"].as_array().map(Vec::len), Some(3), "{shown:#}");
}
