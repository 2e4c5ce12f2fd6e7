//! The daemon from end to end: real links on in-process streams, agents and a client played by hand,
//! a clock that is moved by hand.

mod api;
mod calls;
mod jobs;
mod links;
mod rhythm;
mod world;

use zbus::Message;

/// The name and the text of an error.
type ErrorBody = (String, String);

/// Makes the answer to a call.
type Answering = Box<dyn Fn(&Message) -> zbus::Result<Message>>;

const NODE_A: &str = "/org/eclipse/bluechi/node/a";
