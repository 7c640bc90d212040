//! Loops over limbs on the threads of the current rayon pool. Iterations write disjoint memory and their order decides
//! nothing, so that results are the same for every number of threads.

use rayon::prelude::*;

use crate::poly::{LimbGroup, Poly};

/// Whether there is a second thread to hand work to. With one, loops stay on the caller's thread: entering the pool
/// would cost more than a limb of a small ring.
fn is_parallel() -> bool {
    n_threads() > 1
}

/// How many threads there are to hand work to.
pub(crate) fn n_threads() -> usize {
    rayon::current_num_threads()
}

/// Runs both closures.
pub(crate) fn join<A: Send, B: Send>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
    if is_parallel() { rayon::join(a, b) } else { (a(), b()) }
}

/// Calls `work(i, limb)` for every limb.
pub(crate) fn for_each_limb(poly: &mut Poly, work: impl Fn(usize, &mut [u64]) + Sync + Send) {
    if is_parallel() {
        poly.par_limbs_mut().enumerate().for_each(|(i, limb)| work(i, limb));
    } else {
        poly.limbs_mut().enumerate().for_each(|(i, limb)| work(i, limb));
    }
}

/// Calls `work(i, limbs)` for every group of up to `group_len` limbs, of which limb `i` is the first.
pub(crate) fn for_each_limb_group(
    poly: &mut Poly,
    group_len: usize,
    work: impl Fn(usize, LimbGroup<'_>) + Sync + Send,
) {
    let work = |(group, limbs): (usize, _)| work(group * group_len, limbs);
    if is_parallel() {
        poly.par_groups_mut(group_len).enumerate().for_each(work);
    } else {
        poly.groups_mut(group_len).enumerate().for_each(work);
    }
}

/// Calls `work(i, limb of a, limb of b)` for every pair of limbs.
pub(crate) fn for_each_limb_pair(
    a: &mut Poly,
    b: &mut Poly,
    work: impl Fn(usize, &mut [u64], &mut [u64]) + Sync + Send,
) {
    if is_parallel() {
        a.par_limbs_mut()
            .zip(b.par_limbs_mut())
            .enumerate()
            .for_each(|(i, (a, b))| work(i, a, b));
    } else {
        a.limbs_mut()
            .zip(b.limbs_mut())
            .enumerate()
            .for_each(|(i, (a, b))| work(i, a, b));
    }
}

/// Calls `work(i, limbs)` for the limbs of three polynomials modulo each prime.
pub(crate) fn for_each_limb_triple(polys: [&mut Poly; 3], work: impl Fn(usize, [&mut [u64]; 3]) + Sync + Send) {
    let [a, b, c] = polys;
    if is_parallel() {
        let limbs = a.par_limbs_mut().zip(b.par_limbs_mut()).zip(c.par_limbs_mut());
        limbs.enumerate().for_each(|(i, ((a, b), c))| work(i, [a, b, c]));
    } else {
        let limbs = a.limbs_mut().zip(b.limbs_mut()).zip(c.limbs_mut());
        limbs.enumerate().for_each(|(i, ((a, b), c))| work(i, [a, b, c]));
    }
}

/// Maps `0..len`, in order.
pub(crate) fn map_indices<T: Send>(len: usize, work: impl Fn(usize) -> T + Sync + Send) -> Vec<T> {
    if is_parallel() {
        (0..len).into_par_iter().map(work).collect()
    } else {
        (0..len).map(work).collect()
    }
}

/// Maps what is given away, in order.
pub(crate) fn map_each<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync + Send) -> Vec<R> {
    if is_parallel() {
        items.into_par_iter().map(work).collect()
    } else {
        items.into_iter().map(work).collect()
    }
}
