//! Account: closehaul's service account can change hints and its annotation, and nothing else.

use closehaul::admission::annotation::ANNOTATION;
use e2e::cluster::Actor;
use serde_json::{Value, json};

use crate::{
    LIMIT,
    notation::{endpoint, slice},
    stage::Stage,
};

/// A change of a slice, and what the message says about it.
type Change = (&'static str, fn(&mut Value));

const REFUSED: [Change; 17] = [
    ("endpoints", |slice| slice["endpoints"][0]["addresses"] = json!(["192.0.2.1"])),
    ("endpoints", |slice| slice["endpoints"][0]["conditions"]["ready"] = json!(false)),
    ("endpoints", |slice| slice["endpoints"][0]["conditions"] = Value::Null),
    ("endpoints", |slice| slice["endpoints"][0]["zone"] = json!("zone-z")),
    ("endpoints", |slice| slice["endpoints"][0]["nodeName"] = json!("n9")),
    ("endpoints", |slice| slice["endpoints"][0]["hostname"] = json!("web-0")),
    ("endpoints", |slice| slice["endpoints"][0]["targetRef"]["uid"] = json!("p9")),
    ("endpoints", |slice| slice["endpoints"][0]["targetRef"]["fieldPath"] = json!("spec")),
    ("endpoints", |slice| slice["endpoints"] = json!([slice["endpoints"][0]])),
    ("endpoints", |slice| slice["endpoints"].as_array_mut().unwrap().reverse()),
    ("endpoints", |slice| slice["endpoints"] = Value::Null),
    ("ports", |slice| slice["ports"][0]["port"] = json!(8081)),
    ("labels", |slice| slice["metadata"]["labels"]["kubernetes.io/service-name"] = json!("other")),
    ("labels", |slice| slice["metadata"]["labels"]["a"] = json!("b")),
    ("owners", |slice| {
        slice["metadata"]["ownerReferences"] =
            json!([{"apiVersion": "v1", "kind": "Service", "name": "web", "uid": "1"}]);
    }),
    ("finalizers", |slice| slice["metadata"]["finalizers"] = json!(["example.com/stay"])),
    ("annotation", |slice| slice["metadata"]["annotations"]["example.com/a"] = json!("b")),
];

const ALLOWED: [Change; 6] = [
    ("hints", |slice| slice["endpoints"][0]["hints"] = json!({"forZones": [{"name": "b"}]})),
    ("no hints", |slice| slice["endpoints"][1]["hints"] = Value::Null),
    ("nodes", |slice| slice["endpoints"][1]["hints"] = json!({"forNodes": [{"name": "n2"}]})),
    ("annotation", |slice| slice["metadata"]["annotations"][ANNOTATION] = json!("a=b")),
    ("no annotation", |slice| {
        slice["metadata"]["annotations"].as_object_mut().unwrap().remove(ANNOTATION);
    }),
    ("nothing", |_| {}),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_account_is_held_to_hints() {
    tokio::time::timeout(LIMIT, account()).await.expect("the time limit");
}

async fn account() {
    let stage = Stage::start().await;
    let endpoints = json!([endpoint("p1 a n1 a,b"), endpoint("p2 b n2 b")]);
    let mut marked = slice("web", Some("a=a"), endpoints.clone());
    marked["metadata"]["annotations"]["example.com/theirs"] = json!("1");
    let stored = stage.create(&marked).await.unwrap();
    for (number, (named, change)) in REFUSED.iter().enumerate() {
        let mut slice = marked.clone();
        change(&mut slice);
        let Err(said) = stage.put(Actor::Closehaul, &slice).await else {
            panic!("change {number}, of {named}, was accepted");
        };
        let by_policy = said.contains("closehaul-limits") && said.contains(named);
        assert!(by_policy, "change {number}, of {named}: {said}");
        // Nobody else is held to anything.
        let query = "web?dryRun=All";
        stage.send(Actor::ControllerManager, "PUT", query, &slice).await.unwrap();
    }
    let mut other = marked.clone();
    other["metadata"]["annotations"].as_object_mut().unwrap().remove("example.com/theirs");
    let said = stage.put(Actor::Closehaul, &other).await.unwrap_err();
    assert!(said.contains("annotation"), "{said}");
    assert_eq!(stage.get("web").await, stored);

    // It has these permissions by its role, where it runs in another mode.
    let said = stage.send(Actor::Closehaul, "POST", "", &slice("own", None, json!([]))).await;
    assert!(said.unwrap_err().contains("neither creates nor deletes"));
    let said = stage.send(Actor::Closehaul, "DELETE", "web", &Value::Null).await;
    assert!(said.unwrap_err().contains("neither creates nor deletes"));

    for (named, change) in ALLOWED {
        let mut slice = marked.clone();
        change(&mut slice);
        let put = stage.put(Actor::Closehaul, &slice).await;
        put.unwrap_or_else(|said| panic!("{named}: {said}"));
    }
    // As the leader does it: one patch of hints and annotation.
    stage.put(Actor::ControllerManager, &marked).await.unwrap();
    let patch = json!([
        {"op": "test", "path": "/endpoints/0/targetRef/uid", "value": "p1"},
        {"op": "add", "path": "/endpoints/0/hints", "value": {"forZones": [{"name": "c"}]}},
        {"op": "add", "path": "/metadata/annotations/closehaul.io~1hints", "value": "a=c"},
    ]);
    let patched = stage.patch(Actor::Closehaul, "web", &patch).await.unwrap();
    assert_eq!(patched["endpoints"][0]["hints"], json!({"forZones": [{"name": "c"}]}));
    assert_eq!(patched["metadata"]["annotations"][ANNOTATION], "a=c");

    full(&stage).await;
    stage.cluster.stop().await.unwrap();
}

/// A slice of 1,000 endpoints, more than which no slice has.
async fn full(stage: &Stage) {
    let of = |hints: &str| -> Value {
        (0..1000).map(|number| endpoint(&format!("p{number} a node-{number} {hints}"))).collect()
    };
    let owner = json!([{"apiVersion": "v1", "kind": "Service", "name": "web", "uid": "1",
                        "controller": true, "blockOwnerDeletion": true}]);
    let mut full = slice("full", None, of("a"));
    full["metadata"]["ownerReferences"] = owner;
    stage.create(&full).await.unwrap();
    let mut hinted = full.clone();
    hinted["endpoints"] = of("a,b,c,d,e,f,g,h/n1");
    stage.put(Actor::Closehaul, &hinted).await.unwrap();
    hinted["endpoints"][999]["conditions"]["ready"] = json!(false);
    let said = stage.put(Actor::Closehaul, &hinted).await.unwrap_err();
    assert!(said.contains("nothing but hints"), "{said}");
}
