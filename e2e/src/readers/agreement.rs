//! The model of kube-proxy, the assessment of each port and address type that follows from it, and what
//! `closehaul explain` prints, against the rules that real kube-proxies have programmed, over Services
//! and slices that are generated at random.

use super::{
    Error,
    explained::{AT_ONCE, Entry, Explanations, NODES, part},
    generate::{self, Seed},
    rules::{Outcome, Rules},
    site::Site,
};
use crate::{
    closehaul::{Profile, build},
    kubelet::NodeSpec,
    progress,
    proxy::Mode,
};
use closehaul::{
    api::Object,
    assess::share,
    consumers::kube_proxy::{self, Client, Held, Reach, Targets},
    model::{address::AddressType, service::Service, slice::Slice},
    plan::topology::Clients,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::{core::v1, discovery::v1::EndpointSlice};
use kube::{
    Api, Resource,
    api::{DeleteParams, ListParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::Path,
    time::{Duration, Instant},
};
use tokio::time;

/// How long kube-proxies may take to program everything.
const LIMIT: Duration = Duration::from_secs(60);

/// What was compared.
#[derive(Debug)]
pub struct Agreement {
    /// What the Services were generated from.
    pub seed: u64,
    /// How many Services there were.
    pub services: usize,
    /// How many paths through a Service were compared, in two rounds: by port, family and node, and
    /// by cluster IP, from outside, and from a pod to an external address.
    pub cases: usize,
    /// Of those, how many led to endpoints.
    pub endpoints: usize,
    /// Of those, how many led to fewer than all endpoints because of hints or a traffic policy.
    pub near: usize,
    /// How many zones were assessed, for a port in an address type, and compared with the rules on
    /// their nodes.
    pub assessed: usize,
    /// Of those, in how many no or not all traffic stays.
    pub beyond: usize,
    /// How many entries of `closehaul explain` were compared, each with all endpoints and shares of the
    /// clients of a zone or node, for a port in a family.
    pub explained: usize,
    /// Of those, how many have endpoints.
    pub shared: usize,
    /// Of those, for how many the rules leave only one mode that describes them.
    pub decided: usize,
    /// The cases in which model and rules did not agree, with the outcomes of both.
    pub disagreements: Vec<String>,
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, services, cases, endpoints, near, assessed, beyond, .. } = self;
        let Self { explained, shared, decided, disagreements, .. } = self;
        let disagreements = disagreements.len();
        write!(
            f,
            "model of kube-proxy against its rules (seed {seed}): {services} Services, \
             {cases} cases compared, {endpoints} with endpoints, {near} of them kept near, \
             {assessed} assessments of zones, {beyond} of them beyond the zone, \
             {explained} entries of closehaul explain, {shared} of them with endpoints, the mode of \
             {decided} decided, \
             {disagreements} disagreements"
        )
    }
}

/// Lets real kube-proxies program generated Services and compares. In the first round they see
/// everything at their start, in the second one all slices and a node's zone change under them.
/// Everything that was started and created is gone afterwards.
pub async fn agreement(seed: u64, services: usize, server: &Path) -> Result<Agreement, Error> {
    let mut site = Site::start(Mode::Nftables, server).await?;
    let ran = run(&mut site, seed, services).await;
    let running = site.check().await;
    let stopped = site.stop().await;
    running?;
    let agreement = ran?;
    stopped?;
    progress::say(&agreement.to_string());
    Ok(agreement)
}

async fn run(site: &mut Site, seed: u64, services: usize) -> Result<Agreement, Error> {
    let mut numbers = Seed(seed);
    let api: Api<v1::Service> = Api::default_namespaced(site.api.clone());
    let objects = (1..=services).map(|number| generate::service(&mut numbers, number)).collect();
    let made = create(&api, objects).await?;
    let mut zones = BTreeMap::from(NODES);
    let mut sum = Agreement {
        seed,
        services,
        cases: 0,
        endpoints: 0,
        near: 0,
        assessed: 0,
        beyond: 0,
        explained: 0,
        shared: 0,
        decided: 0,
        disagreements: Vec::new(),
    };
    let command = build(Profile::Dev).await?;

    write_slices(site, &mut numbers, &made).await?;
    let nodes = NODES.map(|(name, zone)| NodeSpec {
        name: name.to_owned(),
        zone: zone.map(str::to_owned),
        control_plane: false,
    });
    site.join(nodes.into()).await?;
    sum.add(compare(site, &command, &made, &zones).await?);

    write_slices(site, &mut numbers, &made).await?;
    site.set_zone("n2", "zone-a").await?;
    zones.insert("n2", Some("zone-a"));
    sum.add(compare(site, &command, &made, &zones).await?);
    Ok(sum)
}

impl Agreement {
    fn add(&mut self, round: Round) {
        self.cases += round.cases;
        self.endpoints += round.endpoints;
        self.near += round.near;
        self.assessed += round.assessed;
        self.beyond += round.beyond;
        self.explained += round.explained;
        self.shared += round.shared;
        self.decided += round.decided;
        self.disagreements.extend(round.disagreements);
    }
}

/// Replaces the slices of all Services with new ones.
async fn write_slices(site: &Site, seed: &mut Seed, services: &[v1::Service]) -> Result<(), Error> {
    let api: Api<EndpointSlice> = Api::default_namespaced(site.api.clone());
    let all = ListParams::default().labels(closehaul::model::slice::SERVICE_NAME);
    let ours = all.fields("metadata.name!=kubernetes");
    api.delete_collection(&DeleteParams::default(), &ours)
        .await
        .map_err(Error::api("all slices"))?;
    let names = services.iter().filter_map(|service| service.metadata.name.as_deref());
    create(&api, names.flat_map(|name| generate::slices(seed, name)).collect()).await.map(drop)
}

async fn create<K>(api: &Api<K>, objects: Vec<Value>) -> Result<Vec<K>, Error>
where
    K: Resource + Clone + Serialize + DeserializeOwned + fmt::Debug,
{
    let parameters = PostParams::default();
    stream::iter(objects)
        .map(|object| {
            let (parameters, text) = (&parameters, object.to_string());
            async move {
                let object: K = serde_json::from_value(object).map_err(Error::decode(&*text))?;
                api.create(parameters, &object).await.map_err(Error::api(text))
            }
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await
}

/// One comparison of everything.
#[derive(Debug, Default)]
struct Round {
    cases: usize,
    endpoints: usize,
    near: usize,
    assessed: usize,
    beyond: usize,
    explained: usize,
    shared: usize,
    decided: usize,
    disagreements: Vec<String>,
}

/// Compares until model and rules agree or the time limit is reached, because kube-proxies need
/// time to program the rules.
async fn compare(
    site: &Site,
    command: &Path,
    services: &[v1::Service],
    zones: &BTreeMap<&str, Option<&str>>,
) -> Result<Round, Error> {
    let explanations = Explanations::of(site, command, services).await?;
    let api: Api<Object<Slice>> = Api::default_namespaced_with(site.api.clone(), &());
    let slices = api.list(&ListParams::default()).await.map_err(Error::api("the slices"))?;
    let slices: Vec<_> = slices.items.into_iter().map(|slice| slice.value).collect();
    let ports = services.iter().map(ports).collect::<Result<Vec<_>, _>>()?;
    let ports: Vec<_> = ports.into_iter().flatten().collect();
    let started = Instant::now();
    loop {
        let mut round = Round::default();
        let mut inside = vec![BTreeMap::new(); ports.len()];
        for (node, namespace) in site.nodes() {
            let zone = zones.get(node).copied().flatten();
            for family in [AddressType::IPv4, AddressType::IPv6] {
                let rules = Rules::read(namespace, family).await?;
                for (port, inside) in ports.iter().zip(&mut inside) {
                    if port.family == family {
                        round.judge(port, &slices, &rules, Client { node, zone });
                        inside.insert(node, rules.outcome(&port.inside));
                    }
                }
            }
        }
        for (port, inside) in ports.iter().zip(&inside) {
            round.assess(port, &slices, inside, zones);
            round.explain(port, &slices, inside, zones, &explanations);
        }
        if round.disagreements.is_empty() || started.elapsed() > LIMIT {
            return Ok(round);
        }
        time::sleep(Duration::from_millis(500)).await;
    }
}

/// A port of a Service in one family.
struct Port {
    service: Service,
    name: String,
    family: AddressType,
    /// The keys of the rules, for the cluster IP and for external addresses.
    inside: String,
    outside: Vec<String>,
}

fn ports(service: &v1::Service) -> Result<Vec<Port>, Error> {
    let object = serde_json::to_value(service).map_err(Error::decode("a Service"))?;
    let read: Object<Service> =
        serde_json::from_value(object).map_err(Error::decode("a Service"))?;
    let spec = service.spec.clone().unwrap_or_default();
    let mut ports = Vec::new();
    for address in spec.cluster_ips.iter().flatten() {
        let is_v6 = address.contains(':');
        for port in spec.ports.iter().flatten() {
            let protocol = port.protocol.clone().unwrap_or_default().to_lowercase();
            let external = spec.external_ips.iter().flatten();
            let external = external.filter(|external| external.contains(':') == is_v6);
            let by_address =
                external.map(|external| format!("{external} {protocol} {}", port.port));
            let by_node = port.node_port.map(|number| format!("{protocol} {number}"));
            ports.push(Port {
                service: read.value.clone(),
                name: port.name.clone().unwrap_or_default(),
                family: if is_v6 { AddressType::IPv6 } else { AddressType::IPv4 },
                inside: format!("{address} {protocol} {}", port.port),
                outside: by_address.chain(by_node).collect(),
            });
        }
    }
    Ok(ports)
}

impl Round {
    fn judge(&mut self, port: &Port, slices: &[Slice], rules: &Rules, client: Client<'_>) {
        let service = &port.service;
        let targets = Targets::new(service, slices, port.family, &port.name);
        let held = kube_proxy::held(service, &targets, !port.outside.is_empty(), client);
        let usable = targets.usable().len();
        let of = |local| if local { held.local.as_ref() } else { held.cluster.as_ref() };
        let mut judge = |way: &str, key: &str, model: Outcome, rule: Outcome| {
            self.cases += 1;
            if let Outcome::To(endpoints) = &rule {
                self.endpoints += 1;
                self.near += usize::from(endpoints.len() < usable);
            }
            if model != rule {
                let targets: Vec<_> = targets.all.iter().map(|t| (t.port, t.endpoint)).collect();
                self.disagreements.push(format!(
                    "{way} {key} of {}/{} seen from {client:?}: model {model}, rules {rule}; \
                     internal Local {}, external Local {}; {targets:?}",
                    service.key.name, port.name, service.internal_local, service.external_local,
                ));
            }
        };
        let inside = outcome(of(service.internal_local), &held);
        judge("cluster IP", &port.inside, inside, rules.outcome(&port.inside));
        for key in &port.outside {
            let outside = outcome(of(service.external_local), &held);
            judge("from outside to", key, outside, rules.outcome(key));
            if service.external_local && held.anywhere {
                let short = outcome(of(false), &held);
                judge("from a pod to", key, short, rules.short_circuit(key));
            }
        }
    }
}

impl Round {
    /// Compares what the assessment says about the zones' traffic to a port with what the rules on
    /// their nodes do with it.
    fn assess(
        &mut self,
        port: &Port,
        slices: &[Slice],
        inside: &BTreeMap<&str, Outcome>,
        zones: &BTreeMap<&str, Option<&str>>,
    ) {
        let targets = Targets::new(&port.service, slices, port.family, &port.name);
        // Without a ready endpoint, and under the policy Local, there is no assessment.
        if targets.ready().is_empty() || port.service.internal_local {
            return;
        }
        let mut clients = Clients::new();
        for (node, zone) in zones {
            if let Some(zone) = zone {
                clients.entry((*zone).into()).or_default().insert((*node).into());
            }
        }
        let share = share::share(&targets, &share::equal(&clients));
        for zone in share.iter().flat_map(|share| &share.zones) {
            let homes: BTreeMap<String, bool> = targets
                .all
                .iter()
                .map(|target| {
                    let is_home = target.endpoint.zone.as_ref() == Some(&zone.zone);
                    (format!("{} {}", target.address, target.port), is_home)
                })
                .collect();
            let mut reached = BTreeSet::new();
            let mut staying = 0.0;
            for node in &clients[&zone.zone] {
                let Some(Outcome::To(endpoints)) = inside.get(&**node) else { continue };
                let home = endpoints.iter().filter(|it| homes.get(*it) == Some(&true)).count();
                staying += part(home, endpoints.len()) / part(clients[&zone.zone].len(), 1);
                reached.extend(endpoints.iter().cloned());
            }
            self.assessed += 1;
            self.beyond += usize::from(staying < 1.0);
            let is_same = reached.len() == zone.reachable && (staying - zone.in_zone).abs() < 1e-9;
            if !is_same {
                self.disagreements.push(format!(
                    "assessment of {}/{}, {}: {zone:?}; rules {inside:?}",
                    port.service.key.name, port.name, port.family,
                ));
            }
        }
    }
}

impl Round {
    /// Compares what `closehaul explain` says of a port with the rules on the nodes of its clients.
    fn explain(
        &mut self,
        port: &Port,
        slices: &[Slice],
        inside: &BTreeMap<&str, Outcome>,
        zones: &BTreeMap<&str, Option<&str>>,
        Explanations { dump, said }: &Explanations,
    ) {
        let service = &*port.service.key.name;
        let targets = Targets::new(&port.service, slices, port.family, &port.name);
        let own = said.get(service).into_iter().flatten();
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for said in own.filter(|said| said.is_of(&port.name, port.family)) {
            let is_from = |(node, _): &(&&str, &Outcome)| {
                said.is_from(node, zones.get(*node).copied().flatten())
            };
            let rules = inside.iter().filter(is_from).map(|(node, outcome)| (*node, outcome));
            let rules: Vec<_> = rules.collect();
            for (node, _) in &rules {
                *seen.entry(*node).or_default() += 1;
            }
            let is_local = port.service.internal_local;
            let entry = Entry { said, service, dump, is_local, usable: targets.usable().len() };
            let compared = entry.compare(&rules);
            self.explained += 1;
            if !entry.is_empty() {
                self.shared += 1;
                self.decided += usize::from(compared.is_decided);
            }
            let place = || format!("explain {service}/{}, {}: {said:?}", port.name, port.family);
            self.disagreements.extend(compared.wrong.map(|wrong| format!("{}: {wrong}", place())));
        }
        // Every node belongs to one zone or to none, and one of them is asked for by itself.
        let is_complete =
            seen.len() == zones.len() && seen.values().sum::<usize>() == zones.len() + 1;
        if !is_complete {
            let place = format!("explain {service}/{}, {}", port.name, port.family);
            self.disagreements.push(format!("{place}: entries by node {seen:?}"));
        }
    }
}

fn outcome(reach: Option<&Reach<'_>>, held: &Held<'_>) -> Outcome {
    let endpoints = reach.map_or(&[][..], |reach| &reach.endpoints);
    if !endpoints.is_empty() {
        let each = endpoints.iter().map(|target| format!("{} {}", target.address, target.port));
        return Outcome::To(each.collect());
    }
    if held.anywhere { Outcome::Dropped } else { Outcome::Refused }
}
