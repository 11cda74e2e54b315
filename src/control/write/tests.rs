use std::sync::{Arc, Mutex};

use http::Response;
use kube::client::Body;
use serde_json::json;
use tower::service_fn;

use super::*;
use crate::api::Object;

/// Content types of two writes of a slice that are answered in `answer`.
async fn sent(answer: Encoding) -> Vec<String> {
    let document = json!({
        "metadata": {"name": "cart-x", "namespace": "shop", "resourceVersion": "7"},
        "addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}], "ports": []});
    let slice: Object<Slice> = serde_json::from_value(document).unwrap();
    let slice = slice.value;
    let stored = render::body(&slice, answer).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let server = service_fn({
        let seen = Arc::clone(&seen);
        move |request: Request<Body>| {
            let content_type = request.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
            seen.lock().unwrap().push(content_type);
            let response = Response::builder().header(CONTENT_TYPE, answer.content_type());
            let response = response.body(Body::from(stored.clone())).unwrap();
            async { Ok::<_, tower::BoxError>(response) }
        }
    });
    let writer = Writer {
        client: Client::new(server, "shop"),
        leadership: Leadership::always(),
        timeout: Duration::from_secs(1),
        limit: Limit::default(),
        spoken: Spoken::default(),
        metrics: Metrics::new().unwrap(),
    };
    for _ in 0..2 {
        let changes = Changes { updates: vec![slice.clone()], ..Changes::default() };
        let service = ServiceKey { namespace: "shop".into(), name: "cart".into() };
        let outcome = writer.clone().write(service, vec![changes]).await;
        assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
        assert_eq!(outcome.written, [Sight::Version(7)]);
    }
    let seen = seen.lock().unwrap();
    seen.clone()
}

#[tokio::test]
async fn protobuf_is_sent_to_whoever_has_answered_in_it() {
    let [json, protobuf] = [Encoding::Json, Encoding::Protobuf].map(Encoding::content_type);
    assert_eq!(sent(Encoding::Protobuf).await, [json, protobuf]);
    assert_eq!(sent(Encoding::Json).await, [json, json]);
}
