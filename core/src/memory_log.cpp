#include "memory_log.h"

#include <algorithm>

#include "log_filter.h"

namespace stele::detail {
namespace {

std::size_t json_bytes(const RecordedEvent& event) {
  std::size_t bytes = event.data.text().size();
  for (const std::optional<Json>* json :
       {&event.metadata, &event.policy_context, &event.model_context, &event.display}) {
    if (*json) bytes += (*json)->text().size();
  }
  return bytes;
}

/// Adds the event unless the page is full; then there is more.
bool give(const RecordedEvent& event, const driver::PageLimits& limits, driver::EventPage& page) {
  const std::size_t bytes = json_bytes(event);
  if (page.size() >= limits.max_events || (page.size() > 0 && page.bytes() + bytes > limits.max_bytes)) {
    page.end = false;
    return false;
  }
  page.add() = event;
  page.count_bytes(bytes);
  return true;
}

}  // namespace

void MemoryLog::add(RecordedEvent event) {
  const std::size_t index = events_.size();
  by_id_.emplace(event.event_id, index);
  if (event.idempotency_key) by_key_.emplace(std::pair(event.stream, *event.idempotency_key), index);
  streams_[event.stream].push_back(index);
  events_.push_back(std::move(event));
}

const RecordedEvent* MemoryLog::find(const Uuid& event_id) const {
  const auto found = by_id_.find(event_id);
  return found == by_id_.end() ? nullptr : &events_[found->second];
}

const RecordedEvent* MemoryLog::find(const StreamKey& stream, const std::string& idempotency_key) const {
  const auto found = by_key_.find({stream, idempotency_key});
  return found == by_key_.end() ? nullptr : &events_[found->second];
}

const RecordedEvent* MemoryLog::find(const StreamKey& stream, Version version) const {
  const auto found = streams_.find(stream);
  const std::int64_t number = version.value();
  if (found == streams_.end() || number < 1 || number > static_cast<std::int64_t>(found->second.size())) {
    return nullptr;
  }
  return &events_[found->second[static_cast<std::size_t>(number - 1)]];
}

const RecordedEvent* MemoryLog::last_of(const StreamKey& stream) const {
  const auto found = streams_.find(stream);
  return found == streams_.end() ? nullptr : &events_[found->second.back()];
}

Version MemoryLog::version_of(const StreamKey& stream) const {
  const auto found = streams_.find(stream);
  return found == streams_.end() ? Version(0) : Version(static_cast<std::int64_t>(found->second.size()));
}

void MemoryLog::read_stream(const driver::StreamPageRequest& request, driver::EventPage& page) const {
  const auto found = streams_.find(*request.stream);
  if (found == streams_.end()) return;
  const Stream& stream = found->second;
  const std::int64_t low = request.from.value();
  const std::int64_t high = std::min(request.to.value(), static_cast<std::int64_t>(stream.size()));
  const bool forwards = request.direction == Direction::forwards;
  for (std::int64_t i = 0; i <= high - low; ++i) {
    const std::int64_t version = forwards ? low + i : high - i;
    const RecordedEvent& event = events_[stream[static_cast<std::size_t>(version - 1)]];
    if (request.as_of && event.recorded_at > *request.as_of) continue;
    if (request.valid_at && !is_valid_at(event, *request.valid_at)) continue;
    if (!give(event, request.limits, page)) return;
  }
}

void MemoryLog::read_log(const driver::LogPageRequest& request, driver::EventPage& page) const {
  const auto above = [](Position position, const RecordedEvent& event) { return position < event.position; };
  const auto below = [](const RecordedEvent& event, Position position) { return event.position < position; };
  const auto first = std::upper_bound(events_.begin(), events_.end(), request.after, above);
  const auto last = std::lower_bound(first, events_.end(), request.before, below);
  const std::ptrdiff_t count = last - first;
  const bool forwards = request.direction == Direction::forwards;
  for (std::ptrdiff_t i = 0; i < count; ++i) {
    const RecordedEvent& event = forwards ? first[i] : first[count - 1 - i];
    if (request.as_of && event.recorded_at > *request.as_of) continue;
    if (!matches(*request.filter, event)) continue;
    if (!give(event, request.limits, page)) {
      page.scanned_to = page[page.size() - 1].position;
      return;
    }
  }
  const Position high = std::min(Position(request.before.value() - 1), last_position());
  page.scanned_to = std::max(high, request.after);
}

std::optional<StreamInfo> MemoryLog::stream_info(const StreamKey& stream) const {
  const auto found = streams_.find(stream);
  if (found == streams_.end()) return std::nullopt;
  return info(found->first, found->second);
}

std::vector<StreamInfo> MemoryLog::list_streams(const StreamListOptions& options) const {
  std::vector<StreamInfo> list;
  const StreamKey begin(options.tenant, options.type.value_or(std::string()), options.type ? options.id_prefix : "");
  auto stream = streams_.lower_bound(begin);
  if (options.after) {
    const StreamKey after(options.tenant, options.after->type, options.after->id);
    if (begin <= after) stream = streams_.upper_bound(after);
  }
  for (; stream != streams_.end() && list.size() < options.limit; ++stream) {
    const StreamKey& key = stream->first;
    if (key.tenant != options.tenant || (options.type && key.type != *options.type)) break;
    if (key.id.starts_with(options.id_prefix)) list.push_back(info(key, stream->second));
  }
  return list;
}

StoreStats MemoryLog::stats() const {
  StoreStats stats;
  stats.events = size();
  stats.streams = static_cast<std::int64_t>(streams_.size());
  stats.last_position = last_position();
  std::map<std::string, std::int64_t> counts;
  for (const RecordedEvent& event : events_) {
    ++counts[event.type];
    // Of different streams, positions need not have the order of times.
    stats.first_recorded_at = std::min(stats.first_recorded_at.value_or(event.recorded_at), event.recorded_at);
    stats.last_recorded_at = std::max(stats.last_recorded_at.value_or(event.recorded_at), event.recorded_at);
  }
  stats.events_by_type.assign(counts.begin(), counts.end());
  std::stable_sort(stats.events_by_type.begin(), stats.events_by_type.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  return stats;
}

std::set<std::string> MemoryLog::tenants() const {
  std::set<std::string> tenants;
  for (const auto& [key, stream] : streams_) tenants.insert(key.tenant);
  return tenants;
}

void MemoryLog::verify(VerifyReport& report) const {
  report.checks.emplace_back("every event is found by its id");
  for (const RecordedEvent& event : events_) {
    const RecordedEvent* const found = find(event.event_id);
    if (found == nullptr || found->position != event.position) {
      report.violations.push_back(
          {"G6", "position " + std::to_string(event.position.value()), "is not found by its id"});
    }
  }
}

StreamInfo MemoryLog::info(const StreamKey& key, const Stream& stream) const {
  return {key, Version(static_cast<std::int64_t>(stream.size())), events_[stream.front()].recorded_at,
          events_[stream.back()].recorded_at};
}

}  // namespace stele::detail
