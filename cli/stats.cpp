// stele stats: how much there is.
#include "command_line.h"
#include "exit_codes.h"
#include "output.h"
#include "stele/event_json.h"

namespace stele::cli {
namespace {

int print_stats(const Context& context) {
  EventStore store = context.open_store();
  const StoreStats stats = store.stats();
  if (context.json) {
    out().write_line(to_json_line(stats));
    return exit_ok;
  }
  const auto line = [](std::string_view name, std::string_view value) {
    out().write(name);
    out().write(std::string(16 - name.size(), ' '));
    out().write_line(value);
  };
  line("events", with_thousands(stats.events));
  line("streams", with_thousands(stats.streams));
  line("commands", with_thousands(stats.commands));
  line("last position", with_thousands(stats.last_position.value()));
  if (stats.first_recorded_at) line("first recorded", stats.first_recorded_at->to_string());
  if (stats.last_recorded_at) line("last recorded", stats.last_recorded_at->to_string());
  if (stats.bytes != 0) line("bytes", with_thousands(stats.bytes));
  if (stats.events_by_type.empty()) return exit_ok;
  out().write_line("");
  Table table({{"EVENTS", Table::Align::right}, {"TYPE"}});
  for (const auto& [type, count] : stats.events_by_type) table.add({with_thousands(count), printable(type)});
  table.end();
  return exit_ok;
}

}  // namespace

void add_stats(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("stats", "Count events, streams and commands");
  command->callback([&context] { context.action = [&context] { return print_stats(context); }; });
}

}  // namespace stele::cli
