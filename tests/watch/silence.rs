//! Bookmarks, watches that go silent, and watches that cannot be resumed.

use super::*;

#[tokio::test(start_paused = true)]
async fn bookmarks_move_the_version_that_a_watch_resumes_from() {
    for streaming in [true, false] {
        let (api, mut view) = listed(&["a"], streaming).await;
        api.put(NODES, json!({ "metadata": { "name": "node" } }));
        let version = api.version();
        view.pass(70 * SECOND).await;
        api.compact();
        api.end_watches();
        view.pass(10 * SECOND).await;
        let last = api.requests().pop().unwrap();
        assert_eq!(last.parameter("resourceVersion"), version.to_string());
        assert_eq!(view.lists, 1, "the old version would have been gone");
    }
}

/// What only a resumed watch requests.
const RESUMED: &str = "allowWatchBookmarks=true&resourceVersion=1";

#[tokio::test(start_paused = true)]
async fn a_watch_that_goes_silent_is_noticed_within_85_seconds() {
    for streaming in [true, false] {
        let (api, mut view) = listed(&["a"], streaming).await;
        api.fault(on("GET", "/pods").query(RESUMED).times(1), Effect::Silence);
        api.end_watches();
        view.pass(SECOND).await;
        let received = view.received.borrow().unwrap();
        api.put(PODS, pod("b"));
        view.until("noticed", |view| !view.failures.is_empty()).await;
        let took = received.elapsed();
        assert!((65 * SECOND..=86 * SECOND).contains(&took), "{took:?}");
        assert_eq!((*view.received.borrow(), &view.causes[..]), (Some(received), &["silent"][..]));
        view.until_pods(&["a", "b"]).await;
        assert!(received.elapsed() <= 88 * SECOND, "{:?}", received.elapsed());
        assert_eq!((view.restarts, view.rewinds.len()), (1, 0), "resuming is not listing");
    }
}

#[tokio::test(start_paused = true)]
async fn each_watch_is_ended_by_the_server_after_60_to_80_seconds() {
    for streaming in [true, false] {
        let (api, mut view) = listed(&["a"], streaming).await;
        let mut oldest = Duration::ZERO;
        for _ in 0..1800 {
            view.pass(SECOND).await;
            oldest = oldest.max(view.received.borrow().unwrap().elapsed());
        }
        let resumed = api.requests().into_iter().filter(|seen| seen.query.contains(RESUMED));
        let seconds: Vec<u32> =
            resumed.map(|seen| seen.parameter("timeoutSeconds").parse().unwrap()).collect();
        assert!((22..=30).contains(&seconds.len()), "{seconds:?}");
        assert!(seconds.iter().all(|seconds| (60..=80).contains(seconds)), "{seconds:?}");
        assert!(seconds.iter().collect::<BTreeSet<_>>().len() > 10, "at random: {seconds:?}");
        assert!(oldest <= 86 * SECOND, "{oldest:?}");
        let probes = api.count(|seen| seen.query.contains("limit=1"));
        assert_eq!((view.lists, view.failures.len(), probes), (1, 0, 0), "idle for half an hour");
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_cannot_be_resumed_is_replaced_by_a_list() {
    let answers = [400, 404, 500, 503, 504].map(Effect::Answer);
    for effect in answers.into_iter().chain([Effect::Refuse, Effect::CloseAtOnce, Effect::Silence])
    {
        for streaming in [true, false] {
            let (api, mut view) = listed(&["a"], streaming).await;
            api.fault(on("GET", "/pods").query(RESUMED), effect.clone());
            api.end_watches();
            api.put(PODS, pod("b"));
            let start = Instant::now();
            view.until(&format!("listed, {effect:?}, streaming: {streaming}"), |view| {
                view.lists == 2
            })
            .await;
            let took = start.elapsed();
            assert!(took < 190 * SECOND, "{effect:?}: {took:?}");
            assert_eq!(view.names(), ["a", "b"], "{effect:?}, streaming: {streaming}");
            let streamed = api.count(is_streaming);
            assert_eq!(streamed, if streaming { 2 } else { 1 }, "{effect:?}: still streaming");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_bookmark_without_a_version_leads_to_a_fresh_list() {
    for streaming in [true, false] {
        let (api, mut view) = listed(&["a", "b"], streaming).await;
        let mark = json!({ "kind": "Pod", "apiVersion": "v1", "metadata": {} });
        api.inject(PODS, &format!(r#"{{"type":"BOOKMARK","object":{mark}}}"#));
        api.remove(PODS, "ns", "a");
        view.until_listed(2).await;
        assert_eq!((view.names(), &view.causes[..]), (vec!["b"], &["undecodable"][..]));
    }
}
