//! Failure: how a command says that it failed. It looks as clap's own messages about usage do.

use std::{error::Error, fmt::Display, io};

use clap::builder::Styles;

use super::{look::Look, say::say_before};
use crate::causes::causes;

/// Says on standard error why a command failed.
pub fn fail(look: Look, error: &(dyn Error + 'static)) {
    say_error(look, causes(error));
}

/// The same for a cause that is a text already.
pub(super) fn say_error(look: Look, cause: impl Display) {
    let style = *Styles::styled().get_error();
    let head = if look.is_coloured(&io::stderr()) {
        format!("{style}error:{style:#} ")
    } else {
        "error: ".to_owned()
    };
    say_before(&head, cause);
}
