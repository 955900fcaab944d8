// Tamper evidence: hashes that tell when somebody has changed the past with direct SQL.
//
// Three layers. Each is computed from the one before it, and all with SHA-256:
// - an event's *content hash* covers everything of it that no one may change; the writer computes it,
// - a *link* ties an event to the one before it in its stream, to its version, time and position; a database can
// compute
//   it by SQL alone,
// - a *seal* ties together the links of a range of the log, and the seal before it.
// Whoever may write everything can compute everything anew. So a *checkpoint*, the last seal, is kept where he cannot
// write, signed if wanted. What lies behind the last checkpoint, and a tail that was cut off there, shows nowhere.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stele/event.h"
#include "stele/export.h"

namespace stele {

using ChainHash = std::array<std::uint8_t, 32>;

STELE_API std::string to_hex(const ChainHash& hash);
/// nullopt for anything but 64 hexadecimal digits.
STELE_API std::optional<ChainHash> parse_chain_hash(std::string_view hex) noexcept;

/// What a content hash is of: a JSON object in RFC 8785's form (see Json::rfc8785 for numbers beyond doubles) with the
/// member "format":"stele event 1" and the envelope's fields under their names in import files, without position,
/// stream_version and recorded_at, which the link covers. Absent fields are left out, but redaction_level and
/// contains_secrets are always there, and command_source whenever request_id is.
STELE_API std::string content_text(const RecordedEvent& event);
/// SHA-256 of content_text().
STELE_API ChainHash content_hash(const RecordedEvent& event);

/// SHA-256(previous || version || recorded_at || position || content): 32 + 8 + 8 + 8 + 32 bytes, numbers as 64 bits in
/// two's complement, most significant byte first, the time in microseconds since 1970. `previous` is the link of the
/// event before it in the stream, 32 zero bytes for the first.
STELE_API ChainHash chain_link(const ChainHash& previous, Version version, Timestamp recorded_at, Position position,
                               const ChainHash& content);

struct ChainFault {
  enum class Kind : std::uint8_t {
    changed,    ///< A field, a hash or a link is not what was recorded.
    removed,    ///< Events that were there are not.
    inserted,   ///< An event that was never appended.
    reordered,  ///< Events stand in the place of others.
  };
  Kind kind = Kind::changed;
  std::optional<StreamKey> stream;  ///< None for a fault that only a seal shows.
  Version version;                  ///< The first that is wrong or missing.
  Position position;                ///< Of the event there; for a seal, the first of its range.
  std::optional<Uuid> event_id;     ///< Of the event there.
  std::string what;                 ///< In words, without payload.
};

STELE_API std::string_view to_string(ChainFault::Kind kind) noexcept;

/// Where a chain is known to be right.
struct ChainHead {
  Version version;   ///< 0 for a stream's beginning.
  ChainHash link{};  ///< Of that event; zero bytes for the beginning.
};

/// Checks one stream's chain, event by event, in the order of versions. Names the first event that is not as it was
/// recorded. What happened is told by what would make the chain right again, looking at the next few events:
/// - an event whose hash is not its own was changed,
/// - versions that are left out were removed, also when those behind them were numbered anew,
/// - an event without which the rest fits was inserted,
/// - events that fit in each other's places were reordered.
/// Several changes at once may be told as another kind; the place is right.
class STELE_API StreamChainVerifier {
 public:
  explicit StreamChainVerifier(StreamKey stream, ChainHead from = {});
  StreamChainVerifier(StreamChainVerifier&&) noexcept;
  StreamChainVerifier& operator=(StreamChainVerifier&&) noexcept;
  ~StreamChainVerifier();

  /// The event as it is stored (without upcasters), with the hash and the link that are stored with it. Returns whether
  /// it wants more; false once it knows enough of a fault.
  bool feed(const RecordedEvent& event, const ChainHash& content, const ChainHash& link);

  /// At the stream's end. `head`: what the stream's last version and link should be, from its head or a checkpoint.
  std::optional<ChainFault> finish(const std::optional<ChainHead>& head = {});

  /// Up to where the chain is right.
  const ChainHead& good() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Ties together the links of the log in (after, to].
struct LogSeal {
  std::int64_t number = 1;  ///< 1, 2, 3 …
  Position after;           ///< The `to` of the seal before it.
  Position to;
  std::int64_t events = 0;  ///< In the range.
  ChainHash root{};         ///< SHA-256 of (position || link) of each event, in the order of positions.
  ChainHash hash{};  ///< SHA-256("stele seal 1" || previous seal's hash || number || after || to || events || root).
  friend bool operator==(const LogSeal&, const LogSeal&) = default;
};

/// Makes a seal, or makes it again to compare.
class STELE_API LogSealBuilder {
 public:
  /// Behind this seal; null for the first.
  explicit LogSealBuilder(const LogSeal* previous = nullptr);
  LogSealBuilder(LogSealBuilder&&) noexcept;
  LogSealBuilder& operator=(LogSealBuilder&&) noexcept;
  ~LogSealBuilder();

  /// The log's next event. Throws invalid_argument unless positions rise.
  void add(Position position, const ChainHash& link);
  /// `to` is at or behind the last position. The builder is used up.
  LogSeal finish(Position to);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// What differs between a seal that was stored and the same made anew from what is there now; nullopt: nothing. It
/// names a range; which event it is, the streams' chains tell, save for a stream that is gone or was made as a whole.
STELE_API std::optional<ChainFault> compare_seals(const LogSeal& stored, const LogSeal& made_anew);

/// A seal to keep elsewhere.
struct Checkpoint {
  std::string store;  ///< Which store, in the words of who made it; not a URL with a password.
  Timestamp made_at;
  std::int64_t events = 0;  ///< In the log up to the seal's end.
  std::int64_t seal_number = 0;
  Position position;  ///< The seal's end.
  ChainHash seal_hash{};
  friend bool operator==(const Checkpoint&, const Checkpoint&) = default;
};

/// One line, in RFC 8785's form; numbers are strings, so that nobody rounds them.
STELE_API std::string to_json_line(const Checkpoint& checkpoint);
/// Throws invalid_argument that names the field.
STELE_API Checkpoint parse_checkpoint(std::string_view text);

/// What differs between a checkpoint and the seal of its number; null when the store has none of that number.
STELE_API std::optional<ChainFault> compare_checkpoint(const Checkpoint& checkpoint, const LogSeal* stored);

/// A detached Ed25519 signature of these bytes, such as a checkpoint's line, in base64. The key is PEM, PKCS #8,
/// without a password (`openssl genpkey -algorithm ed25519`). Throws invalid_argument when it is none.
STELE_API std::string sign(std::string_view bytes, std::string_view private_key_pem);
/// Throws tampered when the signature is not that key's of these bytes, and invalid_argument when the key, PEM, is none
/// (`openssl pkey -pubout`).
STELE_API void check_signature(std::string_view bytes, std::string_view signature, std::string_view public_key_pem);

}  // namespace stele
