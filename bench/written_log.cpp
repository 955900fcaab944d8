#include "written_log.h"

#include <vector>

#include "sample_events.h"

namespace stele::bench {
namespace {

constexpr std::size_t events_per_turn = 10;

}  // namespace

void write_log(EventStore& store) {
  SampleEvents samples;
  for (std::size_t turn = 0; turn < WrittenLog::events_per_stream / events_per_turn; ++turn) {
    std::vector<AppendRequest> requests(WrittenLog::streams);
    for (std::size_t s = 0; s < WrittenLog::streams; ++s) {
      StreamAppend& append = requests[s].streams.emplace_back();
      append.stream = sample_stream(s);
      for (std::size_t i = 0; i < events_per_turn; ++i) append.events.push_back(to_new_event(samples.next()));
    }
    for (const AppendResult& result : store.append_all(requests)) result.or_throw();
  }
}

WrittenLog::WrittenLog() {
  EventStore store = database_.open_store();
  write_log(store);
}

const WrittenLog& written_log() {
  static const WrittenLog log;
  return log;
}

}  // namespace stele::bench
