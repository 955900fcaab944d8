// The data subjects' keys that this process has opened.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "stele/driver/driver.h"
#include "stele/encryption.h"
#include "stele/key_provider.h"

namespace stele::detail {

/// Throws busy, retryable.
[[noreturn]] void throw_being_forgotten();

/// Opens wrapped keys, and keeps them. For readers it asks the database at most once in `fresh_for` whether a key is
/// still there: what another process forgets is unreadable here after that time. Writers are told by the append itself
/// that theirs is not. Thread-safe.
class KeyRing {
 public:
  static constexpr std::chrono::milliseconds fresh_for{250};

  explicit KeyRing(std::shared_ptr<KeyProvider> provider) : provider_(std::move(provider)) {}

  /// The subject's key as it was known last, made now if it has none: it may be about to be destroyed. Throws busy
  /// while the subject is being forgotten, and what the provider throws.
  std::shared_ptr<const SubjectCipher> for_writing(driver::Driver& driver, const std::string& tenant,
                                                   const std::string& subject);

  /// Of each of these; asks the database for those that are not known or not fresh, all at once. What the provider
  /// throws for a key is in its answer; once it is out of reach, it is not asked for those behind.
  std::map<Uuid, KeyAnswer> ask(driver::Driver& driver, const std::string& tenant, std::span<const Uuid> key_ids);
  /// What is known; unavailable if nothing is.
  KeyAnswer find(const std::string& tenant, const Uuid& key_id);

  /// Nothing that is known is fresh any more.
  void ask_anew();
  /// It was destroyed.
  void destroyed(const std::string& tenant, const Uuid& key_id);
  /// for_writing() asks the database again.
  void forget_subject(const std::string& tenant, const std::string& subject);

 private:
  using Clock = std::chrono::steady_clock;
  struct Entry {
    KeyAnswer answer;
    std::string wrapped;  // What the cipher was made from.
    Clock::time_point asked;
  };
  using Place = std::pair<std::string, Uuid>;

  /// What the provider has refused while one question is answered.
  struct Refusals {
    std::map<Uuid, Error> keys;
    std::optional<Error> out_of_reach;
  };

  std::map<Uuid, KeyAnswer> ask_once(driver::Driver& driver, const std::string& tenant, std::span<const Uuid> key_ids,
                                     Refusals& refusals, bool& asked_provider);
  KeyAnswer answer_of(const SubjectKey& key, Clock::time_point asked, Refusals& refusals, bool& asked_provider);
  /// What needs no provider.
  std::optional<KeyAnswer> known_of(const SubjectKey& key);
  /// Opens it unless it is known. The database was asked for it at `asked`. Throws what the provider throws.
  KeyAnswer remember(const SubjectKey& key, Clock::time_point asked, bool& asked_provider);

  const std::shared_ptr<KeyProvider> provider_;
  std::mutex mutex_;
  std::map<Place, Entry> entries_;
  Clock::time_point asked_anew_{};
  std::map<std::pair<std::string, std::string>, std::shared_ptr<const SubjectCipher>> of_subjects_;
};

}  // namespace stele::detail
