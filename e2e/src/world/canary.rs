//! A Service that shows whether a controller works and has caught up.

use std::time::Duration;

use serde_json::json;

use super::{Error, Kind, Place, World, object, until};

/// The namespace, which contains only the canary.
const NAMESPACE: &str = "canary";
/// Its only node, Service and pod.
const NAME: &str = "canary";
/// How long a controller may take to start, list everything and serve one Service.
const LIMIT: Duration = Duration::from_secs(180);

/// A Service with one pod, whose readiness a controller must follow.
#[derive(Debug, Clone)]
pub struct Canary {
    ready: bool,
}

impl Canary {
    /// Creates it. Its node has no zone and is a control-plane node, so it does not affect the
    /// hints of other Services.
    pub async fn create(world: &World) -> Result<Self, Error> {
        world.create(&object::namespace(NAMESPACE)).await?;
        let mut node = object::node(NAME, None);
        node["metadata"]["labels"]["node-role.kubernetes.io/control-plane"] = json!("");
        world.create(&node).await?;
        let [address, _] = object::addresses(60_000);
        world.create(&object::pod(NAMESPACE, NAME, NAME, NAME, &[address])).await?;
        world.create(&object::service(NAMESPACE, NAME)).await?;
        Ok(Self { ready: true })
    }

    /// Flips the pod's readiness, waits until a slice shows it, and returns that slice's version
    /// and how long it took. The controller that wrote it has listed all kinds and has processed
    /// everything that it had to do before this change.
    pub async fn follow(&mut self, world: &World) -> Result<(u64, Duration), Error> {
        self.ready = !self.ready;
        let pod = Place::new(Kind::Pod, NAMESPACE, NAME);
        world.patch_status(&pod, &json!({"conditions": object::ready(self.ready)})).await?;
        until("the canary's slice follows its pod", LIMIT, async || {
            let slices = world.slices_of(NAMESPACE, NAME).await?;
            let shown = slices
                .iter()
                .find(|slice| slice["endpoints"][0]["conditions"]["ready"] == json!(self.ready));
            let version = shown.and_then(|slice| slice["metadata"]["resourceVersion"].as_str());
            Ok(version.and_then(|version| version.parse().ok()))
        })
        .await
    }

    /// Whether a slice of that name (`namespace/name`) is the canary's.
    pub fn owns(slice: &str) -> bool {
        slice.starts_with("canary/")
    }
}
