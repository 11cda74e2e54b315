//! Probe: shows that both controllers have caught up with a history. It uses the history's canary,
//! a Service with one pod on a separate node.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{History, POLL, QUIET};
use crate::{
    differential::{
        Error, objects,
        side::{CANARY, Side},
    },
    world::{Kind, Place, object},
};

/// The number of the canary's node.
pub const CANARY_NODE: usize = 9;
/// How long a controller may take to follow the canary on a slow machine.
const FOLLOW: Duration = Duration::from_secs(60);

/// How long both controllers wait before they repair what another client has changed.
const REPAIR: Duration = Duration::from_secs(1);

/// A label that no slice of a controller has.
const ODD: &str = "example.com/odd";

/// How many consecutive writes a Service of a history may need.
const WRITES: u32 = 4;
/// The maximum of [`History::quiet`].
const STILL: Duration = Duration::from_secs(5);

impl History<'_> {
    /// Touches all Services, which makes the built-in controller sync each of them, and waits until
    /// both controllers have seen it.
    pub(super) async fn touch(&mut self) -> Result<(), Error> {
        self.touches += 1;
        let patch =
            json!({"metadata": {"annotations": {"example.com/touch": self.touches.to_string()}}});
        let (namespace, model) = (&self.namespace, &self.model);
        self.pair
            .both(async |side| {
                for (number, _) in model.services.iter().enumerate().filter(|(_, it)| it.is_some())
                {
                    let name = objects::service_name(number);
                    side.world.patch(&Place::new(Kind::Service, namespace, &name), &patch).await?;
                }
                Ok(())
            })
            .await?;
        self.probe(false).await
    }

    /// Changes the canary and waits until both controllers have followed. Then they have also
    /// received everything that came earlier through the same watches.
    pub(super) async fn probe(&mut self, pods: bool) -> Result<(), Error> {
        self.probes += 1;
        self.flips += u64::from(pods);
        let (probe, ready) = (self.probes.to_string(), self.flips.is_multiple_of(2));
        let (namespace, started) = (&self.namespace, Instant::now());
        let label = json!({"metadata": {"labels": {"probe": probe}}});
        let status = json!({"conditions": object::ready(ready)});
        self.pair
            .both(async |side| {
                if pods {
                    let pod = Place::new(Kind::Pod, namespace, CANARY);
                    side.world.patch_status(&pod, &status).await?;
                }
                side.world.patch(&Place::new(Kind::Service, namespace, CANARY), &label).await?;
                shown(side, namespace, |slice| {
                    slice["metadata"]["labels"]["probe"] == *probe
                        && slice["endpoints"][0]["conditions"]["serving"] == ready
                })
                .await
            })
            .await?;
        // A Service may need several writes where the canary needs one.
        self.quiet = (WRITES * started.elapsed()).clamp(QUIET, STILL);
        Ok(())
    }

    /// The same through the canary's hints, which closehaul changes after everything else.
    pub(super) async fn probe_hints(&mut self) -> Result<(), Error> {
        self.hints = !self.hints;
        let (namespace, hints) = (&self.namespace, self.hints);
        let distribution = if hints { json!("PreferSameNode") } else { Value::Null };
        let patch = json!({"spec": {"trafficDistribution": distribution}});
        self.pair
            .both(async |side| {
                side.world.patch(&Place::new(Kind::Service, namespace, CANARY), &patch).await?;
                shown(side, namespace, |slice| slice["endpoints"][0]["hints"].is_null() != hints)
                    .await
            })
            .await
    }

    /// The same through the watch of slices.
    pub(super) async fn probe_slices(&self) -> Result<(), Error> {
        self.pair.both(async |side| repaired(side, &self.namespace).await).await
    }

    /// The same through the watch of nodes, which the built-in controller does not follow.
    pub(super) async fn probe_nodes(&mut self) -> Result<(), Error> {
        self.probes += 1;
        let (namespace, zone) = (&self.namespace, format!("zone-{}", self.probes));
        let patch = json!({"metadata": {"labels": {"topology.kubernetes.io/zone": zone}}});
        let node = Place::node(&objects::node_name(namespace, CANARY_NODE));
        self.pair.both(async |side| Ok(side.world.patch(&node, &patch).await.map(drop)?)).await?;
        shown(&self.pair.closehaul, namespace, |slice| slice["endpoints"][0]["zone"] == *zone).await
    }

    /// Waits until closehaul has given up the nodes that were deleted before, which takes some
    /// seconds. The canary's node is deleted after them, and rebuilt when its zone is no longer in
    /// the slice.
    pub(super) async fn outlast_nodes(&mut self) -> Result<(), Error> {
        let (namespace, side) = (&self.namespace, &self.pair.closehaul);
        let node = canary_node(namespace);
        side.world.delete(&Place::of(&node)?).await?;
        shown(side, namespace, |slice| slice["endpoints"][0]["zone"].is_null()).await?;
        side.world.create(&node).await?;
        shown(side, namespace, |slice| !slice["endpoints"][0]["zone"].is_null()).await
    }
}

/// The canary's node, which does not count for the zones' shares of CPU.
fn canary_node(namespace: &str) -> Value {
    let mut node = object::node(&objects::node_name(namespace, CANARY_NODE), Some("zone-0"));
    node["metadata"]["labels"][objects::CONTROL_PLANE] = json!("");
    node
}

/// The objects that show a history whether the controllers follow.
pub fn canary(namespace: &str) -> [Value; 3] {
    let node = canary_node(namespace);
    let mut service = object::service(namespace, CANARY);
    service["spec"]["clusterIP"] = json!("None");
    // Then it has hints whether it is ready or not.
    service["spec"]["publishNotReadyAddresses"] = json!(true);
    let [address, _] = object::addresses(60_000);
    let name = objects::node_name(namespace, CANARY_NODE);
    let pod = object::pod(namespace, CANARY, CANARY, &name, &[address]);
    [node, service, pod]
}

/// Adds a label to the canary's slices as another client, and waits until they are repaired and
/// everything is that was changed before. A canary that is synced for another reason is repaired at
/// once, so the wait of both controllers may still be to come. If this changed their endpoints
/// repeatedly, closehaul would treat it as a fight with another controller, and finally repair them
/// a minute apart.
pub async fn repaired(side: &Side, namespace: &str) -> Result<(), Error> {
    let mut written = Vec::new();
    for slice in side.canary(namespace) {
        let patch = json!({"metadata": {"labels": {ODD: "yes"}}});
        let patched = side.patch_slice(&slice, &patch).await?;
        written.extend(patched.as_ref().map(version));
    }
    shown(side, namespace, |slice| {
        let is_repaired = slice["metadata"]["labels"][ODD].is_null();
        is_repaired && written.iter().all(|written| version(slice) > *written)
    })
    .await?;
    tokio::time::sleep(REPAIR).await;
    Ok(())
}

/// Waits until `is_shown` holds for a slice of the canary.
async fn shown(
    side: &Side,
    namespace: &str,
    is_shown: impl Fn(&Value) -> bool,
) -> Result<(), Error> {
    let started = Instant::now();
    while !side.canary(namespace).iter().any(|slice| is_shown(slice)) {
        if started.elapsed() > FOLLOW {
            return Err(Error::Stuck { namespace: namespace.to_owned(), log: side.log_tail() });
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

fn version(slice: &Value) -> u64 {
    let version = slice["metadata"]["resourceVersion"].as_str();
    version.and_then(|version| version.parse().ok()).unwrap_or_default()
}
