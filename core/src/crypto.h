// AES-256-GCM, HMAC, HKDF, random bytes and base64: OpenSSL's, in the few forms that are used here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "stele/secret_key.h"

struct evp_mac_ctx_st;

namespace stele::detail {

constexpr std::size_t gcm_nonce_bytes = 12;
constexpr std::size_t gcm_tag_bytes = 16;
constexpr std::size_t key_check_bytes = 8;

using Bytes = std::string;  // not text

/// Fills with bytes for nonces and the like, which may be seen.
void random_bytes(void* to, std::size_t size);

/// HKDF-SHA256 (RFC 5869).
SecretKey derive_key(const SecretKey& from, std::string_view salt, std::string_view info);
/// The same for a value that may be seen, by which a wrong key is told from a changed ciphertext.
Bytes key_check(const SecretKey& key, std::string_view salt);

/// Appends the ciphertext, as long as the text, and the tag behind it.
void gcm_seal(const SecretKey& key, std::string_view nonce, std::string_view associated, std::string_view text,
              Bytes& out);
/// The text; nullopt when key, nonce, associated data, ciphertext and tag do not belong together.
std::optional<Bytes> gcm_open(const SecretKey& key, std::string_view nonce, std::string_view associated,
                              std::string_view ciphertext, std::string_view tag);

/// HMAC-SHA256 under one key. Any number of threads may use one.
class Hmac {
 public:
  explicit Hmac(const SecretKey& key);
  Hmac(const Hmac&) = delete;
  Hmac& operator=(const Hmac&) = delete;
  ~Hmac();
  /// Of the parts one behind the other.
  std::array<std::uint8_t, 32> of(std::string_view first, std::string_view second) const;

 private:
  evp_mac_ctx_st* keyed_;
};

/// A text in which every field is preceded by its length, so that no two lists of fields give the same one.
class FramedText {
 public:
  FramedText& add(std::string_view field) {
    const auto size = static_cast<std::uint32_t>(field.size());
    for (int shift = 24; shift >= 0; shift -= 8) text_ += static_cast<char>(size >> shift);
    text_ += field;
    return *this;
  }
  const std::string& text() const noexcept { return text_; }

 private:
  std::string text_;
};

/// RFC 4648, with padding.
void append_base64(std::string_view bytes, std::string& out);
std::string base64(std::string_view bytes);
/// nullopt for anything that append_base64() does not write.
std::optional<Bytes> from_base64(std::string_view text);

/// Overwrites the bytes, so that they are not found in memory later.
void wipe(std::string& text) noexcept;

/// Wipes a text when it goes.
class Wiped {
 public:
  explicit Wiped(std::string& text) : text_(text) {}
  Wiped(const Wiped&) = delete;
  Wiped& operator=(const Wiped&) = delete;
  ~Wiped() { wipe(text_); }

 private:
  std::string& text_;
};

}  // namespace stele::detail
