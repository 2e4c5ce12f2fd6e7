//! What comes from the bus of the node, and what is said there.

use host::{address::Address, bus::BusEvent, rate::Line};
use node::{Input, LinkStatus};
use tracing::info;

use super::Agent;
use crate::{
    local::HelperEvent,
    public::{LinkState, Present, Todo},
};

impl Agent {
    /// Puts the settings into force, and the controller that a client wants.
    pub(super) fn configure(&mut self) {
        let mut live = self.settings.live();
        if let Some(address) = &self.switched {
            live.controllers = vec![address.to_string()];
            self.dial.addresses = vec![address.clone()];
        }
        self.take(Input::Configure(live));
    }

    pub(super) fn bus(&mut self, event: BusEvent) {
        let gone = match event {
            BusEvent::Up(sender) => {
                self.bus_lost.over();
                self.public.up(sender);
                info!("interface of the agent is on the bus");
                Vec::new()
            }
            BusEvent::Down(why) => {
                if let Line::Write { kept_back } = self.bus_lost.line(self.clock.now(), &why) {
                    info!(why, kept_back, "no connection to the bus, going on without");
                }
                self.public.down()
            }
            BusEvent::Left(name) => self.public.left(&name),
            BusEvent::Call(call) => {
                let present = Present {
                    now: self.clock.now(),
                    level: self.around.level(),
                    manager: &self.around.manager,
                };
                match self.public.call(present, call) {
                    Todo::Done => {}
                    Todo::Switch(address) => {
                        info!(%address, "a client wants another controller");
                        self.switched = Some(address);
                        self.configure();
                    }
                    Todo::Asked(asked, caller) => self.asked(asked, caller),
                }
                Vec::new()
            }
        };
        for waiter in gone {
            self.helper(HelperEvent::Gone(waiter));
        }
    }

    /// Says on the bus how the link is.
    pub(super) fn say_link(&mut self) {
        let state = match self.node.link_status() {
            LinkStatus::Registered { address } => LinkState {
                online: true,
                address,
            },
            LinkStatus::Unreachable => LinkState {
                online: false,
                address: self
                    .dial
                    .addresses
                    .first()
                    .map_or_else(String::new, Address::to_string),
            },
        };
        self.public.set_link(self.clock.now(), state);
    }
}
