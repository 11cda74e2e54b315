//! Generate: the next random step that fits the state.

use super::{
    change::is_left_alone,
    model::Model,
    objects,
    shape::{
        Addresses, Auto, Change, Coat, Distribution, Phase, PodShape, Selector, Shape, Web, Zone,
    },
    step::{Edit, NODES, PODS, SERVICES, SHARED, Step},
};
use crate::world::Random;

/// How often a step is drawn before the history ends. Most steps fit at once.
const DRAWS: usize = 1000;

/// Steps from a seed, which follow those of [`super::opening`].
#[derive(Debug)]
pub struct Generator {
    random: Random,
}

/// What another client does to slices now and then.
const EDITS: [Edit; 21] = [
    Edit::Delete,
    Edit::Delete,
    Edit::DropEndpoint,
    Edit::AddEndpoint,
    Edit::FlipReady,
    Edit::WrongHint,
    Edit::EmptyHints,
    Edit::DropHints,
    Edit::Ports,
    Edit::AddLabel,
    Edit::DropLabels,
    Edit::Headless,
    Edit::Annotate,
    Edit::AddFinalizer,
    Edit::DropOwner,
    Edit::Hold,
    Edit::Copy,
    Edit::Copy,
    Edit::Split,
    Edit::CopyEmpty,
    Edit::CopyBare,
];
/// Edits that trap the built-in controller's tracker. They end a history.
const TRAPS: [Edit; 2] = [Edit::Unmanage, Edit::Rename];

impl Generator {
    /// The steps of one history of a run.
    pub fn new(seed: u64, history: u64) -> Self {
        let mut random = Random::new(seed);
        // Far from the numbers of other histories.
        let far = random.below(u64::MAX);
        Self { random: Random::new(far ^ history.wrapping_mul(0xd134_2543_de82_ef95)) }
    }

    /// The next step, or `None` if none is found. If it is the `last`, it may end the history.
    pub fn next(&mut self, model: &Model, last: bool) -> Option<Step> {
        if model.held {
            return Some(Step::Release);
        }
        if let Some(pod) = model.special_pod().filter(|_| !model.frozen().is_empty()) {
            return Some(self.thaw(pod, model));
        }
        if last && self.random.chance(30) {
            let edit = self.pick(&TRAPS)?;
            return Some(Step::Slice { slice: self.number(8), edit });
        }
        for _ in 0..DRAWS {
            let step = self.draw(model)?;
            if model.clone().take(&step).is_some() {
                return Some(step);
            }
        }
        None
    }

    fn draw(&mut self, model: &Model) -> Option<Step> {
        let served = model.services.iter().flatten().filter(|shape| !is_left_alone(shape)).count();
        if served == 0 && self.random.chance(50) {
            return self.service();
        }
        match self.random.below(100) {
            0..3 => self.service(),
            3..26 => Some(Step::Service { service: self.number(SERVICES), change: self.change()? }),
            26..71 => self.pod(model),
            71..81 => Some(self.node()),
            81 => Some(Step::Restart),
            82..97 => Some(Step::Slice { slice: self.number(8), edit: self.pick(&EDITS)? }),
            97 => Some(Step::Release),
            _ => Some(Step::Forge { service: self.number(SERVICES) }),
        }
    }

    fn service(&mut self) -> Option<Step> {
        let service = self.number(SERVICES);
        Some(match self.random.below(10) {
            0..5 => Step::CreateService { service, shape: self.shape()? },
            5 | 6 => Step::RecreateService { service },
            _ => Step::DeleteService { service, collect: self.random.chance(50) },
        })
    }

    fn shape(&mut self) -> Option<Shape> {
        let headless = self.random.chance(30);
        Some(Shape {
            headless,
            ipv6: self.random.chance(20),
            dual: self.random.chance(30),
            selector: self.pick(&[Selector::Any, Selector::Any, Selector::Red, Selector::Blue])?,
            ports: self.ports(),
            distribution: self.distribution()?,
            auto: if self.random.chance(15) { self.auto()? } else { Auto::Off },
            labels: self.number(objects::LABELS),
            publish: self.random.chance(20),
            external: self.random.chance(3),
        })
    }

    fn change(&mut self) -> Option<Change> {
        Some(match self.random.below(20) {
            0..3 => Change::Selector(self.selector()?),
            3..5 => Change::SelectorAndLabels(self.selector()?, self.number(objects::LABELS)),
            5..9 => Change::Ports(self.ports()),
            9 => Change::External(self.random.chance(20)),
            10..12 => Change::Dual(self.random.chance(50)),
            12 => Change::Publish(self.random.chance(50)),
            13..17 => Change::Distribution(self.distribution()?),
            17 => Change::Auto(self.auto()?),
            _ => Change::Labels(self.number(objects::LABELS)),
        })
    }

    fn selector(&mut self) -> Option<Selector> {
        use Selector::{Absent, Any, Blue, Both, Red};
        self.pick(&[Any, Any, Any, Red, Red, Blue, Blue, Both, Absent])
    }

    fn ports(&mut self) -> usize {
        // Pods differ in named ports.
        if self.random.chance(40) { 1 + self.number(2) } else { self.number(objects::PORTS) }
    }

    fn distribution(&mut self) -> Option<Distribution> {
        use Distribution::{PreferClose, PreferSameNode, PreferSameZone, Unset};
        self.pick(&[Unset, PreferClose, PreferSameZone, PreferSameNode, PreferSameNode])
    }

    fn auto(&mut self) -> Option<Auto> {
        self.pick(&[Auto::Off, Auto::Off, Auto::Mode, Auto::Hints, Auto::Disabled])
    }

    fn pod(&mut self, model: &Model) -> Option<Step> {
        let pod = self.number(PODS);
        if model.pods[pod].is_none() {
            let shape = self.pod_shape()?;
            // Mostly creates many pods at once if no Service selects them yet, so a change of a
            // selector adds all of them in one sync.
            let many = model.selecting(shape.coat).next().is_none() || self.random.chance(15);
            let room = model.pods[pod..].iter().take_while(|pod| pod.is_none()).count();
            let count = if many { 1 + self.number(room.min(9)) } else { 1 };
            return Some(Step::CreatePods { pod, count, shape });
        }
        Some(match self.random.below(100) {
            0..35 => {
                Step::Ready { pod, ready: self.random.chance(60), late: self.random.chance(15) }
            }
            35..47 => Step::DeletePods { pod, count: 1 + self.number(4) },
            47..57 => Step::TerminatePod { pod },
            57..67 => self.address(pod, model),
            67..82 => Step::Relabel { pod, coat: self.coat() },
            82..92 => {
                use Phase::{Failed, Pending, Running, Succeeded};
                Step::Phase {
                    pod,
                    phase: self.pick(&[Pending, Running, Running, Succeeded, Failed])?,
                }
            }
            _ => Step::RecreatePod { pod, same_address: self.random.chance(50) },
        })
    }

    fn pod_shape(&mut self) -> Option<PodShape> {
        use Addresses::{Both, V4, V6};
        let port = 8080 + u16::from(self.random.chance(30));
        let web = [
            Web::Absent,
            Web::Container(port),
            Web::Container(port),
            Web::Sidecar(port),
            Web::Udp(port),
        ];
        Some(PodShape {
            coat: self.coat(),
            node: (!self.random.chance(2)).then(|| self.pod_node()),
            ready: self.random.chance(80),
            web: self.pick(&web)?,
            addresses: self.pick(&[Both, Both, Both, V4, V4, V6])?,
            hostname: self.random.chance(15),
        })
    }

    /// Mostly a node that exists from the beginning.
    fn pod_node(&mut self) -> usize {
        match self.random.below(10) {
            0 => NODES - 1,
            1 | 2 => NODES + self.number(SHARED),
            _ => self.number(NODES - 1),
        }
    }

    fn address(&mut self, pod: usize, model: &Model) -> Step {
        let address = match self.random.below(10) {
            0 => None,
            1 => return Step::Special { pod },
            2..5 => {
                let others = model.addresses().collect::<Vec<_>>();
                self.random.pick(&others).copied()
            }
            _ => Some(model.fresh_address()),
        };
        Step::Address { pod, address }
    }

    /// A step while the built-in controller fails to write a Service. Other pods change, and soon
    /// the pod that causes the failure. Steps that may trap the built-in controller, or that it may
    /// see late, would show only afterwards.
    fn thaw(&mut self, special: usize, model: &Model) -> Step {
        let pod = self.number(PODS);
        let step = match self.random.below(10) {
            0..4 => Step::Ready { pod, ready: self.random.chance(60), late: false },
            4 => Step::DeletePods { pod, count: 1 },
            _ => Step::Address { pod: special, address: Some(model.fresh_address()) },
        };
        let fits = model.clone().take(&step).is_some();
        if fits { step } else { Step::DeletePods { pod: special, count: 1 } }
    }

    fn coat(&mut self) -> Coat {
        Coat { red: self.random.chance(50), blue: self.random.chance(50) }
    }

    fn node(&mut self) -> Step {
        let node = self.number(NODES);
        match self.random.below(20) {
            0..6 => Step::CreateNode { node, zone: self.zone() },
            6..9 => Step::DeleteNode { node },
            9 => Step::RecreateNode { node },
            10..13 => Step::NodeReady { node, ready: self.random.chance(60) },
            13..15 => Step::Cpu { node, cores: [0, 1, 2, 4, 8, 16][self.number(6)] },
            _ => Step::Zone { node, zone: self.zone() },
        }
    }

    fn zone(&mut self) -> Option<Zone> {
        let zone = self.pick(&Zone::ALL);
        if self.random.chance(20) { None } else { zone }
    }

    fn pick<T: Clone>(&mut self, items: &[T]) -> Option<T> {
        self.random.pick(items).cloned()
    }

    fn number(&mut self, limit: usize) -> usize {
        usize::try_from(self.random.below(limit as u64)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(seed: u64, number: u64) -> Vec<Step> {
        let (mut model, mut generator) = (Model::new("h"), Generator::new(seed, number));
        let mut steps = Vec::new();
        for _ in 0..50 {
            let step = generator.next(&model, false).unwrap();
            model.take(&step).unwrap();
            steps.push(step);
        }
        steps
    }

    /// The API server deletes such pods at once, regardless of their grace period.
    #[test]
    fn a_pod_that_is_over_is_not_asked_to_end() {
        let mut model = Model::new("h");
        let coat = Coat { red: true, blue: false };
        let (web, addresses) = (Web::Absent, Addresses::V4);
        let shape = PodShape { coat, node: Some(0), ready: true, web, addresses, hostname: false };
        model.take(&Step::CreatePods { pod: 0, count: 2, shape }).unwrap();
        model.take(&Step::Phase { pod: 0, phase: Phase::Succeeded }).unwrap();
        assert!(model.clone().take(&Step::TerminatePod { pod: 0 }).is_none());
        assert!(model.take(&Step::TerminatePod { pod: 1 }).is_some());
    }

    #[test]
    fn a_seed_gives_the_same_steps_and_scripts_can_be_read_back() {
        let steps = history(7, 3);
        assert_eq!(steps, history(7, 3));
        assert_ne!(steps, history(7, 4));
        assert_ne!(steps, history(8, 3));
        for step in steps {
            let line = serde_json::to_string(&step).unwrap();
            assert_eq!(serde_json::from_str::<Step>(&line).unwrap(), step, "{line}");
        }
    }
}
