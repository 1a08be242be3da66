//! A datagram in somebody else's memory, with room to grow.

/// How much tail room a buffer should have: the longest tag, an SRTCP index and a short MKI.
///
/// A packet that does not fit its buffer once protected is dropped, never cut.
pub const TAIL_ROOM_BYTES: usize = 64;

/// A datagram at the start of a buffer; protection may grow it to the end of the buffer.
#[derive(Debug)]
pub struct PacketBuf<'a> {
    buffer: &'a mut [u8],
    length: usize,
}

impl<'a> PacketBuf<'a> {
    /// The first `length` bytes of `buffer` as a datagram; the whole buffer if there are fewer.
    pub fn new(buffer: &'a mut [u8], length: usize) -> Self {
        let length = length.min(buffer.len());
        Self { buffer, length }
    }

    /// The datagram.
    #[inline]
    pub fn data(&self) -> &[u8] {
        &self.buffer[..self.length]
    }

    /// The datagram, to be changed in place.
    #[inline]
    pub fn data_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[..self.length]
    }

    /// Bytes of the datagram.
    #[inline]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether it has no bytes.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Cuts the datagram to its first `length` bytes.
    #[inline]
    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// Grows the datagram by `extra` bytes of whatever was there; `false` when there is no room.
    #[inline]
    pub fn grow(&mut self, extra: usize) -> bool {
        let fits = extra <= self.buffer.len() - self.length;
        if fits {
            self.length += extra;
        }
        fits
    }
}
