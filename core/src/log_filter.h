// A filter of the log, for events that did not come through the database.
#pragma once

#include <algorithm>

#include "stele/event.h"
#include "stele/read.h"

namespace stele::detail {

inline bool is_valid_at(const RecordedEvent& event, Timestamp time) {
  return (!event.valid_from || *event.valid_from <= time) && (!event.valid_to || time < *event.valid_to);
}

inline bool matches(const LogFilter& filter, const RecordedEvent& event) {
  const auto is_any_of = [](const std::vector<std::string>& names, const std::string& name) {
    return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
  };
  const auto is_within = [](const auto& from, const auto& until, Timestamp time) {
    return (!from || *from <= time) && (!until || time < *until);
  };
  if (filter.tenant && *filter.tenant != event.stream.tenant) return false;
  if (!is_any_of(filter.stream_types, event.stream.type) || !is_any_of(filter.event_types, event.type)) return false;
  if (filter.source && filter.source != event.source) return false;
  if (filter.actor_type && (!event.actor || event.actor->type != *filter.actor_type)) return false;
  if (filter.actor_id && (!event.actor || event.actor->id != *filter.actor_id)) return false;
  if (filter.correlation_id && filter.correlation_id != event.correlation_id) return false;
  if (filter.causation_id && filter.causation_id != event.causation_id) return false;
  if (!is_within(filter.occurred_from, filter.occurred_until, event.occurred_at)) return false;
  if (!is_within(filter.recorded_from, filter.recorded_until, event.recorded_at)) return false;
  if (filter.valid_at && !is_valid_at(event, *filter.valid_at)) return false;
  return std::all_of(filter.attributes.begin(), filter.attributes.end(), [&](const auto& wanted) {
    const auto found = event.attributes.find(wanted.first);
    return found != event.attributes.end() && found->second == wanted.second;
  });
}

}  // namespace stele::detail
