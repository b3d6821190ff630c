//! A bit that is flipped on its way, as by a router with bad memory: between the checksums of two links, and so with a
//! right one in the end. Only what checks the bytes themselves can notice.

/// Where an IPv4 header says how long it is with what follows, which fragment it is, and what it carries.
const LENGTH: usize = 2;
const FRAGMENT: usize = 6;
const PROTOCOL: usize = 9;
/// What TCP is called there.
const TCP: u8 = 6;
/// Where a TCP header says how long it is, and its checksum.
const OFFSET: usize = 12;
const CHECKSUM: usize = 16;
/// The shortest TCP header.
const HEADER: usize = 20;

/// Flips a bit of what a packet carries by TCP, by `draw`, and makes its checksum right. False: it carries nothing.
pub(super) fn flip(packet: &mut [u8], draw: u32) -> bool {
    let Some((tcp, data)) = places(packet) else { return false };
    let place = data.start + draw as usize % data.len();
    let even = tcp + ((place - tcp) & !1);
    let word = |packet: &[u8]| u16::from_be_bytes([packet[even], *packet.get(even + 1).unwrap_or(&0)]);
    let before = word(packet);
    packet[place] ^= 1 << (draw >> 29);
    let after = word(packet);
    // RFC 1624: sums of ones' complements, the carry added at the low end.
    let checksum = u16::from_be_bytes([packet[tcp + CHECKSUM], packet[tcp + CHECKSUM + 1]]);
    let mut sum = u32::from(!checksum) + u32::from(!before) + u32::from(after);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    packet[tcp + CHECKSUM..tcp + CHECKSUM + 2].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    true
}

/// Where the TCP header begins, and where what it carries is.
fn places(packet: &[u8]) -> Option<(usize, std::ops::Range<usize>)> {
    let number = |at: usize| Some(u16::from_be_bytes([*packet.get(at)?, *packet.get(at + 1)?]));
    // Of a fragment, the rest of the segment is elsewhere: its checksum cannot be made right here.
    let is_whole = number(FRAGMENT)? & 0x3fff == 0;
    let tcp = usize::from(packet[0] & 15) * 4;
    if !is_whole || packet[PROTOCOL] != TCP || packet.len() < tcp + HEADER {
        return None;
    }
    let data = tcp + usize::from(packet[tcp + OFFSET] >> 4) * 4;
    let end = usize::from(number(LENGTH)?).min(packet.len());
    (data < end).then_some((tcp, data..end))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet that carries these bytes by TCP, from one address to another; its checksum is right.
    fn packet(carried: &[u8]) -> Vec<u8> {
        let length = (40 + carried.len()) as u16;
        let mut packet = vec![0; 40];
        packet[0] = 0x45;
        packet[LENGTH..LENGTH + 2].copy_from_slice(&length.to_be_bytes());
        packet[PROTOCOL] = TCP;
        packet[12..20].copy_from_slice(&[10, 77, 0, 1, 10, 77, 0, 2]);
        packet[20 + OFFSET] = 5 << 4;
        packet.extend(carried);
        let sum = !sum(&packet);
        packet[20 + CHECKSUM..20 + CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
        packet
    }

    /// The sum over the addresses, the protocol, the length and the segment: all ones where the checksum is right.
    fn sum(packet: &[u8]) -> u16 {
        let segment = &packet[20..];
        let words = packet[12..20].chunks(2).chain(segment.chunks(2));
        let words = words.map(|word| u32::from(u16::from_be_bytes([word[0], *word.get(1).unwrap_or(&0)])));
        let mut sum = words.sum::<u32>() + u32::from(TCP) + segment.len() as u32;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    #[test]
    fn one_bit_is_flipped_and_the_checksum_is_right() {
        for carried in [&b"an even number of."[..], b"an odd number of.", b"x"] {
            for draw in (0..400).map(|number: u32| number.wrapping_mul(0x9e37_79b9)) {
                let before = packet(carried);
                let mut after = before.clone();
                assert!(sum(&before) == 0xffff && flip(&mut after, draw));
                let flipped = before[40..].iter().zip(&after[40..]).map(|(a, b)| (a ^ b).count_ones());
                assert_eq!((flipped.sum::<u32>(), sum(&after)), (1, 0xffff), "{draw}");
            }
        }
    }

    #[test]
    fn what_carries_nothing_stays_as_it_is() {
        let mut udp = packet(b"data");
        udp[PROTOCOL] = 17;
        let mut fragment = packet(b"data");
        fragment[FRAGMENT] = 0x20;
        for mut packet in [packet(b""), udp, fragment, vec![0x45; 20], Vec::new()] {
            let before = packet.clone();
            assert!(!flip(&mut packet, 7) && packet == before);
        }
    }
}
