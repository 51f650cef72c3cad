//! Loads programs: ELF files, `#!` scripts, the initial stack and auxiliary vector.
