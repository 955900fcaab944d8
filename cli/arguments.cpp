#include "arguments.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iostream>

#include "exit_codes.h"
#include "stele/error.h"
#include "stele/limits.h"

namespace stele::cli {
namespace {

/// Turns the Error of a parser of core, which does not know where the text comes from, into one that does.
template <class Parse>
auto named(const std::string& option, Parse parse) {
  try {
    return parse();
  } catch (const Error& error) {
    throw UsageError(option + ": " + error.message());
  }
}

// One byte more than the limit is enough to be refused.
std::string read_all(std::istream& stream, const std::string& what) {
  std::string text;
  char chunk[64 * 1024];
  while (text.size() <= limits::data_bytes && (stream.read(chunk, sizeof chunk) || stream.gcount() > 0)) {
    text.append(chunk, static_cast<std::size_t>(stream.gcount()));
  }
  if (stream.bad()) throw CommandFailure(exit_failed, what + ": cannot be read: " + std::strerror(errno));
  return text;
}

std::string content_of(const std::string& option, const std::string& text) {
  if (text == "-") return read_all(std::cin, "standard input");
  if (text.empty() || text.front() != '@') return text;
  const std::string path = text.substr(1);
  std::ifstream file(path, std::ios::binary);
  if (!file) throw UsageError(option + ": " + path + ": " + std::strerror(errno));
  return read_all(file, path);
}

template <class Enum>
Enum listed(const std::string& option, const std::string& text, std::optional<Enum> value, std::string_view list) {
  if (!value) throw UsageError(option + ": \"" + text + "\" is not one of " + std::string(list));
  return *value;
}

}  // namespace

std::int64_t parse_integer(const std::string& option, std::string_view text, std::int64_t low, std::int64_t high) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < low || value > high) {
    std::string range = "a whole number from " + std::to_string(low);
    if (high != std::numeric_limits<std::int64_t>::max()) range += " to " + std::to_string(high);
    throw UsageError(option + ": \"" + std::string(text) + "\" is not " + range);
  }
  return value;
}

Timestamp parse_time(const std::string& option, const std::string& text) {
  return named(option, [&] { return Timestamp::parse(text); });
}

Uuid parse_uuid(const std::string& option, const std::string& text) {
  const std::optional<Uuid> id = Uuid::parse(text);
  if (!id) throw UsageError(option + ": \"" + text + "\" is not a UUID");
  return *id;
}

StreamKey parse_stream(const std::string& option, const std::string& text, const std::string& tenant) {
  auto [type, id] = parse_pair(option, text, '/');
  return {tenant, std::move(type), std::move(id)};
}

ExpectedVersion parse_expected(const std::string& option, const std::string& text) {
  if (text == "any") return ExpectedVersion::any();
  if (text == "none") return ExpectedVersion::no_stream();
  if (text == "exists") return ExpectedVersion::stream_exists();
  std::int64_t version = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
  if (error != std::errc() || end != text.data() + text.size() || version < 0) {
    throw UsageError(option + ": \"" + text + "\" is not any, none, exists or a version");
  }
  return ExpectedVersion::exactly(version);
}

Actor parse_actor(const std::string& option, const std::string& text) {
  auto [type, id] = parse_pair(option, text, ':');
  return {listed(option, type, parse_actor_type(type), "user, service, agent, system"), std::move(id)};
}

Channel parse_channel_option(const std::string& option, const std::string& text) {
  return listed(option, text, parse_channel(text), "ui, api, import, webhook, system");
}

RedactionLevel parse_redaction_option(const std::string& option, const std::string& text) {
  return listed(option, text, parse_redaction_level(text), "none, partial, full");
}

std::pair<std::string, std::string> parse_pair(const std::string& option, const std::string& text, char separator) {
  const std::size_t at = text.find(separator);
  if (at == std::string::npos || at == 0 || at + 1 == text.size()) {
    throw UsageError(option + ": \"" + text + "\" is not two parts with \"" + std::string(1, separator) +
                     "\" between them");
  }
  return {text.substr(0, at), text.substr(at + 1)};
}

std::string read_file(const std::string& argument, const std::string& path) {
  return content_of(argument, path == "-" ? path : "@" + path);
}

Json parse_json(const std::string& option, const std::string& text) {
  std::string content = content_of(option, text);
  return named(option, [&] { return Json(std::move(content)); });
}

}  // namespace stele::cli
