#include "stele/error.h"

#include <utility>

namespace stele {

std::string_view to_string(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::invalid_argument: return "invalid_argument";
    case ErrorCode::too_large: return "too_large";
    case ErrorCode::conflict: return "conflict";
    case ErrorCode::request_id_reused: return "request_id_reused";
    case ErrorCode::duplicate_event_id: return "duplicate_event_id";
    case ErrorCode::duplicate_idempotency_key: return "duplicate_idempotency_key";
    case ErrorCode::not_found: return "not_found";
    case ErrorCode::schema_outdated: return "schema_outdated";
    case ErrorCode::schema_too_new: return "schema_too_new";
    case ErrorCode::checksum_mismatch: return "checksum_mismatch";
    case ErrorCode::migration_failed: return "migration_failed";
    case ErrorCode::cannot_connect: return "cannot_connect";
    case ErrorCode::permission_denied: return "permission_denied";
    case ErrorCode::busy: return "busy";
    case ErrorCode::disk_full: return "disk_full";
    case ErrorCode::io: return "io";
    case ErrorCode::corrupt: return "corrupt";
    case ErrorCode::rejected_by_database: return "rejected_by_database";
    case ErrorCode::unsupported: return "unsupported";
    case ErrorCode::closed: return "closed";
    case ErrorCode::internal: return "internal";
    case ErrorCode::upcast_failed: return "upcast_failed";
    case ErrorCode::handler_failed: return "handler_failed";
    case ErrorCode::key_destroyed: return "key_destroyed";
    case ErrorCode::key_unavailable: return "key_unavailable";
    case ErrorCode::wrong_key: return "wrong_key";
    case ErrorCode::tampered: return "tampered";
    case ErrorCode::schema_violation: return "schema_violation";
    case ErrorCode::must_be_kept: return "must_be_kept";
  }
  return "unknown";
}

std::string_view to_string(Outcome outcome) noexcept {
  switch (outcome) {
    case Outcome::not_applied: return "not_applied";
    case Outcome::applied: return "applied";
    case Outcome::unknown: return "unknown";
  }
  return "unknown";
}

// Shared, so that copying an Error while it is in flight cannot throw.
struct Error::State {
  ErrorCode code;
  std::string message;
  Details details;
  std::string what;
};

namespace {

std::string compose_what(ErrorCode code, const std::string& message, const Error::Details& details) {
  std::string what(to_string(code));
  what += ": ";
  what += message;
  std::string origin = details.backend;
  const std::string number = details.native_code != 0 ? std::to_string(details.native_code) : details.sqlstate;
  if (!origin.empty() && !number.empty()) origin += ' ';
  origin += number;
  if (!origin.empty()) what += " [" + origin + "]";
  return what;
}

}  // namespace

Error::Error(ErrorCode code, std::string message) : Error(code, std::move(message), Details{}) {}

Error::Error(ErrorCode code, std::string message, Details details) {
  std::string what = compose_what(code, message, details);
  state_ = std::make_shared<const State>(State{code, std::move(message), std::move(details), std::move(what)});
}

ErrorCode Error::code() const noexcept {
  return state_->code;
}
const std::string& Error::message() const noexcept {
  return state_->message;
}
const std::string& Error::backend() const noexcept {
  return state_->details.backend;
}
const std::string& Error::sqlstate() const noexcept {
  return state_->details.sqlstate;
}
int Error::native_code() const noexcept {
  return state_->details.native_code;
}
bool Error::retryable() const noexcept {
  return state_->details.retryable;
}
Outcome Error::outcome() const noexcept {
  return state_->details.outcome;
}
const char* Error::what() const noexcept {
  return state_->what.c_str();
}

}  // namespace stele
