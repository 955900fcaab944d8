// JSON numbers as exact decimals.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace stele::detail {

/// digits × 10^exponent. Without zeros at either end of the digits; zero is "0", never negative. One for each value.
struct ExactDecimal {
  bool negative = false;
  std::string digits;
  std::int64_t exponent = 0;
};

/// Reads a number of a valid JSON text.
ExactDecimal parse_decimal(std::string_view number);

}  // namespace stele::detail
