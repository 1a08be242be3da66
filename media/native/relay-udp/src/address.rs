//! Socket addresses in the form the kernel wants.

use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Bytes that hold an address of either family.
pub(crate) const ADDRESS_BYTES: usize = mem::size_of::<libc::sockaddr_in6>();

/// An IPv4 or IPv6 socket address as the kernel reads and writes it.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(crate) struct RawAddress {
    bytes: [u8; ADDRESS_BYTES],
    len: libc::socklen_t,
}

impl RawAddress {
    /// An address for the kernel to fill in.
    pub(crate) const fn empty() -> Self {
        Self { bytes: [0; ADDRESS_BYTES], len: ADDRESS_BYTES as libc::socklen_t }
    }

    /// How many of the bytes count.
    pub(crate) const fn len(&self) -> libc::socklen_t {
        self.len
    }

    pub(crate) const fn as_ptr(&self) -> *const libc::sockaddr {
        (&raw const self.bytes).cast()
    }

    pub(crate) const fn as_mut_ptr(&mut self) -> *mut libc::sockaddr {
        (&raw mut self.bytes).cast()
    }

    /// The address, if the kernel wrote one that we know.
    pub(crate) fn decode(&self) -> Option<SocketAddr> {
        decode(&self.bytes)
    }
}

impl From<SocketAddr> for RawAddress {
    fn from(address: SocketAddr) -> Self {
        let mut bytes = [0; ADDRESS_BYTES];
        let len = match address {
            SocketAddr::V4(v4) => {
                bytes[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
                bytes[2..4].copy_from_slice(&v4.port().to_be_bytes());
                bytes[4..8].copy_from_slice(&v4.ip().octets());
                mem::size_of::<libc::sockaddr_in>()
            }
            SocketAddr::V6(v6) => {
                bytes[..2].copy_from_slice(&(libc::AF_INET6 as u16).to_ne_bytes());
                bytes[2..4].copy_from_slice(&v6.port().to_be_bytes());
                bytes[8..24].copy_from_slice(&v6.ip().octets());
                bytes[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
                ADDRESS_BYTES
            }
        };
        Self { bytes, len: len as libc::socklen_t }
    }
}

/// Reads an address that the kernel wrote. The flow label is left out: it names no endpoint.
#[inline]
pub(crate) fn decode(bytes: &[u8; ADDRESS_BYTES]) -> Option<SocketAddr> {
    let family = i32::from(u16::from_ne_bytes([bytes[0], bytes[1]]));
    let port = u16::from_be_bytes([bytes[2], bytes[3]]);
    if family == libc::AF_INET {
        let host = Ipv4Addr::new(bytes[4], bytes[5], bytes[6], bytes[7]);
        return Some(SocketAddrV4::new(host, port).into());
    }
    if family == libc::AF_INET6 {
        let mut host = [0; 16];
        host.copy_from_slice(&bytes[8..24]);
        let scope = u32::from_ne_bytes([bytes[24], bytes[25], bytes[26], bytes[27]]);
        return Some(SocketAddrV6::new(Ipv6Addr::from(host), port, 0, scope).into());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_survives_the_kernel_form() {
        for text in ["192.0.2.7:5004", "[2001:db8::7]:65535", "[fe80::1%3]:4000", "[::]:0"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(RawAddress::from(address).decode(), Some(address));
        }
    }

    #[test]
    fn what_the_kernel_never_writes_is_no_address() {
        assert_eq!(RawAddress::empty().decode(), None);
    }
}
