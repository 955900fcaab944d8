// What a backend keeps for readers: snapshots, and how far projections and named subscriptions have come. For authors
// of backends; applications use snapshot.h, subscription.h and projection.h.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stele/append.h"
#include "stele/error.h"
#include "stele/event.h"
#include "stele/export.h"
#include "stele/snapshot.h"

namespace stele::driver {

/// Names a projection, a named subscription or a relay, of one tenant or of all. One name means one thing in a store:
/// see ProjectionKind.
struct ProjectionKey {
  std::string name;    ///< 1 to 128 bytes.
  std::string tenant;  ///< Empty: of all tenants.
  friend auto operator<=>(const ProjectionKey&, const ProjectionKey&) = default;
};

/// What a name is used for. Whoever used it for something else would move the checkpoint past what the other has not
/// done, or do once more what an inline projection has done already.
enum class ProjectionKind : std::uint8_t { projection, subscription, relay, inline_projection };

/// As backends keep it: "projection", "subscription", "relay", "inline".
STELE_API std::string_view to_string(ProjectionKind kind) noexcept;
STELE_API std::optional<ProjectionKind> parse_projection_kind(std::string_view name) noexcept;

/// One checkpoint: a part of a projection's log. A rebuild is a further generation beside the active one.
struct PartKey {
  ProjectionKey projection;
  std::int32_t generation = 1;  ///< At least 1.
  std::int32_t part = 0;        ///< 0 … parts - 1.
  friend auto operator<=>(const PartKey&, const PartKey&) = default;
};

/// What core asks for at most, for leases and members. One that is to last longer from now on was given by a clock that
/// was wrong: it counts as run out, or it would hold until that time comes.
constexpr std::chrono::milliseconds longest_lease = std::chrono::hours(1);

struct PartState {
  PartKey key;
  Position position;                      ///< Everything up to here is done.
  std::string holder;                     ///< Who has the lease, or had it last; empty: nobody.
  std::optional<Timestamp> leased_until;  ///< Empty when it was given back.
  bool leased = false;                    ///< Held right now, by the database's clock.
  std::int64_t fence = 0;                 ///< Grows with every lease, however often it was removed; 0: never leased.
  Timestamp updated_at;                   ///< Of the last checkpoint, or of its making.
};

struct ProjectionState {
  ProjectionKey key;
  std::int32_t parts = 1;
  std::int32_t active_generation = 1;
  std::vector<PartState> checkpoints;  ///< Of all generations that exist, by generation and part.
  std::int64_t dead_letters = 0;       ///< Counted by list_projections() alone: there may be many.
  /// Empty for one that was made before kinds were kept, and has not been opened since.
  std::optional<ProjectionKind> kind{};
};

/// For open_projection(): throws invalid_argument unless it has so many parts, and is of this kind if that is known.
STELE_API void expect_same_use(const ProjectionState& state, std::int32_t parts, ProjectionKind kind);

/// The right to move one checkpoint, until it runs out. Who has a lower fence has lost it.
struct Lease {
  PartKey key;
  std::string holder;
  std::int64_t fence = 0;
  Position position;  ///< Where its holder knows the checkpoint to be; who moves it keeps this up to date.
};

/// An event that a handler could not digest.
struct DeadLetter {
  PartKey key;
  Position position;
  Uuid event_id;
  std::int32_t attempts = 1;
  std::string error;      ///< Kept as storable_error() makes it.
  Timestamp recorded_at;  ///< The database's clock; ignored when it is added.
};

/// An error's text as every backend can keep it: valid UTF-8 without NUL, of at most 4,000 bytes.
STELE_API std::string storable_error(std::string_view text);

/// A transaction of the store's database in which a handler writes, and the checkpoint moves. Rolled back by its
/// destructor unless commit() returned; over then. Used by one thread at a time; the driver must outlive it.
class STELE_API ReadModelTransaction {
 public:
  virtual ~ReadModelTransaction();

  /// The soci::session of this transaction, for stele/soci.h; null where there is none. What is done with it must not
  /// commit, roll back or change the session.
  virtual void* soci_session() noexcept { return nullptr; }

  /// Runs this when the transaction commits, atomically with it, and never otherwise. It must neither throw nor call
  /// the store. For backends without SQL; the others throw unsupported.
  virtual void on_commit(std::function<void()> change);

  /// Moves the checkpoint from lease.position to `to`. Returns false, having done nothing, when the lease was given to
  /// another since, the checkpoint was removed, or is not at lease.position: the caller must then let the transaction
  /// go. (A crash may have taken back what its holder has seen committed, see commit(). Moving on from there would
  /// leave a gap.) After true nobody else can be given the lease before this transaction is over. (The lease may have
  /// run out: as long as nobody else took it, nothing was done by anybody else.)
  virtual bool move_checkpoint(const Lease& lease, Position to) = 0;

  /// Records it; a second one for the same event of the same part replaces the first. Does nothing when there is no
  /// such checkpoint (any more).
  virtual void add_dead_letter(const DeadLetter& letter) = 0;

  /// Makes `generation` the active one, and forgets all others below it with their checkpoints and dead letters.
  /// Returns false, having done nothing, when the active generation is not `from`, or `generation` is missing. After
  /// true, others who activate or add generations wait until this transaction is over: from a generation to itself, it
  /// is a lock. From 0, which is never active, it only asks whether the database answers.
  virtual bool activate(const ProjectionKey& projection, std::int32_t from, std::int32_t generation) = 0;

  /// Whether it is an inline projection, and this is its active generation. For who writes it inside of an append;
  /// locks nothing.
  virtual bool is_inline(const ProjectionKey& projection, std::int32_t generation) = 0;

  /// For who got an exception from a handler and asks whose fault it is: what the database said, as the driver would
  /// throw it, when `thrown`, or an exception nested in it, is the database's own. Nothing when it is not, or when it
  /// is about what the handler asked for: a statement that was cancelled because it took too long. Never asks the
  /// database. The default knows of nothing.
  virtual std::optional<Error> database_error(const std::exception_ptr& thrown);

  /// Need not wait for the disk: a crash of the server may take it back, with all that was committed later, and its
  /// caller may survive that. But not what a switch or a dead letter is part of: who was told of those has done with
  /// what they replace. Throws with outcome unknown when the answer was lost, and invalid_argument (not_applied) when
  /// somebody ended the transaction behind its back, or for one that an append gave to its hook: the append commits
  /// that.
  virtual void commit() = 0;
};

/// Called inside an append's transaction when all of it was written and nothing committed, with its events as they are
/// stored. What it throws rolls the append back and is thrown by append. May be called again, in another transaction,
/// when the first one was rolled back.
using AppendHook = std::function<void(ReadModelTransaction&, std::span<const RecordedEvent>)>;

/// The part of a driver that serves readers. Driver derives from it. Each function may throw what Driver's may; those
/// that are not overridden throw unsupported. Core has checked every argument against limits.h.
class STELE_API ReadSide {
 public:
  virtual ~ReadSide();

  /// Everything up to here that is ever going to be in the log is there (G7). For a subscription from now on.
  virtual Position settled_position();

  // --- Snapshots

  /// Keeps it in place of one of the same stream and version. Returns false, having done nothing, when the stream is
  /// not at this version yet or is missing. Its snapshot_id is given; throws invalid_argument when another snapshot has
  /// it.
  virtual bool save_snapshot(const Snapshot& snapshot);
  /// The one with the highest version that is at most `at_or_below`, not above the stream's own version, and of this
  /// schema version if given. One whose text is no JSON any more counts as missing.
  virtual std::optional<Snapshot> find_snapshot(const StreamKey& stream, Version at_or_below,
                                                std::optional<std::int32_t> schema_version);
  /// Without their states; ordered by stream (type, id as bytes), then version, the highest first.
  virtual std::vector<SnapshotInfo> list_snapshots(const SnapshotListOptions& options);
  /// Deletes what matches; returns how many there were.
  virtual std::int64_t delete_snapshots(const SnapshotDeletion& which);

  // --- Projections

  /// Makes the projection with its first generation, one checkpoint at `start` for each part, unless it is there. One
  /// whose kind is not known yet is of this kind from now on. Throws what expect_same_use() throws.
  virtual ProjectionState open_projection(const ProjectionKey& key, std::int32_t parts, Position start = Position(0),
                                          ProjectionKind kind = ProjectionKind::projection);
  /// Makes another kind of it. False, having done nothing, when it is missing or not of the kind `from`. Core has its
  /// leases, so that nobody is at work at it.
  virtual bool change_kind(const ProjectionKey& key, ProjectionKind from, ProjectionKind to);
  virtual std::optional<ProjectionState> find_projection(const ProjectionKey& key);
  virtual std::vector<ProjectionState> list_projections();  ///< By name, then tenant, as bytes.

  /// Adds a generation above all others, its checkpoints at 0, and returns it. A second one that is being built stays.
  /// Throws not_found when there is no such projection.
  virtual std::int32_t add_generation(const ProjectionKey& key);
  /// Removes a generation that is not active, with its checkpoints and dead letters. One that is missing is fine.
  /// Throws invalid_argument for the active one.
  virtual void remove_generation(const ProjectionKey& key, std::int32_t generation);
  /// Removes the projection: all generations, checkpoints, dead letters and members. Missing is fine.
  virtual void remove_projection(const ProjectionKey& key);

  /// Gives the lease of a part for so long if it is free, has run out or is this holder's already; its fence is then
  /// higher than any before. Empty when another has it, or when the part is missing. Time is the database's.
  virtual std::optional<Lease> acquire_lease(const PartKey& key, const std::string& holder,
                                             std::chrono::milliseconds time);
  /// From now on for so long. False when it was given to another since, given back or removed.
  virtual bool renew_lease(const Lease& lease, std::chrono::milliseconds time);
  /// Gives it back. One that was lost is fine.
  virtual void release_lease(const Lease& lease);

  /// Says that this member is there for so long; returns how many members of the projection are, it included. A time of
  /// 0 says that it leaves. 0 when there is no such projection.
  virtual std::int32_t announce_member(const ProjectionKey& key, const std::string& member,
                                       std::chrono::milliseconds time);

  virtual std::vector<DeadLetter> list_dead_letters(const ProjectionKey& key, std::size_t limit);  ///< By position.
  /// Removes one that was dealt with; false when it is not there.
  virtual bool remove_dead_letter(const PartKey& key, Position position);

  /// A transaction for a handler. Waits for the database until the deadline of the URL. On SQLite it holds the write
  /// lock. With an `idle_limit`, a server that can ends it when nothing came from its holder for so long: one that is
  /// frozen, or that cannot be reached any more, is not to keep rows locked that others wait for. 0: none.
  virtual std::unique_ptr<ReadModelTransaction> begin_read_model(
      std::chrono::milliseconds idle_limit = std::chrono::milliseconds(0));
};

}  // namespace stele::driver
