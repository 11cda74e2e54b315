//! Shows progress while something asynchronous runs.

use std::{pin::pin, time::Duration};

use crate::progress::Progress;

/// How long it may take before it is shown.
const QUIET: Duration = Duration::from_secs(2);

/// Waits for `work` to end. Shows the seconds if it takes a while.
pub(crate) async fn during<T>(what: &str, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let mut progress = Progress::after(QUIET, what.to_owned());
    loop {
        tokio::select! {
            result = &mut work => {
                progress.done();
                return result;
            }
            () = tokio::time::sleep(Duration::from_millis(200)) => progress.tick(),
        }
    }
}
