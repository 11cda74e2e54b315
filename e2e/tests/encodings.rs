//! Protobuf against JSON: a real API server's objects are the same in both after decoding.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

use std::{collections::BTreeMap, time::Duration};

use closehaul::{
    api::{
        Kind, Object,
        frame::{ACCEPT, Encoding},
        frames::Frames,
        guard::Guarded,
    },
    model::{node::Node, pod::Pod, service::Service, slice::Slice},
};
use e2e::{
    closehaul as controller,
    cluster::{Actor, Cluster, Options},
    world::{Canary, World, mixed::Mixed, object},
};
use http::{
    Response,
    header::{ACCEPT as ACCEPT_HEADER, CONTENT_TYPE},
};
use kube::{
    Client, Resource,
    api::{WatchEvent, WatchParams},
    client::Body,
    core::Request,
};
use serde_json::json;

/// The first run builds the components.
const LIMIT: Duration = Duration::from_secs(20 * 60);
const STOP: Duration = Duration::from_secs(10);
const SEED: u64 = 11;
const SERVICES: u64 = 60;

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_the_same_in_both_encodings() {
    tokio::time::timeout(LIMIT, both_encodings()).await.expect("the time limit");
}

async fn both_encodings() {
    let cluster = Cluster::start(Options {
        service_cidrs: ["10.96.0.0/16", "fd00:96::/112"].map(str::to_owned).to_vec(),
        ..Options::default()
    })
    .await
    .unwrap();
    let client = cluster.client(Actor::Admin).unwrap();
    let world = World::new(client.clone());
    let closehaul = controller::start(&cluster, &["--leader-elect=false"]).await.unwrap();
    Mixed::new(SEED, SERVICES).create(&world).await.unwrap();
    rare(&world).await;
    Canary::create(&world).await.unwrap().follow(&world).await.unwrap();
    assert!(closehaul.stop(STOP).await.unwrap().is_some_and(|status| status.success()));

    assert!(same::<Service>(&client).await > 60);
    assert!(same::<Pod>(&client).await > 100);
    assert!(same::<Node>(&client).await > 10);
    assert!(same::<Slice>(&client).await > 60);
    refusal(&cluster).await;
    cluster.stop().await.unwrap();
}

/// Creates what the mixed world does not contain.
async fn rare(world: &World) {
    let mut node = object::node("rare", Some("zone-a"));
    node["metadata"]["labels"]["node-role.kubernetes.io/control-plane"] = json!("");
    node["spec"] = json!({"unschedulable": true, "taints": [{"key": "k", "effect": "NoSchedule"}]});
    node["status"]["allocatable"]["cpu"] = json!("3920m");
    world.create(&node).await.unwrap();
    let [v4, v6] = object::addresses(9_999);
    let mut pod = object::pod("east", "rare", "rare", "rare", &[v4, v6]);
    pod["metadata"]["annotations"] = json!({"a": "b"});
    pod["spec"] = json!({
        "nodeName": "rare", "hostname": "host", "subdomain": "sub",
        "containers": [{"name": "main", "image": "none", "ports": [
            {"name": "http", "containerPort": 8080}, {"containerPort": 8081},
            {"name": "dns", "containerPort": 53, "protocol": "UDP"}]}],
        "initContainers": [
            {"name": "side", "image": "none", "restartPolicy": "Always", "ports": [{"name": "side", "containerPort": 9}]},
            {"name": "init", "image": "none", "ports": [{"name": "init", "containerPort": 1}]}],
    });
    world.create(&pod).await.unwrap();
    let mut service = object::service("east", "rare");
    service["metadata"]["annotations"] = json!({"service.kubernetes.io/topology-mode": "Auto"});
    service["spec"] = json!({
        "selector": {"app": "rare"}, "publishNotReadyAddresses": true,
        "ipFamilyPolicy": "PreferDualStack", "internalTrafficPolicy": "Local",
        "ports": [{"name": "http", "port": 80, "targetPort": "http", "appProtocol": "example.com/x"},
                  {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53}],
    });
    world.create(&service).await.unwrap();
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"namespace": "east", "name": "rare", "finalizers": ["example.com/hold"],
                     "labels": {"kubernetes.io/service-name": "rare"}, "annotations": {"a": ""}},
        "endpoints": [
            {"addresses": ["10.1.1.1"], "hostname": "host", "nodeName": "rare", "zone": "zone-a",
             "conditions": {"ready": true, "terminating": false},
             "targetRef": {"kind": "Pod", "namespace": "east", "name": "rare", "uid": "u", "fieldPath": "f"},
             "hints": {"forZones": [{"name": "zone-a"}, {"name": "zone-b"}], "forNodes": [{"name": "rare"}]}},
            {"addresses": ["10.1.1.2"], "hints": {}}, {"addresses": ["10.1.1.3"]}],
        "ports": [{"name": "", "port": 80}, {"name": "all", "protocol": "SCTP", "appProtocol": "x"}],
    });
    world.create(&slice).await.unwrap();
}

/// All objects of a kind, decoded from a list in JSON and from a watch in Protobuf.
async fn same<T: Kind + PartialEq>(client: &Client) -> usize {
    let path = Object::<T>::url_path(&(), None);
    let list = http::Request::get(&path).body(Vec::new()).unwrap();
    let list: serde_json::Value = client.request(list).await.unwrap();
    let listed: BTreeMap<String, T> = (list["items"].as_array().unwrap().iter())
        .map(|item| serde_json::from_str::<Object<T>>(&item.to_string()).unwrap())
        .map(|object| (format!("{}/{}", object.namespace, object.name), object.value))
        .collect();

    let params = WatchParams {
        send_initial_events: true,
        bookmarks: true,
        timeout: Some(2),
        ..WatchParams::default()
    };
    let answer = ask(client, Request::new(&path).watch(&params, "").unwrap()).await;
    assert_eq!(content_type(&answer), "application/vnd.kubernetes.protobuf;stream=watch");
    let body = answer.into_body().collect_bytes().await.unwrap();
    let mut frames = Frames::new(Encoding::Protobuf);
    frames.push(&body);
    let (mut streamed, mut marked) = (BTreeMap::new(), false);
    while let Some(frame) = frames.take().unwrap() {
        match Encoding::Protobuf.event::<T>(frame).unwrap() {
            WatchEvent::Added(Guarded::Good(object)) => {
                streamed.insert(format!("{}/{}", object.namespace, object.name), object.value);
            }
            WatchEvent::Bookmark(mark) => {
                marked |= mark.metadata.annotations.contains_key("k8s.io/initial-events-end");
            }
            event => panic!("{event:?}"),
        }
    }
    assert!(marked && frames.rest().is_empty());
    assert!(listed.keys().eq(streamed.keys()), "{}: not the same objects", T::PLURAL);
    for (name, object) in &listed {
        assert!(*object == streamed[name], "{name}:\n{object:?}\n{:?}", streamed[name]);
    }
    listed.len()
}

/// The API server's answer to a client without permission.
async fn refusal(cluster: &Cluster) {
    let stranger = cluster.client(Actor::Kubelet).unwrap();
    let secrets = http::Request::get("/api/v1/secrets?watch=true").body(Vec::new()).unwrap();
    let answer = ask(&stranger, secrets).await;
    assert_eq!(
        (answer.status(), content_type(&answer)),
        (403.try_into().unwrap(), "application/vnd.kubernetes.protobuf".into())
    );
    let status = Encoding::Protobuf.status(answer.into_body().collect_bytes().await.unwrap());
    let status = status.expect("a status");
    assert_eq!((status.code, status.reason.as_str()), (403, "Forbidden"));
    assert!(status.message.contains("secrets is forbidden"), "{}", status.message);
}

async fn ask(client: &Client, mut request: http::Request<Vec<u8>>) -> Response<Body> {
    request.headers_mut().insert(ACCEPT_HEADER, ACCEPT.parse().unwrap());
    client.send(request.map(Body::from)).await.unwrap()
}

fn content_type(answer: &Response<Body>) -> String {
    answer.headers()[CONTENT_TYPE].to_str().unwrap().to_owned()
}
