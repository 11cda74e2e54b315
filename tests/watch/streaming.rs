//! Lists that are streamed, and the ways in which that fails.

use super::*;

#[tokio::test(start_paused = true)]
async fn streaming_that_is_refused_falls_back_once() {
    for effect in [Effect::Answer(404), Effect::Answer(422), Effect::Silence, Effect::Hang] {
        let api = FakeApi::new();
        for name in ["a", "b", "c"] {
            api.put(PODS, pod(name));
        }
        api.fault(on_streaming("/pods"), effect.clone());
        let mut view = View::new(&api);
        view.until_listed(1).await;
        assert_eq!(view.names(), ["a", "b", "c"]);
        assert_eq!(view.failures.len(), 1, "{effect:?}: {:?}", view.failures);
        assert_eq!(view.failures[0].1, Duration::ZERO);
        view.pass(SECOND).await;
        api.expire_watches(PODS);
        view.until_listed(2).await;
        assert_eq!(api.count(is_streaming), 1, "{effect:?}");
        assert_eq!(api.count(Seen::is_paged_list), 4, "two lists of two pages of two pods");
    }
}

/// One hung list, or one bad answer of a proxy, must not cost streaming until the next start.
#[tokio::test(start_paused = true)]
async fn streaming_is_tried_again_after_a_while() {
    for effect in [Effect::Answer(404), Effect::Silence, Effect::Hang] {
        let api = FakeApi::new();
        api.put(PODS, pod("a"));
        api.fault(on_streaming("/pods").times(1), effect.clone());
        let mut view = View::new(&api);
        view.until_listed(1).await;
        assert_eq!((api.count(is_streaming), api.count(Seen::is_paged_list)), (1, 1));
        view.pass(11 * 60 * SECOND).await;
        assert_eq!(api.count(is_streaming), 1, "not before there is a list");
        api.expire_watches(PODS);
        view.until_listed(2).await;
        assert_eq!((api.count(is_streaming), api.count(Seen::is_paged_list)), (2, 1), "{effect:?}");
        assert_eq!(view.causes, ["no_streaming", "expired"], "{effect:?}");
    }
}

/// A server that cannot stream is asked seldom: lists every five minutes for two days.
#[tokio::test(start_paused = true)]
async fn a_server_that_cannot_stream_is_asked_ever_less_often() {
    let api = FakeApi::new();
    api.put(PODS, pod("a"));
    api.fault(on_streaming("/pods"), Effect::Answer(404));
    let mut view = View::new(&api);
    view.until_listed(1).await;
    for list in 2..=576 {
        view.pass(5 * 60 * SECOND).await;
        api.expire_watches(PODS);
        view.until_listed(list).await;
    }
    // After 10, 20, 40, 80, 160, 320, 640 and 1280 minutes, each until the next list.
    assert_eq!(api.count(is_streaming), 9);
    assert_eq!(api.count(Seen::is_paged_list), 576);
}

/// An API server that is restarted breaks one list, a proxy that cuts each.
#[tokio::test(start_paused = true)]
async fn streaming_that_breaks_falls_back_the_second_time_in_a_row() {
    for effect in [Effect::Answer(500), Effect::CloseAtOnce, Effect::CloseBeforeMark] {
        for (times, paged) in [(1, 0), (2, 2)] {
            let api = FakeApi::new();
            for name in ["a", "b", "c"] {
                api.put(PODS, pod(name));
            }
            api.fault(on_streaming("/pods").times(times), effect.clone());
            let mut view = View::new(&api);
            view.until_listed(1).await;
            assert_eq!(view.names(), ["a", "b", "c"]);
            assert_eq!(view.failures.len(), times as usize, "{effect:?}: {:?}", view.failures);
            assert_eq!(api.count(is_streaming), 2, "{effect:?}");
            assert_eq!(api.count(Seen::is_paged_list), paged, "{effect:?}");
            // One break more is again the first in a row.
            view.pass(SECOND).await;
            api.fault(on_streaming("/pods").times(1), effect.clone());
            api.expire_watches(PODS);
            view.until_listed(2).await;
            assert_eq!(api.count(Seen::is_paged_list), 2 * paged, "{effect:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_within_a_streamed_list_is_a_break() {
    let api = FakeApi::new();
    api.put(PODS, pod("a"));
    api.fault(on_streaming("/pods").times(2), Effect::MarkAfter(10 * SECOND));
    let mut view = View::new(&api);
    let status = json!({ "kind": "Status", "status": "Failure", "code": 504, "message": "etcd" });
    for breaks in 1..=2 {
        view.pods.clear();
        view.until_pods(&["a"]).await;
        api.inject(PODS, &format!(r#"{{"type":"ERROR","object":{status}}}"#));
        view.until("broken", |view| view.failures.len() == breaks).await;
    }
    view.until_listed(1).await;
    assert_eq!((api.count(is_streaming), api.count(Seen::is_paged_list)), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_not_there_yet_does_not_speak_against_streaming() {
    for effect in [
        Effect::Refuse,
        Effect::Answer(401),
        Effect::Answer(403),
        Effect::Answer(503),
        Effect::TooMany(1),
    ] {
        let api = FakeApi::new();
        api.put(PODS, pod("a"));
        api.fault(on("GET", "/pods").times(3), effect.clone());
        let mut view = View::new(&api);
        view.until_listed(1).await;
        assert_eq!(view.failures.len(), 3, "{effect:?}");
        assert_eq!((api.count(is_streaming), api.count(Seen::is_paged_list)), (4, 0));
    }
}
