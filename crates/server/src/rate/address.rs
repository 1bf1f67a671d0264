//! Whose address a request comes from.

use std::net::{IpAddr, Ipv6Addr};

use hyper::header::HeaderMap;
use ipnet::IpNet;

/// Addresses in a request's `X-Forwarded-For` that are looked at: proxies behind proxies.
const HOPS: usize = 16;

/// Networks of proxies that say whom they speak for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies(Vec<IpNet>);

impl Proxies {
    /// Reads networks and addresses.
    ///
    /// # Errors
    /// The place in the list of the first that is neither.
    pub(crate) fn new(list: &[String]) -> Result<Self, usize> {
        let read = |(place, text): (usize, &String)| {
            let network = text.parse::<IpNet>().ok();
            network.or_else(|| Some(IpNet::from(text.parse::<IpAddr>().ok()?))).ok_or(place)
        };
        Ok(Self(list.iter().enumerate().map(read).collect::<Result<_, _>>()?))
    }

    fn has(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The address of the client itself. What `X-Forwarded-For` says is believed from its end, as
    /// far as proxies of ours wrote it: anybody can write what they like in front.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if self.0.is_empty() || !self.has(client) {
            return client;
        }
        let lists = headers.get_all("x-forwarded-for").iter().filter_map(|v| v.to_str().ok());
        let lists: Vec<&str> = lists.collect();
        let hops = lists.iter().rev().flat_map(|list| list.rsplit(','));
        for hop in hops.take(HOPS) {
            let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
            client = address.to_canonical();
            if !self.has(client) {
                break;
            }
        }
        client
    }
}

/// What an address is counted under, never 0. Whoever has one address of IPv6 has a network of
/// them.
pub(crate) fn key_of(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(v4) => 1 << 32 | u64::from(v4.to_bits()),
        IpAddr::V6(v6) => network_of(v6).max(1),
    }
}

fn network_of(address: Ipv6Addr) -> u64 {
    u64::try_from(address.to_bits() >> 64).unwrap_or(u64::MAX)
}
