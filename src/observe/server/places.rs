//! Places: how many connections are open at the same time, and which one is closed when all places
//! are taken and another client connects.

use std::{
    collections::VecDeque,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::task::{AbortHandle, JoinSet};

/// Connections at the same time, and therefore file descriptors. A process may have 1024 unless
/// something raises that limit.
const PLACES: usize = 256;

/// The connections of a server.
#[derive(Debug, Default)]
pub(super) struct Places {
    talks: JoinSet<()>,
    /// In the order in which they came.
    taken: VecDeque<Place>,
}

#[derive(Debug)]
struct Place {
    talk: AbortHandle,
    asking: Asking,
}

/// Whether a connection has sent a request.
#[derive(Clone, Debug, Default)]
pub(super) struct Asking(Arc<AtomicBool>);

impl Asking {
    /// A request has arrived.
    pub(super) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Places {
    /// Ends when a connection has ended and its place is free. Never ends without a connection.
    pub(super) async fn ended(&mut self) {
        match self.talks.join_next().await {
            Some(_) => self.taken.retain(|place| !place.talk.is_finished()),
            None => std::future::pending().await,
        }
    }

    /// Gives a new connection its place. If all are taken, this closes the oldest connection that
    /// has not sent a request. If all have sent one, this closes the oldest.
    pub(super) async fn take<F>(&mut self, talk: impl FnOnce(Asking) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        while self.talks.len() >= PLACES {
            let idle = self.taken.iter().position(|place| !place.asking.has_begun());
            if let Some(place) = self.taken.remove(idle.unwrap_or(0)) {
                place.talk.abort();
            }
            self.ended().await;
        }
        let asking = Asking::default();
        let talk = self.talks.spawn(talk(asking.clone()));
        self.taken.push_back(Place { talk, asking });
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, sync::Mutex};

    use super::*;

    /// The numbers of the connections that are open. Each sends a request if `asks` holds for it.
    async fn open(connections: usize, asks: fn(usize) -> bool) -> Vec<usize> {
        struct Open(usize, Arc<Mutex<Vec<usize>>>);
        impl Drop for Open {
            fn drop(&mut self) {
                self.1.lock().unwrap().retain(|open| *open != self.0);
            }
        }
        let open = Arc::new(Mutex::new(Vec::new()));
        let mut places = Places::default();
        for number in 0..connections {
            let open = Arc::clone(&open);
            let talk = move |asking: Asking| async move {
                open.lock().unwrap().push(number);
                let _open = Open(number, Arc::clone(&open));
                if asks(number) {
                    asking.begin();
                }
                pending::<()>().await;
            };
            places.take(talk).await;
            tokio::task::yield_now().await;
        }
        let numbers = open.lock().unwrap();
        numbers.clone()
    }

    #[tokio::test]
    async fn the_oldest_idle_connection_goes_first() {
        assert_eq!(open(PLACES, |_| false).await, (0..PLACES).collect::<Vec<_>>());
        let all_but_the_first = (1..=PLACES).collect::<Vec<_>>();
        assert_eq!(open(PLACES + 1, |_| false).await, all_but_the_first);
        assert_eq!(open(PLACES + 1, |_| true).await, all_but_the_first, "none is idle");
        let mut all_but_the_seventh = (0..=PLACES).collect::<Vec<_>>();
        all_but_the_seventh.remove(7);
        assert_eq!(open(PLACES + 1, |number| number < 7).await, all_but_the_seventh);
    }

    #[tokio::test]
    async fn places_are_free_again_when_connections_have_ended() {
        let mut places = Places::default();
        for _ in 0..PLACES {
            places.take(|_| async {}).await;
        }
        for _ in 0..PLACES {
            places.ended().await;
        }
        assert!(places.taken.is_empty() && places.talks.is_empty());
    }
}
