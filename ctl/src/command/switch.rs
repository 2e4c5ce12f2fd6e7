//! `switch-controller`: hands the agent of this machine over to another controller.

use proto::dbus::{agent, error};

use crate::{
    bus::{self, Bus},
    cli::Options,
    fault::{Daemon, Fault},
    view::{self, Look, Page},
};

/// Tells the agent, which answers before it goes.
pub(crate) async fn run(options: &Options, address: &str, look: &Look) -> Result<Page, Fault> {
    let mut bus = Bus::connect(options.user, options.question_timeout()).await?;
    let call = bus::agent_call(agent::AGENT, "SwitchController", &address)?;
    let [answer] = bus.ask([call]).await?;
    match answer {
        Ok(_) => Ok(view::act::of_daemon("switch-controller", look)),
        Err(refusal) if refusal.name == error::INVALID_ARGS => Err(Fault::Usage(refusal.text)),
        Err(refusal) => Err(Fault::refused_by(Daemon::Agent, refusal, bus.name())),
    }
}
