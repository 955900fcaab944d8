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

/// Appends the one form that all spellings of a number have: digits, and "e" with an exponent unless it is 0.
void append_canonical_number(std::string_view number, std::string& out);

/// -1, 0 or 1, as a is less than, equal to or greater than b.
int compare(const ExactDecimal& a, const ExactDecimal& b) noexcept;

}  // namespace stele::detail
