//! Cases on real systemd nodes. Each is a module, with the units it needs in the folder of the
//! same name; `tests/README.md` says how to add one.

mod harness;
