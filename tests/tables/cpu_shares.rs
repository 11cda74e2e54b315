//! The zones' shares of CPU, and when a change in them matters (docs/semantics.md 5.3,
//! 10.2, 10.6).

use closehaul::{
    model::node::{Node, Nodes},
    plan::hints::auto::{cpu_shares, is_overloaded},
};

use crate::world::node;

fn nodes(list: impl IntoIterator<Item = Node>) -> Nodes {
    list.into_iter().map(|node| (node.name.clone(), node)).collect()
}

fn cpu(name: &str, zone: &str, cpu: u64) -> Node {
    Node { cpu, ..node(name, zone) }
}

/// `TestSetNodes`.
#[test]
fn shares_of_nodes() {
    let two = || vec![cpu("n1", "a", 1000), cpu("n2", "b", 1000)];
    let with = |extra: Node| [two(), vec![extra]].concat();
    let unready = |node: Node| Node { ready: false, ..node };
    let control_plane = |node: Node| Node { control_plane: true, ..node };
    let half: &[(&str, f64)] = &[("a", 0.5), ("b", 0.5)];
    let rows = [
        ("none", vec![], None),
        ("one node", vec![cpu("n1", "a", 1000)], None),
        ("one zone", vec![cpu("n1", "a", 1000), cpu("n2", "a", 1000)], None),
        ("two zones", two(), Some(half)),
        (
            "unready takes its zone away",
            vec![cpu("n1", "a", 1000), unready(cpu("n2", "b", 1000))],
            None,
        ),
        (
            "control plane takes its zone away",
            vec![cpu("n1", "a", 1000), control_plane(cpu("n2", "b", 1000))],
            None,
        ),
        ("unready one more", with(unready(cpu("n3", "b", 1000))), Some(half)),
        ("control plane one more", with(control_plane(cpu("n3", "b", 1000))), Some(half)),
        (
            "uneven",
            vec![
                cpu("n1", "a", 3000),
                cpu("n2", "a", 2000),
                cpu("n3", "b", 4500),
                cpu("n4", "c", 500),
            ],
            Some(&[("a", 0.5), ("b", 0.45), ("c", 0.05)]),
        ),
        ("no zone", with(cpu("n3", "", 1000)), None),
        ("no CPU", with(cpu("n3", "a", 0)), None),
        ("unready without zone", with(unready(cpu("n3", "", 1000))), Some(half)),
        ("control plane without CPU", with(control_plane(cpu("n3", "a", 0))), Some(half)),
    ];
    for (what, list, expected) in rows {
        let found = cpu_shares(&nodes(list));
        let found: Option<Vec<_>> = found
            .as_ref()
            .map(|found| found.iter().map(|(zone, share)| (&**zone, *share)).collect());
        assert_eq!(found.as_deref(), expected, "{what}");
    }
}

/// `checkNodeTopologyDistribution` (docs/semantics.md 10.6): after which node changes a Service is
/// planned again.
#[test]
fn a_service_is_overloaded_when_a_zone_has_too_few() {
    let two = |a, b| vec![cpu("n1", "a", a), cpu("n2", "b", b)];
    let three = |a, b, c| vec![cpu("n1", "a", a), cpu("n2", "b", b), cpu("n3", "c", c)];
    let rows = [
        ("even", two(1000, 1000), &[("a", 5), ("b", 5)][..], false),
        ("lopsided CPU", two(100, 1000), &[("a", 5), ("b", 5)], true),
        (
            "a zone lost by an unready node",
            vec![cpu("n1", "a", 1000), Node { ready: false, ..cpu("n2", "b", 1000) }],
            &[("a", 5), ("b", 5)],
            true,
        ),
        ("5 to 4 is fine", two(1000, 1000), &[("a", 5), ("b", 4)], false),
        ("6 to 4 is beyond", two(1000, 1000), &[("a", 6), ("b", 4)], true),
        (
            "a node without zone",
            three(1000, 1000, 1000).into_iter().chain([cpu("n4", "", 1000)]).collect(),
            &[("a", 5), ("b", 5), ("c", 5)],
            true,
        ),
        ("a node without CPU", three(1000, 1000, 0), &[("a", 5), ("b", 5), ("c", 5)], true),
        ("20, 10, 1 match", three(2000, 1000, 100), &[("a", 20), ("b", 10), ("c", 1)], false),
        ("20, 10, 0 lack one", three(2000, 1000, 100), &[("a", 20), ("b", 10), ("c", 0)], true),
        ("a zone never counted", three(2000, 1000, 100), &[("a", 20), ("b", 10)], true),
    ];
    for (what, list, hinted, expected) in rows {
        let shares = cpu_shares(&nodes(list));
        assert_eq!(
            is_overloaded(
                &hinted.iter().map(|(zone, count)| ((*zone).into(), *count)).collect(),
                shares.as_ref()
            ),
            expected,
            "{what}"
        );
    }
}
