//! closehaul.
