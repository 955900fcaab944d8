#include "stele/key_provider.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "crypto.h"
#include "key_text.h"
#include "stele/error.h"

namespace stele {
namespace {

using detail::Bytes;

constexpr std::size_t key_file_bytes = 1 << 20;
constexpr char wrapping = '\1';  // The first byte of a wrapped key: which way it was made.
constexpr std::size_t wrapped_bytes =
    1 + detail::key_check_bytes + detail::gcm_nonce_bytes + SecretKey::size + detail::gcm_tag_bytes;

struct MasterKey {
  std::string id;
  SecretKey wrapping;  // derived: the master key itself encrypts nothing
  Bytes check;
};

MasterKey master_key(std::string_view id, const SecretKey& key) {
  return {std::string(id), detail::derive_key(key, id, "stele wrapping key 1"), detail::key_check(key, id)};
}

/// `where` begins messages: "the key file", "the variable X".
std::vector<MasterKey> parse_master_keys(std::string_view text, std::string_view separators, const std::string& where) {
  std::vector<MasterKey> keys;
  std::size_t number = 0;
  while (!text.empty()) {
    ++number;
    const std::size_t end = std::min(text.find_first_of(separators), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto trim = [](std::string_view part) {
      const std::size_t first = part.find_first_not_of(" \t\r");
      return first == std::string_view::npos ? std::string_view()
                                             : part.substr(first, part.find_last_not_of(" \t\r") - first + 1);
    };
    line = trim(line);
    if (line.empty() || line.front() == '#') continue;
    const auto refuse = [&](std::string_view why) {
      throw Error(ErrorCode::invalid_argument, where + ", line " + std::to_string(number) + ": " + std::string(why));
    };
    const std::size_t space = line.find_first_of(" \t");
    if (space == std::string_view::npos) refuse("has to be an id, a space and a key in base64");
    const std::string_view id = line.substr(0, space);
    if (!detail::is_master_key_id(id)) refuse("the id has to be at most 128 printable characters of ASCII");
    std::optional<Bytes> bytes = detail::from_base64(trim(line.substr(space)));
    if (!bytes) refuse("the key has to be base64");
    const detail::Wiped wiped(*bytes);
    if (bytes->size() != SecretKey::size) refuse("the key has to have 32 bytes");
    if (std::any_of(keys.begin(), keys.end(), [&](const MasterKey& key) { return key.id == id; })) {
      refuse("the id comes twice");
    }
    const SecretKey key = SecretKey::from_bytes({reinterpret_cast<const std::uint8_t*>(bytes->data()), bytes->size()});
    keys.push_back(master_key(id, key));
  }
  if (keys.empty()) throw Error(ErrorCode::invalid_argument, where + ": there is no key in it");
  return keys;
}

std::string associated_data(const KeyContext& context, std::string_view master_key_id) {
  return detail::FramedText()
      .add("stele wrap 1")
      .add(context.tenant)
      .add(context.subject)
      .add({reinterpret_cast<const char*>(context.key_id.bytes().data()), context.key_id.bytes().size()})
      .add(master_key_id)
      .text();
}

std::string_view view(const SecretKey& key) noexcept {
  return {reinterpret_cast<const char*>(key.bytes().data()), SecretKey::size};
}

class LocalKeys final : public KeyProvider {
 public:
  explicit LocalKeys(std::vector<MasterKey> keys) : keys_(std::move(keys)) {}

  std::string current_master_key() override { return keys_.front().id; }

  WrappedKey wrap(const SecretKey& key, const KeyContext& context) override {
    const MasterKey& master = keys_.front();
    char nonce[detail::gcm_nonce_bytes];
    detail::random_bytes(nonce, sizeof(nonce));
    WrappedKey wrapped{master.id, {}};
    wrapped.bytes += wrapping;
    wrapped.bytes += master.check;
    wrapped.bytes.append(nonce, sizeof(nonce));
    detail::gcm_seal(master.wrapping, {nonce, sizeof(nonce)}, associated_data(context, master.id), view(key),
                     wrapped.bytes);
    return wrapped;
  }

  SecretKey unwrap(const WrappedKey& wrapped, const KeyContext& context) override {
    const auto master =
        std::find_if(keys_.begin(), keys_.end(), [&](const MasterKey& key) { return key.id == wrapped.master_key_id; });
    if (master == keys_.end()) {
      throw Error(ErrorCode::key_unavailable,
                  "the master key " + detail::shown_id(wrapped.master_key_id) + " is not among those of this provider");
    }
    const std::string_view bytes(wrapped.bytes);
    if (bytes.empty() || bytes.front() != wrapping) {
      throw Error(bytes.empty() ? ErrorCode::tampered : ErrorCode::unsupported,
                  "a wrapped key is of a version that is not known");
    }
    if (bytes.size() != wrapped_bytes) throw Error(ErrorCode::tampered, "a wrapped key is damaged");
    std::size_t at = 1;
    const auto take = [&](std::size_t size) { return bytes.substr(std::exchange(at, at + size), size); };
    if (take(detail::key_check_bytes) != master->check) {
      throw Error(ErrorCode::wrong_key, "the master key " + detail::shown_id(master->id) +
                                            " is not the one that a key was wrapped with, though it has its id");
    }
    const std::string_view nonce = take(detail::gcm_nonce_bytes);
    const std::string_view ciphertext = take(SecretKey::size);
    std::optional<Bytes> plain = detail::gcm_open(master->wrapping, nonce, associated_data(context, master->id),
                                                  ciphertext, take(detail::gcm_tag_bytes));
    if (!plain) {
      throw Error(ErrorCode::tampered, "a wrapped key was changed, or belongs to another tenant, subject or key id");
    }
    const detail::Wiped wiped(*plain);
    return SecretKey::from_bytes({reinterpret_cast<const std::uint8_t*>(plain->data()), plain->size()});
  }

 private:
  std::vector<MasterKey> keys_;  // the first is the current one
};

class File {
 public:
  explicit File(const std::string& path) : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  int descriptor() const noexcept { return descriptor_; }

 private:
  int descriptor_;
};

}  // namespace

std::optional<WrappedKey> rewrap(KeyProvider& provider, const WrappedKey& wrapped, const KeyContext& context) {
  if (wrapped.master_key_id == provider.current_master_key()) return std::nullopt;
  const SecretKey key = provider.unwrap(wrapped, context);
  return provider.wrap(key, context);
}

std::unique_ptr<KeyProvider> file_key_provider(const std::string& path) {
  const std::string where = "key file " + path;
  const auto cannot = [&](const char* what) {
    throw Error(ErrorCode::key_unavailable, where + ": cannot be " + what + ": " + std::strerror(errno));
  };
  const File file(path);
  if (file.descriptor() < 0) cannot("opened");
  struct stat status {};  // Of what is open, which nobody can put something else in the place of.
  if (::fstat(file.descriptor(), &status) != 0) cannot("looked at");
  if (!S_ISREG(status.st_mode)) throw Error(ErrorCode::permission_denied, where + ": is no regular file");
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    throw Error(ErrorCode::permission_denied,
                where + ": others than its owner have rights to it; take them away (chmod 600)");
  }
  if (status.st_uid != ::geteuid() && status.st_uid != 0) {
    throw Error(ErrorCode::permission_denied, where + ": belongs to another user");
  }
  if (status.st_size > static_cast<off_t>(key_file_bytes)) throw Error(ErrorCode::too_large, where + ": is too large");
  std::string text;
  const detail::Wiped wiped(text);
  text.resize(static_cast<std::size_t>(status.st_size));
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t read = ::read(file.descriptor(), text.data() + size, text.size() - size);
    if (read < 0 && errno == EINTR) continue;
    if (read < 0) cannot("read");
    if (read == 0) break;
    size += static_cast<std::size_t>(read);
  }
  return std::make_unique<LocalKeys>(parse_master_keys(std::string_view(text).substr(0, size), "\n", where));
}

std::unique_ptr<KeyProvider> environment_key_provider(const std::string& variable) {
  const std::string where = "environment variable " + variable;
  const char* const text = std::getenv(variable.c_str());
  if (text == nullptr) throw Error(ErrorCode::key_unavailable, where + ": is not set");
  return std::make_unique<LocalKeys>(parse_master_keys(text, "\n;", where));
}

std::string new_master_key_line(std::string_view id) {
  if (!detail::is_master_key_id(id)) {
    throw Error(ErrorCode::invalid_argument, "master key id: has to be at most 128 printable characters of ASCII");
  }
  const SecretKey key = SecretKey::random();
  std::string line(id);
  line.reserve(id.size() + 64);  // So that no part of the key is left where the line was before it grew.
  line += ' ';
  detail::append_base64(view(key), line);
  return line;
}

std::unique_ptr<KeyProvider> open_key_provider(std::string_view description) {
  const std::size_t colon = description.find(':');
  const std::string_view kind = description.substr(0, colon);
  const std::string rest(colon == std::string_view::npos ? std::string_view() : description.substr(colon + 1));
  if (!rest.empty() && kind == "file") return file_key_provider(rest);
  if (!rest.empty() && kind == "env") return environment_key_provider(rest);
  if (!rest.empty() && kind == "command") {
    KeyCommandOptions options;
    for (std::size_t at = 0; (at = rest.find_first_not_of(' ', at)) != std::string::npos;) {
      const std::size_t end = std::min(rest.find(' ', at), rest.size());
      options.argv.push_back(rest.substr(at, end - at));
      at = end;
    }
    return command_key_provider(std::move(options));
  }
  throw Error(ErrorCode::invalid_argument,
              "key provider: has to be file:PATH, env:VARIABLE or command:PROGRAM ARGUMENT…");
}

}  // namespace stele
