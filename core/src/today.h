// What readers get of the events that are stored.
#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "stele/read.h"
#include "stele/upcaster.h"

namespace stele::detail {

/// Applies the store's upcasters, and the filter by event type to what comes of it: a filter means today's types.
class Today {
 public:
  /// Without upcasters the database has applied `event_types`, and nothing is left to do.
  Today(std::shared_ptr<const Upcasters> upcasters, std::vector<std::string> event_types)
      : upcasters_(std::move(upcasters)), types_(std::move(event_types)) {}

  bool as_stored() const noexcept { return upcasters_ == nullptr; }

  /// What the database has to be asked for.
  LogFilter stored_filter(LogFilter filter) const {
    if (upcasters_ == nullptr) return filter;
    filter.event_types = upcasters_->stored_types(types_);
    if (filter.event_types.size() > most_types) filter.event_types.clear();  // Reads all; the rest is done here.
    return filter;
  }

  /// Whether the event is given just as it is.
  bool unchanged(const RecordedEvent& stored) const noexcept {
    return upcasters_ == nullptr || (!upcasters_->concerns(stored) && wanted(stored));
  }

  /// The events that a stored one is today. Throws upcast_failed.
  std::vector<RecordedEvent> apply(const RecordedEvent& stored) const {
    std::vector<RecordedEvent> events = upcasters_->apply(stored);
    std::erase_if(events, [this](const RecordedEvent& event) { return !wanted(event); });
    return events;
  }

 private:
  static constexpr std::size_t most_types = 100;  // In one filter; see check_read().

  bool wanted(const RecordedEvent& event) const noexcept {
    return types_.empty() || std::find(types_.begin(), types_.end(), event.type) != types_.end();
  }

  std::shared_ptr<const Upcasters> upcasters_;
  std::vector<std::string> types_;
};

}  // namespace stele::detail
