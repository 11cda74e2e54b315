//! What all commands that run a cluster in namespaces have in common.

use super::Error;
use crate::kubelet::Command;
use std::{env, path::Path, process::ExitCode};

/// Runs a command whose binary is also what runs in its pods: `in_pod` if that is what it was
/// called for, otherwise `run` with the path of the binary, which says whether all was as it must
/// be. An error is reported under the command's name.
pub async fn command(
    name: &str,
    in_pod: Option<Command>,
    run: impl AsyncFnOnce(&Path) -> Result<bool, Error>,
) -> ExitCode {
    if let Some(command) = in_pod {
        return command.run().await;
    }
    let own = |source| Error::Run { what: "this program in the pods", source };
    let ran = match env::current_exe().map_err(own) {
        Ok(server) => run(&server).await,
        Err(error) => Err(error),
    };
    match ran {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{name}: {error}");
            error.exit_code()
        }
    }
}
