//! A place for whoever counts requests.

use std::sync::Arc;

use crate::decide::provider::{ErrorKind, ProviderError};
use crate::publish::route53::error::Request;

/// Is told of every request.
pub trait Observer: Send + Sync {
    /// It is a request's turn, to Route 53's operation of this name. What comes back is told what became
    /// of it.
    fn begins(&self, operation: &'static str) -> Ending;
}

/// Is told what became of a request.
pub type Ending = Box<dyn FnOnce(Result<(), ErrorKind>) + Send>;

/// A request under way. Dropped half way, it may have been carried out or not.
pub(super) struct Observation {
    request: Request,
    ending: Option<Ending>,
}

impl Observation {
    pub fn of(request: Request, observer: Option<&Arc<dyn Observer>>) -> Self {
        Observation { request, ending: observer.map(|observer| observer.begins(request.operation())) }
    }

    pub fn ends<T>(mut self, result: &Result<T, ProviderError>) {
        if let Some(ending) = self.ending.take() {
            ending(result.as_ref().map(|_| ()).map_err(|error| error.kind));
        }
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        if let Some(ending) = self.ending.take() {
            ending(Err(self.request.unclear()));
        }
    }
}
