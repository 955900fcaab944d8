// Parts of events that only somebody with a key can read, and nobody once the key is destroyed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stele/error.h"
#include "stele/event.h"
#include "stele/export.h"
#include "stele/json.h"
#include "stele/json_pointers.h"
#include "stele/secret_key.h"

namespace stele {

/// What a ciphertext belongs to: it opens in this event only, at the place it was made for. As the event is stored,
/// before upcasters.
struct EventIdentity {
  StreamKey stream;
  Uuid event_id;
  std::string type;
  std::int32_t event_version = 1;
};

/// The identity of an event that was read.
STELE_API EventIdentity identity_of(const RecordedEvent& event);

/// Encrypts and decrypts under one data subject's key. Immutable; cheap to copy; any number of threads may use one.
///
/// An encrypted value is an envelope in its place, an object with one member, so that the document stays JSON:
///
///     {"$encrypted":{"ct":"…","iv":"…","kc":"…","key":"018f…","tag":"…","v":1}}
///
/// AES-256-GCM. `key` is the key's id, `kc` a check value by which a wrong key is told from a changed ciphertext. Bound
/// as associated data: tenant, stream type, stream id, event id, event type, event version, key id and the place's JSON
/// pointer.
///
/// The same value for the same event and place gives the same envelope, whenever it is made, and values that are equal
/// as JSON are the same: so a repeated append is recognised (G5, G6). Nothing tells whether values of different events
/// or places are equal. How a nonce never comes twice: docs/decisions/0014-encryption.md.
class STELE_API SubjectCipher {
 public:
  /// Derives what it needs. The key may go.
  SubjectCipher(const Uuid& key_id, const SecretKey& key);

  const Uuid& key_id() const noexcept;

  /// `data` with an envelope in each place that the pointers name; "" is all of it. Numbers and member order within a
  /// place come back as RFC 8785 writes them, equal as JSON. Throws invalid_argument when `data` has a member named
  /// "$encrypted" anywhere, so that no caller's text is taken for an envelope, and where an envelope would be nested
  /// too deeply.
  Json encrypt(const EventIdentity& event, const Json& data, const JsonPointers& places) const;

  /// What a command's fingerprint (G5) is made of in the place of `data`: the places hold an HMAC of their values under
  /// this key. It does not depend on event ids, which a repeated request may make anew, and once the key is destroyed
  /// nobody can try values against it.
  Json fingerprint_form(std::string_view tenant, const Json& data, const JsonPointers& places) const;

 private:
  struct Keys;
  std::shared_ptr<const Keys> keys_;
  friend class Decryption;
};

/// What a reader knows of a key.
struct KeyAnswer {
  enum class Kind : std::uint8_t {
    found,
    destroyed,    ///< On purpose: its subject was forgotten.
    unavailable,  ///< Not known, not for this reader, or its provider does not answer.
  };
  Kind kind = Kind::unavailable;
  std::shared_ptr<const SubjectCipher> cipher{};  ///< found
  std::optional<Error> why{};                     ///< unavailable: what its provider threw, if that was asked.
};

/// Finds the key with an id, of the event's tenant.
using KeySource = std::function<KeyAnswer(const std::string& tenant, const Uuid& key_id)>;

/// A part that could not be read.
struct UnreadablePart {
  std::string pointer;  ///< Its place.
  ErrorCode reason = ErrorCode::key_destroyed;
  friend bool operator==(const UnreadablePart&, const UnreadablePart&) = default;
};

enum class Unreadable : std::uint8_t {
  fail,  ///< Throw.
  say,   ///< Put `{"$unreadable":"key_destroyed"}` in the part's place, with the reason's name.
};

struct DecryptedData {
  Json data;
  std::vector<UnreadablePart> unreadable;  ///< In the document's order; empty with Unreadable::fail.
};

/// `data` with the value in place of each envelope. With Unreadable::fail throws
/// - key_destroyed: the key was destroyed; the value is gone for good,
/// - key_unavailable: the source does not give the key; or what KeyAnswer::why says, retryable if that is,
/// - wrong_key: the source gave another key than the one it was encrypted with,
/// - tampered: the envelope was changed, cut, or moved here from another event or place,
/// - unsupported: the envelope is of a newer version.
STELE_API DecryptedData decrypt(const EventIdentity& event, const Json& data, const KeySource& keys,
                                Unreadable unreadable = Unreadable::fail);

/// The ids of the keys that the envelopes in `data` name, each once. Those that are damaged are left out.
STELE_API std::vector<Uuid> key_ids_of(const Json& data);

/// Where the envelopes in `data` are, as JSON Pointers. Those that are damaged are left out.
STELE_API std::vector<std::string> encrypted_places(const Json& data);

}  // namespace stele
