// UTF-8 as Unicode defines it.
#pragma once

#include <string_view>

namespace stele::detail {

/// False for overlong forms, surrogates, anything above U+10FFFF and cut-off characters.
bool is_valid_utf8(std::string_view text) noexcept;

}  // namespace stele::detail
