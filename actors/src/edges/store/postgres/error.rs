//! What PostgreSQL says, in the port's words.

use std::time::Duration;

use sqlx::Error;

use super::super::StoreError;

/// The port's word for an error of the database or of the way to it.
pub(super) fn translate(error: Error) -> StoreError {
    match code(&error).as_deref() {
        Some("53100") => StoreError::DiskFull(error.to_string()),
        Some("25006") => StoreError::ReadOnly(error.to_string()),
        // Lock and statement timeouts.
        Some("55P03") => StoreError::Locked(error.to_string()),
        Some("57014") => StoreError::TimedOut(Duration::ZERO),
        Some("XX001" | "XX002") => StoreError::Corrupt(error.to_string()),
        // The server is starting or stopping, has no connection left, or is gone.
        Some(code) if code.starts_with("57P") || code.starts_with("08") || code == "53300" => {
            StoreError::NotReady(error.to_string())
        }
        Some(_) => StoreError::Failed(error.to_string()),
        None if is_disconnect(&error) => StoreError::NotReady(error.to_string()),
        None => StoreError::Failed(error.to_string()),
    }
}

fn code(error: &Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}

/// Whether the transaction lost against others and may be tried again as it is. A unique violation is one: the row that
/// was not there when it looked is there now.
pub(super) fn is_transient(error: &Error) -> bool {
    matches!(code(error).as_deref(), Some("40001" | "40P01" | "23505"))
}

/// Whether the error is one member's own, so that the rest of its batch can go on.
pub(super) fn is_members_own(error: &Error) -> bool {
    match code(error) {
        Some(code) => code.starts_with("22") || code.starts_with("23") || code.starts_with("54"),
        None => matches!(error, Error::Encode(_)),
    }
}

/// Whether the connection is of no use any more.
pub(super) fn is_disconnect(error: &Error) -> bool {
    match code(error) {
        Some(code) => code.starts_with("57P") || code.starts_with("08"),
        None => matches!(error, Error::Io(_) | Error::Tls(_) | Error::Protocol(_) | Error::WorkerCrashed),
    }
}
