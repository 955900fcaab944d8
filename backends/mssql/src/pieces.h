// Many rows in statements of few sizes.
#pragma once

#include <cstddef>

namespace stele::mssql {

/// Calls `statement(from, size)` for pieces of `count` rows. Few sizes, so that few statements have to be prepared, and
/// not too large ones: servers take them worse than several.
template <class Statement>
void in_pieces(std::size_t count, std::size_t largest, const Statement& statement) {
  for (std::size_t from = 0; from < count;) {
    std::size_t size = largest;
    while (size > count - from) size /= 2;
    statement(from, size);
    from += size;
  }
}

}  // namespace stele::mssql
