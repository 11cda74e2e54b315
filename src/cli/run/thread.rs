//! A thread with its own async runtime, for work that must continue whatever the main loop does.

use std::{future::Future, pin::Pin, thread};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

use super::RunError;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A thread that has no work yet. It ends when this is dropped.
pub(super) struct Thread {
    runtime: Handle,
    work: oneshot::Sender<Work>,
}

impl Thread {
    pub(super) fn new(name: &'static str) -> Result<Self, RunError> {
        let failed = |error| RunError::Thread(name, error);
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (sender, work) = oneshot::channel::<Work>();
        let thread = Self { runtime: runtime.handle().clone(), work: sender };
        let live = move || {
            runtime.block_on(async {
                if let Ok(work) = work.await {
                    work.await;
                }
            });
        };
        thread::Builder::new().name(name.to_owned()).spawn(live).map_err(failed)?;
        Ok(thread)
    }

    /// Creates something that belongs to this thread's runtime: a listener, or a signal handler.
    pub(super) fn make<T>(&self, make: impl FnOnce() -> T) -> T {
        let _inside = self.runtime.enter();
        make()
    }

    /// Runs the work. The thread ends with it. The result comes through the channel, which is
    /// closed if there is none.
    pub(super) fn start<T: Send + 'static>(
        self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (done, result) = oneshot::channel();
        let work = Box::pin(async move {
            // Without a receiver the process is about to end.
            let _ = done.send(work.await);
        });
        // A thread that does not accept its work has ended, which closes the channel.
        let _ = self.work.send(work);
        result
    }
}
