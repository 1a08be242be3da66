//! Buffers that the kernel takes by itself when a datagram comes (io_uring provided buffers).

use std::alloc::{self, Layout};
use std::io;
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

use crate::address::{self, ADDRESS_BYTES};
use crate::worker::{READ_BYTES, ROOM_BYTES};

/// How many buffers one worker has; never more, so a flood waits in the sockets and not here.
pub(crate) const BUFFERS: u16 = 1024;
/// The group by which receives name these buffers.
pub(crate) const GROUP: u16 = 0;
/// What the kernel writes before the source: lengths and flags.
const HEADER_BYTES: usize = 16;
const PAYLOAD_AT: usize = HEADER_BYTES + ADDRESS_BYTES;
const BUFFER_BYTES: usize = (PAYLOAD_AT + ROOM_BYTES).next_multiple_of(64);
const PAGE_BYTES: usize = 4096;

/// The buffers and the ring by which they are given to the kernel.
///
/// A buffer belongs to the kernel from `lend` until a completion names it.
pub(crate) struct Buffers {
    memory: NonNull<u8>,
    ring: NonNull<BufRingEntry>,
    tail: u16,
}

// SAFETY: both allocations are owned, and touched only through this value.
unsafe impl Send for Buffers {}

/// A datagram that the kernel wrote into a buffer.
pub(crate) struct Received<'a> {
    pub(crate) source: Option<std::net::SocketAddr>,
    /// The datagram and the free room behind it.
    pub(crate) room: &'a mut [u8],
    pub(crate) bytes: usize,
}

impl Buffers {
    const MEMORY: Layout = layout(BUFFERS as usize * BUFFER_BYTES);
    const RING: Layout = layout(BUFFERS as usize * size_of::<BufRingEntry>());

    /// Makes the buffers, tells the kernel and lends it all of them.
    pub(crate) fn register(submitter: &Submitter<'_>) -> io::Result<Self> {
        let mut buffers =
            Self { memory: allocate(Self::MEMORY)?, ring: allocate(Self::RING)?.cast(), tail: 0 };
        let at = buffers.ring.as_ptr() as u64;
        // SAFETY: the ring is page-aligned, of that many entries, and outlives the io_uring: its
        // owner drops that first.
        unsafe { submitter.register_buf_ring_with_flags(at, BUFFERS, GROUP, 0)? };
        for buffer in 0..BUFFERS {
            buffers.lend(buffer);
        }
        buffers.publish();
        Ok(buffers)
    }

    /// Gives a buffer to the kernel, which sees it after the next `publish`.
    pub(crate) fn lend(&mut self, buffer: u16) {
        let slot = usize::from(self.tail & (BUFFERS - 1));
        // SAFETY: the slot is inside the ring; the kernel does not read it before `publish`.
        let entry = unsafe { self.ring.add(slot).as_mut() };
        entry.set_addr(self.start(buffer) as u64);
        entry.set_len((PAYLOAD_AT + READ_BYTES) as u32);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Shows the kernel what was lent.
    pub(crate) fn publish(&mut self) {
        // SAFETY: the tail lies in the first entry's reserved field, is aligned, and both sides
        // access it atomically.
        let tail = unsafe { &*BufRingEntry::tail(self.ring.as_ptr()).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }

    /// The datagram of a completed receive, or None when the kernel wrote none.
    ///
    /// `buffer` must be one that a completion has just named, and `written` what it said.
    pub(crate) fn received(&mut self, buffer: u16, written: usize) -> Option<Received<'_>> {
        assert!(buffer < BUFFERS, "the kernel named a buffer that was never lent");
        let bytes = written.checked_sub(PAYLOAD_AT)?.min(READ_BYTES);
        // SAFETY: the completion gave the buffer back, so nobody else touches these bytes.
        let whole = unsafe { slice::from_raw_parts_mut(self.start(buffer), BUFFER_BYTES) };
        let (head, room) = whole.split_at_mut(PAYLOAD_AT);
        let name = head.last_chunk::<ADDRESS_BYTES>()?;
        Some(Received { source: address::decode(name), room, bytes })
    }

    fn start(&self, buffer: u16) -> *mut u8 {
        // SAFETY: callers name buffers below BUFFERS, so this stays inside the allocation.
        unsafe { self.memory.as_ptr().add(usize::from(buffer) * BUFFER_BYTES) }
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: allocated with these layouts; the io_uring that used them is gone.
        unsafe {
            alloc::dealloc(self.memory.as_ptr(), Self::MEMORY);
            alloc::dealloc(self.ring.as_ptr().cast(), Self::RING);
        }
    }
}

const fn layout(bytes: usize) -> Layout {
    match Layout::from_size_align(bytes, PAGE_BYTES) {
        Ok(layout) => layout,
        Err(_) => panic!("sizes are constants"),
    }
}

fn allocate(layout: Layout) -> io::Result<NonNull<u8>> {
    // SAFETY: the layouts have a size.
    let memory = unsafe { alloc::alloc_zeroed(layout) };
    NonNull::new(memory).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}
