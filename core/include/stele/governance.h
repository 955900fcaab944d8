// What a store knows of its event types and data subjects, shared by all who use its database.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stele/event.h"
#include "stele/key_provider.h"
#include "stele/redaction.h"
#include "stele/upcaster.h"

namespace stele {

/// A JSON Schema that the payload of a type and version has to match. Never changes.
struct EventSchema {
  std::string tenant{default_tenant};
  EventForm form;
  std::string text;       ///< As it was given, byte for byte.
  Timestamp recorded_at;  ///< The database's clock; ignored when it is added.
};

/// What an append does with a payload that its schema refuses.
enum class SchemaMode : std::uint8_t {
  off,      ///< Does not look.
  warn,     ///< Appends it, and says so in AppendResult::warnings.
  enforce,  ///< Throws schema_violation.
};

STELE_API std::string_view to_string(SchemaMode mode) noexcept;
STELE_API std::optional<SchemaMode> parse_schema_mode(std::string_view name) noexcept;

/// What holds for an event type of a tenant, whatever the version. A type without rules has these defaults.
struct EventTypeRules {
  std::string tenant{default_tenant};
  std::string event_type;
  SchemaMode schema_mode = SchemaMode::enforce;  ///< Of types that have a schema; others are never looked at.
  std::vector<std::string> masked;               ///< JSON Pointers, see RedactionRules::data.
  bool mask_contexts = true;                     ///< See RedactionRules::contexts.
  std::optional<std::int32_t> keep_days;         ///< How long events have to be kept at least, from recorded_at on.
  friend bool operator==(const EventTypeRules&, const EventTypeRules&) = default;
};

/// The key of a data subject, as the database has it.
struct SubjectKey {
  std::string tenant{default_tenant};
  Uuid key_id;
  std::string subject;                    ///< Whose it is; empty once forgotten.
  std::optional<WrappedKey> wrapped;      ///< Empty once destroyed.
  Timestamp created_at;                   ///< The database's clock.
  std::optional<Timestamp> destroyed_at;  ///< The same.
};

struct ForgetOptions {
  /// Also when some of the subject's events have to be kept for longer; see EventTypeRules::keep_days.
  bool in_spite_of_retention = false;
};

/// What EventStore::forget() did.
struct ForgetResult {
  bool found = false;  ///< False: the subject has no key, so nothing of it is encrypted here (any more).
  Uuid key_id;
  std::int64_t events = 0;     ///< That nobody can read any more.
  std::int64_t streams = 0;    ///< That they are in.
  std::int64_t snapshots = 0;  ///< That were deleted.
};

/// The events by which projections are told, and their stream's type; the stream's id is the key's. The first comes
/// before the key is destroyed, and with it ends what can be written under it; the second when nobody can read it.
inline constexpr std::string_view subject_stream_type = "stele.subject";
inline constexpr std::string_view subject_closed_type = "stele.subject_closed";
inline constexpr std::string_view subject_forgotten_type = "stele.subject_forgotten";

}  // namespace stele
