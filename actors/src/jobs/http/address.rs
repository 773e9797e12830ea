//! Which addresses a request may be sent to.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use thiserror::Error;

/// Blocks of IPv4 that are no public ones (IANA's registry of special purposes), and one public address at which
/// machines of a cloud are asked for their secrets. Their names say what they are for.
const SPECIAL_V4: &[(Ipv4Net, &str)] = &[
    (v4([0, 0, 0, 0], 8), "an unspecified"),
    (v4([10, 0, 0, 0], 8), "a private"),
    (v4([100, 64, 0, 0], 10), "a shared (carrier's)"),
    (v4([127, 0, 0, 0], 8), "a loopback"),
    (v4([168, 63, 129, 16], 32), "a metadata service's"),
    (v4([169, 254, 0, 0], 16), "a link-local (metadata service's)"),
    (v4([172, 16, 0, 0], 12), "a private"),
    (v4([192, 0, 0, 0], 24), "a protocol's"),
    (v4([192, 0, 2, 0], 24), "a documentation"),
    (v4([192, 88, 99, 0], 24), "a relay's"),
    (v4([192, 168, 0, 0], 16), "a private"),
    (v4([198, 18, 0, 0], 15), "a benchmarking"),
    (v4([198, 51, 100, 0], 24), "a documentation"),
    (v4([203, 0, 113, 0], 24), "a documentation"),
    (v4([224, 0, 0, 0], 4), "a multicast"),
    (v4([240, 0, 0, 0], 4), "a reserved"),
];
/// The one block of IPv6 that public addresses are taken from.
const PUBLIC_V6: Ipv6Net = v6([0x2000, 0], 3);
/// Blocks within it that are no public ones.
const SPECIAL_V6: &[(Ipv6Net, &str)] = &[
    (v6([0x2001, 0], 23), "a protocol's"),
    (v6([0x2001, 0xdb8], 32), "a documentation"),
    (v6([0x2002, 0], 16), "a tunnel's (6to4)"),
    (v6([0x3fff, 0], 20), "a documentation"),
];
/// Blocks outside of it that have a better name than "special".
const NAMED_V6: &[(Ipv6Net, &str)] = &[
    (v6([0xfc00, 0], 7), "a private"),
    (v6([0xfe80, 0], 10), "a link-local"),
    (v6([0xff00, 0], 8), "a multicast"),
];
/// The prefix under which IPv6 reaches IPv4 through a translator.
const TRANSLATED: Ipv6Net = v6([0x64, 0xff9b], 96);

const fn v4(octets: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]), prefix)
}

const fn v6(start: [u16; 2], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(start[0], start[1], 0, 0, 0, 0, 0, 0), prefix)
}

/// The addresses that requests may be sent to besides public ones. None by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressRules(Vec<IpNet>);

/// A text is neither an address nor a block of them.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is neither an address nor a block of addresses, such as \"10.1.2.3\" or \"10.0.0.0/8\"")]
pub struct InvalidAddress(String);

impl AddressRules {
    /// Allows addresses (`127.0.0.1`) and blocks of them (`10.0.0.0/8`, `fd00::/8`).
    ///
    /// # Errors
    /// The first entry that is neither.
    pub fn new(entries: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, InvalidAddress> {
        let parse = |text: &str| {
            let address = text.parse().map(|address: IpAddr| IpNet::from(address.to_canonical()));
            address.or_else(|_| text.parse()).map_err(|_| InvalidAddress(text.chars().take(100).collect()))
        };
        entries.into_iter().map(|entry| parse(entry.as_ref())).collect::<Result<_, _>>().map(AddressRules)
    }

    /// Why a request may not be sent there: what kind of address it is. `None`: it may.
    pub(super) fn refuse(&self, address: IpAddr) -> Option<Special> {
        // ::ffff:127.0.0.1 reaches what 127.0.0.1 reaches.
        let address = address.to_canonical();
        if self.0.iter().any(|block| block.contains(&address)) {
            return None;
        }
        match address {
            IpAddr::V4(address) => special_v4(address),
            IpAddr::V6(address) => match translated(address) {
                Some(behind) => self.refuse(IpAddr::V4(behind)),
                None => special_v6(address),
            },
        }
    }
}

/// What an address is that is no public one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Special(&'static str);

impl fmt::Display for Special {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} address", self.0)
    }
}

fn special_v4(address: Ipv4Addr) -> Option<Special> {
    SPECIAL_V4.iter().find(|(block, _)| block.contains(&address)).map(|(_, kind)| Special(kind))
}

fn special_v6(address: Ipv6Addr) -> Option<Special> {
    if address.is_loopback() {
        return Some(Special("a loopback"));
    }
    let blocks = if PUBLIC_V6.contains(&address) { SPECIAL_V6 } else { NAMED_V6 };
    match blocks.iter().find(|(block, _)| block.contains(&address)) {
        Some((_, kind)) => Some(Special(kind)),
        None if PUBLIC_V6.contains(&address) => None,
        None => Some(Special("a special")),
    }
}

/// The IPv4 address that a translator would reach for it.
fn translated(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., a, b, c, d] = address.octets();
    TRANSLATED.contains(&address).then(|| Ipv4Addr::new(a, b, c, d))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kind(rules: &AddressRules, address: &str) -> Option<String> {
        rules.refuse(address.parse().unwrap()).map(|kind| kind.to_string())
    }

    #[test]
    fn only_public_addresses_pass_unless_they_are_named() {
        let none = AddressRules::default();
        for address in
            ["1.1.1.1", "93.184.216.34", "172.15.0.1", "172.32.0.1", "2606:4700::1", "64:ff9b::1.1.1.1"]
        {
            assert_eq!(kind(&none, address), None, "{address}");
        }
        for (address, says) in [
            ("0.0.0.0", "unspecified"),
            ("10.1.2.3", "private"),
            ("100.100.100.200", "shared"),
            ("127.0.0.1", "loopback"),
            ("127.255.255.254", "loopback"),
            ("168.63.129.16", "metadata"),
            ("169.254.169.254", "metadata"),
            ("172.31.255.255", "private"),
            ("192.168.0.1", "private"),
            ("224.0.0.1", "multicast"),
            ("255.255.255.255", "reserved"),
            ("::", "special"),
            ("::1", "loopback"),
            ("::ffff:127.0.0.1", "loopback"),
            ("::127.0.0.1", "special"),
            ("64:ff9b::7f00:1", "loopback"),
            ("64:ff9b:1::7f00:1", "special"),
            ("2001::1", "protocol"),
            ("2001:db8::1", "documentation"),
            ("2002:7f00:1::", "tunnel"),
            ("fd00:ec2::254", "private"),
            ("fe80::1", "link-local"),
            ("ff02::1", "multicast"),
        ] {
            assert!(kind(&none, address).is_some_and(|kind| kind.contains(says)), "{address}");
        }
        let rules = AddressRules::new(["127.0.0.1", "10.0.0.0/8", "fd00::/8"]).unwrap();
        for address in ["127.0.0.1", "::ffff:127.0.0.1", "10.255.0.1", "fd00::5", "64:ff9b::10.0.0.1"] {
            assert_eq!(kind(&rules, address), None, "{address}");
        }
        assert!(kind(&rules, "127.0.0.2").is_some() && kind(&rules, "::1").is_some());
    }

    #[test]
    fn entries_that_are_no_addresses_are_named() {
        for entry in ["localhost", "10.0.0.0/33", "", "10.0.0"] {
            assert_eq!(AddressRules::new([entry]), Err(InvalidAddress(entry.to_owned())));
        }
    }

    proptest! {
        #[test]
        fn an_address_is_judged_alike_in_all_its_spellings(address: u32) {
            let none = AddressRules::default();
            let plain = Ipv4Addr::from_bits(address);
            let judged = none.refuse(plain.into());
            prop_assert_eq!(judged, none.refuse(plain.to_ipv6_mapped().into()));
            let [a, b, c, d] = plain.octets().map(u16::from);
            let translated = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, a << 8 | b, c << 8 | d);
            prop_assert_eq!(judged, none.refuse(translated.into()));
        }
    }
}
