//! A full cluster, written directly into etcd, which takes seconds instead of the minutes that the
//! API would take.

mod pod;

use futures::{StreamExt, TryStreamExt, stream};
use http::Request;
use k8s_openapi::ByteString;
use kube::{Client, Config};
use serde_json::{Value, json};

pub(super) use self::pod::{conditions, pod};
use super::{Error, shape::Shape};
use crate::{cluster, progress::Progress, world::object};

/// Objects in one request: below etcd's limit of 1.5 MiB with pods of 13 kB in base64.
const BATCH: usize = 60;
/// Requests in flight.
const IN_FLIGHT: usize = 4;

/// Writes the objects of a shape to the etcd at `url`, but no slices.
pub(super) async fn fill(url: &str, shape: Shape) -> Result<(), Error> {
    let uri = url.parse().map_err(|source| cluster::Error::Url { url: url.to_owned(), source })?;
    let client = Client::try_from(Config::new(uri)).map_err(Error::Seed)?;
    let mut progress = Progress::new(format!("filling etcd with {} pods", shape.pods()));
    // First the addresses: the API server creates those that are missing, with an Event for each.
    let addresses = (0..shape.services).map(|number| address(shape, number));
    put_all(&client, addresses, &mut progress).await?;
    put_all(&client, objects(shape), &mut progress).await?;
    progress.done();
    Ok(())
}

async fn put_all(
    client: &Client,
    objects: impl Iterator<Item = (String, Value)>,
    progress: &mut Progress,
) -> Result<(), Error> {
    let batches = stream::iter(objects).chunks(BATCH);
    let mut written = batches.map(|batch| put(client, batch)).buffer_unordered(IN_FLIGHT);
    while written.try_next().await.map_err(Error::Seed)?.is_some() {
        progress.tick();
    }
    Ok(())
}

/// Keys and objects, created when they are written.
fn objects(shape: Shape) -> impl Iterator<Item = (String, Value)> {
    let namespaces = (0..shape.namespaces).map(|number| {
        let name = Shape::namespace(number);
        let mut namespace = object::namespace(&name);
        namespace["status"] = json!({"phase": "Active"});
        (format!("/registry/namespaces/{name}"), stored(namespace))
    });
    let nodes = (0..shape.nodes).map(|number| {
        let name = Shape::node(number);
        let node = object::node(&name, Some(&Shape::zone(number)));
        (format!("/registry/minions/{name}"), stored(node))
    });
    let services = (0..shape.services).map(move |number| service(shape, number));
    let pods = (0..shape.pods()).map(move |number| {
        let (namespace, name) = (shape.namespace_of_pod(number), shape.pod(number));
        let (service, node) = (shape.service_of_pod(number), shape.node_of_pod(number));
        let address = Shape::address(number);
        let pod = pod(&namespace, &name, &Shape::service(service), &Shape::node(node), address);
        (format!("/registry/pods/{namespace}/{name}"), stored(pod))
    });
    namespaces.chain(nodes).chain(services).chain(pods)
}

/// Writes objects in one transaction through etcd's JSON gateway.
async fn put(client: &Client, batch: Vec<(String, Value)>) -> Result<(), kube::Error> {
    // Its values are base64, like those of a Secret.
    let put = |(key, object): &(String, Value)| {
        let value = ByteString(object.to_string().into_bytes());
        json!({"requestPut": {"key": ByteString(key.clone().into_bytes()), "value": value}})
    };
    let body = json!({"success": batch.iter().map(put).collect::<Vec<_>>()});
    let request = Request::post("/v3/kv/txn").body(body.to_string().into_bytes());
    client.request::<Value>(request.map_err(kube::Error::HttpError)?).await.map(drop)
}

/// What the API server adds to an object when it is created.
fn stored(mut object: Value) -> Value {
    let metadata = &object["metadata"];
    let name = format!("{}/{}/{}", object["kind"], metadata["namespace"], metadata["name"]);
    object["metadata"]["uid"] = json!(uid(&name));
    object["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
    object
}

/// A uid derived from the name, in the usual form.
fn uid(name: &str) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, name.as_bytes());
    let hex = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32]].join("-")
}

/// The record of a Service's address, as the API server's allocator creates it.
fn address(shape: Shape, number: u32) -> (String, Value) {
    let name = cluster_ip(number);
    let address = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IPAddress",
        "metadata": {"name": name, "labels": {
            "ipaddress.kubernetes.io/ip-family": "IPv4",
            "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
        }},
        "spec": {"parentRef": {"group": "", "resource": "services",
            "namespace": shape.namespace_of(number), "name": Shape::service(number)}},
    });
    (format!("/registry/ipaddresses/{name}"), stored(address))
}

/// An address in the upper part of the cluster's range.
fn cluster_ip(number: u32) -> String {
    format!("10.96.{}.{}", 100 + number / 250, number % 250 + 1)
}

fn service(shape: Shape, number: u32) -> (String, Value) {
    let (namespace, name) = (shape.namespace_of(number), Shape::service(number));
    let mut service = object::service(&namespace, &name);
    let address = cluster_ip(number);
    let spec = &mut service["spec"];
    spec["ports"][0]["protocol"] = json!("TCP");
    spec["type"] = json!("ClusterIP");
    spec["clusterIP"] = json!(address);
    spec["clusterIPs"] = json!([address]);
    spec["ipFamilies"] = json!(["IPv4"]);
    spec["ipFamilyPolicy"] = json!("SingleStack");
    spec["sessionAffinity"] = json!("None");
    spec["internalTrafficPolicy"] = json!("Cluster");
    spec["trafficDistribution"] = json!("PreferSameZone");
    (format!("/registry/services/specs/{namespace}/{name}"), stored(service))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_object_has_its_own_key_and_a_request_is_small_enough() {
        let shape = Shape { namespaces: 2, services: 150, pods_per_service: 10, nodes: 7 };
        let objects = objects(shape).collect::<Vec<_>>();
        let keys = objects.iter().map(|(key, _)| key).collect::<HashSet<_>>();
        assert_eq!(keys.len(), 2 + 7 + 150 + 1500);
        let (key, pod) = &objects[objects.len() - 1];
        assert_eq!(key, "/registry/pods/team-1/service-149-6b7f8c9d5-01499");
        assert_eq!(pod["metadata"]["labels"]["app"], "service-149");
        assert!(BATCH * (pod.to_string().len() * 4 / 3 + 100) < 1_536 * 1024);
    }
}
