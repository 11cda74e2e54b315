//! Locality: how much of the traffic is planned to stay in its zone, and how unevenly it is spread,
//! of all Services that prefer locality. The numbers of a Service cost about as much as another plan of it,
//! so they are found later than the plan, for a few Services a second.

use std::collections::VecDeque;

use foldhash::{HashMap, HashSet};

use crate::{model::name::ServiceKey, report::numbers::Numbers};

/// The numbers of Services that prefer locality, and the Services whose numbers are to be found.
#[derive(Debug, Default)]
pub(super) struct Locality {
    /// In the order in which they were planned. Some may have been dropped from `waiting` since.
    line: VecDeque<ServiceKey>,
    waiting: HashSet<ServiceKey>,
    known: HashMap<ServiceKey, Numbers>,
}

impl Locality {
    /// The numbers of a Service may have changed.
    pub fn changed(&mut self, key: &ServiceKey) {
        if !self.waiting.contains(key) {
            self.waiting.insert(key.clone());
            self.line.push_back(key.clone());
        }
    }

    /// A Service does not prefer locality, or is gone.
    pub fn forget(&mut self, key: &ServiceKey) {
        self.known.remove(key);
        // Its place in the line is skipped later.
        self.waiting.remove(key);
    }

    /// The next Service whose numbers are to be found.
    pub fn next(&mut self) -> Option<ServiceKey> {
        while let Some(key) = self.line.pop_front() {
            if self.waiting.remove(&key) {
                return Some(key);
            }
        }
        None
    }

    /// The numbers of a Service have been found.
    pub fn found(&mut self, key: ServiceKey, numbers: Numbers) {
        self.known.insert(key, numbers);
    }

    /// The mean share of the traffic that stays in its zone, each Service counted alike. `None`
    /// where no Service has one.
    pub fn in_zone(&self) -> Option<f64> {
        let shares = self.known.values().filter_map(|numbers| numbers.in_zone);
        let (count, sum) =
            shares.fold((0_u32, 0.0), |(count, sum), share| (count + 1, sum + share));
        (count > 0).then(|| sum / f64::from(count))
    }

    /// The highest overload of any Service. `None` where no Service has one.
    pub fn overload(&self) -> Option<f64> {
        self.known.values().filter_map(|numbers| numbers.overload).reduce(f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::name::Name;

    fn key(name: &str) -> ServiceKey {
        ServiceKey { namespace: Name::from("shop"), name: Name::from(name) }
    }

    fn numbers(in_zone: f64, overload: f64) -> Numbers {
        Numbers { in_zone: Some(in_zone), overload: Some(overload) }
    }

    #[test]
    fn services_wait_once_and_in_order() {
        let mut locality = Locality::default();
        for name in ["cart", "desk", "cart", "mail"] {
            locality.changed(&key(name));
        }
        locality.forget(&key("desk"));
        let order: Vec<_> = std::iter::from_fn(|| locality.next()).collect();
        assert_eq!(order, [key("cart"), key("mail")]);
        locality.changed(&key("desk"));
        assert_eq!(locality.next(), Some(key("desk")));
    }

    #[test]
    fn a_service_that_returns_keeps_one_place() {
        let mut locality = Locality::default();
        locality.changed(&key("cart"));
        locality.forget(&key("cart"));
        locality.changed(&key("cart"));
        assert_eq!(locality.next(), Some(key("cart")));
        assert_eq!(locality.next(), None);
    }

    #[test]
    fn the_mean_and_the_worst_are_over_known_services() {
        let mut locality = Locality::default();
        assert_eq!((locality.in_zone(), locality.overload()), (None, None));
        locality.found(key("cart"), numbers(1.0, 0.5));
        locality.found(key("desk"), numbers(0.5, -0.0));
        locality.found(key("mail"), Numbers::default());
        assert_eq!((locality.in_zone(), locality.overload()), (Some(0.75), Some(0.5)));
        locality.forget(&key("cart"));
        assert_eq!((locality.in_zone(), locality.overload()), (Some(0.5), Some(0.0)));
    }
}
