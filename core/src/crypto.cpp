#include "crypto.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <algorithm>

#include "stele/error.h"

namespace stele {
namespace detail {
namespace {

[[noreturn]] void fail(const char* what) {
  ERR_clear_error();  // The queue is the thread's; others look at it.
  throw Error(ErrorCode::internal, std::string("OpenSSL: ") + what + " failed");
}

void require(bool ok, const char* what) {
  if (!ok) fail(what);
}

template <class T, void (*release)(T*)>
struct Release {
  void operator()(T* object) const noexcept { release(object); }
};
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, Release<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free>>;
using MacContext = std::unique_ptr<EVP_MAC_CTX, Release<EVP_MAC_CTX, EVP_MAC_CTX_free>>;
using KdfContext = std::unique_ptr<EVP_KDF_CTX, Release<EVP_KDF_CTX, EVP_KDF_CTX_free>>;

// Looked up once: a look-up costs more than the encryption of a small text.
EVP_CIPHER* aes_256_gcm() {
  static EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  require(cipher != nullptr, "AES-256-GCM");
  return cipher;
}

EVP_MAC* hmac() {
  static EVP_MAC* const mac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  require(mac != nullptr, "HMAC");
  return mac;
}

EVP_KDF* hkdf() {
  static EVP_KDF* const kdf = EVP_KDF_fetch(nullptr, "HKDF", nullptr);
  require(kdf != nullptr, "HKDF");
  return kdf;
}

const unsigned char* bytes(std::string_view text) noexcept {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes(char* text) noexcept {
  return reinterpret_cast<unsigned char*>(text);
}
int length(std::string_view text) {
  require(text.size() < (1U << 30), "a text of a gigabyte");
  return static_cast<int>(text.size());
}

void derive(const SecretKey& from, std::string_view salt, std::string_view info, unsigned char* to, std::size_t size) {
  const KdfContext context(EVP_KDF_CTX_new(hkdf()));
  require(context != nullptr, "HKDF");
  char digest[] = "SHA256";
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, const_cast<std::uint8_t*>(from.bytes().data()),
                                        SecretKey::size),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, const_cast<char*>(salt.data()), salt.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, const_cast<char*>(info.data()), info.size()),
      OSSL_PARAM_construct_end(),
  };
  require(EVP_KDF_derive(context.get(), to, size, params) == 1, "HKDF");
}

}  // namespace

void random_bytes(void* to, std::size_t size) {
  require(RAND_bytes(static_cast<unsigned char*>(to), static_cast<int>(size)) == 1, "the random generator");
}

SecretKey derive_key(const SecretKey& from, std::string_view salt, std::string_view info) {
  std::array<std::uint8_t, SecretKey::size> derived{};
  derive(from, salt, info, derived.data(), derived.size());
  SecretKey key = SecretKey::from_bytes(derived);
  OPENSSL_cleanse(derived.data(), derived.size());
  return key;
}

Bytes key_check(const SecretKey& key, std::string_view salt) {
  Bytes check(key_check_bytes, '\0');
  derive(key, salt, "stele key check 1", bytes(check.data()), check.size());
  return check;
}

void gcm_seal(const SecretKey& key, std::string_view nonce, std::string_view associated, std::string_view text,
              Bytes& out) {
  require(nonce.size() == gcm_nonce_bytes, "a nonce of another size");
  const CipherContext context(EVP_CIPHER_CTX_new());
  require(context != nullptr, "AES-256-GCM");
  const std::size_t begin = out.size();
  out.resize(begin + text.size() + gcm_tag_bytes);
  int written = 0;
  require(EVP_EncryptInit_ex2(context.get(), aes_256_gcm(), key.bytes().data(), bytes(nonce), nullptr) == 1 &&
              EVP_EncryptUpdate(context.get(), nullptr, &written, bytes(associated), length(associated)) == 1 &&
              EVP_EncryptUpdate(context.get(), bytes(out.data() + begin), &written, bytes(text), length(text)) == 1 &&
              EVP_EncryptFinal_ex(context.get(), bytes(out.data() + begin + text.size()), &written) == 1 &&
              EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, gcm_tag_bytes,
                                  out.data() + begin + text.size()) == 1,
          "AES-256-GCM");
}

std::optional<Bytes> gcm_open(const SecretKey& key, std::string_view nonce, std::string_view associated,
                              std::string_view ciphertext, std::string_view tag) {
  // OpenSSL takes shorter tags, which are easier to guess.
  if (nonce.size() != gcm_nonce_bytes || tag.size() != gcm_tag_bytes) return std::nullopt;
  const CipherContext context(EVP_CIPHER_CTX_new());
  require(context != nullptr, "AES-256-GCM");
  Bytes text(ciphertext.size(), '\0');
  int written = 0;
  require(
      EVP_DecryptInit_ex2(context.get(), aes_256_gcm(), key.bytes().data(), bytes(nonce), nullptr) == 1 &&
          EVP_DecryptUpdate(context.get(), nullptr, &written, bytes(associated), length(associated)) == 1 &&
          EVP_DecryptUpdate(context.get(), bytes(text.data()), &written, bytes(ciphertext), length(ciphertext)) == 1 &&
          EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, gcm_tag_bytes, const_cast<char*>(tag.data())) == 1,
      "AES-256-GCM");
  unsigned char none[16];
  if (EVP_DecryptFinal_ex(context.get(), none, &written) != 1) {
    ERR_clear_error();
    wipe(text);  // Nothing of it is what it seems.
    return std::nullopt;
  }
  return text;
}

Hmac::Hmac(const SecretKey& key) : keyed_(EVP_MAC_CTX_new(hmac())) {
  char digest[] = "SHA256";
  const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                               OSSL_PARAM_construct_end()};
  if (keyed_ == nullptr || EVP_MAC_init(keyed_, key.bytes().data(), SecretKey::size, params) != 1) {
    EVP_MAC_CTX_free(keyed_);
    fail("HMAC");
  }
}

Hmac::~Hmac() {
  EVP_MAC_CTX_free(keyed_);
}

std::array<std::uint8_t, 32> Hmac::of(std::string_view first, std::string_view second) const {
  std::array<std::uint8_t, 32> mac{};
  std::size_t written = 0;
  const MacContext context(EVP_MAC_CTX_dup(keyed_));
  require(context != nullptr && EVP_MAC_update(context.get(), bytes(first), first.size()) == 1 &&
              EVP_MAC_update(context.get(), bytes(second), second.size()) == 1 &&
              EVP_MAC_final(context.get(), mac.data(), &written, mac.size()) == 1 && written == mac.size(),
          "HMAC");
  return mac;
}

namespace {
constexpr std::string_view base64_digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
}

void append_base64(std::string_view from, std::string& out) {
  out.reserve(out.size() + (from.size() + 2) / 3 * 4);
  const auto byte = [&](std::size_t i) {
    return i < from.size() ? static_cast<std::uint32_t>(static_cast<unsigned char>(from[i])) : 0U;
  };
  for (std::size_t i = 0; i < from.size(); i += 3) {
    const std::uint32_t group = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    out += base64_digits[group >> 18];
    out += base64_digits[group >> 12 & 63];
    out += i + 1 < from.size() ? base64_digits[group >> 6 & 63] : '=';
    out += i + 2 < from.size() ? base64_digits[group & 63] : '=';
  }
}

std::string base64(std::string_view from) {
  std::string out;
  append_base64(from, out);
  return out;
}

std::optional<Bytes> from_base64(std::string_view text) {
  static constexpr auto values = [] {
    std::array<std::uint8_t, 256> table{};
    table.fill(255);
    for (std::size_t i = 0; i < base64_digits.size(); ++i) {
      table[static_cast<unsigned char>(base64_digits[i])] = static_cast<std::uint8_t>(i);
    }
    return table;
  }();
  if (text.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  Bytes out;
  out.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    const std::size_t digits = i + 4 == text.size() ? 4 - padding : 4;
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 4; ++j) {
      const std::uint8_t value = j < digits ? values[static_cast<unsigned char>(text[i + j])] : 0;
      if (value == 255) {
        wipe(out);
        return std::nullopt;
      }
      group = group << 6 | value;
    }
    // One text for each value: nothing may hide in the bits that do not count.
    if ((digits == 2 && (group & 0xFFFF) != 0) || (digits == 3 && (group & 0xFF) != 0)) return std::nullopt;
    out += static_cast<char>(group >> 16);
    if (digits > 2) out += static_cast<char>(group >> 8);
    if (digits > 3) out += static_cast<char>(group);
  }
  return out;
}

void wipe(std::string& text) noexcept {
  if (text.capacity() != 0) {
    // What lies behind the end may be left from a longer text.
    text.resize(text.capacity());
    OPENSSL_cleanse(text.data(), text.size());
  }
  text.clear();
}

}  // namespace detail

SecretKey SecretKey::random() {
  SecretKey key;
  if (RAND_priv_bytes(key.bytes_.data(), static_cast<int>(size)) != 1) detail::fail("the random generator");
  return key;
}

SecretKey SecretKey::from_bytes(std::span<const std::uint8_t> bytes) {
  if (bytes.size() != size) throw Error(ErrorCode::invalid_argument, "key: has to have 32 bytes");
  SecretKey key;
  std::copy(bytes.begin(), bytes.end(), key.bytes_.begin());
  return key;
}

SecretKey::SecretKey(SecretKey&& other) noexcept : bytes_(other.bytes_) {
  OPENSSL_cleanse(other.bytes_.data(), size);
}

SecretKey& SecretKey::operator=(SecretKey&& other) noexcept {
  if (this != &other) {
    bytes_ = other.bytes_;
    OPENSSL_cleanse(other.bytes_.data(), size);
  }
  return *this;
}

SecretKey::~SecretKey() {
  OPENSSL_cleanse(bytes_.data(), size);
}

SecretKey SecretKey::copy() const noexcept {
  SecretKey key;
  key.bytes_ = bytes_;
  return key;
}

bool operator==(const SecretKey& a, const SecretKey& b) noexcept {
  return CRYPTO_memcmp(a.bytes_.data(), b.bytes_.data(), SecretKey::size) == 0;
}

}  // namespace stele
