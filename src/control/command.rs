//! What clients ask to be changed, on its way to the daemon's loop and back.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::control::protocol::{DrainAnswer, DrainRequest, Refusal, UNFINISHED};

/// How many commands may wait for the daemon's loop. It takes them in faster than anybody can type.
const QUEUE: usize = 16;

/// A change that somebody who may has asked for.
#[derive(Debug)]
pub struct Command {
    /// What is to be done.
    pub change: Change,
    /// Who asks: the user id, by what the kernel says of the peer.
    pub uid: u32,
    /// Where the answer goes. Whoever asked may be gone by then.
    pub reply: oneshot::Sender<DrainAnswer>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Take the node out of DNS.
    Drain(DrainRequest),
    /// Let it back in.
    Resume,
}

/// The way to the daemon's loop.
#[derive(Debug, Clone)]
pub struct Commands(mpsc::Sender<Command>);

impl Commands {
    /// A way, and its end in the loop.
    pub fn channel() -> (Commands, mpsc::Receiver<Command>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Commands(sender), receiver)
    }

    /// Has the change made, and waits for the answer for as long as `patience`.
    pub(super) async fn carry_out(&self, change: Change, uid: u32, patience: Duration) -> Result<DrainAnswer, Refusal> {
        let refusal = |code: &str, message: &str| Refusal { code: code.to_owned(), message: message.to_owned() };
        let (reply, answer) = oneshot::channel();
        if self.0.try_send(Command { change, uid, reply }).is_err() {
            return Err(refusal("busy", "the daemon has more commands to carry out than it takes in; try again"));
        }
        match timeout(patience, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(refusal(UNFINISHED, "the daemon has stopped before it could save this")),
            Err(_) => Err(refusal(
                UNFINISHED,
                "it is done, but the disk takes long to save it, and a restart of the daemon may forget it; \
                 'nodedns status' shows what became of it",
            )),
        }
    }
}
