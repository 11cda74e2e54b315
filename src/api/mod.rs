//! What is spoken with the API server.
