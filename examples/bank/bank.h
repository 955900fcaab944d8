// The commands of the bank. Each carries the client's own number for it: asked for twice, it is done once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "account.h"

namespace bank {

class Bank {
 public:
  /// The store must outlive it.
  explicit Bank(stele::EventStore& store);

  // Each returns what came of it, which is ok() unless other callers were faster every time, or the request's number
  // was used for another request. Throws Refused.
  stele::AppendResult open(const std::string& request, const std::string& account, const std::string& owner) const;
  stele::AppendResult deposit(const std::string& request, const std::string& account, std::int64_t cents) const;
  stele::AppendResult withdraw(const std::string& request, const std::string& account, std::int64_t cents) const;

  /// From one account to the other, both or neither: one append to both streams.
  stele::AppendResult transfer(const std::string& request, const std::string& from, const std::string& to,
                               std::int64_t cents) const;

  const stele::Repository<Account>& accounts() const noexcept { return accounts_; }

 private:
  /// What came of a request that was made before.
  std::optional<stele::AppendResult> outcome_of(const stele::Command& wanted) const;

  stele::EventStore& store_;
  stele::Repository<Account> accounts_;
};

}  // namespace bank
