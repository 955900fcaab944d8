// Writing: what an append asks for, and what came of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "stele/event.h"
#include "stele/types.h"

namespace stele {

/// What must be true of a stream for an append to go ahead (G3).
class STELE_API ExpectedVersion {
 public:
  enum class Kind : std::uint8_t { any, no_stream, stream_exists, exactly };

  static constexpr ExpectedVersion any() noexcept { return {Kind::any, Version(0)}; }
  static constexpr ExpectedVersion no_stream() noexcept { return {Kind::no_stream, Version(0)}; }
  static constexpr ExpectedVersion stream_exists() noexcept { return {Kind::stream_exists, Version(0)}; }
  /// exactly(0) is no_stream(). A negative number is refused by append.
  static constexpr ExpectedVersion exactly(Version version) noexcept {
    return version == Version(0) ? no_stream() : ExpectedVersion{Kind::exactly, version};
  }
  static constexpr ExpectedVersion exactly(std::int64_t version) noexcept { return exactly(Version(version)); }

  constexpr Kind kind() const noexcept { return kind_; }
  constexpr Version version() const noexcept { return version_; }  ///< 0 unless kind() is exactly.

  constexpr bool holds_for(Version actual) const noexcept {
    switch (kind_) {
      case Kind::any: return true;
      case Kind::no_stream: return actual == Version(0);
      case Kind::stream_exists: return actual > Version(0);
      case Kind::exactly: return actual == version_;
    }
    return false;
  }

  /// "any", "none", "exists" or the number.
  std::string to_string() const;

  friend constexpr bool operator==(const ExpectedVersion&, const ExpectedVersion&) noexcept = default;

 private:
  constexpr ExpectedVersion(Kind kind, Version version) noexcept : kind_(kind), version_(version) {}
  Kind kind_;
  Version version_;
};

/// Events for one stream. With no events it only checks.
struct StreamAppend {
  StreamKey stream;
  ExpectedVersion expected = ExpectedVersion::any();
  std::vector<NewEvent> events;
};

/// A stream that must be as expected and is not written to.
struct StreamCondition {
  StreamKey stream;
  ExpectedVersion expected = ExpectedVersion::any();
};

/// The request behind an append. The first one with a key that commits is recorded with its outcome; a repetition gets
/// that outcome back (G5).
///
/// A repetition is the same request when what it would write is the same: type, stream, actor, channel, data,
/// command_id if given, and all events with all fields the caller set. JSON compares as JSON. Expected versions and
/// conditions do not count: a retry that reloaded the stream is still the same request.
struct Command {
  CommandKey key;
  std::string type;
  std::optional<Uuid> command_id;   ///< Made by append (version 7) unless given; unique in the store.
  std::optional<StreamKey> stream;  ///< The stream it is about; the first one appended to, unless given.
  std::optional<Actor> actor;
  std::optional<Channel> channel;
  std::optional<Json> data;
  std::optional<PersonalData> personal{};  ///< Of `data`; as NewEvent::personal.
};

/// All or nothing (G4). Streams are distinct, and all of one tenant, which is the command's too.
struct AppendRequest {
  std::vector<StreamAppend> streams;
  std::vector<StreamCondition> conditions;
  std::optional<Command> command;
};

enum class AppendStatus : std::uint8_t {
  appended,                   ///< Written now, and durable (G12). Also for an append of nothing whose conditions held.
  replayed,                   ///< It had been written before; the outcome is the original one. Nothing was written now.
  conflict,                   ///< An expected version does not hold; see AppendResult::conflict.
  request_id_reused,          ///< The command's key or id belongs to a different request.
  duplicate_event_id,         ///< Some of the event ids are taken and this is no repetition (G6).
  duplicate_idempotency_key,  ///< The same for idempotency keys.
};

STELE_API std::string_view to_string(AppendStatus status) noexcept;

/// Where a stream's events went: versions first..last and positions first..last. An append without events for the
/// stream leaves positions at 0 and has first_version == last_version + 1, last_version being where the stream is.
struct StreamOutcome {
  StreamKey stream;
  Version first_version;
  Version last_version;
  Position first_position;
  Position last_position;
  friend bool operator==(const StreamOutcome&, const StreamOutcome&) = default;
};

struct VersionConflict {
  StreamKey stream;
  ExpectedVersion expected = ExpectedVersion::any();
  Version actual;
  friend bool operator==(const VersionConflict&, const VersionConflict&) = default;
};

/// The result of one append. Statuses other than appended and replayed wrote nothing at all.
struct STELE_API AppendResult {
  AppendStatus status = AppendStatus::appended;
  std::vector<StreamOutcome> streams;  ///< appended and replayed: one for each of AppendRequest::streams, in its order.
  std::optional<VersionConflict>
      conflict;        ///< conflict: the first stream, in the request's order, that is not as expected.
  std::string detail;  ///< The other three: which key or id, in words.
  std::vector<std::string> warnings{};  ///< What schemas in mode warn refused, in words; see governance.h.

  bool ok() const noexcept { return status == AppendStatus::appended || status == AppendStatus::replayed; }
  bool replayed() const noexcept { return status == AppendStatus::replayed; }
  /// The highest position written; 0 when nothing was.
  Position last_position() const noexcept;

  /// *this if ok(). Otherwise throws an Error with the status's code.
  const AppendResult& or_throw() const&;
  AppendResult or_throw() &&;
};

}  // namespace stele
