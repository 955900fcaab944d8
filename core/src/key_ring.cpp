#include "key_ring.h"

#include <algorithm>
#include <vector>

#include "stele/limits.h"

namespace stele::detail {
namespace {

constexpr std::size_t most_entries = 100'000;
constexpr std::size_t most_asked_at_once = 1'000;

/// What every database takes. A provider that gives more is not one that can be used.
void check_size(const WrappedKey& wrapped) {
  if (!wrapped.bytes.empty() && wrapped.bytes.size() <= limits::wrapped_key_bytes && !wrapped.master_key_id.empty() &&
      wrapped.master_key_id.size() <= limits::master_key_id_bytes) {
    return;
  }
  throw Error(ErrorCode::key_unavailable,
              "keys: the provider has wrapped a key in " + std::to_string(wrapped.bytes.size()) +
                  " bytes under a master key id of " + std::to_string(wrapped.master_key_id.size()) +
                  "; the limits are " + std::to_string(limits::wrapped_key_bytes) + " and " +
                  std::to_string(limits::master_key_id_bytes));
}

}  // namespace

void throw_being_forgotten() {
  Error::Details details;
  details.retryable = true;
  throw Error(ErrorCode::busy, "personal: the subject is being forgotten right now", std::move(details));
}

std::optional<KeyAnswer> KeyRing::known_of(const SubjectKey& key) {
  if (!key.wrapped) return KeyAnswer{KeyAnswer::Kind::destroyed};
  const std::lock_guard lock(mutex_);
  const auto known = entries_.find({key.tenant, key.key_id});
  if (known == entries_.end() || !known->second.answer.cipher || known->second.wrapped != key.wrapped->bytes) {
    return std::nullopt;
  }
  return known->second.answer;
}

KeyAnswer KeyRing::remember(const SubjectKey& key, Clock::time_point asked, bool& asked_provider) {
  Entry entry{{}, key.wrapped ? key.wrapped->bytes : std::string(), asked};
  if (std::optional<KeyAnswer> known = known_of(key)) {
    entry.answer = std::move(*known);
  } else {
    // Not under the mutex: a provider may take its time.
    asked_provider = true;
    const SecretKey secret = provider_->unwrap(*key.wrapped, {key.tenant, key.subject, key.key_id});
    entry.answer = {KeyAnswer::Kind::found, std::make_shared<const SubjectCipher>(key.key_id, secret)};
  }
  const std::lock_guard lock(mutex_);
  if (entries_.size() >= most_entries) entries_.clear();
  Entry& kept = entries_[{key.tenant, key.key_id}];
  // Destroyed is for ever, whoever asked before and answers later.
  if (kept.answer.kind != KeyAnswer::Kind::destroyed) kept = std::move(entry);
  return kept.answer;
}

std::shared_ptr<const SubjectCipher> KeyRing::for_writing(driver::Driver& driver, const std::string& tenant,
                                                          const std::string& subject) {
  {
    const std::lock_guard lock(mutex_);
    const auto known = of_subjects_.find({tenant, subject});
    if (known != of_subjects_.end()) return known->second;
  }
  const Clock::time_point asked = Clock::now();
  std::optional<SubjectKey> key = driver.find_subject_key(tenant, subject);
  if (!key) {
    SubjectKey made;
    made.tenant = tenant;
    made.subject = subject;
    made.key_id = Uuid::v7();
    made.wrapped = provider_->wrap(SecretKey::random(), {tenant, subject, made.key_id});
    check_size(*made.wrapped);
    if (driver.add_subject_key(made)) {
      key = std::move(made);
    } else {
      key = driver.find_subject_key(tenant, subject);  // Another was faster.
    }
  }
  if (!key || !key->wrapped) throw_being_forgotten();
  bool asked_provider = false;
  std::shared_ptr<const SubjectCipher> cipher = remember(*key, asked, asked_provider).cipher;
  if (cipher == nullptr) throw_being_forgotten();
  const std::lock_guard lock(mutex_);
  if (of_subjects_.size() >= most_entries) of_subjects_.clear();
  of_subjects_[{tenant, subject}] = cipher;
  return cipher;
}

void KeyRing::forget_subject(const std::string& tenant, const std::string& subject) {
  const std::lock_guard lock(mutex_);
  of_subjects_.erase({tenant, subject});
}

std::map<Uuid, KeyAnswer> KeyRing::ask(driver::Driver& driver, const std::string& tenant,
                                       std::span<const Uuid> key_ids) {
  Refusals refusals;
  while (true) {
    const Clock::time_point began = Clock::now();
    bool asked_provider = false;
    std::map<Uuid, KeyAnswer> answers = ask_once(driver, tenant, key_ids, refusals, asked_provider);
    // A provider may take longer than an answer of the database is fresh: a key that was destroyed meanwhile must not
    // open anything. What the provider has said is known now, so that the second time takes a moment only.
    if (!asked_provider || Clock::now() - began < fresh_for) return answers;
  }
}

std::map<Uuid, KeyAnswer> KeyRing::ask_once(driver::Driver& driver, const std::string& tenant,
                                            std::span<const Uuid> key_ids, Refusals& refusals, bool& asked_provider) {
  std::map<Uuid, KeyAnswer> answers;
  std::vector<Uuid> wanted;  // As they came: readers go no further than the first that they cannot open.
  const Clock::time_point asked = Clock::now();
  {
    const std::lock_guard lock(mutex_);
    for (const Uuid& id : key_ids) {
      if (!answers.try_emplace(id).second) continue;
      const auto known = entries_.find({tenant, id});
      const bool fresh =
          known != entries_.end() && (known->second.answer.kind == KeyAnswer::Kind::destroyed ||
                                      (known->second.asked >= asked_anew_ && asked - known->second.asked < fresh_for));
      if (fresh) {
        answers[id] = known->second.answer;
      } else {
        wanted.push_back(id);
      }
    }
  }
  for (std::size_t at = 0; at < wanted.size(); at += most_asked_at_once) {
    const std::span<const Uuid> some = std::span(wanted).subspan(at, std::min(most_asked_at_once, wanted.size() - at));
    std::map<Uuid, SubjectKey> found;
    for (SubjectKey& key : driver.find_subject_keys(tenant, some)) found.emplace(key.key_id, std::move(key));
    for (const Uuid& id : some) {
      const auto key = found.find(id);
      if (key != found.end()) answers[id] = answer_of(key->second, asked, refusals, asked_provider);
    }
  }
  return answers;
}

KeyAnswer KeyRing::answer_of(const SubjectKey& key, Clock::time_point asked, Refusals& refusals, bool& asked_provider) {
  const auto refused = refusals.keys.find(key.key_id);
  if (refused != refusals.keys.end() && key.wrapped) return {KeyAnswer::Kind::unavailable, nullptr, refused->second};
  if (refusals.out_of_reach && !known_of(key)) return {KeyAnswer::Kind::unavailable, nullptr, refusals.out_of_reach};
  try {
    return remember(key, asked, asked_provider);
  } catch (const Error& error) {
    refusals.keys.emplace(key.key_id, error);
    // One that does not answer is not asked for each of a page's subjects in turn.
    if (error.code() == ErrorCode::key_unavailable) refusals.out_of_reach = error;
    return {KeyAnswer::Kind::unavailable, nullptr, error};
  }
}

void KeyRing::ask_anew() {
  const std::lock_guard lock(mutex_);
  asked_anew_ = Clock::now();
}

KeyAnswer KeyRing::find(const std::string& tenant, const Uuid& key_id) {
  const std::lock_guard lock(mutex_);
  const auto known = entries_.find({tenant, key_id});
  return known == entries_.end() ? KeyAnswer{} : known->second.answer;
}

void KeyRing::destroyed(const std::string& tenant, const Uuid& key_id) {
  const std::lock_guard lock(mutex_);
  entries_[{tenant, key_id}] = {{KeyAnswer::Kind::destroyed}, {}, Clock::now()};
  std::erase_if(of_subjects_,
                [&](const auto& known) { return known.first.first == tenant && known.second->key_id() == key_id; });
}

}  // namespace stele::detail
