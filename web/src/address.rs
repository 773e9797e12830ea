//! Addresses of clients, where something is counted by them.

use std::net::{IpAddr, Ipv6Addr};

use actix_web::HttpRequest;

/// Whose an address is: of IPv6 all of its network of 64 bits, since whoever has one of these has all of them.
pub(crate) fn owner(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

/// Whose the address is that a request comes from. What a header says of it cannot be believed, so all that comes through a
/// proxy is of the proxy.
pub(crate) fn owner_of(request: &HttpRequest) -> Option<IpAddr> {
    request.peer_addr().map(|address| owner(address.ip()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_network_is_one_client() {
        let owner = |text: &str| super::owner(text.parse().unwrap()).to_string();
        assert_eq!(owner("192.0.2.7"), "192.0.2.7");
        assert_eq!(owner("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(owner("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(owner("2001:db8:1:2:ffff::1"), "2001:db8:1:2::");
        assert_ne!(owner("2001:db8:1:3::1"), "2001:db8:1:2::");
    }
}
