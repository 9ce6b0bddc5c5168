//! Benchmarks of the hot path: `cargo bench -p tachograph-benches`. They print ns per operation; compare two runs on one
//! quiet machine. Added latency and CPU of the whole gateway beside a floor proxy: `overhead/README.md`.
