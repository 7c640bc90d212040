//! A named preset at its full size: slow, behind `HERON_SLOW_TESTS=1`. The variants on small rings are its fast siblings.

use heron_params::bootstrap::BootstrapPreset;

use crate::fixture::Fixture;

/// Bytes of encoded diagonals that are kept between the runs.
const CACHE_BYTES: u64 = 2 << 30;
const RANDOM_VECTORS: u64 = 3;
const CHAINED: usize = 4;

#[test]
fn the_small_preset_keeps_its_bits_on_random_and_extreme_vectors() {
    if std::env::var("HERON_SLOW_TESTS").is_err() {
        println!("skipped: set HERON_SLOW_TESTS=1 to bootstrap at N = 2^15");
        return;
    }
    let preset = BootstrapPreset::named("small").expect("a preset of that name");
    let params = preset.build().expect("it builds");
    params.check_secure().expect("both secrets offer 128 bits");
    let mut f = Fixture::new(params, CACHE_BYTES);
    let mut vectors: Vec<_> = (0..RANDOM_VECTORS).map(|seed| f.random(seed)).collect();
    vectors.push(f.slots(|_| (1.0, 0.0)));
    vectors.push(f.slots(|i| if i % 2 == 0 { (1.0, 0.0) } else { (-1.0, 0.0) }));
    vectors.push(f.slots(|i| if i == 5 { (1.0, 0.0) } else { (0.0, 0.0) }));
    let level = f.params().input_level();
    for (index, slots) in vectors.iter().enumerate() {
        let a = f.encrypt(slots, level);
        let (worst, _) = f.errors(&f.boot.bootstrap(&a).expect("levels and keys"), slots);
        let bits = -worst.log2();
        assert!(bits >= preset.request.worst_bits, "vector {index} keeps {bits:.2} bits");
    }
    let mut slots = f.random(9);
    let mut a = f.encrypt(&slots, f.params().output_level());
    for _ in 0..CHAINED {
        let eval = f.boot.evaluator();
        let halved = eval.mul_const(&a, 0.5).and_then(|a| eval.rescale(&a)).expect("a level");
        let product = eval
            .drop_level(&a, halved.level())
            .and_then(|a| eval.mul_rescale(&a, &halved));
        a = f.boot.bootstrap(&product.expect("a level")).expect("levels and keys");
        let [re, _] = slots;
        slots = f.slots(|i| (re[i] * re[i] / 2.0, 0.0));
    }
    // Half a square does not enlarge an error.
    let (worst, _) = f.errors(&a, &slots);
    let bits = -worst.log2();
    assert!(bits >= preset.request.worst_bits - 1.0, "{bits:.2} bits");
}
