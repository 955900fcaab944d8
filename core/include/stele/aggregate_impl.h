// The templates of aggregate.h, which includes this.
#pragma once

#include <algorithm>
#include <memory>

#include "stele/aggregate.h"

namespace stele {

namespace detail {

/// Throws invalid_argument.
STELE_API void check_repository(const RepositoryOptions& options);

/// Tells of the exception that is being handled.
STELE_API void tell_snapshot_trouble(const RepositoryOptions& options) noexcept;

/// Saves and prunes. False when it was not saved.
STELE_API bool keep_snapshot(EventStore& store, const RepositoryOptions& options, const Snapshot& snapshot);

/// All of a stream.
STELE_API void drop_snapshots(EventStore& store, const StreamKey& stream);

/// The answer to a command that was recorded: replayed, or request_id_reused if this is another one. Empty when its key
/// is not known.
STELE_API std::optional<AppendResult> known_outcome(EventStore& store, const Command& command);

/// The same for a request, which may have no command. What fails is as if it were not known.
STELE_API std::optional<AppendResult> known_outcome_if_any(EventStore& store, const AppendRequest& request) noexcept;

STELE_API void pause_before_retry(std::int32_t attempts, std::chrono::milliseconds first_pause);

}  // namespace detail

template <Aggregate State>
Repository<State>::Repository(EventStore& store, RepositoryOptions options)
    : store_(&store), options_(std::move(options)) {
  detail::check_repository(options_);
}

template <Aggregate State>
StreamKey Repository<State>::key(std::string id) const {
  return {options_.tenant, std::string(std::string_view(State::stream_type)), std::move(id)};
}

template <Aggregate State>
Loaded<State> Repository<State>::load(const std::string& id, std::optional<Version> at) const {
  Loaded<State> loaded;
  loaded.stream = key(id);
  if (std::optional<Loaded<State>> kept = load_snapshot(loaded.stream, at)) loaded = std::move(*kept);
  return carried_on(std::move(loaded), at);
}

/// With the events behind it; or all events' state, if they do not go with the snapshot that it began with.
template <Aggregate State>
Loaded<State> Repository<State>::carried_on(Loaded<State> loaded, std::optional<Version> to) const {
  if (loaded.snapshot_version > Version(0)) {
    try {
      if (replay(loaded, to)) return loaded;
    } catch (...) {  // If it is not the snapshot's fault, it comes again below.
      detail::tell_snapshot_trouble(options_);
    }
    Loaded<State> anew;
    anew.stream = std::move(loaded.stream);
    loaded = std::move(anew);
  }
  replay(loaded, to);
  return loaded;
}

template <Aggregate State>
std::optional<Loaded<State>> Repository<State>::load_snapshot(const StreamKey& stream,
                                                              std::optional<Version> at) const {
  if constexpr (Snapshottable<State>) {
    try {
      const std::optional<Snapshot> found = store_->find_snapshot(stream, at, State::snapshot_schema_version);
      if (!found) return std::nullopt;
      return Loaded<State>{stream, State::from_snapshot(found->state), found->version, found->version,
                           found->recorded_at};
    } catch (...) {
      detail::tell_snapshot_trouble(options_);
    }
  }
  return std::nullopt;
}

/// Applies the events behind those in the state. False when the last one in the state is missing: the stream has never
/// been where the snapshot says.
template <Aggregate State>
bool Repository<State>::replay(Loaded<State>& loaded, std::optional<Version> to) const {
  StreamReadOptions options;
  options.from = std::max(loaded.version, Version(1));
  options.to = to;
  options.upcast = false;  // Upcasters may drop the last event, and its version is the one to append behind.
  const std::shared_ptr<const Upcasters> upcasters = store_->upcasters();
  bool has_last = loaded.version == Version(0);
  for (const RecordedEvent& event : store_->read_stream(loaded.stream, options)) {
    if (event.version == loaded.version) {
      has_last = true;
      continue;
    }
    if (upcasters && upcasters->concerns(event)) {
      for (const RecordedEvent& today : upcasters->apply(event)) loaded.state.apply(today);
    } else {
      loaded.state.apply(event);
    }
    loaded.version = event.version;
  }
  return has_last;
}

template <Aggregate State>
template <std::invocable<const State&> Decide>
Executed<State> Repository<State>::execute(const std::string& id, Decide decide, std::optional<Command> command) const {
  Executed<State> executed;
  executed.loaded.stream = key(id);
  AppendRequest request;
  StreamAppend& append_to = request.streams.emplace_back();
  append_to.stream = executed.loaded.stream;
  if (command && !command->stream) command->stream = append_to.stream;
  request.command = std::move(command);
  EventStore::validate(request);
  if (request.command) {
    if (std::optional<AppendResult> known = detail::known_outcome(*store_, *request.command)) {
      executed.result = std::move(*known);
      return executed;
    }
  }
  executed.loaded = load(id);
  while (true) {
    ++executed.attempts;
    append_to.expected = ExpectedVersion::exactly(executed.loaded.version);
    try {
      append_to.events = decide(std::as_const(executed.loaded.state));
    } catch (...) {
      // It may have seen what this very command has done meanwhile.
      std::optional<AppendResult> known = detail::known_outcome_if_any(*store_, request);
      if (!known) throw;
      executed.result = std::move(*known);
      return executed;
    }
    executed.result = append(request);
    if (executed.result.status != AppendStatus::conflict || executed.attempts >= options_.attempts) break;
    detail::pause_before_retry(executed.attempts, options_.first_pause);
    executed.loaded = carried_on(std::move(executed.loaded), {});
  }
  if (executed.result.status == AppendStatus::appended && !append_to.events.empty()) snapshot_if_due(id, executed);
  return executed;
}

template <Aggregate State>
AppendResult Repository<State>::append(const AppendRequest& request) const {
  if (!request.command && request.streams.front().events.empty()) {
    AppendResult nothing;
    const Version version = request.streams.front().expected.version();
    nothing.streams.push_back({request.streams.front().stream, Version(version.value() + 1), version, {}, {}});
    return nothing;
  }
  AppendResult result = store_->append(request);
  if (request.command && result.status == AppendStatus::request_id_reused) {
    // Another caller was first with this command, and decided otherwise.
    if (std::optional<AppendResult> known = detail::known_outcome(*store_, *request.command)) return std::move(*known);
  }
  return result;
}

template <Aggregate State>
void Repository<State>::snapshot_if_due(const std::string& id, const Executed<State>& executed) const {
  if constexpr (Snapshottable<State>) {
    const Loaded<State>& loaded = executed.loaded;
    std::optional<SnapshotInfo> latest;
    if (loaded.snapshot_version > Version(0)) {
      latest.emplace();
      latest->version = loaded.snapshot_version;
      latest->recorded_at = loaded.snapshot_recorded_at;
    }
    const Version version = executed.result.streams.front().last_version;
    if (!should_snapshot(options_.snapshots, loaded.stream, version, latest, Timestamp::now())) return;
    snapshot_at(id, version);
  }
}

template <Aggregate State>
bool Repository<State>::snapshot(const Loaded<State>& loaded) const requires Snapshottable<State> {
  if (loaded.version == Version(0)) return false;
  if (store_->keys() != nullptr) return snapshot_at(loaded.stream.id, loaded.version);
  try {
    return keep(loaded);
  } catch (...) {
    detail::tell_snapshot_trouble(options_);
    return false;
  }
}

/// Of the state as it is read now.
template <Aggregate State>
bool Repository<State>::snapshot_at(const std::string& id, Version version) const {
  try {
    const Position forgotten = store_->last_forgotten(options_.tenant);
    const bool kept = keep(load(id, version));
    if (!kept || store_->last_forgotten(options_.tenant) == forgotten) return kept;
    // Somebody who is in the state, or in the snapshot that it began with, may have been forgotten meanwhile.
    detail::drop_snapshots(*store_, key(id));
  } catch (...) {
    detail::tell_snapshot_trouble(options_);
  }
  return false;
}

template <Aggregate State>
bool Repository<State>::keep(const Loaded<State>& loaded) const {
  Snapshot made;
  made.stream = loaded.stream;
  made.version = loaded.version;
  made.schema_version = State::snapshot_schema_version;
  made.state = loaded.state.to_snapshot();
  return detail::keep_snapshot(*store_, options_, made);
}

}  // namespace stele
