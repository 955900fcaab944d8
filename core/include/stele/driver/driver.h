// What a backend implements. For authors of backends; applications use event_store.h.
//
// Core does once, for all backends, before a driver is called: every check of limits.h and of the closed lists, UTF-8
// and NUL, ids and times that the caller left out, the command's fingerprint. A driver is SQL, transactions and the
// classification of errors. The conformance suite (tests/conformance) tests all of what is said here.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stele/append.h"
#include "stele/driver/governance.h"
#include "stele/driver/read_side.h"
#include "stele/error.h"
#include "stele/read.h"
#include "stele/verify.h"

namespace stele::driver {

/// SHA-256 over what makes two requests the same request; see stele::Command.
using Fingerprint = std::array<std::uint8_t, 32>;

struct PreparedEvent {
  const NewEvent* event;  ///< Valid; fields below take the place of its own.
  Uuid event_id;
  bool event_id_given;  ///< The caller's, or this is a second try: look whether it is there. Otherwise it is new.
  Timestamp occurred_at;
  bool occurred_at_given;
  const std::string* source;  ///< May be null.
  std::optional<Channel> channel;
  std::optional<Uuid> causation_id;
  bool causation_id_given;  ///< Otherwise it is the command's id.
};

struct PreparedStream {
  const StreamKey* key;
  ExpectedVersion expected;
  std::vector<PreparedEvent> events;
};

struct PreparedCommand {
  const Command* command;  ///< Valid; fields below take the place of its own.
  Uuid command_id;
  bool command_id_given;
  const StreamKey* stream;  ///< May be null.
  Fingerprint fingerprint;
};

/// One append, checked and completed. Pointers stay valid during the call.
struct PreparedAppend {
  std::string_view tenant;
  std::vector<PreparedStream> streams;          ///< Distinct keys.
  std::span<const StreamCondition> conditions;  ///< Distinct keys, none of them in streams.
  std::optional<PreparedCommand> command;
};

/// The answer to one PreparedAppend: a result, or the error that hit this one alone.
struct AppendAnswer {
  AppendResult result;
  std::optional<Error> error;
};

/// Events of one page. Reuses its events' memory from page to page.
class STELE_API EventPage {
 public:
  void clear() noexcept {
    size_ = 0;
    bytes_ = 0;
    end = true;
  }
  /// A cleared event to fill in.
  RecordedEvent& add();
  /// Take back the last add().
  void drop_last() noexcept { --size_; }
  void count_bytes(std::size_t bytes) noexcept { bytes_ += bytes; }
  std::size_t size() const noexcept { return size_; }
  std::size_t bytes() const noexcept { return bytes_; }
  const RecordedEvent& operator[](std::size_t i) const noexcept { return events_[i]; }
  RecordedEvent& operator[](std::size_t i) noexcept { return events_[i]; }

  bool end = true;      ///< No further event matches right now.
  Position scanned_to;  ///< Log, forwards: every event up to here that matches is in this page or in an earlier one.

 private:
  std::vector<RecordedEvent> events_;
  std::size_t size_ = 0;
  std::size_t bytes_ = 0;
};

struct PageLimits {
  std::size_t max_events;  ///< At least 1.
  std::size_t max_bytes;   ///< Stop adding when the JSON in the page is this much; the first event is always given.
};

struct StreamPageRequest {
  const StreamKey* stream;
  Direction direction;
  Version from;  ///< Inclusive, at least 1.
  Version to;    ///< Inclusive, at least `from`.
  std::optional<Timestamp> as_of;
  std::optional<Timestamp> valid_at;
  PageLimits limits;
  bool as_stored = false;  ///< For decorators: nothing is decrypted. Backends need not look.
};

struct LogPageRequest {
  Direction direction;
  Position after;   ///< Exclusive.
  Position before;  ///< Exclusive, greater than after + 1.
  std::optional<Timestamp> as_of;
  const LogFilter* filter;
  PageLimits limits;
  bool as_stored = false;  ///< As in StreamPageRequest.
};

/// A backend's connections, for monitoring; all 0 where there is no server.
struct ConnectionStats {
  std::size_t open = 0;
  std::size_t in_use = 0;
  std::size_t waiting = 0;      ///< Callers that wait for a connection right now.
  std::uint64_t opened = 0;     ///< Since the driver was opened.
  std::uint64_t dropped = 0;    ///< Closed because they broke, failed a check, grew old, or could not be made.
  std::uint64_t timed_out = 0;  ///< Callers that were told `busy` because no connection came free.
};

/// Waits for appends. Used by one thread at a time; the driver must outlive it.
class STELE_API AppendListener {
 public:
  virtual ~AppendListener();

  /// Returns true as soon as something may have been appended since the last call, also when it did not listen for a
  /// while and begins again; false when the time is over. It may return for nothing, and may miss an append: it
  /// shortens a reader's polling and never takes its place. Throws nothing.
  virtual bool wait(std::chrono::milliseconds timeout) noexcept = 0;
};

/// Roles of the database that applications log in as, or are members of.
struct RoleNames {
  std::string reader;  ///< May select.
  std::string writer;  ///< May append, keep snapshots and run projections, too. Never UPDATE or DELETE the log.
  std::string admin;   ///< The same, for who looks after the store.
};

/// A backend's connection to one database. Thread-safe: core calls it from any thread, several at once.
///
/// Every function may throw Error, with the driver's name as backend(), and with code busy (retryable, not_applied)
/// when the database is held by others until the deadline of the URL, io, disk_full, corrupt, cannot_connect or
/// internal. A driver never reports not_applied unless that is certain. A const reference handed in is not kept after
/// the call.
class STELE_API Driver : public ReadSide, public Governance {
 public:
  ~Driver() override;

  /// "sqlite". Stable, lower case.
  virtual std::string_view name() const noexcept = 0;

  /// The only tenant there is, for those who use it: see for_tenant().
  virtual std::optional<std::string> tenant() const { return std::nullopt; }

  /// Executes each append as if alone, in this order, each atomically: its outcome depends on what was committed before
  /// it, including the appends before it in this call. Several may share a transaction; an answer is given only after
  /// its commit is durable. One's conflict or error leaves the others alone.
  ///
  /// For each one, in this order, inside one transaction:
  ///  1. Command: when one with its key exists, the answer is `replayed` with the recorded outcome if the fingerprints
  ///  are
  ///     equal, else request_id_reused. When its command_id exists under another key: request_id_reused.
  ///  2. Event ids that are given and idempotency keys that exist: decide_replay() of replay.h over all of them.
  ///  3. Streams, then conditions: the first one whose version is not as expected is a conflict.
  ///  4. Insert the command and all events, versions dense from the stream's version, positions rising in the request's
  ///  order.
  ///     recorded_at is the database's clock, never before the stream's last recorded_at.
  /// An append without events and command writes nothing. Answers have the size and order of `appends`.
  ///
  /// Throws only when nothing can be said of any single one: all not_applied, or all unknown after a failed commit.
  /// Core then retries with event_id_given and command_id_given set, so that step 1 and 2 find what was committed.
  virtual std::vector<AppendAnswer> append(std::span<const PreparedAppend> appends) = 0;

  /// One append with a hook in its transaction: called once, with the events of all its streams in the order of their
  /// positions, if the answer is going to be `appended` and there are events. What the hook throws is thrown; nothing
  /// was applied then. Errors are as of append(), and core treats an unknown outcome in the same way: then the hook is
  /// called again only if nothing was committed. The default throws unsupported.
  virtual AppendAnswer append_with_hook(const PreparedAppend& append, const AppendHook& hook);

  /// Fills the page (cleared by core) with the next matching events in the request's order. end is false when the page
  /// is full and another event might follow. Safe to repeat.
  virtual void read_stream(const StreamPageRequest& request, EventPage& page) = 0;

  /// The same by position. Never gives an event while one with a lower position might still be committed (G7).
  virtual void read_log(const LogPageRequest& request, EventPage& page) = 0;

  virtual std::optional<RecordedEvent> find_event(const Uuid& event_id) = 0;
  virtual std::optional<StreamInfo> stream_info(const StreamKey& stream) = 0;
  /// Ordered by (type, id) as bytes, behind options.after, at most options.limit.
  virtual std::vector<StreamInfo> list_streams(const StreamListOptions& options) = 0;

  virtual std::optional<CommandRecord> find_command(const CommandKey& key) = 0;
  virtual std::optional<CommandRecord> find_command(const Uuid& command_id) = 0;
  /// The latest first.
  virtual std::vector<CommandRecord> list_commands(const StreamKey& stream, std::size_t limit) = 0;

  virtual StoreStats stats() = 0;

  /// Every tenant that has a stream or a command, in byte order. For verify.
  virtual std::vector<std::string> list_tenants() = 0;

  /// Reports what the database itself can check: its own integrity, references, the schema with its triggers, rows that
  /// belong together, every command's outcome against its events. Adds a line to report.checks for each kind of check.
  virtual void verify_storage(const VerifyOptions& options, VerifyReport& report) = 0;

  /// The default only sleeps.
  virtual std::unique_ptr<AppendListener> listen();

  virtual ConnectionStats connection_stats() { return {}; }

  /// Makes the roles that are missing and gives each its rights, in one transaction; to be repeated after a migration.
  /// The default throws unsupported.
  virtual void grant_roles(const RoleNames& names);

  /// Switches the database's own line between tenants on or off (row-level security), in one transaction; may be
  /// repeated. On, a session that is not the owner's sees and writes what is of the tenant it was opened for
  /// (DriverOptions), and nothing without one. The default throws unsupported.
  virtual void isolate_tenants(bool on);

  /// Null when the backend has no schema to migrate.
  virtual class MigrationStore* migrations() noexcept { return nullptr; }
};

/// The same driver for one tenant alone: what names another one throws permission_denied, and what is another's is not
/// found. So does what is of the whole store: statistics, verify, roles; it has no migrations.
STELE_API std::unique_ptr<Driver> for_tenant(std::unique_ptr<Driver> driver, std::string tenant);

// --- Migrations

/// A migration as the program carries it.
struct Migration {
  int number;
  std::string_view title;
  std::string_view up;
  std::string_view down;
};

/// A row of the history: what was done, never changed afterwards.
struct MigrationRecord {
  int number = 0;
  std::string title;
  std::string checksum;  ///< checksum() of the up script then.
  bool up = true;
  Timestamp applied_at;
};

struct MigrationStep {
  const Migration* migration;
  bool up;
  int current;  ///< The number that must be current for this step to make sense.
};

class STELE_API MigrationStore {
 public:
  virtual ~MigrationStore();

  /// By number, from 1 without a gap.
  virtual std::span<const Migration> migrations() const noexcept = 0;

  /// All rows in the order they were written; empty for a database without history. Never writes.
  virtual std::vector<MigrationRecord> history() = 0;

  /// In one transaction that holds the migration lock: reads the history again and returns false, having done nothing,
  /// if `step.current` is no longer current; runs the script; adds the row (creating the history table if need be).
  /// Throws migration_failed with the line of the failing statement; then nothing was applied. Throws busy at the
  /// deadline.
  virtual bool apply(const MigrationStep& step) = 0;

  /// The schema as it is in the database, as text in a stable order: for drift checks and schema.sql. Never writes.
  virtual std::string dump_schema() = 0;
};

/// SHA-256 in hex of a script, independent of line ends and of a byte order mark.
STELE_API std::string checksum(std::string_view script);

/// The number that is current after this history; 0 for none.
STELE_API int current_migration(std::span<const MigrationRecord> history) noexcept;

}  // namespace stele::driver
