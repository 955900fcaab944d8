// Where an application's aggregates meet the store: load, decide, append, again after a conflict.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "stele/event_store.h"
#include "stele/snapshot.h"

namespace stele {

/// An aggregate's state:
///
///     struct Account {
///       static constexpr std::string_view stream_type = "account";
///       std::int64_t balance = 0;
///       void apply(const stele::RecordedEvent& event);
///     };
template <class State>
concept Aggregate = std::default_initializable<State> && requires(State& state, const RecordedEvent& event) {
  { State::stream_type } -> std::convertible_to<std::string_view>;
  state.apply(event);
};

/// One that can be kept as a snapshot. from_snapshot may throw: then the events are replayed.
template <class State>
concept Snapshottable = Aggregate<State> && requires(const State& state, const Json& json) {
  { State::snapshot_schema_version } -> std::convertible_to<std::int32_t>;
  { state.to_snapshot() } -> std::same_as<Json>;
  { State::from_snapshot(json) } -> std::same_as<State>;
};

template <class State>
struct Loaded {
  StreamKey stream;
  State state{};
  Version version{};                 ///< Of the last event in the state; 0: there is none.
  Version snapshot_version{};        ///< Where replay began; 0: at the first event.
  Timestamp snapshot_recorded_at{};  ///< Of that snapshot.
};

struct RepositoryOptions {
  std::string tenant{default_tenant};
  SnapshotPolicy snapshots{};                ///< Nothing is saved unless it says so.
  std::int32_t attempts = 5;                 ///< How often a decision is made before a conflict is the answer.
  std::chrono::milliseconds first_pause{5};  ///< Before the second attempt; doubles up to a second, with some chance.
  /// A snapshot could not be read, saved or pruned. Nothing is lost. What it throws is ignored.
  std::function<void(const Error&)> snapshot_trouble{};
};

/// What came of a decision.
template <class State>
struct Executed {
  AppendResult result;   ///< appended or replayed; conflict when all attempts were lost; request_id_reused.
  Loaded<State> loaded;  ///< What the last attempt was decided on; nothing but the stream when there was no attempt.
  std::int32_t attempts = 0;
  bool ok() const noexcept { return result.ok(); }
};

/// Thread-safe as the store is. The store must outlive it.
template <Aggregate State>
class Repository {
 public:
  /// Throws invalid_argument for options that make no sense.
  explicit Repository(EventStore& store, RepositoryOptions options = {});

  StreamKey key(std::string id) const;

  /// The state now, or as of a version: the latest snapshot that helps, and the events after it. Events come as the
  /// store's upcasters make them; `version` counts the stored ones. Throws what reading and apply() throw. A snapshot
  /// that is missing, of another form, damaged, such that apply() throws on it, or cannot be read costs time and
  /// nothing else.
  Loaded<State> load(const std::string& id, std::optional<Version> at = {}) const;

  /// Loads, calls `decide(state)` for the events, and appends them if the stream is still at the version that was
  /// loaded; after a conflict all over again. What decide throws comes through, and nothing was written, unless another
  /// caller came through with this command meanwhile. No events: nothing is written (with a command: the command is
  /// recorded). Throws what load() and append() throw; a snapshot that fails afterwards changes nothing.
  ///
  /// With a command the whole is done once: when it is known already, decide() is not called and the result is
  /// `replayed` with the first one's outcome, or request_id_reused if its type, stream, actor, channel, data or the id
  /// that was given were others. Its stream is this one unless given. When several callers race with one command, the
  /// first one's decision is written, and all get its outcome whatever they decided themselves.
  template <std::invocable<const State&> Decide>
  Executed<State> execute(const std::string& id, Decide decide, std::optional<Command> command = {}) const;

  /// Saves one now, whatever the policy says, and prunes. False when there is nothing to save or saving failed. Of a
  /// store with keys it is the state of that version as it is read now, so that nothing of somebody who was forgotten
  /// meanwhile stays in a snapshot.
  bool snapshot(const Loaded<State>& loaded) const requires Snapshottable<State>;

 private:
  std::optional<Loaded<State>> load_snapshot(const StreamKey& stream, std::optional<Version> at) const;
  Loaded<State> carried_on(Loaded<State> loaded, std::optional<Version> to) const;
  bool replay(Loaded<State>& loaded, std::optional<Version> to) const;
  AppendResult append(const AppendRequest& request) const;
  void snapshot_if_due(const std::string& id, const Executed<State>& executed) const;
  bool snapshot_at(const std::string& id, Version version) const;
  bool keep(const Loaded<State>& loaded) const;

  EventStore* store_;
  RepositoryOptions options_;
};

}  // namespace stele

#include "stele/aggregate_impl.h"
