// An account: its state, and what may happen to it.
#pragma once

#include <stele/aggregate.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace bank {

/// A decision against what was asked for; nothing is written then.
class Refused : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Account {
  static constexpr std::string_view stream_type = "account";
  static constexpr std::int32_t snapshot_schema_version = 1;

  bool opened = false;
  std::string owner;
  std::int64_t cents = 0;

  // --- What has happened. Nothing is refused here: it is so.
  void apply(const stele::RecordedEvent& event);

  // --- What is asked for. Each gives the events that follow, or throws Refused.
  std::vector<stele::NewEvent> open(const std::string& for_owner) const;
  std::vector<stele::NewEvent> deposit(std::int64_t amount) const;
  std::vector<stele::NewEvent> withdraw(std::int64_t amount) const;

  // --- Kept so that a long history need not be replayed.
  stele::Json to_snapshot() const;
  static Account from_snapshot(const stele::Json& snapshot);
};

}  // namespace bank
