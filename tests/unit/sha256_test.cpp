#include "sha256.h"

#include <gtest/gtest.h>

#include <string>

namespace stele::detail {
namespace {

TEST(Sha256, KnownVectors) {
  // FIPS 180-2, appendix B, and the empty text.
  EXPECT_EQ(to_hex(sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(to_hex(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(to_hex(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(to_hex(sha256(std::string(1'000'000, 'a'))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, TakesEveryByte) {
  EXPECT_NE(sha256(std::string_view("a\0b", 3)), sha256("a"));
  EXPECT_NE(sha256(std::string_view("a\0b", 3)), sha256(std::string_view("a\0c", 3)));
}

TEST(Sha256, HexHasTwoDigitsForEachByte) {
  std::array<std::uint8_t, 32> digest{};
  digest[0] = 0x0F;
  digest[31] = 0xF0;
  EXPECT_EQ(to_hex(digest), "0f" + std::string(60, '0') + "f0");
}

}  // namespace
}  // namespace stele::detail
