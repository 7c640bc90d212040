//! Word buffers for limbs and keys: aligned to cache lines, on huge pages where they help, and reused through pools.
//!
//! With the kernels, this is the only file of the crate that contains `unsafe`.
#![expect(unsafe_code, reason = "aligned allocation, huge pages and the slices over them")]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
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
/// The largest size of a page that is not huge on Linux: what mappings end at.
#[cfg(target_os = "linux")]
const PAGE_BYTES: usize = 64 << 10;
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
    /// Words that were allocated: a buffer from a pool may be longer than what was asked for.
    capacity: usize,
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
                capacity: len,
                pool: None,
            };
        }
        let layout = Self::layout(len);
        let start = allocate_zeroed(layout).unwrap_or_else(|| handle_alloc_error(layout));
        Self {
            start: start.cast(),
            len,
            capacity: len,
            pool: None,
        }
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

/// Zeroed memory, which [`free`] gives back. From a huge page on it comes from the system itself, already zeroed: zeroing it
/// here would fetch it once more, and memory from the system is first touched where it is first used.
fn allocate_zeroed(layout: Layout) -> Option<NonNull<u8>> {
    #[cfg(target_os = "linux")]
    if layout.align() == HUGE_PAGE_BYTES {
        return map_huge_pages(layout);
    }
    // SAFETY: the layout has a size above zero, as every caller's has.
    NonNull::new(unsafe { alloc_zeroed(layout) })
}

/// # Safety
/// The memory is from [`allocate_zeroed`] with this layout and is not used again.
unsafe fn free(start: NonNull<u8>, layout: Layout) {
    #[cfg(target_os = "linux")]
    if layout.align() == HUGE_PAGE_BYTES {
        // SAFETY: these are the whole pages that were mapped, as the caller says. Such a call does not fail.
        let _ = unsafe { rustix::mm::munmap(start.as_ptr().cast(), layout.size().next_multiple_of(PAGE_BYTES)) };
        return;
    }
    // SAFETY: allocated by `alloc_zeroed` with the same layout, as the caller says.
    unsafe { dealloc(start.as_ptr(), layout) };
}

/// Maps pages from an aligned address on, and asks the system to back the whole huge pages by such; a refusal costs speed
/// only.
#[cfg(target_os = "linux")]
fn map_huge_pages(layout: Layout) -> Option<NonNull<u8>> {
    use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};
    let bytes = layout.size().checked_next_multiple_of(PAGE_BYTES)?;
    let mapped_bytes = bytes.checked_add(HUGE_PAGE_BYTES)?;
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a mapping at an address that the system chooses replaces nothing.
    let mapped = unsafe { mmap_anonymous(std::ptr::null_mut(), mapped_bytes, access, MapFlags::PRIVATE) }.ok()?;
    let before = mapped.addr().next_multiple_of(HUGE_PAGE_BYTES) - mapped.addr();
    let after = HUGE_PAGE_BYTES - before;
    // SAFETY: `before` is less than a huge page, by which the mapping is longer than `bytes`; what is given back lies inside
    // the mapping, before and after the part that is kept, in whole pages; the advice changes no contents. None of the
    // calls has a failure that matters.
    unsafe {
        let start = mapped.byte_add(before);
        if before > 0 {
            let _ = munmap(mapped, before);
        }
        let _ = munmap(start.byte_add(bytes), after);
        let _ = madvise(start, bytes - bytes % HUGE_PAGE_BYTES, Advice::LinuxHugepage);
        NonNull::new(start.cast())
    }
}

impl Deref for Words {
    type Target = [u64];

    fn deref(&self) -> &[u64] {
        // SAFETY: `start` has at least `len` initialised words, or `len` is 0 and `start` is dangling and aligned.
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
                len: self.capacity,
                capacity: self.capacity,
                pool: None,
            });
            return;
        }
        // SAFETY: allocated by `zeroed` with the layout of that capacity, and not used again.
        unsafe { free(self.start.cast(), Self::layout(self.capacity)) };
    }
}

/// How many times longer than asked for a reused buffer may be: polynomials of one level then serve lower levels, and the
/// largest sums are not taken for single polynomials.
const MOST_EXCESS: usize = 4;

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
        let reused = self.shortest_idle(len);
        let mut words = reused.unwrap_or_else(|| {
            self.allocated.fetch_add(1, Ordering::Relaxed);
            Words::zeroed(len)
        });
        words.len = len;
        words.pool = Some(self.clone());
        words
    }

    /// The shortest waiting buffer that is long enough and not much too long.
    fn shortest_idle(&self, len: usize) -> Option<Words> {
        let mut free = self.lock();
        let mut fitting = free.range_mut(len..=len.saturating_mul(MOST_EXCESS));
        fitting.find_map(|(_, buffers)| buffers.pop())
    }

    /// Frees all buffers that are not in use.
    pub fn trim(&self) {
        let freed = std::mem::take(&mut *self.lock());
        drop(freed);
    }

    /// How many buffers were allocated since the pool was made, because none that fits waited for reuse.
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
    fn a_longer_buffer_serves_until_there_is_one_that_fits() {
        let pool = Pool::new();
        drop(pool.take(300));
        let short = pool.take(100);
        assert_eq!((short.len(), pool.allocated()), (100, 1));
        let copy = short.clone();
        assert_eq!((copy.len(), pool.allocated()), (100, 2));
        drop((short, copy));
        assert_eq!(pool.idle_bytes(), 8 * (300 + 100));
        let (fitting, long) = (pool.take(90), pool.take(250));
        assert_eq!((fitting.len(), long.len(), pool.allocated()), (90, 250, 2));
        drop(long);
        assert_eq!(pool.take(300 / MOST_EXCESS - 1).len(), 300 / MOST_EXCESS - 1);
        assert_eq!(pool.allocated(), 3, "much too long a buffer is left alone");
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
