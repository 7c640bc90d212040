//! The shipped networks, each loaded and compiled once.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use heron_compiler::Compiled;
use heron_tests::ShippedModel;

/// The shipped networks.
pub(crate) const SHIPPED: [&str; 11] = [
    "digits_mlp_relu",
    "digits_mlp_gelu",
    "digits_mlp_sigmoid",
    "digits_mlp_tanh",
    "digits_mlp_square",
    "digits_mlp_deep_relu",
    "breast_cancer_mlp_relu",
    "breast_cancer_mlp_sigmoid",
    "mlp_mnist",
    "digits_cnn_avgpool",
    "digits_cnn_residual",
];

/// A model and its plan.
pub(crate) struct Planned {
    pub(crate) model: ShippedModel,
    pub(crate) compiled: Compiled,
}

/// A model and its plan, made by the first test that asks.
pub(crate) fn planned(name: &'static str) -> Arc<Planned> {
    static MADE: LazyLock<Mutex<BTreeMap<&str, Arc<Planned>>>> = LazyLock::new(Mutex::default);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let make = || {
        let model = ShippedModel::load(name).expect("the model ships");
        let compiled = model.compile().expect("it compiles");
        Arc::new(Planned { model, compiled })
    };
    made.entry(name).or_insert_with(make).clone()
}
