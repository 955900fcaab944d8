#include "stele/encryption.h"

#include <algorithm>
#include <cstring>

#include "canonical_json.h"
#include "crypto.h"
#include "json_places.h"
#include "json_tree.h"
#include "stele/limits.h"

namespace stele {
namespace {

using detail::Bytes;

constexpr std::string_view envelope_name = "$encrypted";
constexpr std::string_view version = "1";
// Levels that an envelope adds to the value that it stands for.
constexpr std::size_t envelope_depth = 2;

detail::JsonTree::Rules rules_for_stored() {
  detail::JsonTree::Rules rules;
  rules.limit_numbers = false;
  return rules;
}

std::string_view view(const Uuid& id) noexcept {
  return {reinterpret_cast<const char*>(id.bytes().data()), id.bytes().size()};
}

std::string associated_data(const EventIdentity& event, const Uuid& key_id, std::string_view pointer) {
  return detail::FramedText()
      .add("stele event 1")
      .add(event.stream.tenant)
      .add(event.stream.type)
      .add(event.stream.id)
      .add(view(event.event_id))
      .add(event.type)
      .add(std::to_string(event.event_version))
      .add(view(key_id))
      .add(pointer)
      .text();
}

std::size_t tokens(std::string_view pointer) noexcept {
  return static_cast<std::size_t>(std::count(pointer.begin(), pointer.end(), '/'));
}

/// The places to encrypt; refuses what would be taken for an envelope, or could not be one.
std::vector<detail::JsonPlace> places_in(const detail::JsonTree& tree, const JsonPointers& pointers) {
  if (!detail::find_objects_with(tree, envelope_name).empty()) {
    throw Error(ErrorCode::invalid_argument, "data: a member is named \"$encrypted\", which is kept for envelopes");
  }
  std::vector<detail::JsonPlace> places = detail::find_places(tree, pointers);
  for (const detail::JsonPlace& place : places) {
    if (tokens(place.pointer) + envelope_depth > limits::json_depth) {
      throw Error(ErrorCode::invalid_argument, "data: a value to encrypt is nested too deeply for its envelope");
    }
  }
  return places;
}

}  // namespace

EventIdentity identity_of(const RecordedEvent& event) {
  return {event.stream, event.event_id, event.type, event.event_version};
}

struct SubjectCipher::Keys {
  Keys(const Uuid& key_id, const SecretKey& key)
      : id(key_id),
        encryption(detail::derive_key(key, view(key_id), "stele encryption key 1")),
        nonces(detail::derive_key(key, view(key_id), "stele nonce key 1")),
        check(detail::key_check(key, view(key_id))),
        check_base64(detail::base64(check)),
        id_text(key_id.to_string()) {}

  Uuid id;
  SecretKey encryption;
  detail::Hmac nonces;
  Bytes check;
  std::string check_base64;
  std::string id_text;
};

SubjectCipher::SubjectCipher(const Uuid& key_id, const SecretKey& key)
    : keys_(std::make_shared<const Keys>(key_id, key)) {}

const Uuid& SubjectCipher::key_id() const noexcept {
  return keys_->id;
}

Json SubjectCipher::encrypt(const EventIdentity& event, const Json& data, const JsonPointers& places) const {
  const detail::JsonTree tree(data.text(), rules_for_stored());
  const std::vector<detail::JsonPlace> found = places_in(tree, places);
  if (found.empty()) return data;
  return Json::trusted(detail::with_replaced(
      data.text(), found, [&](const detail::JsonPlace& place, std::string_view value, std::string& out) {
        std::string plain;
        const detail::Wiped wiped(plain);
        plain.reserve(value.size() + 16);
        detail::append_canonical(value, detail::CanonicalForm::rfc8785, plain);
        const std::string associated = associated_data(event, keys_->id, place.pointer);
        const std::array<std::uint8_t, 32> mac = keys_->nonces.of(associated, plain);
        const std::string_view nonce(reinterpret_cast<const char*>(mac.data()), detail::gcm_nonce_bytes);
        Bytes sealed;
        detail::gcm_seal(keys_->encryption, nonce, associated, plain, sealed);
        const std::string_view all(sealed);
        out += R"({"$encrypted":{"ct":")";
        detail::append_base64(all.substr(0, plain.size()), out);
        out += R"(","iv":")";
        detail::append_base64(nonce, out);
        out += R"(","kc":")";
        out += keys_->check_base64;
        out += R"(","key":")";
        out += keys_->id_text;
        out += R"(","tag":")";
        detail::append_base64(all.substr(plain.size()), out);
        out += R"(","v":)";
        out += version;
        out += "}}";
      }));
}

Json SubjectCipher::fingerprint_form(std::string_view tenant, const Json& data, const JsonPointers& places) const {
  const detail::JsonTree tree(data.text(), rules_for_stored());
  const std::vector<detail::JsonPlace> found = places_in(tree, places);
  if (found.empty()) return data;
  return Json::trusted(detail::with_replaced(
      data.text(), found, [&](const detail::JsonPlace& place, std::string_view value, std::string& out) {
        std::string plain;
        const detail::Wiped wiped(plain);
        detail::append_canonical(value, detail::CanonicalForm::rfc8785, plain);
        // Another first field than a nonce's, so that neither can stand for the other.
        const std::string context =
            detail::FramedText().add("stele fingerprint 1").add(tenant).add(place.pointer).text();
        const std::array<std::uint8_t, 32> mac = keys_->nonces.of(context, plain);
        out += R"({"$encrypted":{"fingerprint":")";
        detail::append_base64({reinterpret_cast<const char*>(mac.data()), mac.size()}, out);
        out += R"("}})";
      }));
}

namespace {

struct Envelope {
  Uuid key_id;
  Bytes check, nonce, ciphertext, tag;
};

struct Failure {
  ErrorCode code;
  std::string why;
  bool retryable = false;
};

const Failure damaged{ErrorCode::tampered, "the envelope is damaged"};

}  // namespace

/// One document's envelopes.
class Decryption {
 public:
  Decryption(const EventIdentity& event, const KeySource& keys) : event_(event), keys_(keys) {}

  /// Appends the value, or returns why not.
  std::optional<Failure> open(const detail::JsonPlace& place, std::string& out) const {
    Envelope envelope;
    if (const std::optional<Failure> failure = read(*place.value, envelope)) return failure;
    const KeyAnswer answer = keys_(event_.stream.tenant, envelope.key_id);
    switch (answer.kind) {
      case KeyAnswer::Kind::destroyed: return Failure{ErrorCode::key_destroyed, "its key was destroyed"};
      case KeyAnswer::Kind::unavailable:
        if (answer.why) return Failure{answer.why->code(), answer.why->message(), answer.why->retryable()};
        return Failure{ErrorCode::key_unavailable, "its key is not available to this reader"};
      case KeyAnswer::Kind::found: break;
    }
    if (answer.cipher == nullptr) throw Error(ErrorCode::internal, "a key source found a key and gave none");
    const SubjectCipher::Keys& keys = *answer.cipher->keys_;
    if (keys.id != envelope.key_id || keys.check != envelope.check) {
      return Failure{ErrorCode::wrong_key, "it was encrypted with another key than the one that was given"};
    }
    std::optional<Bytes> plain =
        detail::gcm_open(keys.encryption, envelope.nonce, associated_data(event_, keys.id, place.pointer),
                         envelope.ciphertext, envelope.tag);
    if (!plain) {
      return Failure{ErrorCode::tampered, "it was changed, or belongs to another event or to another place"};
    }
    const detail::Wiped wiped(*plain);
    out += *plain;
    return std::nullopt;
  }

  static std::optional<Failure> read(const detail::JsonNode& value, Envelope& envelope) {
    const detail::JsonNode* inner = detail::find_member(value, envelope_name);
    if (inner == nullptr || value.count != 1 || inner->kind != detail::JsonKind::object) return damaged;
    const detail::JsonNode* v = detail::find_member(*inner, "v");
    if (v == nullptr || v->kind != detail::JsonKind::number) return damaged;
    if (v->text != version) return Failure{ErrorCode::unsupported, "the envelope is of a version that is not known"};
    const detail::JsonNode* key = detail::find_member(*inner, "key");
    const std::optional<Uuid> id =
        key != nullptr && key->kind == detail::JsonKind::string ? Uuid::parse(key->text) : std::nullopt;
    if (!id || inner->count != 6) return damaged;
    envelope.key_id = *id;
    return part(*inner, "kc", detail::key_check_bytes, envelope.check) &&
                   part(*inner, "iv", detail::gcm_nonce_bytes, envelope.nonce) &&
                   part(*inner, "tag", detail::gcm_tag_bytes, envelope.tag) &&
                   part(*inner, "ct", std::nullopt, envelope.ciphertext)
               ? std::nullopt
               : std::optional<Failure>(damaged);
  }

 private:
  static bool part(const detail::JsonNode& inner, std::string_view name, std::optional<std::size_t> size, Bytes& to) {
    const detail::JsonNode* member = detail::find_member(inner, name);
    if (member == nullptr || member->kind != detail::JsonKind::string) return false;
    std::optional<Bytes> bytes = detail::from_base64(member->text);
    if (!bytes || (size && bytes->size() != *size)) return false;
    to = std::move(*bytes);
    return true;
  }

  const EventIdentity& event_;
  const KeySource& keys_;
};

DecryptedData decrypt(const EventIdentity& event, const Json& data, const KeySource& keys, Unreadable unreadable) {
  // Most documents have none, and are not parsed.
  if (data.text().find(envelope_name) == std::string::npos && data.text().find('\\') == std::string::npos) {
    return {data, {}};
  }
  const detail::JsonTree tree(data.text(), rules_for_stored());
  const std::vector<detail::JsonPlace> places = detail::find_objects_with(tree, envelope_name);
  if (places.empty()) return {data, {}};
  const Decryption decryption(event, keys);
  DecryptedData decrypted;
  decrypted.data = Json::trusted(detail::with_replaced(
      data.text(), places, [&](const detail::JsonPlace& place, std::string_view, std::string& out) {
        const std::optional<Failure> failure = decryption.open(place, out);
        if (!failure) return;
        if (unreadable == Unreadable::fail) {
          Error::Details details;
          details.retryable = failure->retryable;
          throw Error(failure->code,
                      "event " + event.event_id.to_string() + ": the encrypted part at \"" + place.pointer +
                          "\" cannot be read: " + failure->why,
                      std::move(details));
        }
        out += R"({"$unreadable":")";
        out += to_string(failure->code);
        out += R"("})";
        decrypted.unreadable.push_back({place.pointer, failure->code});
      }));
  return decrypted;
}

namespace {

/// Calls `take` with the place and the envelope of each that is whole.
template <class Take>
void for_each_envelope(const Json& data, Take take) {
  const detail::JsonTree tree(data.text(), rules_for_stored());
  for (const detail::JsonPlace& place : detail::find_objects_with(tree, envelope_name)) {
    Envelope envelope;
    if (!Decryption::read(*place.value, envelope)) take(place, envelope);
  }
}

}  // namespace

std::vector<Uuid> key_ids_of(const Json& data) {
  std::vector<Uuid> ids;
  for_each_envelope(data, [&](const detail::JsonPlace&, const Envelope& envelope) {
    if (std::find(ids.begin(), ids.end(), envelope.key_id) == ids.end()) ids.push_back(envelope.key_id);
  });
  return ids;
}

std::vector<std::string> encrypted_places(const Json& data) {
  std::vector<std::string> places;
  for_each_envelope(data, [&](const detail::JsonPlace& place, const Envelope&) { places.push_back(place.pointer); });
  return places;
}

}  // namespace stele
