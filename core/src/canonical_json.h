// One text for all equal JSON values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace stele::detail {

enum class CanonicalForm : std::uint8_t {
  exact,    ///< Json::canonical()
  rfc8785,  ///< Json::rfc8785()
};

/// Appends any JSON value's text in a form. Throws invalid_argument for what is no JSON.
void append_canonical(std::string_view json, CanonicalForm form, std::string& out);

/// Appends a number of a valid JSON text in RFC 8785's form.
void append_rfc8785_number(std::string_view number, std::string& out);

/// Whether a comes before b in UTF-16 code units; both are UTF-8.
bool utf16_less(std::string_view a, std::string_view b) noexcept;

}  // namespace stele::detail
