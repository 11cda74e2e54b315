//! Script: the calls that are made to both servers, for each kind that closehaul reads or writes.

use std::time::Duration;

use futures::TryStreamExt;
use http::Request;
use http_body_util::BodyExt;
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::answer::Answer;

/// One kind, and an object of it.
pub struct Sample {
    pub kind: &'static str,
    /// The path of all objects.
    all: &'static str,
    /// The path of the collection in which the objects are created.
    collection: &'static str,
    /// Everything except the metadata, as JSON.
    rest: &'static str,
    /// What other content is merged into it.
    other: &'static str,
}

pub const KINDS: &[Sample] = &[
    Sample {
        kind: "EndpointSlice",
        all: "/apis/discovery.k8s.io/v1/endpointslices",
        collection: "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
        rest: r#"{"addressType": "IPv4", "endpoints": [{"addresses": ["10.1.2.3"],
            "conditions": {"ready": true, "serving": true, "terminating": false}}],
            "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}"#,
        other: r#"{"endpoints": [{"addresses": ["10.1.2.4"], "conditions": {"ready": false}}]}"#,
    },
    Sample {
        kind: "Service",
        all: "/api/v1/services",
        collection: "/api/v1/namespaces/default/services",
        rest: r#"{"spec": {"clusterIP": "None", "selector": {"app": "web"},
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}]}}"#,
        other: r#"{"spec": {"publishNotReadyAddresses": true}}"#,
    },
    Sample {
        kind: "Pod",
        all: "/api/v1/pods",
        collection: "/api/v1/namespaces/default/pods",
        rest: r#"{"spec": {"nodeName": "n", "containers": [{"name": "main", "image": "web"}]}}"#,
        other: r#"{"spec": {"activeDeadlineSeconds": 100}}"#,
    },
    Sample {
        kind: "Node",
        all: "/api/v1/nodes",
        collection: "/api/v1/nodes",
        rest: r#"{"spec": {"podCIDR": "10.9.0.0/24"}}"#,
        other: r#"{"spec": {"unschedulable": true}}"#,
    },
    Sample {
        kind: "Lease",
        all: "/apis/coordination.k8s.io/v1/leases",
        collection: "/apis/coordination.k8s.io/v1/namespaces/default/leases",
        rest: r#"{"spec": {"holderIdentity": "me", "leaseDurationSeconds": 15}}"#,
        other: r#"{"spec": {"holderIdentity": "you"}}"#,
    },
];

/// Selects the objects of this test.
const LABELS: &str = "labelSelector=test%3Dfake-server";
/// Long enough for changes, and for the bookmark that comes 2 s before the end.
const WATCH: &str = "watch=true&timeoutSeconds=4";

/// One run of the script.
pub struct Session<'c> {
    client: &'c Client,
    sample: &'static Sample,
    pub answers: Vec<Answer>,
}

impl<'c> Session<'c> {
    pub fn new(client: &'c Client, sample: &'static Sample) -> Self {
        Self { client, sample, answers: Vec::new() }
    }

    /// Makes all calls.
    pub async fn play(&mut self) {
        self.names().await;
        self.updates().await;
        self.deletes().await;
        self.lists().await;
        self.watches().await;
        if self.sample.kind == "EndpointSlice" {
            self.invalid_slices().await;
            self.terminating_namespace().await;
        }
    }

    async fn names(&mut self) {
        let object = self.object("a");
        self.create("create", &object).await;
        self.create("create what exists", &object).await;
        let mut unnamed = self.object("");
        self.create("create without a name", &unnamed).await;
        unnamed["metadata"]["generateName"] = json!("made-");
        self.create("create with generateName", &unnamed).await;
        self.create("create with generateName again", &unnamed).await;
        unnamed["metadata"]["name"] = json!("both");
        self.create("create with both", &unnamed).await;
        self.create("create with both again", &unnamed).await;
        let mut versioned = self.object("versioned");
        versioned["metadata"]["resourceVersion"] = json!("5");
        self.create("create with a version", &versioned).await;
        let mut named = self.object("ids");
        named["metadata"]["uid"] = json!("11111111-1111-4111-8111-111111111111");
        named["metadata"]["generation"] = json!(7);
        named["metadata"]["creationTimestamp"] = json!("2001-01-01T00:00:00Z");
        self.create("create with fields of the server", &named).await;
        self.get("get", "a").await;
        self.get("get what does not exist", "absent").await;
    }

    async fn updates(&mut self) {
        let first = self.create("create", &self.object("b")).await;
        let mut object = first.clone();
        object["metadata"]["annotations"] = json!({ "note": "x" });
        let annotated = self.put("annotate", "b", &object).await;
        self.put("put an old version", "b", &object).await;
        let mut object = annotated.clone();
        object["metadata"]["labels"]["tier"] = json!("front");
        let labelled = self.put("label", "b", &object).await;
        self.put("put the same", "b", &labelled).await;
        let mut object = labelled.clone();
        let other: Value = serde_json::from_str(self.sample.other).unwrap();
        merge(&mut object, &other);
        let changed = self.put("change the content", "b", &object).await;
        let mut object = changed.clone();
        object["metadata"]["resourceVersion"] = Value::Null;
        object["metadata"]["annotations"] = json!({ "note": "without a version" });
        self.put("put without a version", "b", &object).await;
        let mut object = self.get("get", "b").await;
        object["metadata"]["uid"] = json!("11111111-1111-4111-8111-111111111111");
        self.put("put with another uid", "b", &object).await;
        object["metadata"]["uid"] = Value::Null;
        object["metadata"]["annotations"] = json!({ "note": "without a uid" });
        self.put("put without a uid", "b", &object).await;
        self.put("put at another name", "a", &object).await;
        let version = &first["metadata"]["resourceVersion"];
        let stale = json!({ "metadata": { "resourceVersion": version, "labels": { "x": "y" } } });
        self.patch("patch an old version", "b", &stale).await;
        let patch = json!({ "metadata": { "labels": { "tier": null, "track": "new" } } });
        self.patch("patch", "b", &patch).await;
        self.patch("patch the same", "b", &patch).await;
        self.patch("patch what does not exist", "absent", &patch).await;
    }

    async fn deletes(&mut self) {
        let preconditions = |uid: &Value, version: &Value| {
            let preconditions = json!({ "uid": uid, "resourceVersion": version });
            json!({ "gracePeriodSeconds": 0, "preconditions": preconditions })
        };
        let mut object = self.object("c");
        object["metadata"]["finalizers"] = json!(["example.com/keep"]);
        let first = self.create("create with a finalizer", &object).await;
        let patch = json!({ "metadata": { "labels": { "x": "y" } } });
        let second = self.patch("patch", "c", &patch).await;
        let other = json!("11111111-1111-4111-8111-111111111111");
        let (uid, version) = (&first["metadata"]["uid"], &second["metadata"]["resourceVersion"]);
        let old = &first["metadata"]["resourceVersion"];
        self.delete("delete with another uid", "c", &preconditions(&other, &Value::Null)).await;
        self.delete("delete an old version", "c", &preconditions(uid, old)).await;
        self.delete("delete what is held", "c", &preconditions(uid, version)).await;
        self.delete("delete it again", "c", &preconditions(uid, &Value::Null)).await;
        self.create("create what is being deleted", &object).await;
        let ending = self.get("get what is being deleted", "c").await;
        let mut labelled = ending.clone();
        labelled["metadata"]["labels"]["x"] = json!("z");
        let mut labelled = self.put("label what is being deleted", "c", &labelled).await;
        labelled["metadata"]["finalizers"] = Value::Null;
        self.put("free it", "c", &labelled).await;
        self.get("get what is gone", "c").await;
        self.put("put what is gone", "c", &labelled).await;
        self.delete("delete what is gone", "c", &json!({ "gracePeriodSeconds": 0 })).await;
        self.create("create", &self.object("f")).await;
        self.delete("delete with a grace period", "f", &json!({ "gracePeriodSeconds": 30 })).await;
        self.delete("delete again without one", "f", &json!({ "gracePeriodSeconds": 0 })).await;
    }

    async fn lists(&mut self) {
        let all = self.sample.all;
        self.call("list", "GET", &format!("{all}?{LABELS}"), Value::Null).await;
        let both = format!("{all}?{LABELS}%2C%21tier");
        self.call("list without a label", "GET", &both, Value::Null).await;
        let one = format!("{all}?fieldSelector=metadata.name%3Da&{LABELS}");
        self.call("list by name", "GET", &one, Value::Null).await;
        let page = format!("{}?{LABELS}&limit=2", self.sample.collection);
        let first = self.call("list a page", "GET", &page, Value::Null).await;
        let token = first["metadata"]["continue"].as_str().unwrap_or_default();
        let rest = format!("{page}&continue={}", token.replace('=', "%3D"));
        self.call("list the next page", "GET", &rest, Value::Null).await;
    }

    async fn watches(&mut self) {
        let before = self.create("create", &self.object("d")).await;
        let version = before["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        let all = self.sample.all;
        let from = format!("{all}?{WATCH}&{LABELS}&allowWatchBookmarks=true&resourceVersion=");
        let resumed = self.watch(&format!("{from}{version}")).await;
        self.change().await;
        self.events("watch from a version", resumed).await;
        let whole = self.watch(&format!("{all}?{WATCH}&{LABELS}")).await;
        self.events("watch without a version", whole).await;
        let old = self.watch(&format!("{from}1")).await;
        self.events("watch from a version of long ago", old).await;
        let streamed = format!(
            "{all}?{WATCH}&{LABELS}&allowWatchBookmarks=true&sendInitialEvents=true\
             &resourceVersionMatch=NotOlderThan"
        );
        let list = self.watch(&streamed).await;
        sleep(Duration::from_millis(500)).await;
        self.change().await;
        self.events("stream a list", list).await;
        let unmatched = streamed.replace("&resourceVersionMatch=NotOlderThan", "");
        self.call("stream a list of any version", "GET", &unmatched, Value::Null).await;
        // This watch shows all changes since that version, including those already shown.
        let again = self.watch(&format!("{from}{version}")).await;
        self.events("watch from an older version", again).await;
    }

    /// Changes that a watch shows in all ways.
    async fn change(&mut self) {
        let label = |value: &str| json!({ "metadata": { "labels": { "test": value } } });
        let mark = json!({ "metadata": { "annotations": { "mark": "x" } } });
        let unmark = json!({ "metadata": { "annotations": { "mark": null } } });
        self.create("create while watched", &self.object("e")).await;
        self.patch("annotate while watched", "d", &mark).await;
        self.patch("hide while watched", "d", &label("hidden")).await;
        self.patch("change what is hidden", "d", &unmark).await;
        self.patch("show while watched", "d", &label("fake-server")).await;
        self.delete("delete while watched", "e", &json!({ "gracePeriodSeconds": 0 })).await;
    }

    pub fn object(&self, name: &str) -> Value {
        let mut object: Value = serde_json::from_str(self.sample.rest).unwrap();
        let group = self.sample.all.trim_start_matches("/apis/").trim_start_matches("/api/");
        let (version, _) = group.rsplit_once('/').unwrap();
        object["apiVersion"] = json!(version);
        object["kind"] = json!(self.sample.kind);
        object["metadata"] = json!({ "labels": { "test": "fake-server" } });
        if !name.is_empty() {
            object["metadata"]["name"] = json!(name);
        }
        object
    }

    pub async fn create(&mut self, what: &str, object: &Value) -> Value {
        self.call(what, "POST", self.sample.collection, object.clone()).await
    }

    async fn get(&mut self, what: &str, name: &str) -> Value {
        self.call(what, "GET", &self.path(name), Value::Null).await
    }

    pub async fn put(&mut self, what: &str, name: &str, object: &Value) -> Value {
        self.call(what, "PUT", &self.path(name), object.clone()).await
    }

    pub async fn patch(&mut self, what: &str, name: &str, patch: &Value) -> Value {
        self.call(what, "PATCH", &self.path(name), patch.clone()).await
    }

    pub async fn delete(&mut self, what: &str, name: &str, options: &Value) -> Value {
        self.call(what, "DELETE", &self.path(name), options.clone()).await
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.sample.collection)
    }

    pub async fn call(&mut self, what: &str, method: &str, path: &str, body: Value) -> Value {
        let answer = self.send(method, path, &body).await;
        self.answers.push(Answer { call: what.to_owned(), ..answer.clone() });
        answer.body
    }

    pub async fn ask(&self, method: &str, name: &str, body: &Value) -> Answer {
        let path = self.path(name);
        self.send(method, path.trim_end_matches('/'), body).await
    }

    pub async fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        let response = self.client.send(request(method, path, body)).await.unwrap();
        let (head, body) = response.into_parts();
        let retry_after = head.headers.get("retry-after");
        let retry_after = retry_after.map(|value| value.to_str().unwrap().to_owned());
        let body = body.collect_bytes().await.unwrap();
        let body =
            serde_json::from_slice(&body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&body)));
        Answer { call: String::new(), code: head.status.as_u16(), retry_after, body }
    }

    async fn watch(&self, path: &str) -> http::Response<Body> {
        self.client.send(request("GET", path, &Value::Null)).await.unwrap()
    }

    /// Reads a watch to its end.
    async fn events(&mut self, what: &str, watch: http::Response<Body>) {
        let code = watch.status().as_u16();
        let bytes = watch.into_body().into_data_stream().try_fold(Vec::new(), |mut all, data| {
            all.extend_from_slice(&data);
            std::future::ready(Ok(all))
        });
        let bytes = bytes.await.unwrap();
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let events: Vec<Value> = lines.map(|line| serde_json::from_slice(line).unwrap()).collect();
        let (call, body) = (what.to_owned(), json!({ "events": events }));
        self.answers.push(Answer { call, code, retry_after: None, body });
    }
}

fn request(method: &str, path: &str, body: &Value) -> Request<Body> {
    let media = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let request = Request::builder().method(method).uri(path).header("content-type", media);
    request.body(Body::from(bytes)).unwrap()
}

fn merge(object: &mut Value, other: &Value) {
    for (field, value) in other.as_object().unwrap() {
        if value.is_object() {
            merge(&mut object[field], value);
        } else {
            object[field] = value.clone();
        }
    }
}
