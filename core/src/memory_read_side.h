// Snapshots and projections of the reference driver.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <set>

#include "stele/driver/read_side.h"

namespace stele::detail {

class MemoryTransaction;

/// Has a mutex of its own, which is taken after the driver's. A transaction locks what it changes until it is over, as
/// a database locks rows: whoever else wants to change that waits.
class MemoryReadSide {
 public:
  bool save(const Snapshot& snapshot, Version stream_version);
  std::optional<Snapshot> find(const StreamKey& stream, Version at_or_below, std::optional<std::int32_t> schema) const;
  std::vector<SnapshotInfo> list(const SnapshotListOptions& options) const;
  std::int64_t remove(const SnapshotDeletion& which);

  driver::ProjectionState open(const driver::ProjectionKey& key, std::int32_t parts, Position start,
                               driver::ProjectionKind kind);
  bool change_kind(const driver::ProjectionKey& key, driver::ProjectionKind from, driver::ProjectionKind to);
  std::optional<driver::ProjectionState> find(const driver::ProjectionKey& key) const;
  std::vector<driver::ProjectionState> list() const;
  std::int32_t add_generation(const driver::ProjectionKey& key);
  void remove_generation(const driver::ProjectionKey& key, std::int32_t generation);
  void remove(const driver::ProjectionKey& key);
  std::optional<driver::Lease> acquire(const driver::PartKey& key, const std::string& holder,
                                       std::chrono::milliseconds time);
  bool renew(const driver::Lease& lease, std::chrono::milliseconds time);
  void release(const driver::Lease& lease);
  std::int32_t announce(const driver::ProjectionKey& key, const std::string& member, std::chrono::milliseconds time);
  std::vector<driver::DeadLetter> list_dead_letters(const driver::ProjectionKey& key, std::size_t limit) const;
  bool remove_dead_letter(const driver::PartKey& key, Position position);

 private:
  friend class MemoryTransaction;

  struct Projection {
    std::int32_t parts = 1;
    std::int32_t active_generation = 1;
    driver::ProjectionKind kind = driver::ProjectionKind::projection;
    std::map<std::pair<std::int32_t, std::int32_t>, driver::PartState> checkpoints;  // By generation and part.
    std::map<std::string, Timestamp> members;
  };
  using Lock = std::unique_lock<std::mutex>;

  driver::PartState* find_part(const driver::PartKey& key);
  driver::ProjectionState state_of(const driver::ProjectionKey& key, const Projection& projection) const;
  void add_checkpoints(const driver::ProjectionKey& key, Projection& projection, std::int32_t generation,
                       Position start);
  void drop_generation(const driver::ProjectionKey& key, std::int32_t generation);
  /// Waits until no transaction but `own` has locked any of these. Throws busy at the deadline.
  void wait_for(Lock& lock, const std::function<bool(const driver::PartKey&)>& rows, const MemoryTransaction* own = {});

  mutable std::mutex mutex_;
  std::condition_variable unlocked_;
  std::map<StreamKey, std::map<Version, Snapshot>> snapshots_;
  std::map<driver::ProjectionKey, Projection> projections_;
  std::map<std::pair<driver::PartKey, Position>, driver::DeadLetter> dead_letters_;
  std::int64_t last_fence_ = 0;                                // Of all checkpoints, also of those that were removed.
  std::map<driver::PartKey, const MemoryTransaction*> locks_;  // Generation 0 is the projection itself.
};

class MemoryTransaction final : public driver::ReadModelTransaction {
 public:
  /// `of_append`: it was given to a hook, and apply() commits it.
  MemoryTransaction(MemoryReadSide& side, bool of_append) : side_(side), of_append_(of_append) {}
  ~MemoryTransaction() override;

  void on_commit(std::function<void()> change) override;
  bool move_checkpoint(const driver::Lease& lease, Position to) override;
  void add_dead_letter(const driver::DeadLetter& letter) override;
  bool activate(const driver::ProjectionKey& projection, std::int32_t from, std::int32_t generation) override;
  bool is_inline(const driver::ProjectionKey& projection, std::int32_t generation) override;
  void commit() override;

  void apply() noexcept;

 private:
  MemoryReadSide& side_;
  const bool of_append_;
  std::vector<std::function<void()>> staged_;  // Changes of the tables, then the caller's own.
  std::map<driver::PartKey, Position> moved_;
};

}  // namespace stele::detail
