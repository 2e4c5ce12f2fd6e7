//! A client that stays on the bus, as one with a monitor has to.

use host::{
    address::Address,
    link::{self, Limits, Link, Method},
    stream::{TcpOptions, connect},
};
use serde::Serialize;
use tokio::{runtime::Runtime, time::timeout};
use zbus::{
    Message,
    wire::{DynamicType, OwnedObjectPath},
};

use crate::daemon::SOON;

/// A connection to the bus.
pub(crate) struct Client {
    runtime: Runtime,
    link: Link,
}

impl Client {
    /// Connects to the bus at this address.
    pub(crate) fn connect(address: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let address: Address = address.parse().expect("an address");
        let link = runtime.block_on(async {
            let options = TcpOptions::default();
            let (stream, identity) = connect(&address, SOON, &options).await.expect("a bus");
            Link::connect(stream, identity, Limits::TRUSTED).await
        });
        let link = link.expect("connected");
        let mut client = Self { runtime, link };
        let bus = "org.freedesktop.DBus";
        client.call(bus, "/org/freedesktop/DBus", bus, "Hello", &());
        client
    }

    /// Has the controller tell it of a unit.
    pub(crate) fn watch(&mut self, node: &str, unit: &str) {
        let (name, path) = ("org.eclipse.bluechi", "/org/eclipse/bluechi");
        let made = self.call(
            name,
            path,
            "org.eclipse.bluechi.Controller",
            "CreateMonitor",
            &(),
        );
        let monitor: OwnedObjectPath = made.body().deserialize().expect("a monitor");
        let interface = "org.eclipse.bluechi.Monitor";
        self.call(
            name,
            monitor.as_str(),
            interface,
            "Subscribe",
            &(node, unit),
        );
    }

    fn call<B>(
        &mut self,
        destination: &str,
        path: &str,
        interface: &str,
        member: &str,
        body: &B,
    ) -> Message
    where
        B: Serialize + DynamicType,
    {
        let serial = self.link.sender.next_serial();
        let method = Method {
            destination: Some(destination),
            path,
            interface,
            member,
        };
        let call = link::call(serial, method, body).expect("built");
        self.link.sender.try_send(call).expect("open");
        let answer = self.until(|message| link::answers(message) == Some(serial));
        assert_eq!(
            answer.message_type(),
            zbus::message::Type::MethodReturn,
            "{member}: {answer:?}"
        );
        answer
    }

    /// The next signal of this name.
    pub(crate) fn hears(&mut self, signal: &str) -> Message {
        self.until(|message| message.header().member().is_some_and(|it| it == signal))
    }

    fn until(&mut self, is_it: impl Fn(&Message) -> bool) -> Message {
        let next = async {
            loop {
                let message = self.link.receiver.recv().await;
                let message = message.expect("open").expect("valid");
                if is_it(&message) {
                    return message;
                }
            }
        };
        let next = async { timeout(SOON, next).await };
        self.runtime.block_on(next).expect("in time")
    }
}
