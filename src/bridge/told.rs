//! What a client may tell without end, within bounds: beyond them, what was not told for the longest is forgotten.

use std::collections::BTreeMap;

/// Values by key, in the order of their keys.
#[derive(Debug)]
pub(super) struct Told<K, V> {
    entries: BTreeMap<K, Entry<V>>,
    max_entries: usize,
    max_weight: usize,
    weight: usize,
    /// Counts what was told.
    told: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    weight: usize,
    told: u64,
}

impl<K: Ord + Clone, V> Told<K, V> {
    /// Room for so many entries, which together weigh at most `max_weight`.
    pub(super) fn new(max_entries: usize, max_weight: usize) -> Self {
        Told { entries: BTreeMap::new(), max_entries, max_weight, weight: 0, told: 0 }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.values().map(|entry| &entry.value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, entry)| (key, &entry.value))
    }

    /// The newest is kept in any case; a message alone is bounded by what a client may send.
    pub(super) fn insert(&mut self, key: K, value: V, weight: usize) {
        self.told += 1;
        let entry = Entry { value, weight, told: self.told };
        self.weight += weight;
        if let Some(before) = self.entries.insert(key, entry) {
            self.weight -= before.weight;
        }
        while self.entries.len() > 1 && (self.entries.len() > self.max_entries || self.weight > self.max_weight) {
            let longest = self.entries.iter().min_by_key(|(_, entry)| entry.told).map(|(key, _)| key.clone());
            let Some(forgotten) = longest.and_then(|key| self.entries.remove(&key)) else { return };
            self.weight -= forgotten.weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(told: &Told<&str, u32>) -> String {
        told.iter().map(|(key, _)| *key).collect()
    }

    #[test]
    fn what_was_not_told_for_the_longest_makes_room() {
        let mut told = Told::new(3, 100);
        for (at, key) in ["c", "a", "b", "c", "d"].into_iter().enumerate() {
            told.insert(key, u32::try_from(at).unwrap(), 1);
        }
        assert_eq!(keys(&told), "bcd", "told again, c is not the oldest");
        assert_eq!((told.get(&"c"), told.get(&"a")), (Some(&3), None));
    }

    #[test]
    fn weight_is_bounded_too_and_the_newest_stays_whatever_it_weighs() {
        let mut told = Told::new(10, 10);
        told.insert("a", 0, 4);
        told.insert("b", 0, 4);
        told.insert("a", 0, 5);
        assert_eq!(keys(&told), "ab");
        told.insert("c", 0, 2);
        assert_eq!(keys(&told), "ac");
        told.insert("d", 0, 11);
        assert_eq!(keys(&told), "d");
        told.insert("e", 0, 1);
        assert_eq!(keys(&told), "e", "and makes room for the next");
    }
}
