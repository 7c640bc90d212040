//! How long the diagonals of the largest shipped layer take: they are computed where others read them from a disk.

use std::time::{Duration, Instant};

use heron_params::Rotation;
use heron_plan::{BabyGiant, ConstId, Diagonals, Geometry, LinearMap, VectorLayout};

/// Measured 0.4 ms in a release build; the limit leaves room for a loaded machine and an unoptimised build.
const LIMIT: Duration = Duration::from_millis(200);

#[test]
fn diagonals_of_the_largest_shipped_layer_take_milliseconds() {
    let map = LinearMap {
        geometry: Geometry::Dense {
            weights: ConstId(0),
            rows: 128,
            cols: 784,
        },
        input: VectorLayout::vector(784, 1024),
        output: VectorLayout::vector(128, 128),
        steps: BabyGiant { baby: 8 },
        fold: [128, 256, 512].map(Rotation).to_vec(),
    };
    let weights = vec![0.5; 784 * 128];
    let mut out = vec![0.0; 4096];
    let start = Instant::now();
    let (diagonals, steps) = (Diagonals::new(&map, &weights), map.giant_steps());
    for giant in &steps {
        for &d in &giant.diagonals {
            diagonals.write(d, giant.rotation, &mut out);
        }
    }
    let took = start.elapsed();
    println!("{} diagonals in {took:?}", map.diagonals().len());
    assert!(took < LIMIT, "{took:?}");
}
