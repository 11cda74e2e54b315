//! What is spoken with the API server.

pub mod guard;
