//! Arithmetic on eight numbers at a time, for each instruction set, and the choice between them.

use pulp::f64x8;

/// What the transform needs of a machine.
pub(in crate::tfhe) trait Lanes: Copy {
    /// `a + b`.
    fn add(self, a: f64x8, b: f64x8) -> f64x8;
    /// `a - b`.
    fn sub(self, a: f64x8, b: f64x8) -> f64x8;
    /// `a · b`.
    fn mul(self, a: f64x8, b: f64x8) -> f64x8;
    /// `a · b + c`.
    fn mul_add(self, a: f64x8, b: f64x8, c: f64x8) -> f64x8;
    /// `a · b - c`.
    fn mul_sub(self, a: f64x8, b: f64x8, c: f64x8) -> f64x8;
    /// `c - a · b`.
    fn negate_mul_add(self, a: f64x8, b: f64x8, c: f64x8) -> f64x8;
    /// `-a · b - c`.
    fn negate_mul_sub(self, a: f64x8, b: f64x8, c: f64x8) -> f64x8;
    /// The columns of eight rows.
    fn transpose(self, rows: [f64x8; 8]) -> [f64x8; 8];
}

/// What runs on any machine.
pub(in crate::tfhe) trait Kernel {
    /// Runs it. Implementations are `#[inline(always)]`, as is everything that they call: only then are they compiled for
    /// the machine's vectors.
    fn run<L: Lanes>(self, lanes: L);
}

/// The best instruction set that this machine has.
#[derive(Clone, Copy, Debug)]
pub(in crate::tfhe) enum Machine {
    /// Whatever the compiler was told.
    Portable,
    /// AVX2 and fused products.
    #[cfg(target_arch = "x86_64")]
    Fused(pulp::x86::V3),
    /// AVX-512.
    #[cfg(target_arch = "x86_64")]
    Wide(pulp::x86::V4),
}

impl Machine {
    /// Asks the processor.
    pub(in crate::tfhe) fn detect() -> Self {
        Self::all().pop().unwrap_or(Self::Portable)
    }

    /// All that this machine has, the best at the end.
    pub(in crate::tfhe) fn all() -> Vec<Self> {
        let machines = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        let machines = {
            let mut machines = machines;
            machines.extend(pulp::x86::V3::try_new().map(Self::Fused));
            machines.extend(pulp::x86::V4::try_new().map(Self::Wide));
            machines
        };
        machines
    }

    /// Runs a kernel with the machine's vectors.
    pub(in crate::tfhe) fn run<K: Kernel>(self, kernel: K) {
        match self {
            Self::Portable => kernel.run(Portable),
            #[cfg(target_arch = "x86_64")]
            Self::Fused(simd) => simd.vectorize(On { kernel, lanes: Fused }),
            #[cfg(target_arch = "x86_64")]
            Self::Wide(simd) => simd.vectorize(On {
                kernel,
                lanes: Wide(simd),
            }),
        }
    }
}

/// A kernel and what it runs on.
#[cfg(target_arch = "x86_64")]
struct On<K, L> {
    kernel: K,
    lanes: L,
}

#[cfg(target_arch = "x86_64")]
impl<K: Kernel, L: Lanes> pulp::NullaryFnOnce for On<K, L> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.kernel.run(self.lanes);
    }
}

/// Any machine, without fused products.
#[derive(Clone, Copy)]
struct Portable;

/// Fused products, vectors as the compiler makes them.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
struct Fused;

/// Vectors of 512 bits.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
struct Wide(pulp::x86::V4);

#[inline(always)]
fn each(a: f64x8, b: f64x8, c: f64x8, op: impl Fn(f64, f64, f64) -> f64) -> f64x8 {
    let (a, b, c): ([f64; 8], [f64; 8], [f64; 8]) = (pulp::cast(a), pulp::cast(b), pulp::cast(c));
    let mut out = [0.0; 8];
    for i in 0..8 {
        out[i] = op(a[i], b[i], c[i]);
    }
    pulp::cast(out)
}

#[inline(always)]
fn columns(rows: [f64x8; 8]) -> [f64x8; 8] {
    let (mut from, mut to, mut out) = ([[0.0f64; 8]; 8], [[0.0f64; 8]; 8], rows);
    for i in 0..8 {
        from[i] = pulp::cast(rows[i]);
    }
    for row in 0..8 {
        for column in 0..8 {
            to[column][row] = from[row][column];
        }
    }
    for i in 0..8 {
        out[i] = pulp::cast(to[i]);
    }
    out
}

impl Lanes for Portable {
    #[inline(always)]
    fn add(self, a: f64x8, b: f64x8) -> f64x8 {
        each(a, b, a, |a, b, _| a + b)
    }

    #[inline(always)]
    fn sub(self, a: f64x8, b: f64x8) -> f64x8 {
        each(a, b, a, |a, b, _| a - b)
    }

    #[inline(always)]
    fn mul(self, a: f64x8, b: f64x8) -> f64x8 {
        each(a, b, a, |a, b, _| a * b)
    }

    #[inline(always)]
    fn mul_add(self, a: f64x8, b: f64x8, c: f64x8) -> f64x8 {
        each(a, b, c, |a, b, c| a * b + c)
    }

    #[inline(always)]
    fn mul_sub(self, a: f64x8, b: f64x8, c: f64x8) -> f64x8 {
        each(a, b, c, |a, b, c| a * b - c)
    }

    #[inline(always)]
    fn negate_mul_add(self, a: f64x8, b: f64x8, c: f64x8) -> f64x8 {
        each(a, b, c, |a, b, c| c - a * b)
    }

    #[inline(always)]
    fn negate_mul_sub(self, a: f64x8, b: f64x8, c: f64x8) -> f64x8 {
        each(a, b, c, |a, b, c| -(a * b) - c)
    }

    #[inline(always)]
    fn transpose(self, rows: [f64x8; 8]) -> [f64x8; 8] {
        columns(rows)
    }
}

#[cfg(target_arch = "x86_64")]
impl Lanes for Fused {
    #[inline(always)]
    fn add(self, a: f64x8, b: f64x8) -> f64x8 {
        Portable.add(a, b)
    }

    #[inline(always)]
    fn sub(self, a: f64x8, b: f64x8) -> f64x8 {
        Portable.sub(a, b)
    }

    #[inline(always)]
    fn mul(self, a: f64x8, b: f64x8) -> f64x8 {
        Portable.mul(a, b)
    }

    #[inline(always)]
    fn mul_add(self, a: f64x8, b: f64x8, c: f64x8) -> f64x8 {
        each(a, b, c, f64::mul_add)
    }

    #[inline(always)]
    fn mul_sub(self, a: f64x8, b: f64x8, c: f64x8) -> f64x8 {
        each(a, b, c, |a, b, c| a.mul_add(b, -c))
    }

    #[inline(always)]
    fn negate_mul_add(self, a: f64x8, b: f64x8, c: f64x8) -> f64x8 {
        each(a, b, c, |a, b, c| (-a).mul_add(b, c))
    }

    #[inline(always)]
    fn negate_mul_sub(self, a: f64x8, b: f64x8, c: f64x8) -> f64x8 {
        each(a, b, c, |a, b, c| (-a).mul_add(b, -c))
    }

    #[inline(always)]
    fn transpose(self, rows: [f64x8; 8]) -> [f64x8; 8] {
        columns(rows)
    }
}

#[cfg(target_arch = "x86_64")]
impl Lanes for Wide {
    #[inline(always)]
    fn add(self, a: f64x8, b: f64x8) -> f64x8 {
        pulp::Simd::add_f64s(self.0, a, b)
    }

    #[inline(always)]
    fn sub(self, a: f64x8, b: f64x8) -> f64x8 {
        pulp::Simd::sub_f64s(self.0, a, b)
    }

    #[inline(always)]
    fn mul(self, a: f64x8, b: f64x8) -> f64x8 {
        pulp::Simd::mul_f64s(self.0, a, b)
    }

    #[inline(always)]
    fn mul_add(self, a: f64x8, b: f64x8, c: f64x8) -> f64x8 {
        self.0.mul_add_f64x8(a, b, c)
    }

    #[inline(always)]
    fn mul_sub(self, a: f64x8, b: f64x8, c: f64x8) -> f64x8 {
        self.0.mul_sub_f64x8(a, b, c)
    }

    #[inline(always)]
    fn negate_mul_add(self, a: f64x8, b: f64x8, c: f64x8) -> f64x8 {
        self.0.negate_mul_add_f64x8(a, b, c)
    }

    #[inline(always)]
    fn negate_mul_sub(self, a: f64x8, b: f64x8, c: f64x8) -> f64x8 {
        self.0.negate_mul_sub_f64x8(a, b, c)
    }

    /// Straight lines: intrinsics are not inlined into closures, which halves the speed of the whole transform.
    #[inline(always)]
    fn transpose(self, rows: [f64x8; 8]) -> [f64x8; 8] {
        // 128-bit blocks 0 and 2, then 1 and 3, of both operands.
        const EVEN: i32 = 0b10_00_10_00;
        const ODD: i32 = 0b11_01_11_01;
        let avx = self.0.avx512f;
        let (r0, r1, r2, r3) = (raw(rows[0]), raw(rows[1]), raw(rows[2]), raw(rows[3]));
        let (r4, r5, r6, r7) = (raw(rows[4]), raw(rows[5]), raw(rows[6]), raw(rows[7]));
        let (a0, a1) = (avx._mm512_unpacklo_pd(r0, r1), avx._mm512_unpackhi_pd(r0, r1));
        let (b0, b1) = (avx._mm512_unpacklo_pd(r2, r3), avx._mm512_unpackhi_pd(r2, r3));
        let (c0, c1) = (avx._mm512_unpacklo_pd(r4, r5), avx._mm512_unpackhi_pd(r4, r5));
        let (d0, d1) = (avx._mm512_unpacklo_pd(r6, r7), avx._mm512_unpackhi_pd(r6, r7));
        let (e0, o0) = (
            avx._mm512_shuffle_f64x2::<EVEN>(a0, b0),
            avx._mm512_shuffle_f64x2::<ODD>(a0, b0),
        );
        let (e1, o1) = (
            avx._mm512_shuffle_f64x2::<EVEN>(a1, b1),
            avx._mm512_shuffle_f64x2::<ODD>(a1, b1),
        );
        let (e2, o2) = (
            avx._mm512_shuffle_f64x2::<EVEN>(c0, d0),
            avx._mm512_shuffle_f64x2::<ODD>(c0, d0),
        );
        let (e3, o3) = (
            avx._mm512_shuffle_f64x2::<EVEN>(c1, d1),
            avx._mm512_shuffle_f64x2::<ODD>(c1, d1),
        );
        [
            pulp::cast(avx._mm512_shuffle_f64x2::<EVEN>(e0, e2)),
            pulp::cast(avx._mm512_shuffle_f64x2::<EVEN>(e1, e3)),
            pulp::cast(avx._mm512_shuffle_f64x2::<EVEN>(o0, o2)),
            pulp::cast(avx._mm512_shuffle_f64x2::<EVEN>(o1, o3)),
            pulp::cast(avx._mm512_shuffle_f64x2::<ODD>(e0, e2)),
            pulp::cast(avx._mm512_shuffle_f64x2::<ODD>(e1, e3)),
            pulp::cast(avx._mm512_shuffle_f64x2::<ODD>(o0, o2)),
            pulp::cast(avx._mm512_shuffle_f64x2::<ODD>(o1, o3)),
        ]
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn raw(vector: f64x8) -> std::arch::x86_64::__m512d {
    pulp::cast(vector)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks that transposing twice, and every column, are right.
    struct Transposes;

    impl Kernel for Transposes {
        #[inline(always)]
        fn run<L: Lanes>(self, lanes: L) {
            let row = |row: usize| pulp::cast(std::array::from_fn::<f64, 8, _>(|column| (8 * row + column) as f64));
            let rows: [f64x8; 8] = std::array::from_fn(row);
            let columns = lanes.transpose(rows);
            let wanted = |column: usize| pulp::cast(std::array::from_fn::<f64, 8, _>(|row| (8 * row + column) as f64));
            assert_eq!(columns, std::array::from_fn::<f64x8, 8, _>(wanted));
            assert_eq!(lanes.transpose(columns), rows);
        }
    }

    #[test]
    fn every_machine_transposes() {
        Machine::all().into_iter().for_each(|machine| machine.run(Transposes));
    }
}
