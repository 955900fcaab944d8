// SHA-256, from OpenSSL.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace stele::detail {

std::array<std::uint8_t, 32> sha256(std::string_view bytes);

/// Of bytes that come one after the other.
class Sha256 {
 public:
  Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  ~Sha256();
  void add(std::string_view bytes);
  /// Of everything so far. It is used up.
  std::array<std::uint8_t, 32> finish();

 private:
  evp_md_ctx_st* context_;
};

std::string to_hex(const std::array<std::uint8_t, 32>& digest);

}  // namespace stele::detail
