// UTF-8, which Stele speaks, and UTF-16, which ODBC and SQL Server speak.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace stele::mssql {

/// `utf8` has to be valid.
std::u16string to_utf16(std::string_view utf8);
/// The same, written to `out`, which has room for utf8.size() units; returns how many it took.
std::size_t to_utf16(std::string_view utf8, char16_t* out);
/// How many units to_utf16() makes.
std::size_t utf16_length(std::string_view utf8) noexcept;

/// Appends. Throws corrupt for half a surrogate pair, which SQL Server stores and UTF-8 does not have.
void append_utf8(std::string& out, std::u16string_view utf16);
std::string to_utf8(std::u16string_view utf16);

}  // namespace stele::mssql
