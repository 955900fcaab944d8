#include "utf8.h"

#include <cstdint>
#include <cstring>

namespace stele::detail {

std::size_t find_invalid_utf8(std::string_view text) noexcept {
  const auto* p = reinterpret_cast<const unsigned char*>(text.data());
  const auto* const end = p + text.size();
  const auto continues = [&](std::ptrdiff_t at) { return p + at < end && (p[at] & 0xC0) == 0x80; };
  const auto at = [&] { return text.size() - static_cast<std::size_t>(end - p); };
  const auto eight_ascii = [&] {
    std::uint64_t word = 0;
    std::memcpy(&word, p, sizeof(word));
    return (word & 0x8080808080808080U) == 0;
  };
  while (p < end) {
    while (end - p >= 8 && eight_ascii()) p += 8;
    if (p == end) break;
    if (*p < 0x80) {
      ++p;
    } else if (*p >= 0xC2 && *p <= 0xDF) {
      if (!continues(1)) return at();
      p += 2;
    } else if (*p >= 0xE0 && *p <= 0xEF) {
      if (!continues(1) || !continues(2)) return at();
      if ((*p == 0xE0 && p[1] < 0xA0) || (*p == 0xED && p[1] > 0x9F)) return at();
      p += 3;
    } else if (*p >= 0xF0 && *p <= 0xF4) {
      if (!continues(1) || !continues(2) || !continues(3)) return at();
      if ((*p == 0xF0 && p[1] < 0x90) || (*p == 0xF4 && p[1] > 0x8F)) return at();
      p += 4;
    } else {
      return at();
    }
  }
  return std::string_view::npos;
}

}  // namespace stele::detail
