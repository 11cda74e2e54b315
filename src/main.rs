//! The `closehaul` command.

fn main() {}
