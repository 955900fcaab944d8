// 128-bit identifiers: event ids, command ids, correlation and causation ids.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "stele/export.h"

namespace stele {

/// A UUID as 16 bytes, most significant first. Compares byte by byte, which for version 7 is by time.
class STELE_API Uuid {
 public:
  using Bytes = std::array<std::uint8_t, 16>;

  constexpr Uuid() noexcept = default;  ///< The nil UUID. Refused as an event or command id.
  constexpr explicit Uuid(const Bytes& bytes) noexcept : bytes_(bytes) {}

  /// A new version 7 UUID (RFC 9562): 48 bits of milliseconds, then a counter, then random bits. Ids made by one
  /// process rise strictly, also when the clock steps back. Thread-safe.
  static Uuid v7();

  /// Reads "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" in either case; nullopt for anything else.
  static std::optional<Uuid> parse(std::string_view text) noexcept;

  constexpr const Bytes& bytes() const noexcept { return bytes_; }
  constexpr bool is_nil() const noexcept { return bytes_ == Bytes{}; }
  int version() const noexcept { return bytes_[6] >> 4; }

  /// 36 characters, lower case.
  std::string to_string() const;

  friend constexpr auto operator<=>(const Uuid&, const Uuid&) noexcept = default;

 private:
  Bytes bytes_{};
};

}  // namespace stele

template <>
struct std::hash<stele::Uuid> {
  std::size_t operator()(const stele::Uuid& id) const noexcept {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    for (std::size_t i = 0; i < 8; ++i) {
      high = (high << 8) | id.bytes()[i];
      low = (low << 8) | id.bytes()[i + 8];
    }
    return static_cast<std::size_t>(high * 0x9E3779B97F4A7C15ULL ^ low);
  }
};
