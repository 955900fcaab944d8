// What an append wrote, read back inside of its own transaction.
#pragma once

#include <algorithm>
#include <vector>

#include "stele/driver/driver.h"
#include "stele/limits.h"

namespace stele::soci_backend {

/// In the order of their positions. `read_stream(request, page)` reads in the transaction.
template <class ReadStream>
std::vector<RecordedEvent> written_events(const AppendResult& result, ReadStream read_stream) {
  std::vector<RecordedEvent> events;
  if (result.status != AppendStatus::appended) return events;
  for (const StreamOutcome& stream : result.streams) {
    if (stream.last_version < stream.first_version) continue;
    const auto count = static_cast<std::size_t>(stream.last_version.value() - stream.first_version.value() + 1);
    driver::EventPage page;
    read_stream(driver::StreamPageRequest{&stream.stream,
                                          Direction::forwards,
                                          stream.first_version,
                                          stream.last_version,
                                          {},
                                          {},
                                          {count, 2 * limits::append_bytes}},
                page);
    for (std::size_t i = 0; i < page.size(); ++i) events.push_back(std::move(page[i]));
  }
  std::sort(events.begin(), events.end(),
            [](const RecordedEvent& a, const RecordedEvent& b) { return a.position < b.position; });
  return events;
}

}  // namespace stele::soci_backend
