//! Agents without machines, on a thread of their own.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
};

use tests::fake::{self, Counts, Plan};
use tokio::sync::watch;

/// They end with their owner.
pub(crate) struct Fakes {
    pub(crate) counts: Arc<Counts>,
    online: watch::Receiver<usize>,
    thread: Option<JoinHandle<()>>,
}

impl Fakes {
    /// Begins to connect them; `beside` is done on the same thread.
    pub(crate) fn start(
        plan: Plan,
        beside: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) -> Self {
        let counts = Arc::clone(&plan.counts);
        let (sender, online) = watch::channel(0);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(async {
                let closed = sender.clone();
                tokio::select! {
                    ended = fake::run(plan, sender) => panic!("{ended:?}"),
                    ended = beside => panic!("{ended:?}"),
                    () = closed.closed() => {}
                }
            });
        });
        Self {
            counts,
            online,
            thread: Some(thread),
        }
    }

    /// How many are registered.
    pub(crate) fn online(&self) -> usize {
        *self.online.borrow()
    }
}

impl Drop for Fakes {
    fn drop(&mut self) {
        self.online = watch::channel(0).1;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
