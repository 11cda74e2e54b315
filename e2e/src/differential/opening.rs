//! Openings: the first steps of some histories, for situations that random steps seldom create.

use super::{
    objects,
    shape::{Addresses, Auto, Change, Coat, Distribution, PodShape, Selector, Shape, Web},
    step::{NODES, Step},
};

/// The steps with which a history begins, by its number.
pub fn opening(number: u64) -> Vec<Step> {
    match number {
        1 => vec![Step::Workers],
        2 => packing(),
        3 => exactly(),
        4 => recreated(),
        5 => givers(),
        6 => refused(),
        _ => Vec::new(),
    }
}

const RED: Coat = Coat { red: true, blue: false };
const BLUE: Coat = Coat { red: false, blue: true };
const PURPLE: Coat = Coat { red: true, blue: true };

/// Ready pods. The first one is on this shared node, and the others are on the next ones.
fn pods(pod: usize, count: usize, coat: Coat, node: usize) -> Step {
    let (node, web, addresses) = (Some(NODES + node), Web::Container(8080), Addresses::Both);
    let shape = PodShape { coat, node, ready: true, web, addresses, hostname: false };
    Step::CreatePods { pod, count, shape }
}

/// A Service of red pods with one port and one family.
fn shape() -> Shape {
    Shape {
        headless: false,
        ipv6: false,
        dual: false,
        selector: Selector::Red,
        ports: 0,
        distribution: Distribution::PreferClose,
        auto: Auto::Off,
        labels: 0,
        publish: false,
        external: false,
    }
}

fn change(service: usize, change: Change) -> Step {
    Step::Service { service, change }
}

/// Several slices that lose some endpoints and get others in one sync. Which slice an endpoint was
/// in is random, so there are two Services with two families.
fn packing() -> Vec<Step> {
    let both = |step: &dyn Fn(usize) -> Step| [0, 1].map(step);
    let create = |service| Step::CreateService { service, shape: Shape { dual: true, ..shape() } };
    let blue = |service| change(service, Change::SelectorAndLabels(Selector::Blue, 1));
    let pods = [pods(0, 6, PURPLE, 0), pods(6, 3, RED, 0), pods(9, 1, BLUE, 0)];
    let steps = pods.into_iter().chain(both(&create)).chain(both(&blue));
    // A selected, ready pod ends.
    steps.chain([Step::TerminatePod { pod: 0 }]).collect()
}

/// A placeholder whose Service gets exactly as many endpoints in one sync as a slice holds by
/// default. They have the same ports as the placeholder, namely none. There is no room for one more
/// endpoint, and yet the placeholder is not filled.
fn exactly() -> Vec<Step> {
    let shape = Shape { headless: true, ports: objects::NO_PORTS, ..shape() };
    vec![
        pods(0, 3, BLUE, 0),
        Step::CreateService { service: 0, shape },
        change(0, Change::Selector(Selector::Blue)),
    ]
}

/// A Service that is rebuilt, later and at once, while the slices of its predecessor still exist. A
/// pod that is rebuilt at its old address while no Service selects it.
fn recreated() -> Vec<Step> {
    let create = || Step::CreateService { service: 0, shape: shape() };
    vec![
        create(),
        pods(0, 2, RED, 0),
        Step::DeleteService { service: 0, collect: false },
        create(),
        Step::RecreateService { service: 0 },
        change(0, Change::Selector(Selector::Absent)),
        Step::RecreatePod { pod: 0, same_address: true },
        change(0, Change::Selector(Selector::Red)),
    ]
}

/// The legacy annotation, with three ready pods in each of two zones and one in the third. Which of
/// the two zones gives one away is random. It is decided when all slices are written, and again
/// when only the first one is.
fn givers() -> Vec<Step> {
    let (a, b) = (0, 1);
    vec![
        Step::CreateService { service: 0, shape: Shape { auto: Auto::Mode, ..shape() } },
        pods(0, 2, RED, b),
        pods(2, 1, RED, b),
        pods(3, 1, RED, a),
        pods(4, 1, RED, a),
        pods(5, 1, RED, a),
        Step::Ready { pod: 5, ready: false, late: false },
        pods(6, 3, RED, a),
        Step::DeletePods { pod: 1, count: 1 },
    ]
}

/// A pod gets addresses that slices must not contain. Meanwhile, other pods change and are deleted,
/// and at the end it has valid addresses again.
fn refused() -> Vec<Step> {
    vec![
        Step::CreateService { service: 0, shape: Shape { dual: true, ..shape() } },
        pods(0, 4, RED, 0),
        Step::Special { pod: 0 },
        Step::Ready { pod: 1, ready: false, late: false },
        Step::DeletePods { pod: 2, count: 1 },
        Step::Address { pod: 0, address: Some(50) },
    ]
}
