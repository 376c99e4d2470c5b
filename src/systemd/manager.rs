//! What systemd says of the whole system, over the system bus.
//!
//! SIGTERM looks the same whether the service is restarted or the machine is switched off. What
//! tells them apart is the manager's property `SystemState`: `stopping` from the moment at which a
//! shutdown, reboot, halt or kexec is under way, and something else while a service is merely
//! restarted, upgraded or stopped.

use std::time::Duration;

use tokio::time::timeout;
use zbus::{Connection, OwnedVariant};

/// How long systemd may take to answer. It usually takes a few milliseconds, and whoever stops the
/// service waits for them.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// How the system is, as the property `SystemState` has it (org.freedesktop.systemd1(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SystemState {
    /// It is being shut down.
    Stopping,
    /// Anything else, in systemd's own word: `starting`, `running`, `degraded`, `maintenance`.
    Other(String),
}

/// Why it is not known how the system is.
#[derive(Debug, thiserror::Error)]
pub enum SystemStateError {
    /// There is no bus, or it turns us away.
    #[error("the system bus cannot be reached: {0}")]
    Bus(zbus::Error),
    /// systemd is not there, does not answer us, or answers something that is no text.
    #[error("systemd does not say how the system is: {0}")]
    Answer(zbus::Error),
    /// No answer within [`PATIENCE`].
    #[error("systemd has not said how the system is within {} s", PATIENCE.as_secs())]
    Late,
}

/// Asks systemd how the system is, on a connection made for this one question. The bus is found as
/// everywhere: `DBUS_SYSTEM_BUS_ADDRESS`, else the system's own socket.
///
/// # Errors
/// When that cannot be found out, after [`PATIENCE`] at the latest.
pub async fn system_state() -> Result<SystemState, SystemStateError> {
    timeout(PATIENCE, ask()).await.map_err(|_| SystemStateError::Late)?
}

async fn ask() -> Result<SystemState, SystemStateError> {
    let connection = Connection::system().await.map_err(SystemStateError::Bus)?;
    let answer = connection
        .call_method(
            Some("org.freedesktop.systemd1"),
            "/org/freedesktop/systemd1",
            Some("org.freedesktop.DBus.Properties"),
            "Get",
            &("org.freedesktop.systemd1.Manager", "SystemState"),
        )
        .await
        .map_err(SystemStateError::Answer)?;
    let value: OwnedVariant = answer.body().deserialize().map_err(SystemStateError::Answer)?;
    let word = String::try_from(value).map_err(SystemStateError::Answer)?;
    Ok(if word == "stopping" { SystemState::Stopping } else { SystemState::Other(word) })
}
