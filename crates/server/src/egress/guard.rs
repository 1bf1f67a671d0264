//! Which addresses may be called.
//!
//! A server that calls URLs which others choose is asked to call what only it can reach: itself,
//! its neighbours, the cloud's metadata service (OWASP: server-side request forgery). So every
//! address is checked after it was resolved, and it is the checked address that is connected to: a
//! name that says one thing now and another a moment later gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Networks that are not the public internet: the special-purpose registries of IANA (RFC 6890 and
/// what was added since), multicast, and addresses that carry an IPv4 address inside.
const INTERNAL_V4: [Ipv4Net; 15] = [
    v4(0, 0, 0, 0, 8),
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    v4(169, 254, 0, 0, 16),
    v4(172, 16, 0, 0, 12),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(192, 168, 0, 0, 16),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
];

/// The only part of IPv6 that is routed publicly, and what of it is not.
const PUBLIC_V6: Ipv6Net = v6(0x2000, 0, 3);
const INTERNAL_V6: [Ipv6Net; 5] = [
    v6(0x2001, 0, 23),
    v6(0x2001, 0xdb8, 32),
    v6(0x2002, 0, 16),
    v6(0x3fff, 0, 20),
    v6(0x2620, 0x4f, 48),
];

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), prefix)
}

/// Which addresses are called.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guard {
    allowed: Vec<IpNet>,
}

impl Guard {
    /// Reads networks that are allowed although they are internal: `10.0.0.0/8`, `127.0.0.1`.
    ///
    /// # Errors
    /// The place in the list of the first that is neither a network nor an address.
    pub(crate) fn new(allowed: &[String]) -> Result<Self, usize> {
        let read = |(place, text): (usize, &String)| {
            let network = text.parse::<IpNet>().ok();
            network.or_else(|| Some(IpNet::from(text.parse::<IpAddr>().ok()?))).ok_or(place)
        };
        Ok(Self { allowed: allowed.iter().enumerate().map(read).collect::<Result<_, _>>()? })
    }

    /// Whether the operator named this address's network.
    pub(crate) fn is_named(&self, address: IpAddr) -> bool {
        let address = plain(address);
        self.allowed.iter().any(|network| network.contains(&address))
    }

    /// Whether this address may be called.
    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        self.is_named(address) || is_public(plain(address))
    }
}

/// An IPv4 address that is written as one of IPv6 is what it is.
fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !INTERNAL_V4.iter().any(|network| network.contains(&v4)),
        IpAddr::V6(v6) => {
            PUBLIC_V6.contains(&v6) && !INTERNAL_V6.iter().any(|network| network.contains(&v6))
        }
    }
}
