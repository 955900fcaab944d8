// Small strong types of the envelope: versions, positions, stream keys, and the closed lists.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "stele/export.h"

namespace stele {

/// An event's number within its stream: 1, 2, 3 …; 0 is the version of an empty or missing stream (G2).
class Version {
 public:
  constexpr Version() noexcept = default;
  constexpr explicit Version(std::int64_t value) noexcept : value_(value) {}
  constexpr std::int64_t value() const noexcept { return value_; }
  friend constexpr auto operator<=>(const Version&, const Version&) noexcept = default;

 private:
  std::int64_t value_ = 0;
};

/// An event's place in the log of the whole store, from 1, strictly rising, with gaps (G7); 0 is before the first.
class Position {
 public:
  constexpr Position() noexcept = default;
  constexpr explicit Position(std::int64_t value) noexcept : value_(value) {}
  constexpr std::int64_t value() const noexcept { return value_; }
  friend constexpr auto operator<=>(const Position&, const Position&) noexcept = default;

 private:
  std::int64_t value_ = 0;
};

inline constexpr std::string_view default_tenant = "default";

/// Names a stream. All three parts compare byte for byte on every backend (G1).
struct StreamKey {
  std::string tenant;
  std::string type;
  std::string id;

  StreamKey() = default;
  StreamKey(std::string type_, std::string id_) : tenant(default_tenant), type(std::move(type_)), id(std::move(id_)) {}
  StreamKey(std::string tenant_, std::string type_, std::string id_)
      : tenant(std::move(tenant_)), type(std::move(type_)), id(std::move(id_)) {}

  /// "type/id", with "tenant:" before it unless it is the default tenant. For messages, not for parsing.
  STELE_API std::string to_string() const;

  friend auto operator<=>(const StreamKey&, const StreamKey&) = default;
};

/// Names a command: the producing system and its own number for the request (G5).
struct CommandKey {
  std::string tenant{default_tenant};
  std::string source;
  std::string request_id;

  friend auto operator<=>(const CommandKey&, const CommandKey&) = default;
};

// The numbers of these lists are not stored anywhere; the names are.
enum class ActorType : std::uint8_t { user, service, agent, system };
enum class Channel : std::uint8_t { ui, api, import, webhook, system };
enum class RedactionLevel : std::uint8_t { none, partial, full };

STELE_API std::string_view to_string(ActorType type) noexcept;
STELE_API std::string_view to_string(Channel channel) noexcept;
STELE_API std::string_view to_string(RedactionLevel level) noexcept;
STELE_API std::optional<ActorType> parse_actor_type(std::string_view name) noexcept;
STELE_API std::optional<Channel> parse_channel(std::string_view name) noexcept;
STELE_API std::optional<RedactionLevel> parse_redaction_level(std::string_view name) noexcept;

/// Who caused an event or sent a command.
struct Actor {
  ActorType type = ActorType::user;
  std::string id;
  friend bool operator==(const Actor&, const Actor&) = default;
};

}  // namespace stele
