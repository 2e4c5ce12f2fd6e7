//! The loop of a daemon as a task of its event loop.

use tokio::task::JoinError;

/// Runs the loop that owns the state of a daemon, as a task, and waits for its end.
///
/// What `block_on` polls by itself is woken through a descriptor of the event loop: each event that a task hands
/// to it is a write(2), a turn of epoll_wait(2) that finds only this, and a look at everything that the loop waits
/// for. A task is put into the queue of those that run next.
///
/// # Errors
///
/// Fails when the loop has panicked, in a program that survives that, or when the event loop ends.
pub async fn run<F>(owner: F) -> Result<F::Output, JoinError>
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio::spawn(owner).await
}
