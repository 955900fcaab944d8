#include "utf16.h"

#include "errors.h"

namespace stele::mssql {
namespace {

constexpr bool is_high_surrogate(char16_t unit) noexcept {
  return (unit & 0xFC00) == 0xD800;
}
constexpr bool is_low_surrogate(char16_t unit) noexcept {
  return (unit & 0xFC00) == 0xDC00;
}

char32_t continuation(std::string_view utf8, std::size_t at) noexcept {
  return static_cast<unsigned char>(utf8[at]) & 0x3F;
}

}  // namespace

std::size_t to_utf16(std::string_view utf8, char16_t* out) {
  char16_t* const begin = out;
  for (std::size_t i = 0; i < utf8.size();) {
    const auto byte = static_cast<unsigned char>(utf8[i]);
    if (byte < 0x80) {
      *out++ = byte;
      ++i;
      continue;
    }
    const std::size_t size = byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
    if (i + size > utf8.size()) throw make_error(ErrorCode::internal, "a text is not valid UTF-8");
    char32_t point = byte & (0x7F >> size);
    for (std::size_t k = 1; k < size; ++k) point = point << 6 | continuation(utf8, i + k);
    i += size;
    if (point < 0x10000) {
      *out++ = static_cast<char16_t>(point);
    } else {
      point -= 0x10000;
      *out++ = static_cast<char16_t>(0xD800 | point >> 10);
      *out++ = static_cast<char16_t>(0xDC00 | (point & 0x3FF));
    }
  }
  return static_cast<std::size_t>(out - begin);
}

std::u16string to_utf16(std::string_view utf8) {
  std::u16string utf16(utf8.size(), u'\0');
  utf16.resize(to_utf16(utf8, utf16.data()));
  return utf16;
}

std::size_t utf16_length(std::string_view utf8) noexcept {
  std::size_t units = 0;
  for (const char c : utf8) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xC0) != 0x80) units += byte >= 0xF0 ? 2 : 1;
  }
  return units;
}

void append_utf8(std::string& out, std::u16string_view utf16) {
  for (std::size_t i = 0; i < utf16.size(); ++i) {
    char32_t point = utf16[i];
    if (point < 0x80) {
      out += static_cast<char>(point);
      continue;
    }
    if (is_low_surrogate(utf16[i]) ||
        (is_high_surrogate(utf16[i]) && (i + 1 == utf16.size() || !is_low_surrogate(utf16[i + 1])))) {
      throw make_error(ErrorCode::corrupt, "a stored text has half a surrogate pair");
    }
    if (is_high_surrogate(utf16[i])) {
      point = 0x10000 + ((point & 0x3FFU) << 10 | (utf16[++i] & 0x3FFU));
      out += static_cast<char>(0xF0 | point >> 18);
      out += static_cast<char>(0x80 | (point >> 12 & 0x3F));
    } else if (point >= 0x800) {
      out += static_cast<char>(0xE0 | point >> 12);
    }
    out += point >= 0x800 ? static_cast<char>(0x80 | (point >> 6 & 0x3F)) : static_cast<char>(0xC0 | point >> 6);
    out += static_cast<char>(0x80 | (point & 0x3F));
  }
}

std::string to_utf8(std::u16string_view utf16) {
  std::string utf8;
  utf8.reserve(utf16.size());
  append_utf8(utf8, utf16);
  return utf8;
}

}  // namespace stele::mssql
