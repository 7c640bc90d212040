//! What a measurement was taken on.

use serde::Serialize;

/// Where Linux tells the processor's name.
const CPU_INFO: &str = "/proc/cpuinfo";

/// The machine and how much of it is used.
#[derive(Clone, Debug, Serialize)]
pub(in crate::commands) struct Machine {
    /// The processor's name; its architecture where the system does not tell.
    pub(in crate::commands) cpu: String,
    /// The kernel set.
    pub(in crate::commands) kernels: &'static str,
    /// How many threads compute.
    pub(in crate::commands) threads: usize,
}

impl Machine {
    /// This one.
    pub(in crate::commands) fn this(kernels: heron_ckks::Kernels) -> Self {
        Self {
            cpu: std::fs::read_to_string(CPU_INFO)
                .ok()
                .and_then(|info| model_name(&info))
                .unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            kernels: kernels.name(),
            threads: rayon::current_num_threads(),
        }
    }
}

fn model_name(info: &str) -> Option<String> {
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_what_follows_the_colon() {
        let info = "processor\t: 0\nmodel name\t: A B 9 @ 3.0GHz\nmodel name\t: other";
        assert_eq!(model_name(info).as_deref(), Some("A B 9 @ 3.0GHz"));
        assert_eq!(model_name("Features: fp asimd"), None);
    }
}
