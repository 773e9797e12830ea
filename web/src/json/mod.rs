//! Reading JSON from strangers.
//!
//! What is accepted is RFC 8259 in UTF-8 without a byte order mark, nested no deeper than a limit, and with every name of
//! an object used once: of two equal names some readers keep the first and some the last, and what one program checks is
//! then not what the next one runs. Integers beyond 64 bits are read as floating-point numbers, as most readers do.

mod depth;
mod strict;

pub(crate) use depth::check_depth;
pub(crate) use strict::read;
