// 256 bits that nobody else may see.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "stele/export.h"

namespace stele {

/// A key of 32 bytes. Overwritten in memory when it goes or is moved from. There is no way to print it.
class STELE_API SecretKey {
 public:
  static constexpr std::size_t size = 32;

  /// A new one, from OpenSSL's generator for secrets.
  static SecretKey random();
  /// Throws invalid_argument unless there are 32 bytes. The caller wipes its own copy.
  static SecretKey from_bytes(std::span<const std::uint8_t> bytes);

  SecretKey(SecretKey&& other) noexcept;
  SecretKey& operator=(SecretKey&& other) noexcept;
  SecretKey(const SecretKey&) = delete;
  SecretKey& operator=(const SecretKey&) = delete;
  ~SecretKey();

  SecretKey copy() const noexcept;

  std::span<const std::uint8_t, size> bytes() const noexcept { return bytes_; }

  /// In a time that does not depend on the bytes.
  friend STELE_API bool operator==(const SecretKey& a, const SecretKey& b) noexcept;

 private:
  SecretKey() noexcept = default;
  std::array<std::uint8_t, size> bytes_{};
};

}  // namespace stele
