#include "stele/url.h"

#include <algorithm>
#include <charconv>

#include "hex_digit.h"
#include "nearest_name.h"
#include "stele/error.h"
#include "utf8.h"

namespace stele {
namespace {

[[noreturn]] void refuse(const std::string& why) {
  throw Error(ErrorCode::invalid_argument, "URL: " + why);
}
[[noreturn]] void refuse_param(std::string_view key, const std::string& why) {
  refuse("\"" + std::string(key) + "\" " + why);
}

bool is_letter(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

/// `part` is named in messages; its text is not, because it may be a password.
std::string decode(std::string_view text, std::string_view part) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    const int high = i + 1 < text.size() ? detail::hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? detail::hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0)
      refuse("% in its " + std::string(part) + " is not followed by two hexadecimal digits (write %25 for %)");
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  if (decoded.find('\0') != std::string::npos) refuse("its " + std::string(part) + " holds NUL");
  if (!detail::is_valid_utf8(decoded)) refuse("its " + std::string(part) + " is not valid UTF-8");
  return decoded;
}

/// Splits at the first separator; without one, everything is the first half.
std::pair<std::string_view, std::optional<std::string_view>> split(std::string_view text, char separator) {
  const std::size_t at = text.find(separator);
  if (at == std::string_view::npos) return {text, std::nullopt};
  return {text.substr(0, at), text.substr(at + 1)};
}

Url::Host parse_host(std::string_view text) {
  Url::Host host;
  std::optional<std::string_view> port;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) refuse("an address in brackets does not end");
    host.name = decode(text.substr(1, end - 1), "host");
    const std::string_view rest = text.substr(end + 1);
    if (!rest.empty() && rest.front() != ':') refuse("only a port may follow an address in brackets");
    if (!rest.empty()) port = rest.substr(1);
  } else {
    const auto [name, after] = split(text, ':');
    host.name = decode(name, "host");
    port = after;
    if (port && port->find(':') != std::string_view::npos) refuse("an IPv6 address has to be in brackets");
  }
  if (host.name.empty()) refuse("a host is missing");
  if (port) {
    const auto read = std::from_chars(port->data(), port->data() + port->size(), host.port);
    if (read.ec != std::errc() || read.ptr != port->data() + port->size() || host.port == 0) {
      refuse("a port has to be a number from 1 to 65535");
    }
  }
  return host;
}

void parse_authority(std::string_view text, Url& url) {
  if (const std::size_t at = text.rfind('@'); at != std::string_view::npos) {
    const auto [user, password] = split(text.substr(0, at), ':');
    url.user = decode(user, "user");
    if (password) url.password = decode(*password, "password");
    text = text.substr(at + 1);
  }
  for (std::optional<std::string_view> rest = text; rest;) {
    const auto [host, after] = split(*rest, ',');
    url.hosts.push_back(parse_host(host));
    rest = after;
  }
}

void parse_params(std::string_view text, Url& url) {
  if (text.empty()) return;
  for (std::optional<std::string_view> rest = text; rest;) {
    const auto [param, after] = split(*rest, '&');
    const auto [key, value] = split(param, '=');
    if (key.empty() || !value) refuse("what follows ? has to be key=value, joined by &");
    url.params.emplace_back(decode(key, "settings"), decode(*value, "settings"));
    rest = after;
  }
}

// Database files are named by paths; `sqlite://host/…` would be a mistake, but `sqlite:///abs/path` is custom.
bool names_a_path(std::string_view scheme) noexcept {
  return scheme == "sqlite" || scheme == "memory" || scheme == "archive";
}

bool looks_secret(std::string_view key) {
  std::string lower(key);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  for (const std::string_view word : {"password", "passwd", "pwd", "secret", "token", "key"}) {
    if (lower.find(word) != std::string::npos) return true;
  }
  return false;
}

std::string encode(std::string_view text, std::string_view kept) {
  constexpr std::string_view hex_digits = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    if (is_letter(c) || is_digit(c) || kept.find(c) != std::string_view::npos) {
      encoded += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      encoded += '%';
      encoded += hex_digits[byte >> 4];
      encoded += hex_digits[byte & 0x0F];
    }
  }
  return encoded;
}

}  // namespace

Url Url::parse(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (text.empty()) refuse("it is empty; try sqlite:events.db");
  if (colon == std::string_view::npos || colon == 0) refuse("it has to begin with a scheme, such as sqlite:events.db");
  Url url;
  for (std::size_t i = 0; i < colon; ++i) {
    const char c = text[i];
    if (!is_letter(c) && (i == 0 || (!is_digit(c) && c != '+' && c != '-' && c != '.'))) {
      refuse("it has to begin with a scheme, such as sqlite:events.db");
    }
    url.scheme += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  const auto [body, params] = split(text.substr(colon + 1), '?');
  if (names_a_path(url.scheme)) {
    std::string_view path = body;
    if (path.starts_with("//")) {
      if (!path.starts_with("///"))
        refuse("a " + url.scheme + " URL has no host: write " + url.scheme + ":path or " + url.scheme + ":///path");
      path.remove_prefix(2);
    }
    url.path = decode(path, "path");
  } else if (body.starts_with("//")) {
    const auto [authority, path] = split(body.substr(2), '/');
    if (!authority.empty()) parse_authority(authority, url);
    if (path) url.path = decode(*path, "path");
  } else {
    url.path = decode(body, "path");
  }
  if (params) parse_params(*params, url);
  return url;
}

std::optional<std::string> Url::param(std::string_view key) const {
  for (const auto& [name, value] : params) {
    if (name == key) return value;
  }
  return std::nullopt;
}

void Url::allow_params(std::initializer_list<std::string_view> keys) const {
  for (std::size_t i = 0; i < params.size(); ++i) {
    const std::string& key = params[i].first;
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
      std::string known;
      for (const std::string_view name : keys) known += (known.empty() ? "" : ", ") + std::string(name);
      refuse_param(key, "is not a setting of " + scheme + detail::suggestion(key, keys) +
                            (known.empty() ? " (it has none)" : " (there are: " + known + ")"));
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (params[j].first == key) refuse_param(key, "comes twice");
    }
  }
}

std::optional<std::chrono::milliseconds> Url::duration_param(std::string_view key) const {
  const std::optional<std::string> text = param(key);
  if (!text) return std::nullopt;
  std::int64_t number = 0;
  const char* const end = text->data() + text->size();
  const auto read = std::from_chars(text->data(), end, number);
  const std::string_view unit(read.ptr, static_cast<std::size_t>(end - read.ptr));
  const std::int64_t factor = unit == "ms" ? 1 : unit == "s" || unit.empty() ? 1'000 : unit == "m" ? 60'000 : 0;
  constexpr std::int64_t longest = std::int64_t{24} * 60 * 60 * 1'000;
  if (read.ec != std::errc() || number < 0 || factor == 0 || number > longest / factor) {
    refuse_param(key, "has to be a duration of at most a day, such as 250ms, 10s or 2m");
  }
  return std::chrono::milliseconds(number * factor);
}

std::optional<std::int64_t> Url::integer_param(std::string_view key, std::int64_t low, std::int64_t high) const {
  const std::optional<std::string> text = param(key);
  if (!text) return std::nullopt;
  std::int64_t number = 0;
  const char* const end = text->data() + text->size();
  const auto read = std::from_chars(text->data(), end, number);
  if (read.ec != std::errc() || read.ptr != end || number < low || number > high) {
    refuse_param(key, "has to be a whole number from " + std::to_string(low) + " to " + std::to_string(high));
  }
  return number;
}

std::optional<std::string> Url::choice_param(std::string_view key,
                                             std::initializer_list<std::string_view> choices) const {
  std::optional<std::string> text = param(key);
  if (!text || std::find(choices.begin(), choices.end(), *text) != choices.end()) return text;
  std::string known;
  for (const std::string_view choice : choices) known += (known.empty() ? "" : ", ") + std::string(choice);
  refuse_param(key, "has to be one of " + known);
}

std::string Url::to_string() const {
  constexpr std::string_view plain = "-._~";
  std::string text = scheme + ":";
  if (!hosts.empty()) {
    text += "//";
    if (user) {
      text += encode(*user, plain);
      if (password) text += ":***";
      text += '@';
    }
    for (std::size_t i = 0; i < hosts.size(); ++i) {
      if (i != 0) text += ',';
      const bool bracketed = hosts[i].name.find(':') != std::string::npos;
      text += bracketed ? "[" + hosts[i].name + "]" : hosts[i].name;
      if (hosts[i].port != 0) text += ":" + std::to_string(hosts[i].port);
    }
    if (!path.empty()) text += "/";
  } else if (path.starts_with('/')) {
    text += "//";
  }
  text += encode(path, "-._~/:");
  for (std::size_t i = 0; i < params.size(); ++i) {
    text += (i == 0 ? '?' : '&') + encode(params[i].first, plain) + '=';
    text += looks_secret(params[i].first) ? "***" : encode(params[i].second, "-._~/:,");
  }
  return text;
}

}  // namespace stele
