//! Word buffers for limbs and keys: aligned to cache lines, on huge pages where they help, and reused through pools.
//!
//! With the kernels, this is the only file of the crate that contains `unsafe`.
#![expect(unsafe_code, reason = "aligned allocation, huge pages and the slices over them")]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroize;

/// Alignment of every buffer: a cache line, which is also the widest vector.
const LINE_BYTES: usize = 64;
/// Size and alignment of a huge page on x86-64 and on aarch64 with 4 KiB base pages.
const HUGE_PAGE_BYTES: usize = 2 << 20;
/// Words that [`limb_stride`] puts between limbs: limbs at a distance of a power of two would compete for the same sets
/// of the caches when a base conversion reads all of them at one offset.
const LIMB_PADDING: usize = 72;

/// The distance in words between consecutive limbs of `n` words in one buffer; a multiple of a cache line for `n >= 8`.
pub fn limb_stride(n: usize) -> usize {
    n + LIMB_PADDING
}

/// An owned buffer of 64-bit words, aligned to 64 bytes; from 2 MiB on it is aligned to huge pages and asks for them.
///
/// It dereferences to `[u64]`. A buffer from a [`Pool`] goes back to it when dropped. Contents are wiped on drop only
/// by the owner's call of [`Zeroize::zeroize`]: what holds a secret must call it.
pub struct Words {
    start: NonNull<u64>,
    len: usize,
    pool: Option<Pool>,
}

// SAFETY: a `Words` owns its memory alone, like a `Box<[u64]>`.
unsafe impl Send for Words {}
// SAFETY: shared access only reads, like `&Box<[u64]>`.
unsafe impl Sync for Words {}

impl Words {
    /// A buffer of `len` zeros.
    ///
    /// # Panics
    /// When `len` words exceed the address space; aborts like any allocation when memory runs out.
    pub fn zeroed(len: usize) -> Self {
        if len == 0 {
            return Self {
                start: NonNull::dangling(),
                len,
                pool: None,
            };
        }
        let layout = Self::layout(len);
        // SAFETY: the layout has a size above zero, as `len` is.
        let Some(start) = NonNull::new(unsafe { alloc(layout) }.cast::<u64>()) else {
            handle_alloc_error(layout)
        };
        // Before the first write, since a page is chosen when it is first touched.
        request_huge_pages(start.cast(), layout);
        // SAFETY: the allocation has `len` words; all zeros is a valid word.
        unsafe { start.as_ptr().write_bytes(0, len) };
        Self { start, len, pool: None }
    }

    fn layout(len: usize) -> Layout {
        let bytes = len
            .checked_mul(size_of::<u64>())
            .expect("a buffer within the address space");
        let align = if bytes >= HUGE_PAGE_BYTES {
            HUGE_PAGE_BYTES
        } else {
            LINE_BYTES
        };
        Layout::from_size_align(bytes, align).expect("a buffer within the address space")
    }
}

/// Asks the kernel to back the whole huge pages of a fresh allocation by such; a refusal costs speed only.
#[cfg(target_os = "linux")]
fn request_huge_pages(start: NonNull<u8>, layout: Layout) {
    let whole_bytes = layout.size() - layout.size() % HUGE_PAGE_BYTES;
    if layout.align() == HUGE_PAGE_BYTES && whole_bytes > 0 {
        // SAFETY: the range lies inside the allocation, and this advice changes no contents.
        let refused = unsafe {
            rustix::mm::madvise(start.as_ptr().cast(), whole_bytes, rustix::mm::Advice::LinuxHugepage).is_err()
        };
        // Kernels built without transparent huge pages refuse, and nothing needs to be done about it.
        let _ = refused;
    }
}

#[cfg(not(target_os = "linux"))]
fn request_huge_pages(_start: NonNull<u8>, _layout: Layout) {}

impl Deref for Words {
    type Target = [u64];

    fn deref(&self) -> &[u64] {
        // SAFETY: `start` has `len` initialised words, or `len` is 0 and `start` is dangling and aligned.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Words {
    fn deref_mut(&mut self) -> &mut [u64] {
        // SAFETY: as for `deref`, and `&mut self` is the only access.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Clone for Words {
    /// A copy of the contents; from the same pool, if there is one.
    fn clone(&self) -> Self {
        let mut copy = match &self.pool {
            Some(pool) => pool.take(self.len),
            None => Self::zeroed(self.len),
        };
        copy.copy_from_slice(self);
        copy
    }
}

impl Zeroize for Words {
    /// As `[u64]::zeroize`, which writes word by word, at the speed of memory.
    fn zeroize(&mut self) {
        self.fill(0);
        keep_writes(self);
    }
}

/// Makes the compiler carry out every write to `words` that comes before, even if nothing reads them any more.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn keep_writes(words: &mut [u64]) {
    // SAFETY: there is no instruction; the compiler must take it for one that reads what the pointer leads to.
    unsafe { std::arch::asm!("/* {0} */", in(reg) words.as_mut_ptr(), options(nostack, preserves_flags)) };
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn keep_writes(words: &mut [u64]) {
    words.zeroize();
}

impl fmt::Debug for Words {
    /// Prints the length alone: contents may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Words({})", self.len)
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        if self.len == 0 {
            return;
        }
        if let Some(pool) = self.pool.take() {
            pool.put_back(Self {
                start: self.start,
                len: self.len,
                pool: None,
            });
            return;
        }
        // SAFETY: allocated by `zeroed` with the same layout, and not used again.
        unsafe { dealloc(self.start.as_ptr().cast(), Self::layout(self.len)) };
    }
}

/// Buffers kept for reuse, by length: a steady-state evaluation allocates nothing. Clones share the same buffers.
#[derive(Clone, Default)]
pub struct Pool {
    free: Arc<Mutex<BTreeMap<usize, Vec<Words>>>>,
    allocated: Arc<AtomicU64>,
}

impl Pool {
    /// An empty pool.
    pub fn new() -> Self {
        Self::default()
    }

    /// A buffer of `len` words, which returns here when it is dropped. Its contents are those of an earlier use, or zeros:
    /// the caller overwrites them.
    pub fn take(&self, len: usize) -> Words {
        if len == 0 {
            return Words::zeroed(0);
        }
        let reused = self.lock().get_mut(&len).and_then(Vec::pop);
        let mut words = reused.unwrap_or_else(|| {
            self.allocated.fetch_add(1, Ordering::Relaxed);
            Words::zeroed(len)
        });
        words.pool = Some(self.clone());
        words
    }

    /// Frees all buffers that are not in use.
    pub fn trim(&self) {
        let freed = std::mem::take(&mut *self.lock());
        drop(freed);
    }

    /// How many buffers were allocated since the pool was made, because none of their length waited for reuse.
    pub fn allocated(&self) -> u64 {
        self.allocated.load(Ordering::Relaxed)
    }

    /// Bytes of the buffers that wait for reuse.
    pub fn idle_bytes(&self) -> usize {
        self.lock()
            .iter()
            .map(|(len, buffers)| len * size_of::<u64>() * buffers.len())
            .sum()
    }

    fn put_back(&self, words: Words) {
        self.lock().entry(words.len).or_default().push(words);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<usize, Vec<Words>>> {
        // A panic elsewhere leaves the lists whole: each change is one push or pop.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({} idle bytes)", self.idle_bytes())
    }
}

thread_local! {
    /// What transforms use between their passes; grown to the largest ring a thread has worked on.
    static SCRATCH: RefCell<Words> = RefCell::new(Words::zeroed(0));
}

/// Calls `work` with `len` words of scratch that belongs to the thread. Contents on entry are arbitrary. A nested call
/// gets a buffer of its own.
///
/// Scratch may hold what a transform of a secret leaves behind; it is wiped by [`wipe_scratch`].
pub(crate) fn with_scratch<R>(len: usize, work: impl FnOnce(&mut [u64]) -> R) -> R {
    SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
        Ok(mut words) => {
            if words.len() < len {
                *words = Words::zeroed(len);
            }
            work(&mut words[..len])
        }
        Err(_) => work(&mut Words::zeroed(len)),
    })
}

/// Overwrites the calling thread's scratch with zeros: to be called after transforms of secret polynomials.
pub(crate) fn wipe_scratch() {
    SCRATCH.with(|scratch| {
        if let Ok(mut words) = scratch.try_borrow_mut() {
            words.zeroize();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_start_as_aligned_zeros() {
        for len in [0, 1, 7, 512, HUGE_PAGE_BYTES / 8 - 1, HUGE_PAGE_BYTES / 8 + 5] {
            let words = Words::zeroed(len);
            assert_eq!(words.len(), len);
            assert!(words.iter().all(|&word| word == 0));
            assert!(len == 0 || words.as_ptr().addr().is_multiple_of(LINE_BYTES));
        }
    }

    #[test]
    fn a_dropped_buffer_returns_to_its_pool() {
        let pool = Pool::new();
        let first = pool.take(100).as_ptr();
        let again = pool.take(100);
        assert_eq!(again.as_ptr(), first);
        let copy = again.clone();
        drop(again);
        drop(copy);
        assert_eq!((pool.idle_bytes(), pool.allocated()), (2 * 800, 2));
        pool.trim();
        assert_eq!(pool.idle_bytes(), 0);
    }

    #[test]
    fn nested_scratch_is_separate() {
        with_scratch(16, |outer| {
            outer.fill(7);
            with_scratch(16, |inner| inner.fill(9));
            assert!(outer.iter().all(|&word| word == 7));
        });
        wipe_scratch();
        with_scratch(16, |scratch| assert!(scratch.iter().all(|&word| word == 0)));
    }

    #[test]
    fn debug_output_hides_the_contents() {
        let mut words = Words::zeroed(2);
        words[0] = 4711;
        assert_eq!(format!("{words:?}"), "Words(2)");
        words.zeroize();
        assert_eq!(words[..], [0, 0]);
    }
}
