// Events as people and programs read them on standard output.
#pragma once

#include <optional>

#include "output.h"
#include "stele/event.h"

namespace stele::cli {

/// A row for each event, or with `json` a line.
class EventPrinter {
 public:
  /// `with_stream`: events of several streams. `unbuffered`: each event is printed at once.
  EventPrinter(bool json, bool with_stream, bool unbuffered = false);
  void print(const RecordedEvent& event);
  void end();

 private:
  std::optional<Table> table_;
  bool with_stream_;
  bool unbuffered_;
};

}  // namespace stele::cli
