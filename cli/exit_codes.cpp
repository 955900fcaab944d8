#include "exit_codes.h"

namespace stele::cli {

ExitCode exit_code(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::invalid_argument:
    case ErrorCode::too_large:
    case ErrorCode::schema_violation: return exit_usage;
    case ErrorCode::conflict:
    case ErrorCode::request_id_reused:
    case ErrorCode::duplicate_event_id:
    case ErrorCode::duplicate_idempotency_key: return exit_conflict;
    case ErrorCode::not_found: return exit_not_found;
    case ErrorCode::schema_outdated:
    case ErrorCode::schema_too_new:
    case ErrorCode::checksum_mismatch: return exit_schema;
    case ErrorCode::cannot_connect: return exit_connect;
    case ErrorCode::busy: return exit_busy;
    case ErrorCode::corrupt:
    case ErrorCode::tampered: return exit_integrity;
    case ErrorCode::migration_failed:
    case ErrorCode::permission_denied:
    case ErrorCode::disk_full:
    case ErrorCode::io:
    case ErrorCode::rejected_by_database:
    case ErrorCode::unsupported:
    case ErrorCode::closed:
    case ErrorCode::internal:
    case ErrorCode::upcast_failed:
    case ErrorCode::handler_failed:
    case ErrorCode::key_destroyed:
    case ErrorCode::key_unavailable:
    case ErrorCode::wrong_key:
    case ErrorCode::must_be_kept: return exit_failed;
  }
  return exit_failed;
}

}  // namespace stele::cli
