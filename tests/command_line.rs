//! What is the same for all commands, run as a user runs them: terminals, pipes, help, messages.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot be set up fails")]

#[path = "command_line/called.rs"]
mod called;
#[path = "command_line/command.rs"]
mod command;
#[path = "command_line/messages.rs"]
mod messages;
#[path = "command_line/pages.rs"]
mod pages;
#[path = "command_line/pipes.rs"]
mod pipes;
#[path = "command_line/progress.rs"]
mod progress;
#[path = "command_line/terminal.rs"]
mod terminal;
#[path = "command_line/version.rs"]
mod version;
#[path = "command_line/widths.rs"]
mod widths;
