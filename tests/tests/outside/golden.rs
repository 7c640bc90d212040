//! The summaries of the shipped models' plans: a change that moves one says what it was and what it is.

use crate::plans::planned;

/// Longest golden summary.
const MAX_LINES: usize = 80;

#[track_caller]
fn check(name: &'static str) {
    let planned = planned(name);
    let summary = planned.compiled.plan.summary();
    assert!(
        summary.lines().count() <= MAX_LINES,
        "the summary of {name} is too long"
    );
    insta::assert_snapshot!(name, summary);
}

#[test]
fn digits_mlp_relu_takes_one_level_for_its_square() {
    check("digits_mlp_relu");
}

#[test]
fn digits_mlp_gelu_costs_what_relu_costs() {
    check("digits_mlp_gelu");
}

#[test]
fn digits_mlp_sigmoid_has_the_form_that_its_curvature_allows() {
    check("digits_mlp_sigmoid");
}

#[test]
fn digits_mlp_tanh_has_the_form_that_its_curvature_allows() {
    check("digits_mlp_tanh");
}

#[test]
fn digits_mlp_square_needs_no_fit() {
    check("digits_mlp_square");
}

#[test]
fn digits_mlp_deep_relu_takes_two_levels_a_layer() {
    check("digits_mlp_deep_relu");
}

#[test]
fn breast_cancer_mlp_relu_is_the_smallest() {
    check("breast_cancer_mlp_relu");
}

#[test]
fn breast_cancer_mlp_sigmoid_is_as_small() {
    check("breast_cancer_mlp_sigmoid");
}

#[test]
fn digits_cnn_avgpool_takes_one_level_for_pool_and_convolution() {
    check("digits_cnn_avgpool");
}

#[test]
fn digits_cnn_residual_has_one_layout_for_both_branches() {
    check("digits_cnn_residual");
}

#[test]
fn mlp_mnist_is_the_widest() {
    check("mlp_mnist");
}
