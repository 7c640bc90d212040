//! The one module of the libraries that touches the file system: plan directories, keys, ciphertexts and tensors.
//!
//! Whatever is read is untrusted: lengths are checked against the file before anything is allocated, checksums before
//! anything is parsed. Whatever is written appears under its name complete or not at all.

mod atomic;
mod ciphertexts;
mod container;
mod disk;
mod error;
mod inspect;
mod keys;
mod meter;
mod npy;
mod partial;
mod plan_dir;
mod stream;
mod tensors;
#[cfg(feature = "tfhe")]
mod tfhe;

pub use atomic::{Overwrite, check_output_path, write_bytes};
pub use ciphertexts::{read_ciphertexts, write_ciphertexts};
pub use container::{ContainerError, FileKind};
pub use disk::{free_bytes, require_free};
pub use error::FileError;
pub use inspect::{FileInfo, inspect};
pub use keys::{KeyFiles, read_evaluation_keys, read_public_key, read_secret_key, write_keys};
pub use partial::remove_partial_files;
pub use plan_dir::{PlanBundle, client_path, read_client, read_client_file, read_plan, read_report, write_plan};
pub use tensors::{Elements, Tensor, TensorError, read_tensor, write_tensor};
#[cfg(feature = "tfhe")]
pub use tfhe::{
    check_tfhe_room, read_tfhe_evaluation_keys, read_tfhe_inputs, read_tfhe_outputs, read_tfhe_secret_key,
    write_tfhe_inputs, write_tfhe_keys, write_tfhe_outputs,
};
