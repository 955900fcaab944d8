// UTF-8 as Unicode defines it.
#pragma once

#include <string_view>

namespace stele::detail {

/// Where the first byte stands that is not part of a character: overlong forms, surrogates, anything above U+10FFFF and
/// cut-off characters are none. npos when there is no such byte.
std::size_t find_invalid_utf8(std::string_view text) noexcept;

inline bool is_valid_utf8(std::string_view text) noexcept {
  return find_invalid_utf8(text) == std::string_view::npos;
}

}  // namespace stele::detail
