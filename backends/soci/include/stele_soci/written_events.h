// What an append wrote, read back inside of its own transaction.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "stele/driver/driver.h"
#include "stele/limits.h"

namespace stele::soci_backend {

/// In the order of their positions: all of them, or it throws internal. `read_stream(request, page)` reads in the
/// transaction.
template <class ReadStream>
std::vector<RecordedEvent> written_events(const AppendResult& result, ReadStream read_stream) {
  std::vector<RecordedEvent> events;
  if (result.status != AppendStatus::appended) return events;
  driver::EventPage page;
  for (const StreamOutcome& stream : result.streams) {
    // A page may end before its limits: how many rows it asks for is a guess from what its session read last.
    for (Version next = stream.first_version; next <= stream.last_version;) {
      const Version from = next;
      const auto count = static_cast<std::size_t>(stream.last_version.value() - from.value() + 1);
      page.clear();
      read_stream(driver::StreamPageRequest{&stream.stream,
                                            Direction::forwards,
                                            from,
                                            stream.last_version,
                                            {},
                                            {},
                                            {count, 2 * limits::append_bytes}},
                  page);
      for (std::size_t i = 0; i < page.size() && page[i].version == next; ++i) {
        events.push_back(std::move(page[i]));
        next = Version(next.value() + 1);
      }
      if (next == from) {
        throw Error(ErrorCode::internal, stream.stream.to_string() + ": version " + std::to_string(from.value()) +
                                             " was written, and is not found in the same transaction");
      }
    }
  }
  std::sort(events.begin(), events.end(),
            [](const RecordedEvent& a, const RecordedEvent& b) { return a.position < b.position; });
  return events;
}

}  // namespace stele::soci_backend
