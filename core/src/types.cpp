#include "stele/types.h"

#include <array>
#include <utility>

namespace stele {
namespace {

// A closed list is written down once, here; its names are what JSON, the command line and the databases use.
template <class Enum, std::size_t N>
using Names = std::array<std::pair<Enum, std::string_view>, N>;

constexpr Names<ActorType, 4> actor_types{{
    {ActorType::user, "user"},
    {ActorType::service, "service"},
    {ActorType::agent, "agent"},
    {ActorType::system, "system"},
}};

constexpr Names<Channel, 5> channels{{
    {Channel::ui, "ui"},
    {Channel::api, "api"},
    {Channel::import, "import"},
    {Channel::webhook, "webhook"},
    {Channel::system, "system"},
}};

constexpr Names<RedactionLevel, 3> redaction_levels{{
    {RedactionLevel::none, "none"},
    {RedactionLevel::partial, "partial"},
    {RedactionLevel::full, "full"},
}};

template <class Enum, std::size_t N>
std::string_view name_of(const Names<Enum, N>& names, Enum value) noexcept {
  for (const auto& [entry, name] : names) {
    if (entry == value) return name;
  }
  return "?";
}

template <class Enum, std::size_t N>
std::optional<Enum> value_of(const Names<Enum, N>& names, std::string_view name) noexcept {
  for (const auto& [entry, entry_name] : names) {
    if (entry_name == name) return entry;
  }
  return std::nullopt;
}

}  // namespace

std::string StreamKey::to_string() const {
  std::string text;
  if (tenant != default_tenant) text = tenant + ":";
  return text + type + "/" + id;
}

std::string_view to_string(ActorType type) noexcept {
  return name_of(actor_types, type);
}
std::string_view to_string(Channel channel) noexcept {
  return name_of(channels, channel);
}
std::string_view to_string(RedactionLevel level) noexcept {
  return name_of(redaction_levels, level);
}
std::optional<ActorType> parse_actor_type(std::string_view name) noexcept {
  return value_of(actor_types, name);
}
std::optional<Channel> parse_channel(std::string_view name) noexcept {
  return value_of(channels, name);
}
std::optional<RedactionLevel> parse_redaction_level(std::string_view name) noexcept {
  return value_of(redaction_levels, name);
}

}  // namespace stele
