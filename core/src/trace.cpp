#include "stele/trace.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "stele/error.h"

namespace stele {
namespace {

constexpr std::size_t largest_limit = 100'000;

class Walk {
 public:
  Walk(EventStore& store, const TraceOptions& options) : store_(store), options_(options) {}

  bool is_ours(const std::string& tenant) const { return !options_.tenant || *options_.tenant == tenant; }

  std::optional<RecordedEvent> find_event(const Uuid& id) {
    std::optional<RecordedEvent> event = store_.find_event(id);
    if (event && !is_ours(event->stream.tenant)) event.reset();
    return event;
  }
  std::optional<CommandRecord> find_command(const Uuid& id) {
    std::optional<CommandRecord> command;
    try {
      command = store_.find_command(id);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::unsupported) throw;  // An archive: events alone.
    }
    if (command && !is_ours(command->key.tenant)) command.reset();
    return command;
  }

  void go_up(const RecordedEvent& from, Trace& trace) {
    std::set<Uuid> seen{from.event_id};
    std::optional<Uuid> cause = from.causation_id;
    while (cause && seen.insert(*cause).second) {
      if (std::optional<RecordedEvent> event = find_event(*cause)) {
        cause = event->causation_id;
        trace.causes.emplace_back(std::move(*event));
      } else {
        if (std::optional<CommandRecord> command = find_command(*cause)) trace.causes.emplace_back(std::move(*command));
        return;
      }
    }
  }

  // Nearest first, so that the limit cuts off what is far away.
  void go_down(const Uuid& from, Trace& trace) {
    std::set<Uuid> seen{from};
    LogFilter filter;
    filter.causation_id = from;
    trace.complete = read(filter, [&](const RecordedEvent& event) { return add(seen, event, std::nullopt); });
    for (std::size_t at = 0; at < found_.size() && trace.complete; ++at) {
      filter.causation_id = found_[at].event.event_id;
      trace.complete = read(filter, [&](const RecordedEvent& event) { return add(seen, event, at); });
    }
    trace.effects = in_order();
  }

  /// False when it has no events.
  bool correlate(const Uuid& id, Trace& trace) {
    LogFilter filter;
    filter.correlation_id = id;
    std::set<Uuid> seen;
    trace.complete = read(filter, [&](const RecordedEvent& event) { return add(seen, event, std::nullopt); });
    std::map<Uuid, std::size_t> by_id;
    for (std::size_t at = 0; at < found_.size(); ++at) by_id[found_[at].event.event_id] = at;
    for (std::size_t at = 0; at < found_.size(); ++at) {
      TracedEvent& effect = found_[at];
      if (!effect.event.causation_id) continue;
      const auto cause = by_id.find(*effect.event.causation_id);
      // A cause comes first. One that claims another is in a circle, which has no top.
      if (cause != by_id.end() && cause->second < at) effect.cause = cause->second;
    }
    trace.effects = in_order();
    return !found_.empty();
  }

 private:
  template <class Take>
  bool read(LogFilter filter, Take take) {
    filter.tenant = options_.tenant;
    LogReadOptions read;
    read.filter = std::move(filter);
    read.upcast = false;  // As find_event gives the causes.
    for (const RecordedEvent& event : store_.read_log(read)) {
      if (!take(event)) return false;
    }
    return true;
  }

  bool add(std::set<Uuid>& seen, const RecordedEvent& event, std::optional<std::size_t> cause) {
    if (!seen.insert(event.event_id).second) return true;  // It comes round.
    if (found_.size() == options_.limit) return false;
    found_.push_back({event, cause, 0});
    return true;
  }

  // Without recursion: a chain may be as long as the log.
  std::vector<TracedEvent> in_order() {
    std::vector<std::vector<std::size_t>> effects(found_.size());
    std::vector<std::size_t> next;
    for (std::size_t at = 0; at < found_.size(); ++at) {
      (found_[at].cause ? effects[*found_[at].cause] : next).push_back(at);
    }
    std::reverse(next.begin(), next.end());
    std::vector<TracedEvent> ordered;
    std::vector<std::size_t> place(found_.size());
    ordered.reserve(found_.size());
    while (!next.empty()) {
      const std::size_t at = next.back();
      next.pop_back();
      next.insert(next.end(), effects[at].rbegin(), effects[at].rend());
      TracedEvent& effect = found_[at];
      if (effect.cause) {
        effect.cause = place[*effect.cause];
        effect.depth = ordered[*effect.cause].depth + 1;
      }
      place[at] = ordered.size();
      ordered.push_back(std::move(effect));
    }
    return ordered;
  }

  EventStore& store_;
  const TraceOptions& options_;
  std::vector<TracedEvent> found_;
};

}  // namespace

Trace trace(EventStore& store, const Uuid& id, const TraceOptions& options) {
  if (options.limit < 1 || options.limit > largest_limit) {
    throw Error(ErrorCode::invalid_argument, "limit: must be from 1 to 100,000");
  }
  Walk walk(store, options);
  Trace trace;
  trace.event = walk.find_event(id);
  if (!trace.event) trace.command = walk.find_command(id);
  if (trace.event) walk.go_up(*trace.event, trace);
  if (trace.event || trace.command) {
    walk.go_down(id, trace);
  } else if (!walk.correlate(id, trace)) {
    throw Error(ErrorCode::not_found, "there is no event, command or correlation " + id.to_string());
  }
  return trace;
}

}  // namespace stele
