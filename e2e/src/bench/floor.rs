//! The floor of latency: a program that is not a controller. It answers each event of a pod whose
//! readiness has changed by one PUT of bytes that were ready before: the slice with `true` or
//! `false`, as wide as each other, written over. No program that writes slices by a watch of pods
//! can be quicker, except for the cost of this one's encoding and client.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use clap::Args;
use closehaul::{
    api::{
        frame::{ACCEPT, Encoding},
        frames::Frames,
        guard::Guarded,
    },
    model::pod::Pod,
};
use futures::StreamExt;
use http::{
    Request,
    header::{ACCEPT as ACCEPT_HEADER, ACCEPT_ENCODING, CONTENT_TYPE},
};
use http_body_util::BodyExt;
use kube::{
    Client, Config,
    api::WatchEvent,
    client::Body,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::Error;

/// What it prints when it has all slices and watches pods.
pub(super) const READY: &str = "floor: ready";
/// As wide as `false`.
const TRUE: &[u8; 5] = b" true";
const FALSE: &[u8; 5] = b"false";

/// How the floor is started.
#[derive(Args, Debug, Clone)]
pub struct Options {
    /// How to reach the API server
    #[arg(long)]
    kubeconfig: PathBuf,
}

/// A slice's bytes.
#[derive(Debug)]
struct Ready {
    path: String,
    body: Mutex<Vec<u8>>,
}

/// The positions of a pod's two conditions in a slice's bytes.
#[derive(Debug)]
struct Spot {
    slice: Arc<Ready>,
    offsets: [usize; 2],
    ready: bool,
}

/// Runs until it is ended or the watch breaks.
pub async fn run(options: Options) -> Result<(), Error> {
    let config = Kubeconfig::read_from(&options.kubeconfig).map_err(|error| Error::Kubeconfig {
        path: options.kubeconfig.clone(),
        source: Box::new(error),
    })?;
    let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await;
    let config = config
        .map_err(|error| Error::Kubeconfig { path: options.kubeconfig, source: Box::new(error) })?;
    let client = Client::try_from(config.clone()).map_err(Error::Watch)?;
    // Writes have a separate connection, as the watch does anyway.
    let writer = Client::try_from(config).map_err(Error::Watch)?;
    follow(client, writer).await.map_err(Error::Watch)
}

async fn follow(client: Client, writer: Client) -> Result<(), kube::Error> {
    let get = |path: &str| Request::get(path).body(Vec::new()).map_err(kube::Error::HttpError);
    let list = client.request::<Value>(get("/apis/discovery.k8s.io/v1/endpointslices")?).await?;
    let mut spots = HashMap::new();
    for slice in list["items"].as_array().into_iter().flatten() {
        spots.extend(ready_made(slice));
    }
    // Changes of pods before the list are already in the slices.
    let version = get("/api/v1/pods?limit=1")?;
    let pods = client.request::<Value>(version).await?;
    let version = pods["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    let request = Request::get(format!("/api/v1/pods?watch=true&resourceVersion={version}"))
        .header(ACCEPT_HEADER, ACCEPT)
        .header(ACCEPT_ENCODING, "identity")
        .body(Body::empty())
        .map_err(kube::Error::HttpError)?;
    let (head, body) = client.send(request).await?.into_parts();
    let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let encoding = Encoding::of(content_type.unwrap_or_default());
    let unread =
        |error: &dyn ToString| kube::Error::ReadEvents(std::io::Error::other(error.to_string()));
    println!("{READY}");
    let mut body = body.into_data_stream();
    let mut frames = Frames::new(encoding);
    while let Some(bytes) = body.next().await {
        frames.push(&bytes?);
        while let Some(frame) = frames.take().map_err(|error| unread(&error))? {
            let event = encoding.event::<Pod>(frame).map_err(|error| unread(&error))?;
            let WatchEvent::Modified(Guarded::Good(pod)) = event else { continue };
            let Some(spot) = spots.get_mut(&format!("{}/{}", pod.namespace, pod.name)) else {
                continue;
            };
            if spot.ready != pod.value.ready {
                spot.ready = pod.value.ready;
                tokio::spawn(write(
                    writer.clone(),
                    Arc::clone(&spot.slice),
                    spot.offsets,
                    spot.ready,
                ));
            }
        }
    }
    Ok(())
}

/// Overwrites one slice, after its earlier writes.
async fn write(client: Client, slice: Arc<Ready>, offsets: [usize; 2], ready: bool) {
    let mut body = slice.body.lock().await;
    over(&mut body, offsets, ready);
    let request = Request::put(&slice.path).header(CONTENT_TYPE, "application/json");
    let Ok(request) = request.body(body.clone()) else { return };
    if let Err(error) = client.request_text(request).await {
        // Then the pod is never seen, and the run fails.
        eprintln!("floor: PUT {}: {error}", slice.path);
    }
}

fn over(body: &mut [u8], offsets: [usize; 2], ready: bool) {
    for offset in offsets {
        if let Some(place) = body.get_mut(offset..offset + FALSE.len()) {
            place.copy_from_slice(if ready { TRUE } else { FALSE });
        }
    }
}

/// The bytes of a slice, and each of its pods with its position in them.
fn ready_made(slice: &Value) -> Vec<(String, Spot)> {
    let metadata = &slice["metadata"];
    let text = |field: &str| metadata[field].as_str().unwrap_or_default().to_owned();
    let (namespace, name) = (text("namespace"), text("name"));
    let mut head = slice.clone();
    head["apiVersion"] = json!("discovery.k8s.io/v1");
    head["kind"] = json!("EndpointSlice");
    if let Some(head) = head.as_object_mut() {
        head.remove("endpoints");
    }
    // Without a version, the write succeeds regardless of the stored version.
    if let Some(metadata) = head["metadata"].as_object_mut() {
        metadata.remove("resourceVersion");
        metadata.remove("managedFields");
    }
    let mut body = open(&head);
    body.push_str(",\"endpoints\":[");
    let mut pods = Vec::new();
    let endpoints = slice["endpoints"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (index, endpoint) in endpoints.iter().enumerate() {
        let ready = endpoint["conditions"]["ready"].as_bool().unwrap_or(true);
        let word = if ready { " true" } else { "false" };
        let mut rest = endpoint.clone();
        if let Some(rest) = rest.as_object_mut() {
            rest.remove("conditions");
        }
        if index > 0 {
            body.push(',');
        }
        body.push_str(&open(&rest));
        body.push_str(",\"conditions\":{\"ready\":");
        let first = body.len();
        body.push_str(word);
        body.push_str(",\"serving\":");
        let second = body.len();
        body.push_str(word);
        body.push_str(",\"terminating\":false}}");
        let pod = endpoint["targetRef"]["name"].as_str().unwrap_or_default();
        pods.push((format!("{namespace}/{pod}"), [first, second], ready));
    }
    body.push_str("]}");
    let path = format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices/{name}");
    let slice = Arc::new(Ready { path, body: Mutex::new(body.into_bytes()) });
    let spot = |(pod, offsets, ready)| (pod, Spot { slice: Arc::clone(&slice), offsets, ready });
    pods.into_iter().map(spot).collect()
}

/// An object without its last bracket.
fn open(object: &Value) -> String {
    let mut text = object.to_string();
    text.pop();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn written_over_it_is_the_same_slice_with_another_condition() {
        let slice = json!({
            "metadata": {"namespace": "team", "name": "a", "resourceVersion": "7"},
            "addressType": "IPv4",
            "endpoints": [
                {"addresses": ["10.0.0.1"], "targetRef": {"name": "one"},
                    "conditions": {"ready": true, "serving": true, "terminating": false}},
                {"addresses": ["10.0.0.2"], "targetRef": {"name": "two"},
                    "conditions": {"ready": false, "serving": false, "terminating": false}},
            ],
        });
        let pods = ready_made(&slice);
        assert_eq!(pods[1].0, "team/two");
        let (one, two) = (&pods[0].1, &pods[1].1);
        assert!(one.ready && !two.ready);
        let mut body = one.slice.body.lock().await;
        let read = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap();
        assert_eq!(read(&body)["endpoints"], slice["endpoints"]);
        assert_eq!(read(&body)["metadata"], json!({"namespace": "team", "name": "a"}));
        over(&mut body, one.offsets, false);
        over(&mut body, two.offsets, true);
        let conditions = |index: usize| read(&body)["endpoints"][index]["conditions"].clone();
        let wanted = |ready| json!({"ready": ready, "serving": ready, "terminating": false});
        assert_eq!((conditions(0), conditions(1)), (wanted(false), wanted(true)));
    }
}
