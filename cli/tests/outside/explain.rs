//! `heron explain`: causes that follow from each other, and questions that have no answer.

use serde_json::Value;

use crate::artefacts::{DIGITS, scratch};
use crate::heron::{heron, shipped};

const USAGE: i32 = 2;

fn explained(question: &str) -> Value {
    heron(&DIGITS, &format!("explain digits.plan {question} --format json"))
        .succeeds()
        .json()
}

fn level(layer: &Value, end: &str) -> u64 {
    layer[end].as_u64().unwrap_or_else(|| panic!("{layer:#}"))
}

#[test]
fn each_cause_is_the_reader_of_the_one_before() {
    let chain = explained("--param levels")["chain"].clone();
    let chain = chain.as_array().expect("a chain");
    let levels = heron(&DIGITS, "report digits.plan --format json").succeeds().json()["parameters"]["levels"].clone();
    assert_eq!(Some(level(&chain[0], "level_in")), levels.as_u64());
    for pair in chain.windows(2) {
        assert_eq!(pair[0]["wanted_by"], pair[1]["node"]);
        assert_eq!(level(&pair[0], "level_out"), level(&pair[1], "level_in"));
    }
    let last = chain.last().expect("it is not empty");
    assert_eq!((level(last, "level_out"), &last["wanted_by"]), (0, &Value::Null));
}

#[test]
fn every_level_is_spent_by_a_layer_that_passes_it() {
    let top = level(&explained("--param levels")["chain"][0], "level_in");
    for wanted in 1..=top {
        let answer = explained(&format!("--level {wanted}"));
        let spender = &answer["chain"][0];
        assert!(
            level(spender, "level_in") >= wanted && level(spender, "level_out") < wanted,
            "{answer:#}"
        );
    }
    assert_eq!(explained("--level 0")["chain"], Value::Array(Vec::new()));
}

#[test]
fn without_a_layers_levels_the_plan_has_fewer() {
    let answer = explained("--param levels");
    let top = level(&answer["chain"][0], "level_in");
    let savings = answer["savings"].as_array().expect("a list");
    assert!(!savings.is_empty(), "{answer:#}");
    for saving in savings {
        assert!(level(saving, "levels") < top, "{saving:#}");
        assert!(saving["time"].as_f64().is_some_and(|time| time < 1.0), "{saving:#}");
    }
}

#[test]
fn a_bootstrap_is_for_what_follows_up_to_the_next() {
    let folder = scratch("explain-bootstrap");
    let (onnx, data) = (shipped("digits_mlp_deep_relu/model.onnx"), shipped("data/digits.npz"));
    let compile = format!("compile {onnx} --data {data}:calib --labels {data}:calib_labels --max-depth 5 -o b.plan");
    heron(&folder, &compile).succeeds();
    let report = heron(&folder, "report b.plan --format json").succeeds().json();
    let lines = report["bootstraps"]["lines"].as_array().expect("it bootstraps").clone();
    for (index, line) in lines.iter().enumerate() {
        let question = format!("explain b.plan --bootstrap {} --format json", index + 1);
        let answer = heron(&folder, &question).succeeds().json();
        let chain = answer["chain"].as_array().expect("a chain");
        assert_eq!(
            (&chain[0]["node"], &chain[0]["refreshed"]),
            (&line["node"], &line["level_out"])
        );
        let ends = chain.last().expect("it is not empty");
        let next = lines.get(index + 1).map_or(&Value::Null, |next| &next["node"]);
        assert!(*next == ends["node"] || ends["wanted_by"].is_null(), "{answer:#}");
    }
    let beyond = format!("explain b.plan --bootstrap {}", lines.len() + 1);
    heron(&folder, &beyond).fails(USAGE, &["bootstrap"]);
}

#[test]
fn a_question_without_an_answer_says_what_there_is() {
    let explain = |question: &str| heron(&DIGITS, &format!("explain digits.plan {question}"));
    explain("--node nowhere").fails(USAGE, &["nowhere", "heron report"]);
    explain("--level 99").fails(USAGE, &["99", "0 to"]);
    explain("--level 1 --param levels").fails(USAGE, &["--param"]);
    explain("").fails(USAGE, &["--node"]);
}
