//! A gate in a script: the upstream stops there until a test opens it. Order without sleeping.

use std::sync::Arc;

use tokio::sync::watch;

/// A gate; clones are the same gate. Once open it stays open.
#[derive(Clone, Debug)]
pub struct Gate {
    state: Arc<watch::Sender<State>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    open: bool,
    reached: usize,
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self { state: Arc::new(watch::Sender::new(State::default())) }
    }

    /// Lets through all who wait and all who come.
    pub fn open(&self) {
        self.state.send_modify(|state| state.open = true);
    }

    /// Waits until an answer has come to the gate; everything before it has then been handed to the socket.
    pub async fn reached(&self) {
        let mut state = self.state.subscribe();
        // The sender is held by `self`: waiting cannot fail.
        let _ = state.wait_for(|state| state.reached > 0).await;
    }

    /// Comes to the gate and waits until it is open.
    pub async fn pass(&self) {
        self.state.send_modify(|state| state.reached += 1);
        let mut state = self.state.subscribe();
        let _ = state.wait_for(|state| state.open).await;
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}
