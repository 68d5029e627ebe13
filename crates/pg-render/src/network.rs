//! Addresses: `inet`, `cidr`, `macaddr`, `macaddr8`.

use std::io::Write;

use super::DecodeError;
use super::scalar::{hex, integer};
use super::value_reader::{ValueReader, fixed};

/// PostgreSQL's numbers of the address families, the same on every platform.
const FAMILY_IPV4: u8 = 2;
const FAMILY_IPV6: u8 = 3;

/// Layout: the family, the bits of the network, whether it is a cidr, the length of the address (a byte each), the
/// address. The text of an inet has the network only if it is not the whole address, that of a cidr always.
pub(super) fn inet(
    type_name: &'static str,
    raw: &[u8],
    out: &mut Vec<u8>,
    network_always: bool,
) -> Result<(), DecodeError> {
    let mut reader = ValueReader::new(type_name, raw);
    let [family, bits, _is_cidr, length] = reader.array()?;
    let bits_max = match (family, length) {
        (FAMILY_IPV4, 4) => {
            ipv4(reader.array()?, out)?;
            32
        }
        (FAMILY_IPV6, 16) => {
            ipv6(reader.array()?, out)?;
            128
        }
        _ => return Err(reader.error("its family is unknown")),
    };
    if bits > bits_max {
        return Err(reader.error("its network is longer than the address"));
    }
    reader.finish()?;
    if network_always || bits < bits_max {
        out.push(b'/');
        integer(bits, out)?;
    }
    Ok(())
}

/// Layout: six or eight bytes.
pub(super) fn macaddr<const N: usize>(
    type_name: &'static str,
    raw: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    for (n, byte) in fixed::<N>(type_name, raw)?.into_iter().enumerate() {
        if n > 0 {
            out.push(b':');
        }
        hex(&[byte], out);
    }
    Ok(())
}

fn ipv4(address: [u8; 4], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    for (n, byte) in address.into_iter().enumerate() {
        if n > 0 {
            out.push(b'.');
        }
        integer(byte, out)?;
    }
    Ok(())
}

/// The longest run of two or more zero words becomes "::", the first of them if several are equally long. If only the
/// last two words remain (IPv4-compatible), or ffff and the last two (IPv4-mapped), the last two are written as an IPv4
/// address. In this `std::net::Ipv6Addr` differs.
fn ipv6(address: [u8; 16], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let word = |n: usize| u16::from_be_bytes([address[2 * n], address[2 * n + 1]]);
    let zeros = |from: usize| (from..8).take_while(|&n| word(n) == 0).count();
    let mut longest = 0..0;
    for from in 0..8 {
        let length = zeros(from);
        if length >= 2 && length > longest.len() {
            longest = from..from + length;
        }
    }
    let has_ipv4 = longest.start == 0
        && match longest.len() {
            5 => word(5) == 0xffff,
            6 => true,
            _ => false,
        };

    let mut n = 0;
    while n < 8 {
        if n == longest.start && !longest.is_empty() {
            out.extend_from_slice(b"::");
            n = longest.end;
            continue;
        }
        if n > 0 && n != longest.end && !out.ends_with(b"::") {
            out.push(b':');
        }
        if has_ipv4 && n == 6 {
            let [.., a, b, c, d] = address;
            return ipv4([a, b, c, d], out);
        }
        let _ = write!(out, "{:x}", word(n)); // writing to a Vec never fails
        n += 1;
    }
    Ok(())
}
