//! Order: the order in which the writes of one address type are sent, and which of them are still
//! sent after the API server has rejected one as invalid. Pure.
//!
//! As long as nothing is rejected, the order is that of [`Changes`]. A rejection concerns one slice
//! and would be repeated at each retry, so it must not keep deleted pods in the other slices. From
//! then on, removals come first. A write is held back only if it would remove an endpoint that a
//! rejected slice was meant to add, since that endpoint might then be in no slice.

use std::collections::VecDeque;

use foldhash::{HashMap, HashSet};

use crate::{
    model::{
        name::{Name, Uid},
        port::Ports,
        slice::{Endpoint, Slice},
    },
    observe::Operation,
    plan::changes::Changes,
};

/// One write.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step<'c> {
    /// What is done with the slice.
    pub(super) operation: Operation,
    /// The slice that is sent, or deleted.
    pub(super) slice: &'c Slice,
    /// The slice as it is now.
    pub(super) before: Option<&'c Slice>,
}

/// What traffic reaches through a slice: a pod by the name of a Service port, given by its class.
type Place = (usize, Name, Option<Uid>);

/// The classes of port names in each set of ports. Names that are in the same sets are in the same
/// slices, and one stands for all: a slice may have thousands of ports, and has as many places as
/// classes times endpoints.
#[derive(Debug)]
struct PortNames<'c>(HashMap<&'c Ports, Vec<usize>>);

/// The writes that are still to be sent.
#[derive(Debug)]
pub(super) struct Order<'c> {
    changes: &'c Changes,
    steps: VecDeque<Step<'c>>,
    /// The places of endpoints that the API server has refused.
    refused: HashSet<Place>,
    /// Of all slices; `None` until something is refused.
    names: Option<PortNames<'c>>,
}

impl<'c> Order<'c> {
    /// All writes, in the order of [`Changes`].
    pub(super) fn of(changes: &'c Changes) -> Self {
        let creates = changes.creates.iter();
        let creates =
            creates.map(|slice| Step { operation: Operation::Create, slice, before: None });
        let updates = changes.updates.iter().zip(&changes.replaced);
        let updates = updates.map(|(slice, before)| Step {
            operation: Operation::Update,
            slice,
            before: Some(before),
        });
        let deletes = changes.deletes.iter();
        let deletes =
            deletes.map(|slice| Step { operation: Operation::Delete, slice, before: Some(slice) });
        let steps = creates.chain(updates).chain(deletes).collect();
        Self { changes, steps, refused: HashSet::default(), names: None }
    }

    /// The next write.
    pub(super) fn next(&mut self) -> Option<Step<'c>> {
        loop {
            let step = self.steps.pop_front()?;
            let Some(names) = &self.names else { return Some(step) };
            if step.takes_out(names).all(|place| !self.refused.contains(&place)) {
                return Some(step);
            }
            // The endpoints that it would add must not be removed elsewhere either.
            self.refused.extend(step.adds(names));
        }
    }

    /// A write was rejected as invalid: its endpoints stay where they were before.
    pub(super) fn refuse(&mut self, step: &Step<'c>) {
        let names = self.names_after_refusal();
        let lost: Vec<_> = step.adds(names).collect();
        self.refused.extend(lost);
    }

    /// A write was done without these of its endpoints.
    pub(super) fn refuse_endpoints(&mut self, step: &Step<'c>, endpoints: &[Endpoint]) {
        let names = self.names_after_refusal();
        let lost: Vec<_> = places(names.of(step.slice), endpoints).collect();
        self.refused.extend(lost);
    }

    /// Something was refused. The first time, moves those removals to the front that remove nothing
    /// that a later write adds.
    fn names_after_refusal(&mut self) -> &PortNames<'c> {
        self.names.get_or_insert_with(|| {
            let names = PortNames::new(self.changes);
            let (removals, rest): (Vec<_>, Vec<_>) =
                self.steps.drain(..).partition(|step| step.adds(&names).next().is_none());
            let later: HashSet<Place> = rest.iter().flat_map(|step| step.brings(&names)).collect();
            let (first, late): (Vec<_>, Vec<_>) = removals
                .into_iter()
                .partition(|step| step.takes_out(&names).all(|place| !later.contains(&place)));
            self.steps.extend(first.into_iter().chain(rest).chain(late));
            names
        })
    }
}

impl<'c> Step<'c> {
    /// Whether sending `trimmed` in place of the slice helps: a new slice without endpoints does
    /// not.
    pub(super) fn is_worth(&self, trimmed: &Slice) -> bool {
        self.operation != Operation::Create || !trimmed.endpoints.is_empty()
    }

    /// What is in the slice now.
    fn stands(&self, names: &PortNames<'c>) -> HashSet<Place> {
        let before = self.before.into_iter();
        before.flat_map(|slice| places(names.of(slice), &slice.endpoints)).collect()
    }

    /// What is in the slice afterwards.
    fn brings<'n>(&self, names: &'n PortNames<'c>) -> impl Iterator<Item = Place> + use<'n, 'c> {
        let slice = Some(self.slice).filter(|_| self.operation != Operation::Delete);
        slice.into_iter().flat_map(|slice| places(names.of(slice), &slice.endpoints))
    }

    /// What is in the slice afterwards and not now.
    fn adds<'n>(&self, names: &'n PortNames<'c>) -> impl Iterator<Item = Place> + use<'n, 'c> {
        let before = self.stands(names);
        self.brings(names).filter(move |place| !before.contains(place))
    }

    /// What is in the slice now and not afterwards.
    fn takes_out(&self, names: &PortNames<'c>) -> impl Iterator<Item = Place> + use<'c> {
        let after: HashSet<Place> = self.brings(names).collect();
        self.stands(names).into_iter().filter(move |place| !after.contains(place))
    }
}

impl<'c> PortNames<'c> {
    fn new(changes: &'c Changes) -> Self {
        let slices = [&changes.creates, &changes.updates, &changes.replaced, &changes.deletes];
        let sets: HashSet<&Ports> =
            slices.into_iter().flatten().map(|slice| &slice.ports).collect();
        let mut classes: HashMap<Option<&Name>, usize> = HashMap::default();
        let mut last = 0;
        for set in &sets {
            // Each class is split into the names that are in this set and those that are not.
            let mut split: HashMap<usize, usize> = HashMap::default();
            for name in set.names() {
                let class = classes.entry(name).or_default();
                *class = *split.entry(*class).or_insert_with(|| {
                    last += 1;
                    last
                });
            }
        }
        let classes_of = |set: &'c Ports| {
            let mut all: Vec<_> =
                set.names().filter_map(|name| classes.get(&name).copied()).collect();
            all.sort_unstable();
            all.dedup();
            (set, all)
        };
        Self(sets.into_iter().map(classes_of).collect())
    }

    fn of(&self, slice: &Slice) -> &[usize] {
        self.0.get(&slice.ports).map_or(&[], Vec::as_slice)
    }
}

/// The places of these endpoints.
fn places<'e>(names: &'e [usize], endpoints: &'e [Endpoint]) -> impl Iterator<Item = Place> + 'e {
    let targets = endpoints.iter().filter_map(|endpoint| endpoint.target.as_ref());
    targets.flat_map(move |target| {
        names.iter().map(move |name| (*name, target.name.clone(), target.uid.clone()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::Object, model::port::Port};

    /// `x=1,2`: a slice `x` with the port `http` and these pods; `x:dns=1`: with another port.
    fn slice(text: &str) -> Slice {
        let (name, pods) = text.split_once('=').unwrap();
        let (name, port) = name.split_once(':').unwrap_or((name, "http"));
        let endpoint = |pod: &str| {
            let target = serde_json::json!({"kind": "Pod", "name": pod, "namespace": "shop",
                "uid": format!("00000000-0000-4000-8000-00000000000{pod}")});
            serde_json::json!({"addresses": [format!("10.0.0.{pod}")], "targetRef": target})
        };
        let endpoints: Vec<_> =
            pods.split(',').filter(|pod| !pod.is_empty()).map(endpoint).collect();
        let object: Object<Slice> = serde_json::from_value(serde_json::json!({
            "metadata": {"name": name, "namespace": "shop"}, "addressType": "IPv4",
            "endpoints": endpoints, "ports": [{"name": port, "port": 80, "protocol": "TCP"}]}))
        .unwrap();
        object.value
    }

    fn changes(creates: &[&str], updates: &[(&str, &str)], deletes: &[&str]) -> Changes {
        Changes {
            creates: creates.iter().map(|text| slice(text)).collect(),
            updates: updates.iter().map(|(_, after)| slice(after)).collect(),
            replaced: updates.iter().map(|(before, _)| slice(before)).collect(),
            deletes: deletes.iter().map(|text| slice(text)).collect(),
            ..Changes::default()
        }
    }

    /// The names of the slices in the order in which they are sent, if these are refused.
    fn sent(changes: &Changes, refused: &[&str]) -> Vec<String> {
        let mut order = Order::of(changes);
        let mut sent = Vec::new();
        while let Some(step) = order.next() {
            let name = step.slice.meta.name.as_deref().unwrap();
            if refused.contains(&name) {
                order.refuse(&step);
            }
            sent.push(name.to_owned());
        }
        sent
    }

    #[test]
    fn without_a_refusal_the_order_stays() {
        let changes = changes(&["a=1"], &[("b=2,3", "b=2"), ("c=4", "c=4,5")], &["d=6"]);
        assert_eq!(sent(&changes, &[]), ["a", "b", "c", "d"]);
    }

    #[test]
    fn after_a_refusal_removals_come_first() {
        let changes = changes(&["a=1", "b=2"], &[("c=4", "c=4,5"), ("d=6,7", "d=6")], &["e=8"]);
        assert_eq!(sent(&changes, &["a"]), ["a", "d", "e", "b", "c"]);
        assert_eq!(sent(&changes, &["a", "b", "c"]), ["a", "d", "e", "b", "c"], "all are tried");
        assert_eq!(sent(&changes, &["c"]), ["a", "b", "c", "d", "e"]);
    }

    /// The ports have changed, and endpoints are in other slices than before.
    #[test]
    fn what_a_refused_slice_was_to_bring_is_taken_out_nowhere() {
        let moved = changes(&["a=1,2"], &[("b=3,1", "b=3")], &["c=2,4", "d=4"]);
        assert_eq!(sent(&moved, &["a"]), ["a", "d"], "1 and 2 stay in b and c");
        let recycled = changes(&[], &[("a=1,2", "a=1,3"), ("b=3,4", "b=2,4")], &["c=5"]);
        assert_eq!(sent(&recycled, &["a"]), ["a", "c"], "b would take 3 out");
        let chained = changes(&["a=1"], &[("b=1,2", "b=2,3")], &["c=3"]);
        assert_eq!(sent(&chained, &["a"]), ["a"], "3 stays in c, as b does not bring it");
    }

    #[test]
    fn a_removal_waits_for_a_later_write_that_brings_the_same() {
        let changes = changes(&["a=1", "b=2"], &[], &["c=2", "d=3"]);
        assert_eq!(sent(&changes, &["a"]), ["a", "d", "b", "c"]);
        assert_eq!(sent(&changes, &["a", "b"]), ["a", "d", "b"]);
    }

    #[test]
    fn the_same_pod_by_another_port_is_another_endpoint() {
        let changes = changes(&["a=1"], &[], &["b:dns=1"]);
        assert_eq!(sent(&changes, &["a"]), ["a", "b"]);
    }

    #[test]
    fn what_a_refused_update_keeps_may_go_elsewhere() {
        let changes = changes(&[], &[("a=1", "a=1,2")], &["b=1", "c=2"]);
        assert_eq!(sent(&changes, &["a"]), ["a", "b"]);
    }

    #[test]
    fn endpoints_left_out_of_a_write_are_taken_out_nowhere() {
        let changes = changes(&["a=1,2"], &[], &["b=1", "c=2"]);
        let mut order = Order::of(&changes);
        let step = order.next().unwrap();
        order.refuse_endpoints(&step, &step.slice.endpoints[..1]);
        assert_eq!(order.next().unwrap().slice.meta.name.as_deref(), Some("c"));
        assert!(order.next().is_none());
    }
    /// Two sets of ports: the names that both have, and those that only one has.
    #[test]
    fn names_of_ports_that_stand_together_count_as_one() {
        let port = |number: i32| Port {
            name: Some(format!("p{number}").into()),
            number: Some(number),
            protocol: None,
            app_protocol: None,
        };
        let slice = |ports: std::ops::Range<i32>| Slice {
            ports: ports.map(port).collect(),
            ..slice("x=1")
        };
        let changes = Changes {
            creates: vec![slice(0..10_000), slice(5_000..15_000), slice(0..10_000), slice(0..0)],
            ..Changes::default()
        };
        let names = PortNames::new(&changes);
        let [one, other, same, portless] =
            [0, 1, 2, 3].map(|at| names.of(&changes.creates[at]).to_vec());
        assert_eq!((one.len(), other.len(), portless.len()), (2, 2, 1));
        let common: Vec<_> = one.iter().filter(|class| other.contains(class)).collect();
        assert_eq!((common.len(), &same), (1, &one));
        assert!(!one.contains(&portless[0]) && !other.contains(&portless[0]));
    }
}
