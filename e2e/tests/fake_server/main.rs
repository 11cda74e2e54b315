//! The fake API server of the tests in simulated time against a real one: the same calls get the
//! same answers. What only the real one does is in [`answer`]: it sets defaults, and keeps what
//! closehaul does not read.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

mod answer;
mod invalid;
mod script;

use std::time::Duration;

use e2e::cluster::{Actor, Cluster, Options};
use fake_api::{
    FakeApi,
    faults::{Effect, on},
    seeds::simulate,
};
use futures::future::join_all;
use kube::Client;

use self::{
    answer::{Answer, normal},
    script::{KINDS, Sample, Session},
};

/// The first run builds the components.
const LIMIT: Duration = Duration::from_secs(20 * 60);

#[tokio::test(flavor = "multi_thread")]
async fn it_answers_as_a_real_one() {
    tokio::time::timeout(LIMIT, compare()).await.expect("the time limit");
}

async fn compare() {
    let mut cluster = Cluster::start(Options::default()).await.unwrap();
    // Its watch caches start empty again, so it no longer knows what happened before.
    cluster.restart_apiserver().await.unwrap();
    let client = cluster.client(Actor::Admin).unwrap();
    let mut all = Vec::new();
    let real = join_all(KINDS.iter().map(|sample| play(&client, sample))).await;
    for (sample, real) in KINDS.iter().zip(real) {
        let fake = std::thread::spawn(move || {
            simulate(async {
                let api = FakeApi::new();
                // A real server has a past, too, which it has forgotten.
                api.compact();
                let path = "/namespaces/ending/endpointslices";
                api.fault(on("POST", path), Effect::NamespaceTerminating);
                play(&api.client(), sample).await
            })
        });
        let fake = fake.join().unwrap();
        let different = differences(sample, &fake, &real);
        println!("{}: {} calls, {} differ", sample.kind, real.len(), different.len());
        all.extend(different);
    }
    cluster.stop().await.unwrap();
    assert!(all.is_empty(), "{} answers differ:\n{}", all.len(), all.join("\n"));
}

async fn play(client: &Client, sample: &'static Sample) -> Vec<Answer> {
    let mut session = Session::new(client, sample);
    session.play().await;
    session.answers
}

fn differences(sample: &Sample, fake: &[Answer], real: &[Answer]) -> Vec<String> {
    assert_eq!(fake.len(), real.len());
    let (fake, real) = (normal(fake), normal(real));
    let pairs = fake.into_iter().zip(real).filter(|(fake, real)| {
        let mut real = real.clone();
        answer::without_defaults(&mut real.body, &fake.body);
        *fake != real
    });
    let text = |(fake, mut real): (Answer, Answer)| {
        answer::without_defaults(&mut real.body, &fake.body);
        format!("{}, {}:\n  fake {}\n  real {}", sample.kind, fake.call, fake.text(), real.text())
    };
    pairs.map(text).collect()
}
