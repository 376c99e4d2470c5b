//! Hashes that are the same in every version, as what other daemons and earlier lives have worked out
//! with them is compared. They tell apart what nobody has chosen to collide, and keep no secrets.

/// FNV-1a with 64 bits (Fowler, Noll, Vo; draft-eastlake-fnv).
pub fn fnv_1a(bytes: impl IntoIterator<Item = u8>) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    bytes.into_iter().fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood 2014): every bit of the outcome depends on every
/// bit of `number`.
pub fn mix(number: u64) -> u64 {
    let mut mixed = number;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
