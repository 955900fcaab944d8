#include "utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace stele::detail {
namespace {

/// The textbook encoder, also for what has no place in UTF-8.
std::string encode(std::uint32_t point) {
  const auto byte = [](std::uint32_t value) { return static_cast<char>(static_cast<unsigned char>(value)); };
  if (point < 0x80) return {byte(point)};
  if (point < 0x800) return {byte(0xC0 | point >> 6), byte(0x80 | (point & 0x3F))};
  if (point < 0x10000) {
    return {byte(0xE0 | point >> 12), byte(0x80 | (point >> 6 & 0x3F)), byte(0x80 | (point & 0x3F))};
  }
  return {byte(0xF0 | point >> 18), byte(0x80 | (point >> 12 & 0x3F)), byte(0x80 | (point >> 6 & 0x3F)),
          byte(0x80 | (point & 0x3F))};
}

TEST(Utf8, AcceptsEveryCharacterAndNoSurrogate) {
  for (std::uint32_t point = 0; point < 0x120000; ++point) {
    const bool character = point <= 0x10FFFF && (point < 0xD800 || point > 0xDFFF);
    ASSERT_EQ(is_valid_utf8(encode(point)), character) << std::hex << point;
  }
}

TEST(Utf8, RefusesEveryCutOffCharacter) {
  for (const std::uint32_t point : {0x80U, 0x7FFU, 0x800U, 0x20ACU, 0xFFFFU, 0x10000U, 0x1F600U, 0x10FFFFU}) {
    const std::string whole = encode(point);
    for (std::size_t size = 1; size < whole.size(); ++size) {
      const std::string cut = whole.substr(0, size);
      EXPECT_FALSE(is_valid_utf8(cut)) << std::hex << point;
      EXPECT_FALSE(is_valid_utf8("abc" + cut)) << std::hex << point;
      EXPECT_FALSE(is_valid_utf8(cut + "abc")) << std::hex << point;
      EXPECT_FALSE(is_valid_utf8(cut + whole)) << std::hex << point;
    }
    EXPECT_TRUE(is_valid_utf8("abc" + whole + whole + "d"));
  }
}

TEST(Utf8, RefusesInvalidSequences) {
  for (const std::string_view text : {
           "\x80",
           "\xBF",
           "a\x80",
           "\xC2\x80\x80",  // continuations alone
           "\xC0\x80",
           "\xC0\xAF",
           "\xC1\xBF",  // overlong, two bytes
           "\xE0\x80\x80",
           "\xE0\x80\xAF",
           "\xE0\x9F\xBF",  // overlong, three
           "\xF0\x80\x80\x80",
           "\xF0\x8F\xBF\xBF",  // overlong, four
           "\xED\xA0\x80",
           "\xED\xAF\xBF",
           "\xED\xB0\x80",  // surrogates
           "\xED\xBF\xBF",
           "\xED\xA0\xBD\xED\xB8\x80",  // and a pair of them (CESU-8)
           "\xF4\x90\x80\x80",
           "\xF5\x80\x80\x80",  // above U+10FFFF
           "\xF7\xBF\xBF\xBF",
           "\xF8\x88\x80\x80\x80",  // five bytes
           "\xFC\x84\x80\x80\x80\x80",
           "\xFE",
           "\xFF",  // six, and what never occurs
           "\xC3(",
           "\xE2(\xA1",
           "\xE2\x82(",
           "\xF0(\x8C\xBC",
           "\xF0\x90(\xBC",
           "\xF0\x90\x8C(",
       }) {
    EXPECT_FALSE(is_valid_utf8(text)) << ::testing::PrintToString(std::string(text));
  }
}

TEST(Utf8, LooksNoFurtherThanTheText) {
  const std::string text = "\xE2\x82\xAC";
  EXPECT_TRUE(is_valid_utf8(std::string_view(text).substr(0, 3)));
  EXPECT_FALSE(is_valid_utf8(std::string_view(text).substr(0, 2)));
  EXPECT_TRUE(is_valid_utf8(""));
  EXPECT_TRUE(is_valid_utf8(std::string_view("\0a\0", 3)));
}

}  // namespace
}  // namespace stele::detail
