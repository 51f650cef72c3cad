//! Socket addresses, from and to the bytes of `struct sockaddr`.

use crate::Errno;

use super::AF_UNIX;

/// Longest `sockaddr` (`struct sockaddr_storage`).
pub const MAX_LEN: usize = 128;
/// Bytes of `sun_path`.
const SUN_PATH: usize = 108;

/// An address.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub enum Address {
    /// `AF_UNSPEC`: dissolves an association.
    Unspecified,
    /// `man 7 unix`
    Unix(UnixAddress),
    /// A family that no socket here has: family number.
    Other(u16),
}

/// An address of a Unix socket.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub enum UnixAddress {
    /// None: an unbound socket, or a request for automatic binding.
    Unnamed,
    /// A name in the file tree, as it was given.
    Path(Vec<u8>),
    /// A name in the abstract namespace, without the leading NUL.
    Abstract(Vec<u8>),
}

impl Address {
    /// Decodes a `sockaddr`.
    ///
    /// # Errors
    /// EINVAL for too few or too many bytes.
    pub fn decode(bytes: &[u8]) -> Result<Address, Errno> {
        let Some((family, rest)) = bytes.split_first_chunk::<2>() else { return Err(Errno::EINVAL) };
        match u16::from_ne_bytes(*family) {
            0 => Ok(Address::Unspecified),
            AF_UNIX if rest.len() > SUN_PATH => Err(Errno::EINVAL),
            AF_UNIX => Ok(Address::Unix(match rest.split_first() {
                None => UnixAddress::Unnamed,
                Some((0, name)) => UnixAddress::Abstract(name.to_vec()),
                Some(_) => {
                    let end = rest.iter().position(|&byte| byte == 0).unwrap_or(rest.len());
                    UnixAddress::Path(rest[..end].to_vec())
                }
            })),
            other => Ok(Address::Other(other)),
        }
    }

    /// Whether it names nobody: a receiver is then told no address at all.
    pub fn is_unnamed(&self) -> bool {
        *self == Address::Unix(UnixAddress::Unnamed)
    }

    /// Encodes to a `sockaddr`.
    pub fn encode(&self) -> Vec<u8> {
        let family = match self {
            Address::Unspecified => 0,
            Address::Unix(_) => AF_UNIX,
            Address::Other(family) => *family,
        };
        let mut bytes = family.to_ne_bytes().to_vec();
        match self {
            Address::Unix(UnixAddress::Path(path)) => {
                bytes.extend_from_slice(path);
                if path.len() < SUN_PATH {
                    bytes.push(0);
                }
            }
            Address::Unix(UnixAddress::Abstract(name)) => {
                bytes.push(0);
                bytes.extend_from_slice(name);
            }
            _ => {}
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_way_to_bytes_and_back() {
        for address in [
            Address::Unix(UnixAddress::Unnamed),
            Address::Unix(UnixAddress::Path(b"/tmp/x".to_vec())),
            Address::Unix(UnixAddress::Abstract(b"a\0b".to_vec())),
        ] {
            assert_eq!(Address::decode(&address.encode()), Ok(address));
        }
    }

    #[test]
    fn bytes_that_are_no_address_are_refused() {
        assert_eq!(Address::decode(&[1]), Err(Errno::EINVAL));
        assert_eq!(Address::decode(&[&[1, 0][..], &[b'x'; 109]].concat()), Err(Errno::EINVAL));
    }
}
