// What led to an event, and what followed from it: walks along causation_id and correlation_id.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "stele/event_store.h"

namespace stele {

struct TraceOptions {
  std::optional<std::string> tenant{};  ///< Nothing of any other tenant is looked at. Empty: all.
  std::size_t limit = 10'000;           ///< At most so many effects, 1 … 100,000; those nearest to the start.
};

/// An event that followed from the start of a trace.
struct TracedEvent {
  RecordedEvent event;
  std::optional<std::size_t> cause;  ///< Which of Trace::effects led to it. None: the start itself did.
  std::int32_t depth = 0;            ///< How many of the effects lie between it and the start.
};

/// The start is an event, a command or, if the id is of neither, a correlation.
struct Trace {
  std::optional<RecordedEvent> event;
  std::optional<CommandRecord> command;

  /// What led to the event, the nearest first: events, and at the end perhaps the command that began it. Ends where a
  /// causation_id is missing, is no event's or command's id (it may be another system's), or comes round.
  std::vector<std::variant<RecordedEvent, CommandRecord>> causes;

  /// As a tree in the order in which one prints it: each event in front of what followed from it, and what followed
  /// from the same cause by position. Of a correlation: all of its events, those whose cause is not among them on top.
  std::vector<TracedEvent> effects;
  bool complete = true;  ///< False: there are more effects than the limit.
};

/// Follows causation from an event or a command, or all of a correlation. An event follows from another, or from a
/// command, whose id is its causation_id; under a command that is the command's id unless the append says otherwise
/// (concepts.md). Events are given as they are stored. One query for each event on the way: it is for people who ask
/// why. Reads page by page, not one moment: effects that are appended meanwhile may be in it.
///
/// Throws not_found when no event, command or correlation has this id, invalid_argument for a bad option, and what
/// reads throw.
STELE_API Trace trace(EventStore& store, const Uuid& id, const TraceOptions& options = {});

}  // namespace stele
