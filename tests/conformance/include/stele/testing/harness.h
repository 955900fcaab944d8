// What the conformance suite needs to know of a backend: how to make a fresh storage, and what can be done to it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "stele/driver/driver.h"

namespace stele::testing {

/// What a harness can do besides opening its storage. Cases name capabilities, never databases; a case whose capability
/// is missing is skipped, and the skip is counted and printed.
enum class Capability : std::uint8_t {
  none,         ///< Needed by most cases, and always there.
  durable,      ///< What was acknowledged is there when every driver was closed and the storage is opened again.
  raw_sql,      ///< raw_sql() and immutability_attacks().
  corruption,   ///< corruptions().
  migrations,   ///< open_unmigrated(), and drivers that have a MigrationStore.
  write_lock,   ///< hold_write_lock().
  positions,    ///< skip_positions_to().
  read_models,  ///< counters(), and drivers that have the read side.
  governance,   ///< Drivers that keep event types, subject keys and seals.
};

std::string_view to_string(Capability capability) noexcept;

/// Statements that somebody might run against the database behind Stele's back.
struct RawScript {
  std::string name;  ///< What it does, in words: "UPDATE events".
  std::vector<std::string> statements;
};

/// The smallest read model: numbers by key, kept where the store is. Thread-safe.
class Counters {
 public:
  virtual ~Counters();
  /// Adds to a key's number (0 at first) when the transaction commits, and never otherwise.
  virtual void add(driver::ReadModelTransaction& transaction, const std::string& key, std::int64_t number) = 0;
  /// Forgets all keys that begin with this when the transaction commits, and never otherwise.
  virtual void forget(driver::ReadModelTransaction& transaction, const std::string& prefix) = 0;
  /// What is committed.
  virtual std::map<std::string, std::int64_t> read() = 0;
};

/// Counters for drivers whose transactions have on_commit().
std::unique_ptr<Counters> counters_in_memory();

/// One storage, made fresh for each case and destroyed after it. The default of each optional function throws
/// std::logic_error: overriding it and naming its capability belong together.
class Harness {
 public:
  virtual ~Harness();

  /// A driver on this harness's storage: the same at every call, migrated, and empty at the first. Several may be open
  /// at once, and each is used from many threads.
  virtual std::unique_ptr<driver::Driver> open() = 0;

  virtual std::set<Capability> capabilities() const { return {}; }
  bool has(Capability capability) const {
    return capability == Capability::none || capabilities().contains(capability);
  }

  /// For messages; without credentials.
  virtual std::string url() const { return {}; }

  /// Executes one statement on the storage, as its owner and not through the driver. Returns the database's error, or
  /// nothing when it was executed.
  virtual std::string raw_sql(const std::string& statement);

  /// Each script has one statement, which the database must refuse while it holds some events with attributes and
  /// commands: UPDATE, DELETE, TRUNCATE and whatever replaces rows, on events, commands and what belongs to them (G8).
  /// With the capability `governance`, the same on what governs them, of which there is some: a schema in use, rules, a
  /// subject's key, a destroyed one of "subject-102", one that was forgotten, and a seal.
  virtual std::vector<RawScript> immutability_attacks();

  /// Each script damages a storage of several streams (of at least 5 events, some with attributes and commands) so that
  /// verify() has to report it. Dropping a trigger first is part of the script. Run on a fresh storage each.
  virtual std::vector<RawScript> corruptions();

  /// With the capabilities `corruption` and `governance`: what somebody with every right may do to a storage in which
  /// positions 1 to 6 are a stream's versions 1 to 6 with {"n":1} … {"n":6}, and 7 to 9 another's. By these names: "a
  /// byte flipped" (of position 3's payload), "a time changed" (its recorded_at), "a row deleted" (it), "two exchanged"
  /// (the versions of 2 and 4), "the last row deleted" (9). And where the first stream begins at position 21 and there
  /// is nothing below: "an event inserted" (at position 10, as version 7 of that stream, otherwise like the one at 21).
  /// What the store itself remembers is left as it is.
  virtual std::vector<RawScript> forgeries();

  /// A driver on a second storage, the same at every call and empty, without any schema, at the first.
  virtual std::unique_ptr<driver::Driver> open_unmigrated();

  /// How a migration names a table of the second storage's own. The suite has migrations of its own beside the
  /// driver's.
  virtual std::string table_of_migration(const std::string& table) const { return table; }

  /// Calls `body` while a transaction that is not the suite's holds what an append holds between taking its position
  /// and committing; rolls it back afterwards.
  virtual void hold_write_lock(const std::function<void()>& body);

  /// Makes the next position higher than `position`. Called on an empty storage, before open().
  virtual void skip_positions_to(Position position);

  /// A read model in this storage: the same at every call. The first call may write: not inside of a transaction.
  virtual Counters& counters();
};

/// A driver that passes every call on to a shared one. For storages that live in memory: open() gives a handle to the
/// one driver that the harness keeps.
std::unique_ptr<driver::Driver> share(std::shared_ptr<driver::Driver> driver);

}  // namespace stele::testing
