//! Questions about the bill, as pure functions: why it moved, and where the month will end.

pub(crate) mod calendar;
pub(crate) mod forecast;
pub(crate) mod why;
