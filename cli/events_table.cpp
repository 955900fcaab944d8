#include "events_table.h"

#include "stele/event_json.h"

namespace stele::cli {
namespace {

std::vector<Table::Column> columns(bool with_stream) {
  std::vector<Table::Column> all{{"POSITION", Table::Align::right}};
  if (with_stream) all.push_back({"STREAM"});
  all.push_back({"VERSION", Table::Align::right});
  for (const char* title : {"TYPE", "OCCURRED", "ACTOR", "DATA"}) all.push_back({title});
  return all;
}

}  // namespace

EventPrinter::EventPrinter(bool json, bool with_stream, bool unbuffered)
    : with_stream_(with_stream), unbuffered_(unbuffered) {
  if (!json) table_.emplace(columns(with_stream), unbuffered);
}

void EventPrinter::print(const RecordedEvent& event) {
  if (!table_) {
    out().write_line(to_json_line(event));
    if (unbuffered_) out().flush();
    return;
  }
  std::vector<std::string> row{std::to_string(event.position.value())};
  if (with_stream_) row.push_back(printable(event.stream.to_string()));
  row.push_back(std::to_string(event.version.value()));
  row.push_back(printable(event.type));
  row.push_back(event.occurred_at.to_string());
  row.push_back(event.actor ? std::string(to_string(event.actor->type)) + ":" + printable(event.actor->id) : "-");
  row.push_back(printable(event.data.text()));
  table_->add(std::move(row));
}

void EventPrinter::end() {
  if (table_) table_->end();
}

}  // namespace stele::cli
