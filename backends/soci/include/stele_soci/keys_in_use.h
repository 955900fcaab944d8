// Which streams and commands are in a call to the server now.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "stele/driver/driver.h"

namespace stele::soci_backend {

/// What an append locks in the database, as numbers: streams that it writes and its command for itself alone, streams
/// that it only checks together with others that check.
class AppendKeys {
 public:
  static constexpr std::size_t count = 8'192;

  explicit AppendKeys(const driver::PreparedAppend& append) {
    for (const driver::PreparedStream& stream : append.streams) {
      (stream.events.empty() ? shared : own).push_back(number_of(*stream.key));
    }
    for (const StreamCondition& condition : append.conditions) shared.push_back(number_of(condition.stream));
    if (append.command) {
      const CommandKey& key = append.command->command->key;
      own.push_back(number(append.tenant, key.source, key.request_id, 1));
    }
  }

  std::vector<std::uint16_t> own{};
  std::vector<std::uint16_t> shared{};

 private:
  static std::uint16_t number_of(const StreamKey& key) { return number(key.tenant, key.type, key.id, 0); }
  static std::uint16_t number(std::string_view tenant, std::string_view first, std::string_view second,
                              std::size_t kind) noexcept {
    const std::hash<std::string_view> hash;
    std::size_t sum = kind;
    for (const std::string_view part : {tenant, first, second}) sum = sum * 0x9E3779B97F4A7C15ULL + hash(part);
    return static_cast<std::uint16_t>((sum ^ (sum >> 32)) % count);
  }
};

/// Counts. Two keys with one number only wait for each other without need. Never throws.
class KeysInUse {
 public:
  bool are_free(const AppendKeys& keys) const noexcept {
    const auto unused = [](const std::array<std::uint32_t, AppendKeys::count>& counts) {
      return [&counts](std::uint16_t key) { return counts[key] == 0; };
    };
    return std::all_of(keys.own.begin(), keys.own.end(), unused(own_)) &&
           std::all_of(keys.own.begin(), keys.own.end(), unused(shared_)) &&
           std::all_of(keys.shared.begin(), keys.shared.end(), unused(own_));
  }
  void take(const AppendKeys& keys) noexcept {
    for (const std::uint16_t key : keys.own) ++own_[key];
    for (const std::uint16_t key : keys.shared) ++shared_[key];
  }
  void give_back(const AppendKeys& keys) noexcept {
    for (const std::uint16_t key : keys.own) --own_[key];
    for (const std::uint16_t key : keys.shared) --shared_[key];
  }

 private:
  std::array<std::uint32_t, AppendKeys::count> own_{};
  std::array<std::uint32_t, AppendKeys::count> shared_{};
};

}  // namespace stele::soci_backend
