//! Random convolutional networks from ONNX bytes to slots: the packed network, slot by slot, against tract.

use heron_params::Slots;

use super::*;
use crate::approximate::{ApproximateOptions, approximate};
use crate::calibrate::Samples;
use crate::evaluate_packed;
use crate::pack::{pack, unpackable};

/// Imports, simplifies and packs the network into at least `slots`, and compares it with tract on fixed inputs.
#[track_caller]
fn check_packed(model: Model, mut slots: u32) {
    let bytes = model.bytes();
    let imported = import(&bytes).unwrap_or_else(|error| panic!("{error}"));
    let oracle = OnnxClear::new(&bytes, &imported).unwrap_or_else(|error| panic!("{error}"));
    let simple = crate::simplify(&imported.graph).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(unpackable(&simple), [], "{simple}");
    let shape = imported
        .graph
        .iter()
        .next()
        .map_or(Vec::new(), |(_, node)| node.shape.clone());
    let length: usize = shape.iter().product();
    let inputs: Vec<f64> = values(5 * length, 11).into_iter().map(f64::from).collect();
    let samples = Samples::new(&shape, inputs.clone()).unwrap_or_else(|error| panic!("{error}"));
    let network = approximate(&simple, &samples, &ApproximateOptions::USUAL).unwrap_or_else(|error| panic!("{error}"));
    let packed = loop {
        match pack(&network.graph, Slots(slots)) {
            Ok(packed) => break packed,
            Err(_) => slots *= 2,
        }
    };
    let inputs: Vec<&[f64]> = inputs.chunks(length).take(2).collect();
    for (input, found) in inputs.iter().zip(evaluate_packed(&packed, &inputs)) {
        let expected = oracle.run(input).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(found.len(), expected.len());
        let largest = expected
            .iter()
            .fold(1.0, |largest: f64, value| largest.max(value.abs()));
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                (found - expected).abs() <= F32 * largest,
                "{found} instead of {expected}\n{simple}"
            );
        }
    }
}

/// A convolution of any geometry. Weights are small, so that squares stay near one.
#[derive(Clone, Debug)]
struct Layer {
    groups: i64,
    outputs: i64,
    kernel: Vec<i64>,
    strides: Vec<i64>,
    dilations: Vec<i64>,
    pads: Vec<i64>,
}

fn layer(axes: usize) -> impl Strategy<Value = Layer> {
    let each = |range: std::ops::Range<i64>| prop::collection::vec(range, axes);
    let pads = prop::collection::vec(0i64..3, 2 * axes);
    (1i64..3, 1i64..4, each(1..4), each(1..4), each(1..3), pads).prop_map(
        |(groups, outputs, kernel, strides, dilations, pads)| Layer {
            groups,
            outputs,
            kernel,
            strides,
            dilations,
            pads,
        },
    )
}

impl Layer {
    fn channels(&self) -> i64 {
        self.groups * self.outputs
    }

    /// Appends `name`, which reads `x` of `inputs` channels, a multiple of the groups.
    fn push(&self, model: Model, name: &str, x: &str, inputs: i64) -> Model {
        let shape = [&[self.channels(), inputs / self.groups], self.kernel.as_slice()].concat();
        let fan_in: i64 = shape[1..].iter().product();
        let weights = values(shape.iter().product::<i64>() as usize, 9);
        let weights: Vec<f32> = weights.into_iter().map(|weight| weight / fan_in as f32).collect();
        let (weights_name, bias_name) = (format!("{name}.w"), format!("{name}.b"));
        let attributes = vec![
            int("group", self.groups),
            ints("strides", &self.strides),
            ints("dilations", &self.dilations),
            ints("pads", &self.pads),
        ];
        model
            .floats(&weights_name, &shape, &weights)
            .floats(&bias_name, &[self.channels()], &values(self.channels() as usize, 10))
            .node(name, "Conv", &[x, &weights_name, &bias_name], attributes)
    }
}

/// What lies between two convolutions.
#[derive(Clone, Copy, Debug)]
enum Between {
    Square,
    Residual,
    Concat,
    ChannelsLast,
    Pool,
}

impl Between {
    const ALL: [Self; 5] = [
        Self::Square,
        Self::Residual,
        Self::Concat,
        Self::ChannelsLast,
        Self::Pool,
    ];

    /// Appends `between`, which reads `first` of `channels`; how many channels it has.
    fn push(self, model: Model, channels: i64) -> (Model, i64) {
        let model = model.node("square", "Mul", &["first", "first"], vec![]);
        match self {
            Self::Square => (model.node("between", "Identity", &["square"], vec![]), channels),
            Self::Residual => (model.node("between", "Add", &["square", "first"], vec![]), channels),
            Self::Concat => {
                let attributes = vec![int("axis", 1)];
                (
                    model.node("between", "Concat", &["first", "square"], attributes),
                    2 * channels,
                )
            }
            Self::ChannelsLast => {
                let bias = values(channels as usize, 12);
                let model = model
                    .node("last", "Transpose", &["square"], vec![ints("perm", &[0, 2, 3, 1])])
                    .floats("last.b", &[channels], &bias)
                    .node("biased", "Add", &["last", "last.b"], vec![])
                    .node("between", "Transpose", &["biased"], vec![ints("perm", &[0, 3, 1, 2])]);
                (model, channels)
            }
            Self::Pool => {
                let attributes = vec![
                    ints("kernel_shape", &[2, 2]),
                    ints("strides", &[2, 1]),
                    ints("pads", &[1, 0, 0, 1]),
                ];
                (model.node("between", "AveragePool", &["square"], attributes), channels)
            }
        }
    }
}

/// A dense layer over everything, if the model can be imported so far: windows may be larger than what they move over.
fn classified(model: Model) -> Option<Model> {
    let flat = model.node("flat", "Flatten", &["second"], vec![]);
    let imported = import(&flat.clone().bytes()).ok()?;
    let length = imported.graph.node(imported.graph.output()).len();
    Some(dense(flat, "fc", "flat", 3, length as i64))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_two_convolutions_are_packed_as_tract_computes_them(
        size in prop::array::uniform2(4i64..12), per_group in 1i64..3, first in layer(2), second in layer(2),
        between in prop::sample::select(&Between::ALL[..]), log_slots in 9u32..13,
    ) {
        let inputs = first.groups * per_group;
        let model = first.push(Model::new(13, &[1, inputs, size[0], size[1]]), "first", "x", inputs);
        let (model, channels) = between.push(model, first.channels());
        let groups = if channels % second.groups == 0 { second.groups } else { 1 };
        let model = Layer { groups, ..second }.push(model, "second", "between", channels);
        let model = classified(model);
        prop_assume!(model.is_some());
        model.into_iter().for_each(|model| check_packed(model, 1 << log_slots));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_convolution_over_one_axis_is_packed_as_tract_computes_it(
        length in 4i64..40, per_group in 1i64..4, first in layer(1), second in layer(1),
    ) {
        let inputs = first.groups * per_group;
        let model = first.push(Model::new(13, &[1, inputs, length]), "first", "x", inputs);
        let model = model.node("square", "Mul", &["first", "first"], vec![]);
        let groups = if first.channels() % second.groups == 0 { second.groups } else { 1 };
        let model = Layer { groups, ..second }.push(model, "second", "square", first.channels());
        let model = classified(model);
        prop_assume!(model.is_some());
        model.into_iter().for_each(|model| check_packed(model, 1 << 9));
    }

    #[test]
    fn transposed_convolutions_and_enlarged_images_are_packed(
        size in prop::array::uniform2(2i64..5), stride in 1i64..3, second in layer(2), resize in any::<bool>(),
    ) {
        let model = Model::new(13, &[1, 2, size[0], size[1]]);
        let model = if resize {
            let attributes = vec![text("mode", "nearest")];
            model
                .floats("scales", &[4], &[1.0, 1.0, 2.0, stride as f32])
                .node("first", "Resize", &["x", "", "scales"], attributes)
        } else {
            let attributes = vec![ints("strides", &[stride, 2]), ints("pads", &[1, 0, 0, 1])];
            model
                .floats("weights", &[2, 2, 3, 2], &values(24, 3))
                .node("first", "ConvTranspose", &["x", "weights"], attributes)
        };
        let model = model.node("square", "Mul", &["first", "first"], vec![]);
        let model = second.push(model, "second", "square", 2);
        let model = classified(model);
        prop_assume!(model.is_some());
        model.into_iter().for_each(|model| check_packed(model, 1 << 9));
    }
}

#[test]
fn a_keras_network_with_channels_last_is_packed() {
    for opset in [9, 13, 18, 21] {
        check_packed(selections::channels_last(opset, "Square"), 1 << 10);
    }
}
