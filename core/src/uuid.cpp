#include "stele/uuid.h"

#include <pthread.h>
#include <sys/random.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <mutex>
#include <utility>

#include "hex_digit.h"
#include "stele/error.h"
#include "uuid_v7.h"

namespace stele {
namespace {

// Random bits are fetched a buffer at a time: a system call for each id would cost more than all the rest.
class RandomBuffer {
 public:
  std::uint64_t next() {
    if (left_ == 0) fill();
    return words_[--left_];
  }

  void discard() noexcept { left_ = 0; }

 private:
  void fill() {
    auto* const bytes = reinterpret_cast<unsigned char*>(words_.data());
    std::size_t done = 0;
    while (done < sizeof(words_)) {
      const ssize_t got = ::getrandom(bytes + done, sizeof(words_) - done, 0);
      if (got > 0) {
        done += static_cast<std::size_t>(got);
      } else if (errno != EINTR) {
        Error::Details details;
        details.native_code = errno;
        throw Error(ErrorCode::io, "the operating system gives no random numbers", std::move(details));
      }
    }
    left_ = words_.size();
  }

  std::array<std::uint64_t, 512> words_{};
  std::size_t left_ = 0;
};

struct Generator {
  std::mutex mutex;
  detail::UuidV7Sequence sequence;
  RandomBuffer random;
};

// There before any thread, and without a destructor that does anything: a child of fork() must not find it half made,
// and ids may be wanted while the process is ending.
constinit Generator generator;

// A child process must not go on with its parent's random bits, nor with a mutex that another thread holds.
[[maybe_unused]] const int registered_for_fork =
    ::pthread_atfork([] { generator.mutex.lock(); }, [] { generator.mutex.unlock(); },
                     [] {
                       generator.random.discard();
                       generator.mutex.unlock();
                     });

constexpr std::string_view hex_digits = "0123456789abcdef";

constexpr bool dash_before(std::size_t byte) noexcept {
  return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

}  // namespace

Uuid Uuid::v7() {
  using std::chrono::duration_cast;
  using std::chrono::milliseconds;
  const std::lock_guard lock(generator.mutex);
  const auto now = duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  return generator.sequence.next(static_cast<std::uint64_t>(now), [] { return generator.random.next(); });
}

std::optional<Uuid> Uuid::parse(std::string_view text) noexcept {
  if (text.size() != 36) return std::nullopt;
  Bytes bytes{};
  std::size_t at = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (dash_before(i) && text[at++] != '-') return std::nullopt;
    const int high = detail::hex_digit(text[at]);
    const int low = detail::hex_digit(text[at + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
    at += 2;
  }
  return Uuid(bytes);
}

std::string Uuid::to_string() const {
  std::string text;
  text.reserve(36);
  for (std::size_t i = 0; i < bytes_.size(); ++i) {
    if (dash_before(i)) text += '-';
    text += hex_digits[bytes_[i] >> 4];
    text += hex_digits[bytes_[i] & 0x0F];
  }
  return text;
}

}  // namespace stele
