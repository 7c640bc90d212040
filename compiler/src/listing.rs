//! The listing of an imported network: one line a node, with shapes instead of weights.
//!
//! ```text
//! %0 = input                       ; [64] x
//! %1 = dense %0                    ; [32] fc1
//! %2 = relu %1                     ; [32] relu1
//! output %2
//! ```

use std::fmt;

use crate::graph::Graph;
use crate::nn::{Activation, Conv, Gelu, Granularity, Op, Pool};

impl fmt::Display for Graph<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (id, node) in self.iter() {
            let args: Vec<String> = node.args.iter().map(ToString::to_string).collect();
            let call = format!("{id} = {} {}", node.op, args.join(", "));
            writeln!(f, "{:<40} ; {:?} {}", call.trim_end(), node.shape, node.name)?;
        }
        writeln!(f, "output {}", self.output())
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input => write!(f, "input"),
            Self::Dense { .. } => write!(f, "dense"),
            Self::Conv(conv) => write_conv(f, conv),
            Self::BatchNorm(_) => write!(f, "batch_norm"),
            Self::Affine(affine) => write!(f, "affine<{}>", affine.granularity),
            Self::AveragePool(pool) => write_pool(f, "average_pool", pool),
            Self::MaxPool(pool) => write_pool(f, "max_pool", pool),
            Self::GlobalAveragePool => write!(f, "global_average_pool"),
            Self::Pad(pad) => write!(f, "pad<{:?}, {}>", pad.amounts, pad.value),
            Self::Select(_) => write!(f, "select"),
            Self::Add => write!(f, "add"),
            Self::Sub => write!(f, "sub"),
            Self::Mul => write!(f, "mul"),
            Self::Activation(activation) => write!(f, "{activation}"),
            Self::Square => write!(f, "square"),
            Self::Pow(exponent) => write!(f, "pow<{exponent}>"),
            Self::Polynomial(polynomial) => {
                let degree = polynomial.coefficients.ncols().saturating_sub(1);
                write!(f, "polynomial<{}, degree {degree}>", polynomial.granularity)
            }
            Self::Chebyshev(op) => write!(f, "chebyshev<{}, degree {}>", op.granularity, op.degree()),
            Self::Reshape => write!(f, "reshape"),
            Self::Identity => write!(f, "identity"),
        }
    }
}

impl fmt::Display for Granularity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tensor => "tensor",
            Self::Channel => "channel",
            Self::Element => "element",
        })
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Relu => write!(f, "relu"),
            Self::LeakyRelu { alpha } => write!(f, "leaky_relu<{alpha}>"),
            Self::Elu { alpha } => write!(f, "elu<{alpha}>"),
            Self::Sigmoid => write!(f, "sigmoid"),
            Self::Tanh => write!(f, "tanh"),
            Self::Erf => write!(f, "erf"),
            Self::Gelu(Gelu::Erf) => write!(f, "gelu"),
            Self::Gelu(Gelu::Tanh) => write!(f, "gelu<tanh>"),
            Self::Silu => write!(f, "silu"),
            Self::Softplus => write!(f, "softplus"),
            Self::Selu { alpha, gamma } => write!(f, "selu<{alpha}, {gamma}>"),
            Self::Mish => f.write_str("mish"),
            Self::HardSigmoid { slope, offset } => write!(f, "hard_sigmoid<{slope}, {offset}>"),
            Self::HardSwish => f.write_str("hard_swish"),
            Self::Exp => f.write_str("exp"),
            Self::Reciprocal => f.write_str("reciprocal"),
            Self::Sqrt => f.write_str("sqrt"),
            Self::ReciprocalSqrt => f.write_str("reciprocal_sqrt"),
            Self::Log => f.write_str("log"),
            Self::Abs => f.write_str("abs"),
            Self::Sign => f.write_str("sign"),
            Self::Clip { min, max } => write!(f, "clip<{min}, {max}>"),
        }
    }
}

/// Kernel, stride and padding; dilations and groups only where there are any.
fn write_conv(f: &mut fmt::Formatter<'_>, conv: &Conv) -> fmt::Result {
    let (_, _, height, width) = conv.weights.dim();
    write!(
        f,
        "conv<{height}x{width}, stride {:?}, pad {:?}",
        conv.strides, conv.pads
    )?;
    if conv.dilations != [1, 1] {
        write!(f, ", dilation {:?}", conv.dilations)?;
    }
    if conv.groups != 1 {
        write!(f, ", {} groups", conv.groups)?;
    }
    write!(f, ">")
}

fn write_pool(f: &mut fmt::Formatter<'_>, name: &str, pool: &Pool) -> fmt::Result {
    let [height, width] = pool.kernel;
    write!(
        f,
        "{name}<{height}x{width}, stride {:?}, pad {:?}>",
        pool.strides, pool.pads
    )
}
