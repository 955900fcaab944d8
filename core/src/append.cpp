#include "stele/append.h"

#include <algorithm>

#include "stele/error.h"

namespace stele {

std::string ExpectedVersion::to_string() const {
  switch (kind_) {
    case Kind::any: return "any";
    case Kind::no_stream: return "none";
    case Kind::stream_exists: return "exists";
    case Kind::exactly: return std::to_string(version_.value());
  }
  return "?";
}

std::string_view to_string(AppendStatus status) noexcept {
  switch (status) {
    case AppendStatus::appended: return "appended";
    case AppendStatus::replayed: return "replayed";
    case AppendStatus::conflict: return "conflict";
    case AppendStatus::request_id_reused: return "request_id_reused";
    case AppendStatus::duplicate_event_id: return "duplicate_event_id";
    case AppendStatus::duplicate_idempotency_key: return "duplicate_idempotency_key";
  }
  return "?";
}

Position AppendResult::last_position() const noexcept {
  Position last;
  for (const StreamOutcome& stream : streams) last = std::max(last, stream.last_position);
  return last;
}

namespace {

void throw_unless_ok(const AppendResult& result) {
  switch (result.status) {
    case AppendStatus::appended:
    case AppendStatus::replayed: return;
    case AppendStatus::conflict:
      throw Error(ErrorCode::conflict, result.conflict->stream.to_string() + ": expected version " +
                                           result.conflict->expected.to_string() + ", the stream is at " +
                                           std::to_string(result.conflict->actual.value()));
    case AppendStatus::request_id_reused: throw Error(ErrorCode::request_id_reused, result.detail);
    case AppendStatus::duplicate_event_id: throw Error(ErrorCode::duplicate_event_id, result.detail);
    case AppendStatus::duplicate_idempotency_key: throw Error(ErrorCode::duplicate_idempotency_key, result.detail);
  }
}

}  // namespace

const AppendResult& AppendResult::or_throw() const& {
  throw_unless_ok(*this);
  return *this;
}

AppendResult AppendResult::or_throw() && {
  throw_unless_ok(*this);
  return std::move(*this);
}

}  // namespace stele
