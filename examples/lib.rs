//! Runnable examples: `cargo run -p tachograph-examples --example embed_axum`. Client snippets: `clients.md`.
