#include "sql_values.h"

#include <charconv>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

namespace stele::cli {
namespace {

using Getter = SqlValue (*)(const RecordedEvent&);

template <class T>
SqlValue text_or_null(const std::optional<T>& value) {
  if (!value) return {};
  if constexpr (std::is_same_v<T, std::string>) {
    return *value;
  } else if constexpr (std::is_same_v<T, Channel>) {
    return std::string(to_string(*value));
  } else {
    return value->to_string();
  }
}

const std::map<std::string_view, Getter>& fields() {
  using Event = const RecordedEvent&;
  static const std::map<std::string_view, Getter> all{
      {"position", [](Event e) { return SqlValue(e.position.value()); }},
      {"tenant", [](Event e) { return SqlValue(e.stream.tenant); }},
      {"stream_type", [](Event e) { return SqlValue(e.stream.type); }},
      {"stream_id", [](Event e) { return SqlValue(e.stream.id); }},
      {"version", [](Event e) { return SqlValue(e.version.value()); }},
      {"event_id", [](Event e) { return SqlValue(e.event_id.to_string()); }},
      {"event_type", [](Event e) { return SqlValue(e.type); }},
      {"event_version", [](Event e) { return SqlValue(std::int64_t{e.event_version}); }},
      {"occurred_at", [](Event e) { return SqlValue(e.occurred_at.to_string()); }},
      {"recorded_at", [](Event e) { return SqlValue(e.recorded_at.to_string()); }},
      {"valid_from", [](Event e) { return text_or_null(e.valid_from); }},
      {"valid_to", [](Event e) { return text_or_null(e.valid_to); }},
      {"actor_type", [](Event e) { return e.actor ? SqlValue(std::string(to_string(e.actor->type))) : SqlValue(); }},
      {"actor_id", [](Event e) { return e.actor ? SqlValue(e.actor->id) : SqlValue(); }},
      {"source", [](Event e) { return text_or_null(e.source); }},
      {"channel", [](Event e) { return text_or_null(e.channel); }},
      {"request_id", [](Event e) { return e.command ? SqlValue(e.command->request_id) : SqlValue(); }},
      {"correlation_id", [](Event e) { return text_or_null(e.correlation_id); }},
      {"causation_id", [](Event e) { return text_or_null(e.causation_id); }},
  };
  return all;
}

// --- Looking into JSON. The text is valid: a Json has checked it. It is not parsed as a whole, for a double would lose
// digits.

bool is_blank(char c) noexcept {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

std::size_t skip_blanks(std::string_view text, std::size_t at) noexcept {
  while (at < text.size() && is_blank(text[at])) ++at;
  return at;
}

std::size_t end_of_string(std::string_view text, std::size_t at) noexcept {
  for (++at; at < text.size() && text[at] != '"'; ++at) {
    if (text[at] == '\\') ++at;
  }
  return at + 1;
}

std::size_t end_of_value(std::string_view text, std::size_t at) noexcept {
  if (text[at] == '"') return end_of_string(text, at);
  if (text[at] != '{' && text[at] != '[') {
    while (at < text.size() && !is_blank(text[at]) && text[at] != ',' && text[at] != '}' && text[at] != ']') ++at;
    return at;
  }
  std::size_t depth = 0;
  do {
    if (text[at] == '"') {
      at = end_of_string(text, at);
      continue;
    }
    if (text[at] == '{' || text[at] == '[') ++depth;
    if (text[at] == '}' || text[at] == ']') --depth;
    ++at;
  } while (depth > 0);
  return at;
}

std::string string_of(std::string_view quoted) {
  if (quoted.find('\\') == std::string_view::npos) return std::string(quoted.substr(1, quoted.size() - 2));
  return nlohmann::json::parse(quoted).get<std::string>();
}

/// The member or element of an object or array.
std::optional<std::string_view> step(std::string_view value, const std::string& name) {
  const bool is_object = value.front() == '{';
  if (!is_object && value.front() != '[') return std::nullopt;
  std::size_t index = 0;
  for (std::size_t at = skip_blanks(value, 1); value[at] != '}' && value[at] != ']'; ++index) {
    bool wanted = !is_object && std::to_string(index) == name;
    if (is_object) {
      const std::size_t end = end_of_string(value, at);
      wanted = string_of(value.substr(at, end - at)) == name;
      at = skip_blanks(value, skip_blanks(value, end) + 1);  // Behind the colon.
    }
    const std::size_t end = end_of_value(value, at);
    if (wanted) return value.substr(at, end - at);
    at = skip_blanks(value, end);
    if (value[at] == ',') at = skip_blanks(value, at + 1);
  }
  return std::nullopt;
}

SqlValue number_of(std::string_view text, bool decimals_as_text) {
  std::int64_t integer = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), integer);
  const bool whole = end == text.data() + text.size();
  if (whole && error == std::errc()) return integer;
  const bool only_digits = text.find_first_of(".eE") == std::string_view::npos;  // Too many for 64 bits.
  if (decimals_as_text || only_digits) return std::string(text);
  double number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

SqlValue value_of(std::string_view text, bool decimals_as_text) {
  switch (text.front()) {
    case '"': return string_of(text);
    case '{':
    case '[': return std::string(text);
    case 't': return std::int64_t{1};
    case 'f': return std::int64_t{0};
    case 'n': return {};
    default: return number_of(text, decimals_as_text);
  }
}

SqlValue find_in(const Json& json, const std::vector<std::string>& path, bool decimals_as_text) {
  if (path.empty()) return json.text();
  const std::string_view text = json.text();
  std::string_view value = text.substr(skip_blanks(text, 0));
  for (const std::string& name : path) {
    const std::optional<std::string_view> next = step(value, name);
    if (!next) return {};
    value = *next;
  }
  return value_of(value, decimals_as_text);
}

}  // namespace

bool is_json_parameter(std::string_view name) noexcept {
  return name == "data" || name == "metadata";
}

std::function<SqlValue(const RecordedEvent&)> sql_parameter(const std::string& name, std::vector<std::string> path,
                                                            bool decimals_as_text) {
  if (name == "data") {
    return [path = std::move(path), decimals_as_text](const RecordedEvent& event) {
      return find_in(event.data, path, decimals_as_text);
    };
  }
  if (name == "metadata") {
    return [path = std::move(path), decimals_as_text](const RecordedEvent& event) {
      return event.metadata ? find_in(*event.metadata, path, decimals_as_text) : SqlValue();
    };
  }
  const auto found = fields().find(name);
  if (found == fields().end()) return {};
  return found->second;
}

}  // namespace stele::cli
