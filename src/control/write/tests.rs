use std::sync::{Arc, Mutex};

use http::Response;
use kube::client::Body;
use serde_json::json;
use tower::service_fn;

use super::*;
use crate::api::Object;

/// The content types of the updates of a slice, one for each answer, and the outcome of each.
async fn sent(answers: &[(u16, Encoding)]) -> (Vec<String>, Vec<Outcome>) {
    let document = json!({
        "metadata": {"name": "cart-x", "namespace": "shop", "resourceVersion": "7"},
        "addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}], "ports": []});
    let slice: Object<Slice> = serde_json::from_value(document).unwrap();
    let slice = slice.value;
    let responses = answers.iter().map(|(code, encoding)| {
        let status = json!({"kind": "Status", "code": code, "message": "no"});
        let body = match code {
            200 => render::body(&slice, *encoding).unwrap(),
            _ => status.to_string().into(),
        };
        (*code, *encoding, body)
    });
    let responses = Mutex::new(responses.collect::<Vec<_>>().into_iter());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let server = service_fn({
        let seen = Arc::clone(&seen);
        move |request: Request<Body>| {
            let content_type = request.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
            seen.lock().unwrap().push(content_type);
            let (code, encoding, body) = responses.lock().unwrap().next().unwrap();
            let response = Response::builder().status(code);
            let response = response.header(CONTENT_TYPE, encoding.content_type());
            let response = response.body(Body::from(body)).unwrap();
            async { Ok::<_, tower::BoxError>(response) }
        }
    });
    let writer = Writer {
        client: Client::new(server, "shop"),
        leadership: Leadership::always(),
        stop: Stop::default(),
        timeout: Duration::from_secs(1),
        limit: Limit::default(),
        encoding: WriteEncoding::default(),
        metrics: Metrics::new().unwrap(),
        answers: Answers::default(),
    };
    let mut outcomes = Vec::new();
    for _ in answers {
        let (updates, replaced) = (vec![slice.clone()], vec![slice.clone()]);
        let changes = Changes { updates, replaced, ..Changes::default() };
        let service = ServiceKey { namespace: "shop".into(), name: "cart".into() };
        outcomes.push(writer.clone().write(service, vec![changes]).await);
    }
    let seen = seen.lock().unwrap();
    (seen.clone(), outcomes)
}

const JSON: Encoding = Encoding::Json;
const PROTOBUF: Encoding = Encoding::Protobuf;

#[tokio::test]
async fn protobuf_is_sent_to_a_server_that_answered_in_it() {
    for (answer, second) in [(PROTOBUF, PROTOBUF), (JSON, JSON)] {
        let (sent, outcomes) = sent(&[(200, answer), (200, answer)]).await;
        assert_eq!(sent, [JSON.content_type(), second.content_type()]);
        for outcome in outcomes {
            assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
            assert_eq!(outcome.written, [Sight::Version(7)]);
        }
    }
}

#[tokio::test]
async fn who_does_not_understand_protobuf_is_sent_json_again() {
    for (code, third) in [(415, JSON), (400, JSON), (409, PROTOBUF), (500, PROTOBUF)] {
        let (sent, _) = sent(&[(200, PROTOBUF), (code, JSON), (200, PROTOBUF)]).await;
        let expected = [JSON, PROTOBUF, third].map(Encoding::content_type);
        assert_eq!(sent, expected, "after {code}");
    }
}

/// The garbage collector, or a user, was quicker.
#[tokio::test]
async fn a_slice_that_is_gone_was_changed_by_somebody_else() {
    let (_, outcomes) = sent(&[(404, JSON)]).await;
    let [WriteError::Conflict { what }] = &outcomes[0].failures[..] else {
        panic!("{:?}", outcomes[0].failures)
    };
    assert_eq!(what, "update slice shop/cart-x");
}
