// Which lines of an import form one append.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stele/append.h"
#include "stele/event_json.h"

namespace stele::cli {

struct ImportLine {
  std::int64_t number = 0;
  std::string text;    ///< As it is; only where the caller keeps it.
  std::string reason;  ///< Why it cannot be imported; empty when it can.
};

/// Consecutive lines of one request, or one line without a request.
struct LineGroup {
  std::optional<CommandKey> key;
  std::vector<ImportLine> lines;
  AppendRequest request;  ///< Valid when no line has a reason.
  std::size_t bytes = 0;  ///< Of the lines.

  bool importable() const noexcept;
};

/// Puts lines together. Consecutive lines with the same (tenant, source, request_id) are one append with one command,
/// its streams in the order in which they first appear. One bad line makes its whole group bad: half a request is never
/// imported. A line that is no JSON, so that nobody can say whose it is, belongs to the group that it interrupts;
/// between two groups it stands alone.
class LineGrouper {
 public:
  using Sink = std::function<void(LineGroup&&)>;

  /// `keep_text`: groups carry their lines' text. `request_source`: lines with neither a request_id nor an event_id
  /// become requests of this source, numbered as the lines are. `as_stored`: see NewEvent::as_stored.
  LineGrouper(Sink sink, bool keep_text, std::optional<std::string> request_source, bool as_stored = false)
      : sink_(std::move(sink)),
        keep_text_(keep_text),
        request_source_(std::move(request_source)),
        as_stored_(as_stored) {}

  /// A line that is not blank. Gives the sink what is complete by then.
  void add(std::int64_t number, std::string_view text);
  /// No further line belongs to what was added so far.
  void finish();

 private:
  void place(std::optional<CommandKey> key, ImportLine line, std::size_t bytes, std::optional<ImportedEvent> event);
  void add_event(ImportedEvent event, ImportLine& line);
  void start(std::optional<CommandKey> key);
  void refuse_oversized();

  Sink sink_;
  bool keep_text_;
  std::optional<std::string> request_source_;
  bool as_stored_;
  std::optional<LineGroup> group_;
  bool oversized_ = false;              // The group in progress was refused already, and so is what still comes of it.
  std::vector<ImportLine> unreadable_;  // Lines behind the group in progress that may belong to it.
  std::size_t unreadable_bytes_ = 0;
};

}  // namespace stele::cli
