//! Client pods that come and go, in numbers.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    cluster::{Index, SAMPLED},
    model::{
        labels::Labels,
        name::{Name, ServiceKey},
        pod::Pod,
        policy::{
            DemandSource, Guard, Key, LocalityPolicy, PolicyMeta, PolicySpec, Reading,
            ServiceFilter,
        },
        samples,
        selector::{Expression, Operator, Selector},
        service::Service,
    },
};

const CLIENTS: usize = 10_000;

fn key(number: usize) -> ServiceKey {
    ServiceKey { namespace: "shop".into(), name: format!("s{number}").into() }
}

/// A policy for one Service, by clients that it selects in its own way.
fn policy(number: usize) -> LocalityPolicy {
    let label = |key: &str| Expression { key: key.into(), operator: Operator::DoesNotExist };
    let labels = samples::labels(&[("role", "client")]);
    let pods = Selector { labels, expressions: vec![label(&format!("not-{number}"))] };
    let spec = PolicySpec {
        prefer: Some(vec![Key::Zone]),
        guard: Some(Guard::with_max(30)),
        demand: DemandSource::Clients { pods, namespaces: None },
        ..PolicySpec::default()
    };
    let name = Name::from(format!("p{number}"));
    LocalityPolicy {
        meta: PolicyMeta { name, uid: None, version: 1, created: None, generation: 1 },
        namespace: key(0).namespace,
        services: ServiceFilter::Names(vec![key(number).name]),
        spec: Reading::Known(spec),
        programmed: None,
    }
}

struct Site {
    index: Index,
    version: u64,
    now: Instant,
}

impl Site {
    /// As many policies with a client selector, each for a Service of its own.
    fn new(policies: usize) -> Self {
        let mut site = Self { index: Index::default(), version: 1, now: Instant::now() };
        for zone in 0..3 {
            site.index.apply_node(samples::node(&format!("n{zone}"), &format!("z{zone}")));
        }
        for number in 0..policies {
            site.index.apply_policy(policy(number));
            let key = key(number);
            let selector = Some(samples::labels(&[("app", &*key.name)]));
            site.index.apply_service(Service { key, selector, ..samples::service() });
        }
        for number in 0..CLIENTS {
            assert_eq!(site.put(number, number % 3, true), 0);
        }
        site
    }

    /// A client pod in this zone. Returns how many Services its event affects.
    fn put(&mut self, number: usize, zone: usize, ready: bool) -> usize {
        self.version += 1;
        let pod = Pod {
            name: format!("client-{number}").into(),
            version: self.version,
            labels: Labels::from_iter([("role".into(), "client".into())]),
            node: Some(format!("n{zone}").into()),
            ready,
            ..samples::pod(0)
        };
        self.index.apply_pod(&key(0).namespace, pod).len()
    }

    fn sample(&mut self) -> Vec<ServiceKey> {
        self.now += SAMPLED + Duration::from_secs(1);
        self.index.sample_demand(self.now)
    }

    /// What each zone is known to send to a Service.
    fn shares(&self, number: usize) -> Vec<f64> {
        let key = key(number);
        let zones = self.index.zones(&key, self.index.intent(&key).unwrap()).unwrap();
        zones.demand().to_vec()
    }
}

#[test]
fn ten_thousand_clients_come_and_go_without_a_plan_until_a_share_has_moved() {
    for policies in [1, 10] {
        let mut site = Site::new(policies);
        let before: Vec<_> = (0..policies).map(|number| site.shares(number)).collect();
        // A third of the pods are replaced, a tenth restarts, and no zone has more of them for that.
        for number in 0..CLIENTS / 3 {
            let name = format!("client-{number}");
            let version = Some(site.version);
            assert!(site.index.remove_pod(&key(0).namespace, &name, version).is_empty());
            assert_eq!(site.put(CLIENTS + number, number % 3, true), 0);
        }
        for number in CLIENTS / 3..CLIENTS / 3 + CLIENTS / 10 {
            assert_eq!(site.put(number, number % 3, false), 0);
            assert_eq!(site.put(number, number % 3, true), 0);
        }
        // Less than two points move.
        for number in 0..150 {
            site.put(CLIENTS + 3 * number, 1, true);
        }
        assert_eq!(site.sample(), []);
        let after: Vec<_> = (0..policies).map(|number| site.shares(number)).collect();
        assert_eq!(before, after, "plans read what they have read");
        // And more than that.
        for number in 150..300 {
            site.put(CLIENTS + 3 * number, 1, true);
        }
        let expected: Vec<_> = (0..policies).map(key).collect();
        assert_eq!(site.sample(), expected);
        assert!((site.shares(0)[1] - 0.363).abs() < 0.001, "{:?}", site.shares(0));
    }
}
