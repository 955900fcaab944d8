#include "utf8.h"

namespace stele::detail {

bool is_valid_utf8(std::string_view text) noexcept {
  const auto* p = reinterpret_cast<const unsigned char*>(text.data());
  const auto* const end = p + text.size();
  const auto continues = [&](std::ptrdiff_t at) { return p + at < end && (p[at] & 0xC0) == 0x80; };
  while (p < end) {
    if (*p < 0x80) {
      ++p;
    } else if (*p >= 0xC2 && *p <= 0xDF) {
      if (!continues(1)) return false;
      p += 2;
    } else if (*p >= 0xE0 && *p <= 0xEF) {
      if (!continues(1) || !continues(2)) return false;
      if ((*p == 0xE0 && p[1] < 0xA0) || (*p == 0xED && p[1] > 0x9F)) return false;
      p += 3;
    } else if (*p >= 0xF0 && *p <= 0xF4) {
      if (!continues(1) || !continues(2) || !continues(3)) return false;
      if ((*p == 0xF0 && p[1] < 0x90) || (*p == 0xF4 && p[1] > 0x8F)) return false;
      p += 4;
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace stele::detail
