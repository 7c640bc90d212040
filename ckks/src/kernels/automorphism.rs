//! The automorphism `X -> X^g` on limbs in evaluation form: a permutation that moves whole groups of eight residues.

use super::modular::bit_reverse;
use super::order::LANES;

/// The permutation of the evaluations that `X -> X^g` is, for one odd `g` and one ring degree; the same for every prime.
///
/// Bit-reversed order keeps each aligned group of eight together: `out[8 v + t] = input[8 source(v) + lanes(v)[t]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Automorphism {
    galois_element: u64,
    /// For each group of the output: the group it comes from, and which of `lane_orders` reorders it.
    groups: Vec<(u32, u32)>,
    lane_orders: Vec<[u64; LANES]>,
}

impl Automorphism {
    /// The automorphism `X -> X^galois_element` of the ring of degree `2^log_n`.
    ///
    /// # Panics
    /// When `galois_element` is even, or `log_n` is not in `4..=17`.
    pub fn new(log_n: u32, galois_element: u64) -> Self {
        assert!((4..=17).contains(&log_n), "degree 2^{log_n}");
        assert!(galois_element % 2 == 1, "an even Galois element is no automorphism");
        let order = 2u64 << log_n;
        let galois_element = galois_element % order;
        // The evaluation at psi^e of a(X^g) is that of a at psi^(e g).
        let source = |index: usize| {
            let exponent = 2 * bit_reverse(index, log_n) as u64 + 1;
            bit_reverse(((exponent * galois_element % order - 1) / 2) as usize, log_n)
        };
        let mut lane_orders: Vec<[u64; LANES]> = Vec::new();
        let groups = (0..(1usize << log_n) / LANES)
            .map(|group| {
                let lanes = std::array::from_fn(|lane| (source(LANES * group + lane) % LANES) as u64);
                let known = lane_orders.iter().position(|order| *order == lanes);
                let lane_order = known.unwrap_or_else(|| {
                    lane_orders.push(lanes);
                    lane_orders.len() - 1
                });
                ((source(LANES * group) / LANES) as u32, lane_order as u32)
            })
            .collect();
        Self {
            galois_element,
            groups,
            lane_orders,
        }
    }

    /// The exponent `g`, reduced modulo `2N`.
    pub fn galois_element(&self) -> u64 {
        self.galois_element
    }

    /// The ring degree.
    pub fn degree(&self) -> usize {
        LANES * self.groups.len()
    }

    /// For output group `group`: the input group, and for each output lane the input lane.
    #[inline(always)]
    pub(super) fn group(&self, group: usize) -> (usize, &[u64; LANES]) {
        let (source, lane_order) = self.groups[group];
        (source as usize, &self.lane_orders[lane_order as usize])
    }

    /// `out = input(X^g)`, both in evaluation form; plain moves of memory, so the same code serves every kernel set.
    ///
    /// # Panics
    /// When a slice is not one limb long.
    pub fn apply(&self, input: &[u64], out: &mut [u64]) {
        assert!(
            input.len() == self.degree() && out.len() == self.degree(),
            "limbs of {} words",
            self.degree()
        );
        self.gather(0, input, out);
    }

    /// Consecutive residues of the output, from `first` on, in whole groups.
    pub(super) fn gather(&self, first: usize, input: &[u64], out: &mut [u64]) {
        let (input, _) = input.as_chunks::<LANES>();
        for (group, out) in (first / LANES..).zip(out.as_chunks_mut::<LANES>().0) {
            let (source, lanes) = self.group(group);
            *out = lanes.map(|lane| input[source][lane as usize % LANES]);
        }
    }
}
