use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// What an answer means that comes when versions up to 100 have been seen.
#[test]
fn what_answers_show() {
    let start = Instant::now();
    for (what, shown, expected) in [
        ("a list that went on", Shown::Listed(101), None),
        ("a list of an idle store", Shown::Listed(100), None),
        ("a list that went back", Shown::Listed(99), Some(Sign::List)),
        ("a list without a version", Shown::Listed(0), None),
        ("a create", Shown::Created(101), None),
        ("a create that went back", Shown::Created(90), Some(Sign::Create)),
        ("an update", Shown::Updated { sent: 50, stored: 101 }, None),
        ("an update that changes nothing", Shown::Updated { sent: 50, stored: 50 }, None),
        ("an update that went back", Shown::Updated { sent: 50, stored: 60 }, Some(Sign::Update)),
    ] {
        let mut history = History::default();
        history.watched(100, start);
        // Another API server, which lags behind.
        history.watched(80, start + SECOND);
        let floor = history.floor();
        let rewind = history.judge(floor, shown, start + 2 * SECOND);
        assert_eq!(rewind.map(|rewind| rewind.sign), expected, "{what}");
        assert!(rewind.is_none_or(|rewind| rewind.since == start), "{what}");
    }
}

#[test]
fn an_answer_is_compared_with_what_was_seen_before_its_request() {
    let now = Instant::now();
    let mut history = History::default();
    history.watched(100, now);
    let floor = history.floor();
    history.watched(200, now);
    assert_eq!(history.judge(floor, Shown::Created(150), now), None, "the watch was faster");
}

#[test]
fn one_rewind_is_reported_once() {
    let now = Instant::now();
    let mut history = History::default();
    history.watched(100, now);
    let floor = history.floor();
    assert!(history.judge(floor, Shown::Listed(40), now).is_some());
    assert_eq!(history.judge(floor, Shown::Created(41), now), None, "sent before that");
    assert_eq!(history.judge(history.floor(), Shown::Listed(41), now), None);
    assert!(history.judge(history.floor(), Shown::Listed(30), now).is_some(), "a second one");
    let floor = history.floor();
    history.forget();
    assert_eq!(history.judge(floor, Shown::Listed(1), now), None);
    assert_eq!(history.judge(history.floor(), Shown::Listed(1), now), None);
}

#[test]
fn when_a_lease_has_stepped_back() {
    let at = |second: i64| Some(Timestamp::from_second(second).unwrap());
    let seen = LeaseSight {
        uid: "one".into(),
        version: 100,
        holder: "a".into(),
        acquired: at(1000),
        renewed: at(2000),
        transitions: 3,
    };
    let lease = |change: fn(&mut LeaseSight)| {
        let mut next = LeaseSight { version: 110, ..seen.clone() };
        change(&mut next);
        next
    };
    let to = |next: &mut LeaseSight, holder: &str, transitions| {
        next.holder = holder.to_owned();
        next.transitions = transitions;
        next.acquired = Some(Timestamp::from_second(1).unwrap());
        next.renewed = next.acquired;
    };
    for (what, next, expected) in [
        ("nothing new", seen.clone(), false),
        ("renewed", lease(|next| next.renewed = Some(Timestamp::MAX)), false),
        ("a lower version", lease(|next| next.version = 99), true),
        ("the holder's time", lease(|next| next.renewed = Some(Timestamp::MIN)), true),
        ("fewer transitions", lease(|next| next.transitions = 2), true),
        ("taken again", lease(|next| next.acquired = Some(Timestamp::MAX)), true),
        (
            "taken over by a replica whose clock is behind",
            {
                let mut next = lease(|_| ());
                to(&mut next, "b", 4);
                next
            },
            false,
        ),
        (
            "given back, whoever wrote it",
            {
                let mut next = lease(|_| ());
                to(&mut next, "", 3);
                next
            },
            false,
        ),
        (
            "deleted and created again",
            {
                let mut next = lease(|next| next.uid = "two".into());
                to(&mut next, "b", 0);
                next
            },
            false,
        ),
        (
            "created again in an earlier history",
            lease(|next| {
                next.uid = "two".into();
                next.version = 10;
            }),
            true,
        ),
    ] {
        assert_eq!(seen.stepped_back_to(&next), expected, "{what}");
    }
}

#[test]
fn all_signs_of_one_rewind_lead_to_one_order() {
    let start = Instant::now();
    let rewind = |since: u32, at: u32| {
        let (since, at) = (start + since * SECOND, start + at * SECOND);
        Rewind { sign: Sign::List, since, at }
    };
    let mut orders = Orders::default();
    assert!(orders.rewound(rewind(1, 10)));
    assert!(!orders.rewound(rewind(2, 11)), "the same, seen in another resource");
    assert!(!orders.rewound(rewind(9, 40)), "the same, seen by a list that waited for its turn");
    assert!(orders.rewound(rewind(41, 42)), "another one");
    orders.order(start + 60 * SECOND);
    assert!(!orders.rewound(rewind(59, 61)), "what an outage called for already");
}

#[test]
fn how_long_there_was_no_answer() {
    let start = Instant::now();
    let at = |second: u32| start + second * SECOND;
    // After an answer at 100 s, failures at these times, and the next answer.
    for (what, failures, is_prompt, next, expected) in [
        ("quiet, but nothing failed", &[][..], true, 180, None),
        ("a connection broke after a quiet time", &[150], true, 151, None),
        ("a watch was silent", &[165], false, 167, Some(67)),
        ("away for longer than the limit", &[101, 102, 105], true, 111, Some(11)),
        ("away for the limit", &[101, 105], true, 110, None),
        ("away after a quiet time", &[150, 155], true, 161, Some(11)),
    ] {
        let mut contact = Contact::new(10 * SECOND);
        contact.failed(at(90), true);
        assert_eq!(contact.answered(at(100)), None, "{what}: the first answer of all");
        for second in failures {
            contact.failed(at(*second), is_prompt);
        }
        assert_eq!(contact.answered(at(99)), None, "{what}: an older answer");
        assert_eq!(contact.answered(at(next)), expected.map(|many| many * SECOND), "{what}");
        assert_eq!(contact.answered(at(next + 60)), None, "{what}: the failures were before");
    }
}

#[test]
fn an_answer_from_before_a_failure_does_not_end_an_outage() {
    let start = Instant::now();
    let at = |second: u32| start + second * SECOND;
    let mut contact = Contact::new(10 * SECOND);
    assert_eq!(contact.answered(at(100)), None);
    contact.failed(at(103), true);
    assert_eq!(contact.answered(at(102)), None, "read late");
    assert_eq!(contact.answered(at(113)), Some(11 * SECOND));
}
