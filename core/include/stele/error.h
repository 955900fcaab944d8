// The one exception type of Stele, its codes, and what a caller may do about each.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>

#include "stele/export.h"

namespace stele {

/// Programs act on the code, never on the message. Values and names are stable.
enum class ErrorCode : std::uint8_t {
  invalid_argument = 1,    ///< The input breaks a documented rule; the message names the field. Fix the input.
  too_large = 2,           ///< The input is over a limit of limits.h; the message names field and limit.
  conflict = 3,            ///< AppendResult::or_throw only: an expected version did not hold. Reload, decide again.
  request_id_reused = 4,   ///< or_throw only: the request key belongs to a different request. A caller's bug.
  duplicate_event_id = 5,  ///< or_throw only: an event id is taken by another event. A caller's bug.
  duplicate_idempotency_key = 6,  ///< or_throw only: an idempotency key is taken in its stream by another event.
  not_found = 7,                  ///< What the caller named does not exist.
  schema_outdated = 8,            ///< The database lacks migrations of this program. Run `migrate up`.
  schema_too_new = 9,             ///< The database was migrated by a newer program. Upgrade this one.
  checksum_mismatch = 10,         ///< A migration that was applied differs from the one this program carries.
  migration_failed = 11,          ///< A migration's script failed; its transaction was rolled back.
  cannot_connect = 12,            ///< The database could not be opened or reached.
  permission_denied = 13,         ///< No right to this, by the database or by the tenant; or the file is read-only.
  busy = 14,                      ///< Another writer held the database until the deadline. Retrying is safe.
  disk_full = 15,                 ///< No room; nothing of the operation was applied.
  io = 16,                        ///< The operating system failed to read or write; see outcome().
  corrupt = 17,                   ///< The database file is damaged or is no database.
  rejected_by_database = 18,  ///< A CHECK, constraint or trigger refused what core had accepted: a bug, please report.
  unsupported = 19,           ///< This backend does not offer the operation.
  closed = 20,                ///< The store was closed.
  internal = 21,              ///< A broken invariant inside Stele: a bug, please report.
  upcast_failed = 22,         ///< The application's upcaster threw, or returned what it had not announced.
  handler_failed = 23,        ///< The application's handler or publisher threw something that is no stele::Error.
  key_destroyed = 24,         ///< What is encrypted is gone for good: its subject was forgotten.
  key_unavailable = 25,       ///< A key is not among those that a provider has, or the provider does not answer.
  wrong_key = 26,             ///< Something was encrypted with another key than the one that was given.
  tampered = 27,              ///< Something encrypted or signed was changed, cut, or moved to another place.
  schema_violation = 28,      ///< A payload is not as the schema of its type and version says. Fix the event.
  must_be_kept = 29,          ///< A rule of retention keeps what would become unreadable.
};

/// The code's name as it appears in messages, JSON output and documentation, for example "invalid_argument".
STELE_API std::string_view to_string(ErrorCode code) noexcept;

/// Whether the failed operation changed the store.
enum class Outcome : std::uint8_t {
  not_applied,  ///< Nothing was written.
  applied,      ///< Everything was written; the failure came afterwards.
  unknown,  ///< The commit was sent and its answer was lost. Repeat the call with the same command or event ids: it is
            ///< replayed if it was applied (G5, G6, G12).
};

STELE_API std::string_view to_string(Outcome outcome) noexcept;

/// Thrown by every function of Stele that fails. Cheap to copy; immutable.
///
/// message() never holds a payload, an SQL text or a credential. What callers have to expect (a conflict, a replay, an
/// absent stream) is a value and not an Error; see AppendResult.
class STELE_API Error : public std::exception {
 public:
  struct Details {
    std::string backend;  ///< "sqlite", "memory" …; empty when core found the fault.
    int native_code = 0;  ///< The database's own number (SQLite: extended result code); 0 when there is none.
    std::string sqlstate;
    bool retryable = false;
    Outcome outcome = Outcome::not_applied;
  };

  Error(ErrorCode code, std::string message);
  Error(ErrorCode code, std::string message, Details details);

  ErrorCode code() const noexcept;
  const std::string& message() const noexcept;
  const std::string& backend() const noexcept;
  const std::string& sqlstate() const noexcept;
  int native_code() const noexcept;
  /// True when the same call may succeed later and repeating it cannot do harm.
  bool retryable() const noexcept;
  Outcome outcome() const noexcept;

  /// "<code>: <message> [backend native]".
  const char* what() const noexcept override;

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

}  // namespace stele
