// Projections: read models that follow the log, each effect exactly once (G13).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "stele/driver/read_side.h"
#include "stele/event_store.h"
#include "stele/subscription.h"

namespace stele {

/// What a projection's functions get: the transaction that also moves the checkpoint. With stele/soci.h,
/// `soci::session& sql = stele::sql(context);`.
class STELE_API ProjectionContext {
 public:
  ProjectionContext(driver::ReadModelTransaction& transaction, std::int32_t generation, std::string tenant) noexcept
      : transaction_(&transaction), generation_(generation), tenant_(std::move(tenant)) {}

  /// Which version of the read model is meant, from 1: write it to tables of its own, "stock_" +
  /// std::to_string(generation()).
  std::int32_t generation() const noexcept { return generation_; }
  /// The tenant that the projection is of; empty: all.
  const std::string& tenant() const noexcept { return tenant_; }
  driver::ReadModelTransaction& transaction() noexcept { return *transaction_; }

 private:
  driver::ReadModelTransaction* transaction_;
  std::int32_t generation_;
  std::string tenant_;
};

/// A read model. All functions are called in a transaction of the store's database: what they write there is committed
/// together with the checkpoint, or not at all. They must write nowhere else (that would happen again after a retry),
/// not commit, and not append to the store. In a group, apply() is called by several threads, for different streams.
///
/// When apply() throws, the transaction is rolled back, and the events in it are applied again, one a transaction, up
/// to the one that cannot be; from then on ErrorPolicy counts. An event that an upcaster made into several counts as
/// one. What the other functions throw ends the runner, or the call.
class STELE_API Projection {
 public:
  virtual ~Projection();

  /// The same for all time: the checkpoint is kept under it. 1 to 128 bytes. No other projection, subscription or relay
  /// may have it: whoever comes second throws invalid_argument.
  virtual std::string name() const = 0;
  /// Only these events; the checkpoint moves past the others.
  virtual LogFilter filter() const { return {}; }

  /// Makes the empty tables of this generation, if they are missing. Is called again at times.
  virtual void create(ProjectionContext& context);
  virtual void apply(const RecordedEvent& event, ProjectionContext& context) = 0;
  /// From now on this generation is what the application reads, for example through a view. Called for the first
  /// generation, too, behind create(), and as often.
  virtual void activate(ProjectionContext& context);
  /// Removes the tables of this generation, if they are there. May be called for one that is long gone.
  virtual void drop(ProjectionContext& context);
};

struct ProjectionOptions {
  /// Only this tenant's events, with a checkpoint of its own. Empty: all tenants', or the store's own if it has one.
  std::string tenant{};
  std::int32_t parts = 1;  ///< 1 … 64. More than 1: a consumer group, see ProjectionRunner. Fixed when it first runs.
  /// Who runs it, for `stele projection status`: host and process unless given. At most 96 bytes. A random number is
  /// added, so that nobody is taken for another.
  std::string member{};
  std::chrono::milliseconds lease{10'000};  ///< How long after its death another may take over. 1 s to 1 h.
  /// Events in one transaction, at most: 1 … 10,000. Fewer when they take long: where a database has one writer, the
  /// others wait meanwhile.
  std::size_t batch = 1'000;
  std::chrono::milliseconds poll_interval{500};
  ErrorPolicy on_error{};
  /// Called from the threads that work; may be empty.
  std::function<void(Position)> caught_up{};    ///< All of the log was applied; in a group, by each part.
  std::function<void(const Error&)> trouble{};  ///< The database cannot be reached, or apply() failed; it goes on.
};

/// The part of a group that a stream belongs to: 0 … parts - 1. The same for all time: FNV-1a with 64 bits over tenant,
/// type and id with a byte 0x1F between them, modulo `parts`.
STELE_API std::int32_t projection_part(const StreamKey& stream, std::int32_t parts);

/// Keeps a projection's active generation up to date, in threads of its own, until it is stopped or destroyed.
///
/// Of all runners of a projection, in this process or in others, one holds the lease and runs; the others wait and take
/// over when it dies or stops. One that lost its lease without noticing cannot commit anything any more.
///
/// With parts, the streams are divided by their keys: each part has its own checkpoint and lease, and the runners (the
/// group's members) share the parts out among them: no member has two more than another for long. A stream's events are
/// applied in order, by one member at a time.
///
/// An error of the database is retried for as long as it may pass: the server may restart. When one part fails, as
/// on_error says, the whole runner ends with that error. Checkpoints move past events that are not wanted a quarter of
/// a second late.
///
/// Thread-safe, except against its own destructor. The store must outlive it. The projection's functions and the
/// callbacks may call pause(), resume() and stop(), which do not wait then, but not the destructor.
class STELE_API ProjectionRunner {
 public:
  /// Throws invalid_argument, also for another number of parts than it has and for a name that is used for something
  /// else (an inline projection is, too), and what a first look at the database may throw: unsupported where the
  /// backend keeps no checkpoints.
  ProjectionRunner(EventStore& store, std::shared_ptr<Projection> projection, ProjectionOptions options = {});
  ProjectionRunner(ProjectionRunner&&) noexcept;
  ProjectionRunner& operator=(ProjectionRunner&&) noexcept;
  ~ProjectionRunner();

  /// Returns when no transaction is under way; none begins until resume(). It keeps its leases.
  void pause();
  void resume();
  /// Returns when no transaction is under way and the leases were given back. Idempotent.
  void stop();
  /// waiting_for_lease: it has no part. live: all that it has have caught up.
  Subscription::State state() const;
  std::vector<std::int32_t> parts() const;  ///< That it runs at the moment.
  /// Why it failed.
  std::optional<Error> error() const;
  /// Waits until all parts, whoever runs them, have come to `position` or further, or it ended, or the time is over;
  /// returns whether they have. From inside apply() and callbacks: without waiting.
  bool wait_for(Position position, std::chrono::milliseconds timeout) const;
  /// Waits until it has stopped or failed; throws the error in the latter case. From inside apply() and callbacks
  /// throws invalid_argument.
  void join();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// Brings it up to date with what is in the log when it is called, in this thread, and returns where it is then. Throws
/// busy (retryable) when another runs it, or takes it over, and invalid_argument as a runner does. Errors are treated
/// as by a runner.
STELE_API Position run_projection(EventStore& store, Projection& projection, const ProjectionOptions& options = {});

/// Builds a further generation from the beginning while the active one goes on, and switches to it when it has caught
/// up: in one transaction with the last events, Projection::activate and the checkpoint. What the active one has shown
/// is in the new one then. Drops the old one afterwards. Runners notice the switch, in other processes as well, and go
/// on with the new generation. Returns it.
///
/// If it fails or dies, the active one is as it was; the next rebuild removes what is left. Of two at once the second
/// one throws busy. Takes as long as it takes: errors of the database and apply() are treated as by a runner.
STELE_API std::int32_t rebuild_projection(EventStore& store, Projection& projection,
                                          const ProjectionOptions& options = {});

/// Drops the read model's tables and all checkpoints. Throws busy when it is running or being rebuilt. An inline one
/// may be reset, too: the appends of those who use it fail from then on, until they open the store again.
STELE_API void reset_projection(EventStore& store, Projection& projection, const ProjectionOptions& options = {});

/// Forgets how far whatever has this name has come, be it a projection, a named subscription or a relay: it begins like
/// a new one. Tables stay. Throws busy when it is running or being rebuilt.
STELE_API void forget_progress(EventStore& store, const driver::ProjectionKey& key);

struct ProjectionStatus {
  driver::ProjectionState state;
  Position log_end;  ///< What there is to be done.
  /// Positions between the active generation's slowest part and log_end; 0 when it has caught up. An inline one always
  /// has.
  std::int64_t lag = 0;
};
/// Of projections, named subscriptions and relays.
STELE_API std::vector<ProjectionStatus> projection_statuses(EventStore& store);

}  // namespace stele
