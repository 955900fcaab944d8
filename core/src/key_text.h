// Ids of master keys, as messages show them.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace stele::detail {

inline bool is_master_key_id(std::string_view id) noexcept {
  return !id.empty() && id.size() <= 128 &&
         std::all_of(id.begin(), id.end(), [](char c) { return c > 0x20 && c < 0x7F; });
}

/// An id that comes from a database or a program may be anything.
inline std::string shown_id(std::string_view id) {
  return is_master_key_id(id) ? std::string(id) : std::string("with an id that is none");
}

}  // namespace stele::detail
