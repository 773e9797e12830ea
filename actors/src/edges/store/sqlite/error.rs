//! What SQLite says, in the port's words.

use rusqlite::{Error, ErrorCode};

use super::super::StoreError;

/// The port's word for an error of SQLite.
pub(super) fn translate(error: Error) -> StoreError {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::DiskFull(text),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Locked(text),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt(text),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => StoreError::ReadOnly(text),
        Some(ErrorCode::OperationInterrupted) => StoreError::TimedOut(std::time::Duration::ZERO),
        _ => StoreError::Failed(text),
    }
}

/// Whether the error is one member's own, so that the rest of its batch can go on.
pub(super) fn is_members_own(error: &Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch | ErrorCode::Unknown
        )
    ) || matches!(
        error,
        Error::ToSqlConversionFailure(_) | Error::FromSqlConversionFailure(..) | Error::InvalidColumnType(..)
    )
}
