// Where the master keys are, under which the data subjects' keys are kept.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stele/export.h"
#include "stele/secret_key.h"
#include "stele/uuid.h"

namespace stele {

/// Whose key it is. A wrapped key opens for no other.
struct KeyContext {
  std::string tenant;
  std::string subject;
  Uuid key_id;
};

/// A subject's key as it may be stored.
struct WrappedKey {
  std::string master_key_id;  ///< Which master key opens it. At most 128 bytes of printable ASCII without spaces.
  std::string bytes;          ///< No text.
  friend bool operator==(const WrappedKey&, const WrappedKey&) = default;
};

/// Keeps master keys, or knows who does. Any number of threads may call any function at once.
///
/// Every function throws key_unavailable when the keys cannot be reached, or the one that is named is not among them.
/// No message holds a key.
class STELE_API KeyProvider {
 public:
  virtual ~KeyProvider() = default;

  /// The id of the master key that wrap() uses.
  virtual std::string current_master_key() = 0;
  virtual WrappedKey wrap(const SecretKey& key, const KeyContext& context) = 0;
  /// Throws wrong_key when the master key with this id is not the one it was wrapped with, and tampered when it was
  /// changed or wrapped for another context.
  virtual SecretKey unwrap(const WrappedKey& wrapped, const KeyContext& context) = 0;
};

/// A wrapped key under the current master key: how the master key is changed without touching what is encrypted.
/// nullopt when it is under that already.
STELE_API std::optional<WrappedKey> rewrap(KeyProvider& provider, const WrappedKey& wrapped, const KeyContext& context);

// Local master keys: lines of "id base64", 32 bytes each; empty lines and those that begin with # do not count. The
// first key is the current one, the others open what was wrapped before. Keys are wrapped with AES-256-GCM under a key
// that is derived from the master key, with a random nonce, bound to tenant, subject, key id and master key id.

/// Read once, now. The file has to be a regular one of this user or of root that nobody else may read or write. Throws
/// key_unavailable, permission_denied, or invalid_argument that names the line.
STELE_API std::unique_ptr<KeyProvider> file_key_provider(const std::string& path);

/// The same from an environment variable, in which ';' may stand for a line's end. Throws key_unavailable when it is
/// not set, and invalid_argument.
STELE_API std::unique_ptr<KeyProvider> environment_key_provider(const std::string& variable);

/// A line for a new master key.
STELE_API std::string new_master_key_line(std::string_view id);

struct KeyCommandOptions {
  std::vector<std::string> argv;  ///< The program, a path or looked for in PATH, and its arguments. No shell sees them.
  std::chrono::milliseconds timeout{10'000};  ///< Then it is killed, with its children that did not leave its group.
  bool show_errors = false;                   ///< Let its standard error be this program's; otherwise it goes nowhere.
};

/// Asks a program, such as one that talks to a key management service, once for each call. Keys go through its standard
/// input and output only, never into arguments, the environment or a message.
///
/// Its input is lines of "name: value", then the end: `stele-key-command: 1`, `operation: current | wrap | unwrap`, and
/// for the last two `tenant`, `subject`, `key_id`, with `key` (base64) to wrap, and `master_key_id` and `wrapped`
/// (base64) to unwrap. In tenant and subject '%', control characters and spaces are written as %XX. It answers in the
/// same way and exits with 0: `master_key_id` to current, `master_key_id` and `wrapped` to wrap, `key` to unwrap. Exit
/// code 3 says that it does not open: tampered. Anything else is key_unavailable; retryable when it took too long, was
/// ended by a signal or exited with another code, as when what it asks is out of reach.
STELE_API std::unique_ptr<KeyProvider> command_key_provider(KeyCommandOptions options);

/// "file:PATH", "env:VARIABLE" or "command:PROGRAM ARGUMENT…" (divided at spaces). Throws invalid_argument, and what
/// the provider's own function throws.
STELE_API std::unique_ptr<KeyProvider> open_key_provider(std::string_view description);

}  // namespace stele
