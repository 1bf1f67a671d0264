//! A sans-IO WebSocket codec.
