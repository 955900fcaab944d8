#include "stele/chain.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "canonical_json.h"
#include "crypto.h"
#include "hex_digit.h"
#include "json_tree.h"
#include "json_write.h"
#include "sha256.h"
#include "stele/driver/content_hash.h"
#include "stele/error.h"

namespace stele {
namespace {

void append_number(std::int64_t number, std::string& out) {
  const auto bits = static_cast<std::uint64_t>(number);
  for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(bits >> shift);
}

void append_hash(const ChainHash& hash, std::string& out) {
  out.append(reinterpret_cast<const char*>(hash.data()), hash.size());
}

/// An event, recorded or about to be.
struct Content {
  const EventFields& fields;
  const StreamKey& stream;
  const Uuid& event_id;
  Timestamp occurred_at;
  const std::string* source;
  std::optional<Channel> channel;
  std::optional<Uuid> causation_id;
  const CommandKey* command;
};

// The names come in RFC 8785's order; a test compares.
std::string text_of(const Content& content) {
  const EventFields& fields = content.fields;
  std::string text;
  text.reserve(512 + fields.data.text().size());
  detail::JsonObjectWriter to(text);
  const auto json = [&](std::string_view name, const Json& value) {
    detail::append_canonical(value.text(), detail::CanonicalForm::rfc8785, to.name(name));
  };
  const auto optional_json = [&](std::string_view name, const std::optional<Json>& value) {
    if (value) json(name, *value);
  };
  const auto optional_text = [&](std::string_view name, const auto& value) {
    if (value) to.text(name, *value);
  };
  const auto optional_other = [&](std::string_view name, const auto& value) {
    if (value) to.text(name, value->to_string());
  };
  if (fields.actor) {
    to.text("actor_id", fields.actor->id);
    to.text("actor_type", to_string(fields.actor->type));
  }
  if (!fields.attributes.empty()) {
    std::vector<const Attributes::value_type*> attributes;
    for (const auto& attribute : fields.attributes) attributes.push_back(&attribute);
    std::sort(attributes.begin(), attributes.end(),
              [](const auto* a, const auto* b) { return detail::utf16_less(a->first, b->first); });
    detail::JsonObjectWriter object(to.name("attributes"));
    for (const auto* attribute : attributes) object.escaped_name_text(attribute->first, attribute->second);
    object.end();
  }
  optional_other("causation_id", content.causation_id);
  if (content.channel) to.text("channel", to_string(*content.channel));
  if (content.command != nullptr) to.text("command_source", content.command->source);
  to.boolean("contains_secrets", fields.contains_secrets);
  optional_other("correlation_id", fields.correlation_id);
  json("data", fields.data);
  optional_json("display", fields.display);
  to.text("event_id", content.event_id.to_string());
  to.text("event_type", fields.type);
  to.integer("event_version", fields.event_version);
  to.text("format", "stele event 1");
  optional_text("idempotency_key", fields.idempotency_key);
  optional_json("metadata", fields.metadata);
  optional_json("model_context", fields.model_context);
  to.text("occurred_at", content.occurred_at.to_string());
  optional_json("policy_context", fields.policy_context);
  to.text("redaction_level", to_string(fields.redaction_level));
  if (content.command != nullptr) to.text("request_id", content.command->request_id);
  if (content.source != nullptr) to.text("source", *content.source);
  to.text("stream_id", content.stream.id);
  to.text("stream_type", content.stream.type);
  to.text("tenant_id", content.stream.tenant);
  optional_other("valid_from", fields.valid_from);
  optional_other("valid_to", fields.valid_to);
  to.end();
  return text;
}

Content content_of(const RecordedEvent& event) {
  return {event,
          event.stream,
          event.event_id,
          event.occurred_at,
          event.source ? &*event.source : nullptr,
          event.channel,
          event.causation_id,
          event.command ? &*event.command : nullptr};
}

}  // namespace

std::string to_hex(const ChainHash& hash) {
  return detail::to_hex(hash);
}

std::optional<ChainHash> parse_chain_hash(std::string_view hex) noexcept {
  ChainHash hash{};
  if (hex.size() != 2 * hash.size()) return std::nullopt;
  for (std::size_t i = 0; i < hash.size(); ++i) {
    const int high = detail::hex_digit(hex[2 * i]);
    const int low = detail::hex_digit(hex[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    hash[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return hash;
}

std::string content_text(const RecordedEvent& event) {
  return text_of(content_of(event));
}

ChainHash content_hash(const RecordedEvent& event) {
  return detail::sha256(content_text(event));
}

ChainHash driver::content_hash(const PreparedAppend& append, const PreparedStream& stream, const PreparedEvent& event) {
  return detail::sha256(
      text_of({*event.event, *stream.key, event.event_id, event.occurred_at, event.source, event.channel,
               event.causation_id, append.command ? &append.command->command->key : nullptr}));
}

ChainHash chain_link(const ChainHash& previous, Version version, Timestamp recorded_at, Position position,
                     const ChainHash& content) {
  std::string bytes;
  bytes.reserve(88);
  append_hash(previous, bytes);
  append_number(version.value(), bytes);
  append_number(recorded_at.micros(), bytes);
  append_number(position.value(), bytes);
  append_hash(content, bytes);
  return detail::sha256(bytes);
}

std::string_view to_string(ChainFault::Kind kind) noexcept {
  switch (kind) {
    case ChainFault::Kind::changed: return "changed";
    case ChainFault::Kind::removed: return "removed";
    case ChainFault::Kind::inserted: return "inserted";
    case ChainFault::Kind::reordered: return "reordered";
  }
  return "unknown";
}

// --- One stream

namespace {

// How many events from the first wrong one on are looked at to tell what happened.
constexpr std::size_t looked_at = 8;

struct Seen {
  Uuid event_id;
  Version version;
  Timestamp recorded_at;
  Position position;
  ChainHash own;      // of what is there
  ChainHash content;  // stored
  ChainHash link;     // stored
};

Version plus(Version version, std::int64_t more) noexcept {
  return Version(version.value() + more);
}

}  // namespace

struct StreamChainVerifier::State {
  StreamKey stream;
  ChainHead good;
  std::vector<Seen> seen;  // from the first wrong event on

  bool follows(const Seen& event, const ChainHash& previous, Version version, Position position) const {
    return chain_link(previous, version, event.recorded_at, position, event.content) == event.link;
  }

  /// Whether it was recorded behind `previous` as this version, wherever it stands now.
  bool belongs(const Seen& event, const ChainHash& previous, Version version) const {
    if (follows(event, previous, version, event.position)) return true;
    // Positions may have been exchanged along with versions.
    return std::any_of(seen.begin(), seen.end(),
                       [&](const Seen& other) { return follows(event, previous, version, other.position); });
  }

  ChainFault fault(ChainFault::Kind kind, const Seen& event, std::string what) const {
    return {kind, stream, event.version, event.position, event.event_id, std::move(what)};
  }

  ChainFault removed(Version first, Version last, const Seen* behind) const {
    ChainFault fault{ChainFault::Kind::removed, stream, first, {}, {}, {}};
    if (behind != nullptr) {
      fault.position = behind->position;
      fault.event_id = behind->event_id;
    }
    fault.what = first == last ? "version " + std::to_string(first.value()) + " is missing"
                               : "versions " + std::to_string(first.value()) + " to " + std::to_string(last.value()) +
                                     " are missing";
    return fault;
  }

  ChainFault diagnose() const {
    const Seen& first = seen.front();
    const Version next = plus(good.version, 1);
    if (first.version < next) {
      return fault(ChainFault::Kind::reordered, first,
                   "version " + std::to_string(first.version.value()) + " comes behind version " +
                       std::to_string(good.version.value()));
    }
    // One that is looked at further on was recorded here.
    for (std::size_t i = 1; i < seen.size(); ++i) {
      if (!belongs(seen[i], good.link, next)) continue;
      const bool first_came_later = std::any_of(seen.begin() + 1, seen.end(), [&](const Seen& before) {
        return std::any_of(seen.begin(), seen.end(),
                           [&](const Seen& place) { return belongs(first, before.link, place.version); });
      });
      if (first_came_later) {
        return fault(
            ChainFault::Kind::reordered, first,
            "it was recorded behind the event that is version " + std::to_string(seen[i].version.value()) + " now");
      }
      return fault(ChainFault::Kind::inserted, first,
                   "without it the event that is version " + std::to_string(seen[i].version.value()) +
                       " now follows version " + std::to_string(good.version.value()));
    }
    if (first.version > next) return removed(next, plus(first.version, -1), &first);
    if (first.own != first.content) {
      const auto others = std::find_if(seen.begin() + 1, seen.end(), [&](const Seen& event) {
        return event.own == first.content || event.content == first.own;
      });
      if (others != seen.end()) {
        return fault(ChainFault::Kind::reordered, first,
                     "its content and that of version " + std::to_string(others->version.value()) + " were exchanged");
      }
      return fault(ChainFault::Kind::changed, first, "its content is not what its hash was made of");
    }
    // Those behind missing ones were numbered anew.
    if (seen.size() > 1) {
      for (std::int64_t missing = 1; missing <= 1'000; ++missing) {
        if (!belongs(seen[1], first.link, plus(seen[1].version, missing))) continue;
        ChainFault told = removed(next, plus(next, missing - 1), &first);
        told.what += ", and those behind were numbered anew";
        return told;
      }
      if (belongs(seen[1], first.link, seen[1].version)) {
        return fault(ChainFault::Kind::changed, first,
                     "its link was made of another content hash, time, position or version");
      }
    }
    return fault(ChainFault::Kind::changed, first,
                 "its link does not follow from the event before it: it, its link or its hash was changed, or events "
                 "before it were removed");
  }
};

StreamChainVerifier::StreamChainVerifier(StreamKey stream, ChainHead from)
    : state_(std::make_unique<State>(State{std::move(stream), from, {}})) {}
StreamChainVerifier::StreamChainVerifier(StreamChainVerifier&&) noexcept = default;
StreamChainVerifier& StreamChainVerifier::operator=(StreamChainVerifier&&) noexcept = default;
StreamChainVerifier::~StreamChainVerifier() = default;

bool StreamChainVerifier::feed(const RecordedEvent& event, const ChainHash& content, const ChainHash& link) {
  if (state_->seen.size() >= looked_at) return false;
  ChainHash own = content_hash(event);
  // An event that says it is of another stream was moved here; its content says so too.
  if (event.stream != state_->stream) own = {};
  const Seen seen{event.event_id, event.version, event.recorded_at, event.position, own, content, link};
  const bool right = state_->seen.empty() && own == content && event.version == plus(state_->good.version, 1) &&
                     state_->follows(seen, state_->good.link, event.version, event.position);
  if (right) {
    state_->good = {event.version, link};
    return true;
  }
  state_->seen.push_back(seen);
  return state_->seen.size() < looked_at;
}

std::optional<ChainFault> StreamChainVerifier::finish(const std::optional<ChainHead>& head) {
  if (!state_->seen.empty()) return state_->diagnose();
  const ChainHead& good = state_->good;
  if (!head) return std::nullopt;
  if (head->version > good.version) return state_->removed(plus(good.version, 1), head->version, nullptr);
  if (head->version < good.version) {
    return ChainFault{ChainFault::Kind::inserted,
                      state_->stream,
                      plus(head->version, 1),
                      {},
                      {},
                      "there are events behind the stream's head"};
  }
  if (head->link != good.link) {
    return ChainFault{ChainFault::Kind::changed,
                      state_->stream,
                      good.version,
                      {},
                      {},
                      "the chain is right in itself, but is not the one that its head was made of"};
  }
  return std::nullopt;
}

const ChainHead& StreamChainVerifier::good() const noexcept {
  return state_->good;
}

// --- Seals

struct LogSealBuilder::State {
  struct FreeDigest {
    void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
  };

  ChainHash previous{};
  LogSeal seal;
  Position last;
  std::unique_ptr<EVP_MD_CTX, FreeDigest> digest{EVP_MD_CTX_new()};

  static void require(bool ok) {
    if (!ok) throw Error(ErrorCode::internal, "OpenSSL: SHA-256 failed");
  }
};

LogSealBuilder::LogSealBuilder(const LogSeal* previous) : state_(std::make_unique<State>()) {
  if (previous != nullptr) {
    state_->previous = previous->hash;
    state_->seal.number = previous->number + 1;
    state_->seal.after = previous->to;
  }
  state_->last = state_->seal.after;
  State::require(state_->digest != nullptr && EVP_DigestInit_ex(state_->digest.get(), EVP_sha256(), nullptr) == 1);
}
LogSealBuilder::LogSealBuilder(LogSealBuilder&&) noexcept = default;
LogSealBuilder& LogSealBuilder::operator=(LogSealBuilder&&) noexcept = default;
LogSealBuilder::~LogSealBuilder() = default;

void LogSealBuilder::add(Position position, const ChainHash& link) {
  if (position <= state_->last) {
    throw Error(ErrorCode::invalid_argument, "seal: position " + std::to_string(position.value()) +
                                                 " does not follow " + std::to_string(state_->last.value()));
  }
  state_->last = position;
  ++state_->seal.events;
  std::string bytes;
  append_number(position.value(), bytes);
  append_hash(link, bytes);
  State::require(EVP_DigestUpdate(state_->digest.get(), bytes.data(), bytes.size()) == 1);
}

LogSeal LogSealBuilder::finish(Position to) {
  LogSeal& seal = state_->seal;
  if (to < state_->last) {
    throw Error(ErrorCode::invalid_argument, "seal: ends before its last event");
  }
  seal.to = to;
  unsigned int size = 0;
  State::require(EVP_DigestFinal_ex(state_->digest.get(), seal.root.data(), &size) == 1);
  std::string bytes = "stele seal 1";
  append_hash(state_->previous, bytes);
  append_number(seal.number, bytes);
  append_number(seal.after.value(), bytes);
  append_number(seal.to.value(), bytes);
  append_number(seal.events, bytes);
  append_hash(seal.root, bytes);
  seal.hash = detail::sha256(bytes);
  return seal;
}

namespace {

Position first_of(Position after) noexcept {
  return Position(after.value() + 1);
}

}  // namespace

std::optional<ChainFault> compare_seals(const LogSeal& stored, const LogSeal& made_anew) {
  if (stored == made_anew) return std::nullopt;
  const std::string range = "positions " + std::to_string(stored.after.value() + 1) + " to " +
                            std::to_string(stored.to.value()) + ", seal " + std::to_string(stored.number);
  ChainFault fault{ChainFault::Kind::changed, std::nullopt, {}, first_of(stored.after), {}, {}};
  if (stored.number != made_anew.number || stored.after != made_anew.after || stored.to != made_anew.to) {
    fault.what = range + ": the seal itself was changed, or one before it was removed";
  } else if (stored.events > made_anew.events) {
    fault.kind = ChainFault::Kind::removed;
    fault.what = range + ": " + std::to_string(stored.events - made_anew.events) + " of " +
                 std::to_string(stored.events) + " events are missing";
  } else if (stored.events < made_anew.events) {
    fault.kind = ChainFault::Kind::inserted;
    fault.what = range + ": " + std::to_string(made_anew.events - stored.events) + " events more than the " +
                 std::to_string(stored.events) + " that were sealed";
  } else if (stored.root != made_anew.root) {
    fault.what = range + ": the links or positions are not those that were sealed";
  } else {
    fault.what = range + ": the seal before it is not the one that it was made behind";
  }
  return fault;
}

// --- Checkpoints

std::string to_json_line(const Checkpoint& checkpoint) {
  std::string line;
  detail::JsonObjectWriter to(line);
  to.text("events", std::to_string(checkpoint.events));
  to.text("format", "stele checkpoint 1");
  to.text("made_at", checkpoint.made_at.to_string());
  to.text("position", std::to_string(checkpoint.position.value()));
  to.text("seal_hash", to_hex(checkpoint.seal_hash));
  to.text("seal_number", std::to_string(checkpoint.seal_number));
  to.text("store", checkpoint.store);
  to.end();
  return line;
}

Checkpoint parse_checkpoint(std::string_view text) {
  detail::JsonTree::Rules rules;
  rules.refuse_name_twice = true;
  const detail::JsonTree tree(text, rules);
  const auto refuse = [](std::string_view field, std::string_view why) {
    throw Error(ErrorCode::invalid_argument, "checkpoint: \"" + std::string(field) + "\": " + std::string(why));
  };
  const auto string = [&](std::string_view field) {
    const detail::JsonNode* member = detail::find_member(tree.root(), field);
    if (member == nullptr || member->kind != detail::JsonKind::string) refuse(field, "has to be a string");
    return member->text;
  };
  const auto number = [&](std::string_view field) {
    const std::string_view digits = string(field);
    std::int64_t value = 0;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (read.ec != std::errc() || read.ptr != digits.data() + digits.size() || value < 0) {
      refuse(field, "has to be a whole number in a string");
    }
    return value;
  };
  if (string("format") != "stele checkpoint 1") refuse("format", "is not known");
  Checkpoint checkpoint;
  checkpoint.store = string("store");
  checkpoint.made_at = Timestamp::parse(string("made_at"));
  checkpoint.events = number("events");
  checkpoint.seal_number = number("seal_number");
  checkpoint.position = Position(number("position"));
  const std::optional<ChainHash> hash = parse_chain_hash(string("seal_hash"));
  if (!hash) refuse("seal_hash", "has to be 64 hexadecimal digits");
  checkpoint.seal_hash = *hash;
  if (tree.root().count != 7) refuse("…", "there are fields that are not known");
  return checkpoint;
}

std::optional<ChainFault> compare_checkpoint(const Checkpoint& checkpoint, const LogSeal* stored) {
  const std::string number = std::to_string(checkpoint.seal_number);
  if (stored == nullptr) {
    return ChainFault{ChainFault::Kind::removed,
                      std::nullopt,
                      {},
                      checkpoint.position,
                      {},
                      "seal " + number +
                          ", which a checkpoint was made of, is missing: the log was cut before it, or the "
                          "checkpoint, of \"" +
                          checkpoint.store + "\" made at " + checkpoint.made_at.to_string() + ", is another store's"};
  }
  if (stored->number == checkpoint.seal_number && stored->to == checkpoint.position &&
      stored->hash == checkpoint.seal_hash) {
    return std::nullopt;
  }
  return ChainFault{ChainFault::Kind::changed,
                    std::nullopt,
                    {},
                    first_of(stored->after),
                    {},
                    "seal " + number + " is not the one that a checkpoint was made of: something up to position " +
                        std::to_string(checkpoint.position.value()) +
                        " was changed, and everything behind it made anew; or the checkpoint, of \"" +
                        checkpoint.store + "\" made at " + checkpoint.made_at.to_string() + ", is another store's"};
}

// --- Signatures

namespace {

struct FreeKey {
  void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
  void operator()(BIO* bio) const noexcept { BIO_free(bio); }
  void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};
using Key = std::unique_ptr<EVP_PKEY, FreeKey>;

// OpenSSL would ask on the terminal.
int no_password(char*, int, int, void*) {
  return 0;
}

template <class Read>
Key read_key(std::string_view pem, Read read, std::string_view what) {
  const std::unique_ptr<BIO, FreeKey> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  Key key(bio ? read(bio.get(), nullptr, no_password, nullptr) : nullptr);
  ERR_clear_error();
  if (key == nullptr || EVP_PKEY_is_a(key.get(), "ED25519") != 1) {
    throw Error(ErrorCode::invalid_argument, std::string(what) + ": is no Ed25519 key in PEM without a password");
  }
  return key;
}

}  // namespace

std::string sign(std::string_view bytes, std::string_view private_key_pem) {
  const Key key = read_key(private_key_pem, PEM_read_bio_PrivateKey, "private key");
  const std::unique_ptr<EVP_MD_CTX, FreeKey> context(EVP_MD_CTX_new());
  std::array<unsigned char, 64> signature{};
  std::size_t size = signature.size();
  if (context == nullptr || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1 ||
      EVP_DigestSign(context.get(), signature.data(), &size, reinterpret_cast<const unsigned char*>(bytes.data()),
                     bytes.size()) != 1) {
    ERR_clear_error();
    throw Error(ErrorCode::internal, "OpenSSL: Ed25519 failed");
  }
  return detail::base64({reinterpret_cast<const char*>(signature.data()), size});
}

void check_signature(std::string_view bytes, std::string_view signature, std::string_view public_key_pem) {
  const Key key = read_key(public_key_pem, PEM_read_bio_PUBKEY, "public key");
  while (!signature.empty() && (signature.back() == '\n' || signature.back() == '\r')) signature.remove_suffix(1);
  const std::optional<detail::Bytes> raw = detail::from_base64(signature);
  const std::unique_ptr<EVP_MD_CTX, FreeKey> context(EVP_MD_CTX_new());
  const bool right = raw && raw->size() == 64 && context != nullptr &&
                     EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
                     EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(raw->data()), raw->size(),
                                      reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()) == 1;
  ERR_clear_error();
  if (!right) throw Error(ErrorCode::tampered, "the signature is not this key's of these bytes");
}

}  // namespace stele
