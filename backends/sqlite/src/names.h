// The dictionary of names: texts that repeat in every row, stored once and known by number.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace stele::sqlite {

class Session;

/// One session's cache of the table `names`. A name never changes, so what was read once stays true, unless the
/// transaction that made it is rolled back or the schema is changed: then forget().
class Names {
 public:
  explicit Names(Session& session) noexcept : session_(session) {}

  /// nullopt when no row ever used this name.
  std::optional<std::int64_t> find(std::string_view name);
  /// Inside a write transaction.
  std::int64_t find_or_add(std::string_view name);
  /// Throws corrupt for a number that is not there.
  const std::string& name(std::int64_t number);
  void forget() noexcept;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
  };

  void remember(std::int64_t number, std::string_view name);

  Session& session_;
  std::unordered_map<std::string, std::int64_t, Hash, std::equal_to<>> numbers_;
  std::unordered_map<std::int64_t, std::string> names_;
};

}  // namespace stele::sqlite
