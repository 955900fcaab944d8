// SHA-256, from OpenSSL.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace stele::detail {

std::array<std::uint8_t, 32> sha256(std::string_view bytes);
std::string to_hex(const std::array<std::uint8_t, 32>& digest);

}  // namespace stele::detail
