//! What both sides of a wire must agree on: names, models, messages and the rules by which sets are
//! kept equal over a link. No runtime, no sockets, no clock: everything here is a value or a pure
//! function, so the cores of controller and agent may use it.
//!
//! | module | holds |
//! |---|---|
//! | [`name`] | names of nodes, units, proxies and holds, parsed once at the door |
//! | [`model`] | jobs, claims, unit states: the words of the domain |
//! | [`message`] | what agent and controller say to each other, as values |
//! | [`sync`] | sets with generations: how a set is told, repeated and acknowledged |
//! | [`time`] | moments, as the cores see them |
//! | [`wire`] | the D-Bus bodies of those messages, and the conversions |
//! | [`interface`] | the interfaces that are served on a bus, as documents |
//! | [`dbus`] | every bus name, path, interface, member and error name |
//! | [`circle`] | circles of things that wait for each other |
//! | [`wave`] | restarts that go from node to node |
//! | [`helper`] | where an agent leaves something for its helpers |
//! | [`rhythm`] | when something is done that is done again and again |
//! | [`backoff`] | bounded, jittered waiting between attempts |

pub mod backoff;
pub mod circle;
pub mod dbus;
pub mod helper;
pub mod interface;
pub mod message;
pub mod model;
pub mod name;
pub mod rhythm;
pub mod sync;
pub mod time;
pub mod wave;
pub mod wire;
