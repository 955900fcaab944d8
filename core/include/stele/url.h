// Connection URLs: which database, and with which settings.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stele/export.h"

namespace stele {

/// A parsed connection URL. Two forms:
///
///     scheme:path[?key=value&…]                                   sqlite:books.db   sqlite:///abs/path sqlite::memory:
///     scheme://[user[:password]@]host[:port][,host…]/path[?…]     postgresql://app@db.example/ledger?sslmode=require
///
/// Parts are percent-decoded. The scheme is lower-cased; with `sqlite`, `memory` and `archive` everything behind the
/// colon is a path.
struct STELE_API Url {
  struct Host {
    std::string name;        ///< An IPv6 address without its brackets.
    std::uint16_t port = 0;  ///< 0 when not given.
    friend bool operator==(const Host&, const Host&) = default;
  };

  std::string scheme;
  std::optional<std::string> user;
  std::optional<std::string> password;
  std::vector<Host> hosts;
  std::string path;  ///< With a host: without the slash before it.
  std::vector<std::pair<std::string, std::string>> params;

  /// Throws invalid_argument that names the fault. Messages never repeat the URL, which may hold a password.
  static Url parse(std::string_view text);

  /// The value of a key; nullopt when it is absent.
  std::optional<std::string> param(std::string_view key) const;

  /// Throws invalid_argument unless every key is one of these and none comes twice; suggests the nearest.
  void allow_params(std::initializer_list<std::string_view> keys) const;

  /// "250ms", "10s", "2m"; a bare number is seconds. Throws invalid_argument that names the key.
  std::optional<std::chrono::milliseconds> duration_param(std::string_view key) const;
  /// A whole number in [low, high]. Throws invalid_argument that names the key.
  std::optional<std::int64_t> integer_param(std::string_view key, std::int64_t low, std::int64_t high) const;
  /// One of the choices. Throws invalid_argument that names the key and lists them.
  std::optional<std::string> choice_param(std::string_view key, std::initializer_list<std::string_view> choices) const;

  /// For messages: the password, and the value of any key that looks like a secret, is "***".
  std::string to_string() const;
};

}  // namespace stele
