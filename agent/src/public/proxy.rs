//! A call of `CreateProxy`: what a helper of ours asks on its socket, asked on the bus.

use host::link::{self, LinkSender};
use node::{FromHelper, HelperAnswer, ManagerError, Waiter};
use proto::{
    dbus::{error, systemd},
    model::Token,
};
use tokio::sync::mpsc;
use zbus::Message;

use crate::{
    limits::HELPER_ANSWERS_MAX, link::unit_property, local::HelperEvent, systemd::Manager,
};

/// A call that waits for a unit of another node.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) waiter: Waiter,
    pub(super) proxy: String,
    pub(super) call: Message,
    pub(super) bus: LinkSender,
    pub(super) manager: Manager,
    pub(super) helpers: mpsc::Sender<HelperEvent>,
}

impl Asking {
    /// Asks, and answers the call.
    pub(super) async fn run(self) {
        let answer = match self.token().await {
            Ok(token) => self.ask(token).await,
            Err(ManagerError { name, text }) => {
                // The core has not heard of it; the loop has.
                let _ = self.helpers.send(HelperEvent::Gone(self.waiter)).await;
                Some(link::error(&self.call, &name, &text))
            }
        };
        if let Some(Ok(answer)) = answer
            && link::expects_reply(&self.call)
        {
            // It fails when the connection has ended, and then nobody waits for it.
            let _ = self.bus.try_send(answer);
        }
    }

    /// The run of the proxy in which it is called.
    async fn token(&self) -> Result<Token, ManagerError> {
        let (unit, property) = (self.proxy.clone(), "InvocationID".to_owned());
        let value = unit_property(&self.manager, unit, systemd::UNIT.to_owned(), property).await?;
        let bytes = Vec::<u8>::try_from(value).ok();
        let token = bytes.and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
        token.map(Token).ok_or_else(|| ManagerError {
            name: error::ACTIVATION_FAILED.to_owned(),
            text: format!("{} is not being started", self.proxy),
        })
    }

    /// The answer; `None` where nobody waits for it any more.
    async fn ask(&self, token: Token) -> Option<zbus::Result<Message>> {
        let (answers, mut answered) = mpsc::channel(HELPER_ANSWERS_MAX);
        let asks = HelperEvent::Asks {
            waiter: self.waiter,
            request: FromHelper::Asks {
                proxy: self.proxy.clone(),
                token: token.to_string(),
            },
            answers,
        };
        self.helpers.send(asks).await.ok()?;
        loop {
            match answered.recv().await? {
                HelperAnswer::Wait { .. } => {}
                HelperAnswer::Up | HelperAnswer::Done => return Some(link::reply(&self.call, &())),
                HelperAnswer::Failed(reason) => {
                    let name = error::ACTIVATION_FAILED;
                    return Some(link::error(&self.call, name, &reason.text));
                }
            }
        }
    }
}
