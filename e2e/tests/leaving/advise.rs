//! Mode `advise` with the rights that its chart grants: it works, and nothing can be written.

use std::fs;

use e2e::{
    closehaul::{self, Ports},
    cluster::{Actor, Cluster},
    world::{World, until},
};

use crate::{SETTLE, SHOP, helm::Helm, stop};

/// What closehaul writes in mode `replace`, and what else it may read here.
const WRITTEN: [&str; 8] = [
    "endpointslices.discovery.k8s.io",
    "events.events.k8s.io",
    "leases.coordination.k8s.io",
    "services/finalizers",
    "localitypolicies.closehaul.io/status",
    "clusterlocalitypolicies.closehaul.io/status",
    "zoneevacuations.closehaul.io/status",
    "pods",
];

pub async fn only_reads(cluster: &Cluster, helm: &Helm, world: &World) {
    helm.install(&["--set", "mode=advise"]).await;
    let before = cluster.stored_slices().await.unwrap();
    let ports = Ports::free().unwrap();
    let [metrics, health] = ports.args();
    let closehaul = closehaul::start(cluster, &["--mode=advise", &metrics, &health]).await.unwrap();
    until("it is ready", SETTLE, async || {
        closehaul.must_run().map_err(e2e::cluster::Error::from)?;
        let answer = ports.health("/readyz").await;
        Ok(answer.is_ok_and(|(code, _)| code == 200).then_some(()))
    })
    .await
    .unwrap();
    let (services, _) = until("it reports on all Services", SETTLE, async || {
        let scraped = ports.metrics().await.unwrap();
        let of = scraped.series.iter().filter(|(name, _)| name.starts_with("closehaul_services{"));
        let all = of.map(|(_, count)| count).sum::<f64>();
        Ok((all >= 200.0).then_some(all))
    })
    .await
    .unwrap();
    eprintln!("leaving: advise reports on {services} Services");

    for resource in WRITTEN {
        for verb in ["create", "update", "patch", "delete"] {
            let (resource, part) = resource.split_once('/').unwrap_or((resource, ""));
            let subresource = format!("--subresource={part}");
            let mut args = vec!["auth", "can-i", verb, resource, "--all-namespaces"];
            args.extend((!part.is_empty()).then_some(&*subresource));
            let answer = cluster.kubectl_as(Actor::Closehaul, &args).await.unwrap();
            assert_eq!(answer.stdout.trim(), "no", "{args:?}: {}", answer.stderr);
        }
    }
    attempt(cluster, world).await;
    assert_eq!(cluster.stored_slices().await.unwrap(), before);
    stop(closehaul).await;
    helm.run(&["uninstall", "closehaul"]).await;
}

/// Sends writes, which the API server must refuse before it reads their bodies.
async fn attempt(cluster: &Cluster, world: &World) {
    let slices = world.slices_of(SHOP, "web-1").await.unwrap();
    let slice = slices[0]["metadata"]["name"].as_str().unwrap();
    let slices = format!("/apis/discovery.k8s.io/v1/namespaces/{SHOP}/endpointslices");
    let slice = format!("{slices}/{slice}");
    let body = cluster.directory().join("body.json");
    fs::write(&body, "{}").unwrap();
    let body = body.display().to_string();
    for (verb, path) in [
        ("create", &*slices),
        ("replace", &slice),
        ("delete", &slice),
        ("create", "/apis/events.k8s.io/v1/namespaces/default/events"),
        ("create", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"),
        ("replace", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/closehaul"),
        ("replace", "/apis/closehaul.io/v1alpha1/clusterlocalitypolicies/all/status"),
        ("replace", "/apis/closehaul.io/v1alpha1/zoneevacuations/zone-a-x7k2p/status"),
    ] {
        let args = [verb, "--raw", path, "-f", &body];
        let args = if verb == "delete" { &args[..3] } else { &args };
        let refused = cluster.kubectl_as(Actor::Closehaul, args).await.unwrap();
        assert!(refused.stderr.contains("Forbidden"), "{verb} {path}: {}", refused.stderr);
    }
}
