//! Chance that can be had again.

use std::hash::{BuildHasher, RandomState};

/// Numbers by chance (SplitMix64). The seed is printed; `CALLBOARD_SEED` sets it.
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new() -> Self {
        let named = std::env::var("CALLBOARD_SEED").ok();
        let seed =
            named.map_or_else(|| RandomState::new().hash_one(0), |seed| seed.parse().expect("a number"));
        println!("CALLBOARD_SEED={seed}");
        Chance(seed)
    }

    /// Another one, for another task.
    pub(super) fn fork(&mut self) -> Self {
        Chance(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Less than `bound`.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        (self.next() % u64::from(bound)) as u32
    }

    pub(super) fn one_in(&mut self, bound: u32) -> bool {
        self.below(bound) == 0
    }
}
