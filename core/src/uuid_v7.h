// The arithmetic of version 7 UUIDs, without clock, randomness or locks.
#pragma once

#include <algorithm>
#include <cstdint>

#include "stele/uuid.h"

namespace stele::detail {

/// RFC 9562, 5.7: 48 bits of milliseconds, the version, 12 bits rand_a, the variant, 62 bits rand_b.
constexpr Uuid make_uuid_v7(std::uint64_t milliseconds, std::uint16_t rand_a, std::uint64_t rand_b) noexcept {
  const std::uint64_t high = (milliseconds << 16) | 0x7000U | (rand_a & 0x0FFFU);
  const std::uint64_t low = 0x8000000000000000U | (rand_b & 0x3FFFFFFFFFFFFFFFU);
  Uuid::Bytes bytes{};
  for (std::size_t i = 0; i < 8; ++i) {
    bytes[i] = static_cast<std::uint8_t>(high >> (56 - 8 * i));
    bytes[i + 8] = static_cast<std::uint8_t>(low >> (56 - 8 * i));
  }
  return Uuid(bytes);
}

/// Ids that rise strictly: rand_a counts the ids of a millisecond (RFC 9562, 6.2, method 1). It starts at a random
/// number with the highest bit clear, so that there is room to count, and carries into the milliseconds when it is
/// full. A clock that stands still or steps back only makes it count on.
class UuidV7Sequence {
 public:
  /// random() gives 64 random bits.
  template <class Random>
  Uuid next(std::uint64_t now_milliseconds, Random&& random) {
    if (now_milliseconds > milliseconds_) {
      milliseconds_ = now_milliseconds;
      counter_ = seed(random());
    } else if (++counter_ > max_counter) {
      ++milliseconds_;
      counter_ = seed(random());
    }
    return make_uuid_v7(milliseconds_, counter_, random());
  }

 private:
  static constexpr std::uint16_t max_counter = 0x0FFF;
  static constexpr std::uint16_t seed(std::uint64_t random) noexcept {
    return static_cast<std::uint16_t>(random & 0x07FFU);
  }

  std::uint64_t milliseconds_ = 0;
  std::uint16_t counter_ = 0;
};

}  // namespace stele::detail
