//! What a case does to the cluster.

use super::{
    Error,
    cases::{Case, Change, node},
    site::Site,
};
use crate::kubelet::requests;
use closehaul::model::slice::SERVICE_NAME;
use k8s_openapi::api::{
    core::v1::{Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, net::IpAddr, time::Duration};
use tokio::time::{self, Instant};

/// How long the slices may take to become correct. On a busy machine, most of this time passes
/// before the pods run.
const LIMIT: Duration = Duration::from_secs(180);

/// Creates the Service of a case with its servers and returns its addresses.
pub(super) async fn create(api: &Client, case: &Case) -> Result<Vec<IpAddr>, Error> {
    let what = format!("the Service {}", case.name);
    let object = json!({
        "metadata": {"name": case.name},
        "spec": {
            "selector": {"app": case.name},
            "ports": [{"port": 80}],
            "ipFamilyPolicy": "RequireDualStack",
            "trafficDistribution": case.distribution,
        },
    });
    let service: Service = serde_json::from_value(object).map_err(Error::decode(&*what))?;
    let services: Api<Service> = Api::default_namespaced(api.clone());
    let made = services.create(&PostParams::default(), &service).await.map_err(Error::api(what))?;
    for server in case.servers.split(' ') {
        create_pod(api, &case.pod(server), case.name, node(server)).await?;
    }
    let addresses = made.spec.and_then(|spec| spec.cluster_ips).unwrap_or_default();
    Ok(addresses.iter().filter_map(|address| address.parse().ok()).collect())
}

/// Creates a pod on a node. It becomes ready a moment later.
pub(super) async fn create_pod(
    api: &Client,
    name: &str,
    app: &str,
    node: &str,
) -> Result<(), Error> {
    let what = format!("the pod {name}");
    let object = json!({
        "metadata": {"name": name, "labels": {"app": app}},
        "spec": {"nodeName": node, "containers": [{"name": "server", "image": "server"}]},
    });
    let pod: Pod = serde_json::from_value(object).map_err(Error::decode(&*what))?;
    let pods: Api<Pod> = Api::default_namespaced(api.clone());
    pods.create(&PostParams::default(), &pod).await.map(drop).map_err(Error::api(what))
}

/// Waits until the slices of both families list these servers as ready and no others.
///
/// A change before that starts from the wrong state. A server that is not ready yet cannot replace
/// one that becomes unready, and requests rightly fail.
pub(super) async fn listed(
    api: &Client,
    case: &Case,
    ready: &BTreeSet<&'static str>,
) -> Result<(), Error> {
    let pods: BTreeSet<_> = ready.iter().map(|server| case.pod(server)).collect();
    until(api, case, &format!("{pods:?} ready and no others"), |slice| {
        let ready = slice.endpoints.iter().filter(|endpoint| {
            endpoint.conditions.as_ref().is_some_and(|conditions| conditions.ready == Some(true))
        });
        let names = ready.filter_map(|endpoint| endpoint.target_ref.as_ref()?.name.clone());
        names.collect::<BTreeSet<_>>() == pods
    })
    .await
}

/// Returns an error if a pod is gone.
pub(super) async fn must_exist(api: &Client, name: &str) -> Result<(), Error> {
    let pods: Api<Pod> = Api::default_namespaced(api.clone());
    pods.get(name).await.map(drop).map_err(Error::api(format!("the pod {name}, which is needed")))
}

/// Applies the change of a step.
pub(super) async fn apply(site: &Site, case: &Case, change: Change) -> Result<(), Error> {
    let api = &site.api;
    match change {
        Change::Nothing => Ok(()),
        Change::Delete(server) => {
            let (pods, name): (Api<Pod>, _) =
                (Api::default_namespaced(api.clone()), case.pod(server));
            let deleted = pods.delete(&name, &DeleteParams::default()).await;
            deleted.map_err(Error::api(format!("the pod {name}")))?;
            served_by_terminating(api, case, &name).await
        }
        Change::End(server) => {
            // By then, a request that was on its way to it has been answered or has failed.
            time::sleep(requests::TIMEOUT).await;
            let (pods, name): (Api<Pod>, _) =
                (Api::default_namespaced(api.clone()), case.pod(server));
            let ended = pods.delete(&name, &DeleteParams::default().grace_period(0)).await;
            ended.map(drop).map_err(Error::api(format!("the pod {name}")))
        }
        Change::Create(server) => create_pod(api, &case.pod(server), case.name, node(server)).await,
        Change::Unready(server) => set_ready(api, &case.pod(server), "False").await,
        Change::Ready(server) => set_ready(api, &case.pod(server), "True").await,
        Change::Distribution(distribution) => {
            let services: Api<Service> = Api::default_namespaced(api.clone());
            let patch = Patch::Merge(json!({"spec": {"trafficDistribution": distribution}}));
            let patched = services.patch(case.name, &PatchParams::default(), &patch).await;
            patched.map(drop).map_err(Error::api(format!("the Service {}", case.name)))
        }
        Change::Zone { node, zone } => site.set_zone(node, zone).await,
        Change::Unhint => unhint(api, case).await,
    }
}

async fn set_ready(api: &Client, name: &str, status: &str) -> Result<(), Error> {
    let pods: Api<Pod> = Api::default_namespaced(api.clone());
    let conditions = json!([{"type": "Ready", "status": status}]);
    let patch = Patch::Strategic(json!({"status": {"conditions": conditions}}));
    let patched = pods.patch_status(name, &PatchParams::default(), &patch).await;
    patched.map(drop).map_err(Error::api(format!("the pod {name}")))
}

/// Waits until the slices of both families show the pod as serving and terminating.
async fn served_by_terminating(api: &Client, case: &Case, pod: &str) -> Result<(), Error> {
    until(api, case, &format!("{pod} serving and terminating"), |slice| {
        let mut endpoints = slice.endpoints.iter().filter(|endpoint| {
            endpoint.target_ref.as_ref().and_then(|target| target.name.as_deref()) == Some(pod)
        });
        let conditions = endpoints.next().and_then(|endpoint| endpoint.conditions.clone());
        conditions.is_some_and(|is| {
            (is.ready, is.serving, is.terminating) == (Some(false), Some(true), Some(true))
        })
    })
    .await
}

/// Removes all hints and waits until they are back.
async fn unhint(api: &Client, case: &Case) -> Result<(), Error> {
    let slices: Api<EndpointSlice> = Api::default_namespaced(api.clone());
    for slice in list(api, case).await? {
        let what = format!("a slice of {}", case.name);
        let bare = |endpoint| {
            let mut endpoint = serde_json::to_value(endpoint)?;
            endpoint.as_object_mut().map(|endpoint| endpoint.remove("hints"));
            Ok::<Value, serde_json::Error>(endpoint)
        };
        let endpoints = slice.endpoints.iter().map(bare).collect::<Result<Vec<_>, _>>();
        let patch = Patch::Merge(json!({"endpoints": endpoints.map_err(Error::decode(&*what))?}));
        let name = slice.metadata.name.unwrap_or_default();
        let patched = slices.patch(&name, &PatchParams::default(), &patch).await;
        let patched = patched.map_err(Error::api(&*what))?;
        if patched.endpoints.iter().any(|endpoint| endpoint.hints.is_some()) {
            let (what, last) = (format!("{what} without hints"), format!("{patched:?}"));
            return Err(Error::Late { what, seconds: 0, last });
        }
    }
    until(api, case, "the hints again", |slice| {
        slice.endpoints.iter().all(|endpoint| endpoint.hints.is_some())
    })
    .await
}

/// Waits until all slices of a case are correct.
async fn until(
    api: &Client,
    case: &Case,
    what: &str,
    is_right: impl Fn(&EndpointSlice) -> bool,
) -> Result<(), Error> {
    let started = Instant::now();
    loop {
        let slices = list(api, case).await?;
        if slices.len() == 2 && slices.iter().all(&is_right) {
            return Ok(());
        }
        if started.elapsed() > LIMIT {
            let what = format!("{}: {what}", case.name);
            return Err(Error::Late {
                what,
                seconds: LIMIT.as_secs(),
                last: format!("{slices:?}"),
            });
        }
        time::sleep(Duration::from_millis(50)).await;
    }
}

/// The slices of a case.
pub(super) async fn list(api: &Client, case: &Case) -> Result<Vec<EndpointSlice>, Error> {
    let slices: Api<EndpointSlice> = Api::default_namespaced(api.clone());
    let own = ListParams::default().labels(&format!("{SERVICE_NAME}={}", case.name));
    let list = slices.list(&own).await;
    Ok(list.map_err(Error::api(format!("the slices of {}", case.name)))?.items)
}
