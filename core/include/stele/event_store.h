// The event store.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "stele/append.h"
#include "stele/error.h"
#include "stele/governance.h"
#include "stele/read.h"
#include "stele/registry.h"
#include "stele/snapshot.h"
#include "stele/upcaster.h"
#include "stele/verify.h"

namespace stele {

namespace detail {
class AppendSignal;
}
class Projection;

struct OpenOptions {
  bool migrate = false;  ///< Bring the schema up to date while opening, creating the database when it is missing.
  /// For this tenant alone (G14): what names another one throws permission_denied, and what is another's is not found,
  /// whatever is asked. As `tenant=` in the URL, and the same if both are given. Empty: all tenants.
  std::optional<std::string> tenant{};
  /// What readers through this store may see of events that are marked as sensitive; see redaction.h. As `clearance=`
  /// in the URL, which may lower it further.
  Clearance clearance = Clearance::secrets;
  /// Opens and makes the keys of data subjects; see key_provider.h. Without it nothing can be encrypted, and what is
  /// encrypted is given as it is stored.
  std::shared_ptr<KeyProvider> keys{};
};

/// An append-only store of events in streams, on the database that a URL names. The guarantees G1–G14 are in
/// docs/guarantees.md.
///
/// Thread-safe: any number of threads may call any function at once, except close() and the destructor. Move-only.
/// Every function throws Error; the codes that a caller should expect are named below, and any may also throw busy, io,
/// corrupt, disk_full, cannot_connect or closed.
class STELE_API EventStore final {
 public:
  /// Opens the database and checks that its schema is this program's. The URL may have `tenant=NAME` besides the
  /// backend's own settings, see OpenOptions::tenant. Throws cannot_connect, schema_outdated,
  /// schema_too_new, checksum_mismatch, or invalid_argument for a bad URL.
  static EventStore open(const Registry& registry, std::string_view url, const OpenOptions& options = {});

  /// On a driver that is open and migrated. For conformance tests and for drivers that have no URL. Of the options,
  /// clearance and keys count.
  explicit EventStore(std::unique_ptr<driver::Driver> driver, const OpenOptions& options = {});

  EventStore(EventStore&&) noexcept;
  EventStore& operator=(EventStore&&) noexcept;
  ~EventStore();

  // --- Writing

  /// Appends all or nothing (G4). When it returns with ok(), the events are durable (G12).
  ///
  /// In this order: the command decides a replay or request_id_reused (G5); event ids and idempotency keys decide a
  /// replay or a duplicate (G6); conditions decide a conflict, in the order streams then conditions (G3); then
  /// everything is written. Throws invalid_argument or too_large before any I/O.
  ///
  /// Safe to repeat when the request carries a command, or event ids, or when the Error's outcome() is not_applied. A
  /// lost answer to a commit is looked up by the ids before this function gives up with outcome() unknown.
  AppendResult append(const AppendRequest& request);
  AppendResult append(StreamKey stream, ExpectedVersion expected, std::vector<NewEvent> events);

  /// Independent appends, in order, sharing transactions and round trips: much faster than one by one. Each has its own
  /// result; one's conflict does not touch the others. All are validated before the first is written. If it throws an
  /// Error, that is the first one's that failed, and its outcome() is of the whole call: not_applied says that none of
  /// them was applied, and unknown that some were or may have been. Then repeat the whole call, with commands or event
  /// ids. So too when an inline projection threw something else.
  std::vector<AppendResult> append_all(std::span<const AppendRequest> requests);

  /// Records a command that led to no events (G5).
  AppendResult record_command(Command command);

  /// Throws what append would throw before I/O.
  static void validate(const AppendRequest& request);

  // --- Commands

  bool is_command_processed(const CommandKey& key);
  bool is_command_processed(const Uuid& command_id);
  std::optional<CommandRecord> find_command(const CommandKey& key);
  std::optional<CommandRecord> find_command(const Uuid& command_id);
  /// The commands about a stream, the latest first, at most `limit` (1 … 10,000).
  std::vector<CommandRecord> list_commands(const StreamKey& stream, std::size_t limit = 100);

  // --- Reading

  /// A missing stream reads as empty (G2). Events that are appended while a page is still to be fetched are
  /// given too.
  EventReader read_stream(StreamKey stream, StreamReadOptions options = {});

  /// The log by position (G7). Forwards, a reader that comes back with `after` = the last position it saw misses
  /// nothing.
  EventReader read_log(LogReadOptions options = {});

  std::optional<RecordedEvent> find_event(const Uuid& event_id);
  std::optional<StreamInfo> stream_info(const StreamKey& stream);
  /// 0 for a missing stream.
  Version stream_version(const StreamKey& stream);
  std::vector<StreamInfo> list_streams(const StreamListOptions& options = {});
  /// Counts everything: takes time in a large store.
  StoreStats stats();

  /// Everything up to here that is ever going to be in the log is there (G7): where a subscription from now on begins.
  Position log_end();

  // --- What readers of old events get. Set before other threads use the store.

  /// From now on read_stream, read_log, subscriptions and projections give events as these make them; find_event,
  /// verify and reads with `as_stored` do not. A limit counts what is given; a filter by event type means today's type.
  void use_upcasters(std::shared_ptr<const Upcasters> upcasters);
  /// Null: none are in use.
  const std::shared_ptr<const Upcasters>& upcasters() const noexcept;

  /// From now on each append applies it to its events, inside its own transaction: who reads the read model after
  /// append returned finds them in it. Its filter holds. What it throws rolls the append back and is thrown by append.
  /// Appends take longer, share no commit, and hold back readers of the log while apply() runs.
  ///
  /// To fill it with what was appended before, run_projection() and then this, with no append in between. From now on
  /// its name is that of an inline projection, in the database: it cannot be run or rebuilt any more, which would apply
  /// once more what was applied inline, only reset. Throws unsupported where the backend cannot; invalid_argument when
  /// its name is used for something else, or when it was run and has not come to the end of the log; busy (retryable)
  /// while somebody runs it.
  void use_inline_projection(std::shared_ptr<Projection> projection);

  // --- Snapshots. None of them is needed for anything; see snapshot.h.

  /// Keeps it in place of one of the same stream and version. Returns false, having done nothing, when the stream is
  /// not at that version.
  bool save_snapshot(const Snapshot& snapshot);
  /// The latest one at or below `at` (and never above the stream's version), of this schema version if given.
  std::optional<Snapshot> find_snapshot(const StreamKey& stream, std::optional<Version> at = {},
                                        std::optional<std::int32_t> schema_version = {});
  /// By stream, the highest version first.
  std::vector<SnapshotInfo> list_snapshots(const SnapshotListOptions& options = {});
  /// Returns how many were deleted.
  std::int64_t delete_snapshots(const SnapshotDeletion& which);

  // --- Governance. Shared by all who use the database; known in this process at once, in others within a second.

  /// From now on payloads of the type and version have to match; see SchemaMode and docs/schemas.md. True when it was
  /// added; false when the form has this very schema already. Throws invalid_argument when it has another one (a schema
  /// never changes: add the next version), and what SchemaValidator::compile() throws.
  bool add_schema(const EventSchema& schema);
  /// By type as bytes, then version.
  std::vector<EventSchema> list_schemas(const std::string& tenant = std::string(default_tenant));
  /// False when there is none. Throws invalid_argument when an event of this form was ever appended.
  bool remove_schema(const std::string& tenant, const EventForm& form);
  /// In place of the type's rules. Throws invalid_argument that names the field.
  void set_type_rules(const EventTypeRules& rules);
  /// The defaults for a type of which nothing was said.
  EventTypeRules type_rules(const std::string& tenant, const std::string& event_type);
  /// Those that were set, by type as bytes.
  std::vector<EventTypeRules> list_type_rules(const std::string& tenant = std::string(default_tenant));

  /// Destroys the subject's key: nobody can read what was encrypted under it any more, here at once and in other
  /// processes within 250 ms; it waits for that before it deletes snapshots. The events stay. Snapshots of their
  /// streams are deleted, and the events of the stream stele.subject/KEY_ID tell projections and subscriptions, see
  /// subject_forgotten_type. What is appended for the subject later is under a new key. Safe to repeat, also after a
  /// failure in between. Needs no key provider. Throws must_be_kept, having done nothing, when a rule of retention
  /// keeps some of the events for longer, and permission_denied, the same, without the right to destroy keys.
  ForgetResult forget(const std::string& tenant, const std::string& subject, const ForgetOptions& options = {});
  /// For who keeps somewhere else what was made of personal data: where in the log the last notice is that somebody was
  /// forgotten, and 0 without one or without keys. From now on this store asks the database for every key anew. What
  /// was made of events that were read after a call, and kept, is free of the forgotten if a second call gives the same
  /// then; otherwise it has to go. Repository does so with its snapshots.
  Position last_forgotten(const std::string& tenant = std::string(default_tenant));
  /// Wraps the subjects' keys under the current master key; returns how many were under another. Of one tenant, or of
  /// all of them: no key needs an older master key any more, if no writer still has that as its current one. Safe to
  /// repeat. Throws unsupported without keys.
  std::int64_t rewrap_keys(const std::optional<std::string>& tenant = std::nullopt);
  /// By key id, behind `after`, at most `limit` (1 … 10,000). No key can be seen in them.
  std::vector<SubjectKey> list_subject_keys(const std::string& tenant = std::string(default_tenant),
                                            const std::optional<Uuid>& after = {}, std::size_t limit = 1'000);

  /// Checks the invariants behind G2, G4, G5, G7–G11 over the whole store, and the database's own integrity. Reads
  /// only.
  VerifyReport verify(const VerifyOptions& options = {});

  /// Whose store it is, if it was opened for one tenant alone.
  std::optional<std::string> tenant() const;

  Clearance clearance() const noexcept;

  // --- Life

  /// Waits for nothing: no call may be under way, and no subscription, relay or runner. Idempotent. Later calls throw
  /// closed.
  void close() noexcept;

  /// The driver, for those who know which one it is.
  driver::Driver& driver();

  /// Null: the store was opened without.
  const std::shared_ptr<KeyProvider>& keys() const noexcept;

  /// Tells this store's subscriptions of appends. Internal.
  detail::AppendSignal& append_signal();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stele
