//! Slice name: the name under which a slice is created (docs/semantics.md 4.5).
//!
//! It looks like one that the API server generates, but follows from what the slice is for. So a
//! create whose answer was lost is repeated under the same name, by this replica or the next one,
//! and cannot lead to a second slice.

use foldhash::{HashMap, HashSet};

use crate::model::{name::Name, slice::Slice};

/// The letters of generated names: no vowels, and nothing that looks like one.
const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
/// How many of them are appended.
const APPENDED: usize = 5;
/// How much of the prefix is used.
const PREFIX: usize = 58;

/// Gives each new slice the first of its names, by number, that is not taken.
pub fn choose<'a>(creates: &mut [Slice], taken: impl IntoIterator<Item = &'a Name>) {
    let mut taken: HashSet<Name> = taken.into_iter().cloned().collect();
    // Slices for the same purpose have the same names, and what was tried for one is taken.
    let mut untried = HashMap::default();
    for slice in creates {
        let purpose = purpose(slice);
        let names = untried.entry(purpose).or_insert_with(|| names(slice, purpose));
        let free = names.find(|name| !taken.contains(name));
        taken.extend(free.clone());
        slice.meta.name = free;
    }
}

/// The names that a new slice may have, in the order in which they are tried.
fn names(slice: &Slice, purpose: Purpose) -> impl Iterator<Item = Name> + use<> {
    let prefix = slice.meta.generate_name.as_deref().unwrap_or_default();
    let prefix = prefix.get(..PREFIX).unwrap_or(prefix).to_owned();
    (0_u32..).map(move |number| format!("{prefix}{}", letters(purpose, number)).into())
}

/// What the slice is for: its Service, address type and ports.
fn purpose(slice: &Slice) -> Purpose {
    let mut purpose = Purpose::default();
    for owner in slice.meta.owners.iter() {
        purpose.add(&String::from(&owner.uid));
    }
    purpose.add(&slice.address_type.to_string());
    for port in slice.ports.iter() {
        purpose.add(port.name.as_deref().unwrap_or_default());
        purpose.add(&port.number.map_or_else(String::new, |number| number.to_string()));
        purpose.add(port.protocol.as_deref().unwrap_or_default());
        purpose.add(port.app_protocol.as_deref().unwrap_or_default());
    }
    purpose
}

fn letters(mut purpose: Purpose, number: u32) -> String {
    purpose.add(&number.to_string());
    let mut rest = purpose.mixed();
    let letter = |_| {
        let letter = LETTERS[usize::try_from(rest % 27).unwrap_or_default()];
        rest /= 27;
        char::from(letter)
    };
    (0..APPENDED).map(letter).collect()
}

/// A hash of what a slice is for, the same in all versions (FNV-1a).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Purpose(u64);

impl Default for Purpose {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Purpose {
    /// Adds a text and its end.
    fn add(&mut self, text: &str) {
        for byte in text.bytes().chain([0xff]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Similar texts differ little in the upper bits; this spreads them (splitmix64).
    fn mixed(self) -> u64 {
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
