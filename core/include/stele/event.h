// Events: as a caller makes them, and as the store gives them back.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "stele/json.h"
#include "stele/timestamp.h"
#include "stele/types.h"
#include "stele/uuid.h"

namespace stele {

/// Name → value, indexed for look-up. Names are unique within an event.
using Attributes = std::map<std::string, std::string, std::less<>>;

/// What the caller says of an event; common to new and recorded events.
struct EventFields {
  std::string type;                     ///< What happened, for example "OrderPlaced". Required.
  std::int32_t event_version = 1;       ///< The payload's schema version, at least 1.
  std::optional<Timestamp> valid_from;  ///< Business validity, half-open: [valid_from, valid_to).
  std::optional<Timestamp> valid_to;    ///< Later than valid_from when both are given.
  std::optional<Actor> actor;
  std::optional<std::string>
      source;                      ///< The producing system. In an append with a command: the command's, unless given.
  std::optional<Channel> channel;  ///< Likewise the command's, unless given.
  std::optional<std::string> idempotency_key;  ///< Unique within the stream (G6).
  std::optional<Uuid>
      causation_id;  ///< The command that led to this. In an append with a command: its id, unless given.
  std::optional<Uuid> correlation_id;
  RedactionLevel redaction_level = RedactionLevel::none;
  bool contains_secrets = false;
  Json data;                     ///< An object or an array. Required; `{}` unless set.
  std::optional<Json> metadata;  ///< This and the next three: objects.
  std::optional<Json> policy_context;
  std::optional<Json> model_context;
  std::optional<Json> display;
  Attributes attributes;
};

/// What of an event is about a person, and is to be unreadable once that person is forgotten. See encryption.h.
struct PersonalData {
  std::string subject;              ///< Whose it is: an id of yours. 1 to 255 bytes.
  std::vector<std::string> places;  ///< JSON Pointers into `data`; none: all of it.
  friend bool operator==(const PersonalData&, const PersonalData&) = default;
};

/// An event to append. Aggregate: `NewEvent e; e.type = "OrderPlaced"; e.data = Json(R"({"total": 12.50})");`
struct NewEvent : EventFields {
  std::optional<Uuid> event_id;  ///< Made by append (version 7) unless given. Give it to make retries safe (G6).
  std::optional<Timestamp> occurred_at;  ///< The caller's clock at append unless given.
  std::optional<PersonalData> personal;  ///< Encrypted under its subject's key; needs OpenOptions::keys.
  /// From an export or another store, as it is stored there: `data` may hold envelopes, and attributes may have names
  /// that begin with "stele.", which are the store's own otherwise.
  bool as_stored = false;
};

/// An event of the log. No field ever changes.
struct RecordedEvent : EventFields {
  Position position;
  StreamKey stream;
  Version version;
  Uuid event_id;
  Timestamp occurred_at;
  Timestamp recorded_at;              ///< The database's clock (G10). Never decreases within a stream.
  std::optional<CommandKey> command;  ///< The command this was appended under; gives `request_id`.
};

}  // namespace stele
