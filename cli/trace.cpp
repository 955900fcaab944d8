// stele trace ID: what led to an event, and what followed from it.
#include "stele/trace.h"

#include <algorithm>

#include "arguments.h"
#include "command_line.h"
#include "exit_codes.h"
#include "output.h"
#include "stele/event_json.h"

namespace stele::cli {
namespace {

struct TraceArguments {
  std::string id;
  std::optional<std::string> tenant, limit;
  bool list = false;
};

/// Rows that stand for events and commands, indented as far as they are from the start.
class TracePrinter {
 public:
  TracePrinter()
      : table_({{"POSITION", Table::Align::right}, {"WHAT"}, {"STREAM"}, {"OCCURRED"}, {"ACTOR"}, {"DATA"}}, false) {}

  void print(const RecordedEvent& event, std::string_view mark, std::int32_t depth) {
    table_.add({std::to_string(event.position.value()), what(mark, depth, event.type),
                printable(event.stream.to_string()) + " " + std::to_string(event.version.value()),
                event.occurred_at.to_string(), actor(event.actor), printable(event.data.text())});
  }
  void print(const CommandRecord& command, std::string_view mark) {
    const std::string name = "command " + command.key.request_id + " of " + command.key.source;
    table_.add({"-", what(mark, 0, name), command.stream ? printable(command.stream->to_string()) : "-",
                command.recorded_at.to_string(), actor(command.actor),
                command.data ? printable(command.data->text()) : "-"});
  }
  void end() { table_.end(); }

 private:
  static std::string what(std::string_view mark, std::int32_t depth, const std::string& name) {
    // Deeper ones stay readable.
    const auto indent = static_cast<std::size_t>(std::min(depth, 40)) * 2;
    return std::string(mark) + std::string(indent, ' ') + printable(name);
  }
  static std::string actor(const std::optional<Actor>& actor) {
    return actor ? std::string(to_string(actor->type)) + ":" + printable(actor->id) : "-";
  }

  Table table_;
};

void print_tree(const Trace& trace) {
  TracePrinter printer;
  for (auto cause = trace.causes.rbegin(); cause != trace.causes.rend(); ++cause) {
    if (const auto* event = std::get_if<RecordedEvent>(&*cause)) {
      printer.print(*event, "< ", 0);
    } else {
      printer.print(std::get<CommandRecord>(*cause), "< ");
    }
  }
  if (trace.command) printer.print(*trace.command, "* ");
  if (trace.event) printer.print(*trace.event, "* ", 0);
  const bool has_start = trace.command || trace.event;
  for (const TracedEvent& effect : trace.effects) printer.print(effect.event, "  ", effect.depth + (has_start ? 1 : 0));
  printer.end();
}

void print_json(const Trace& trace) {
  const auto line = [](std::string_view relation, std::int32_t depth, std::string_view kind, const std::string& json) {
    out().write("{\"relation\":\"");
    out().write(relation);
    out().write("\",\"depth\":" + std::to_string(depth) + ",\"");
    out().write(kind);
    out().write("\":" + json);
    out().write_line("}");
  };
  std::int32_t depth = -static_cast<std::int32_t>(trace.causes.size());
  for (auto cause = trace.causes.rbegin(); cause != trace.causes.rend(); ++cause, ++depth) {
    if (const auto* event = std::get_if<RecordedEvent>(&*cause)) {
      line("cause", depth, "event", to_json_line(*event));
    } else {
      line("cause", depth, "command", to_json_line(std::get<CommandRecord>(*cause)));
    }
  }
  if (trace.command) line("start", 0, "command", to_json_line(*trace.command));
  if (trace.event) line("start", 0, "event", to_json_line(*trace.event));
  const std::int32_t first = trace.command || trace.event ? 1 : 0;
  for (const TracedEvent& effect : trace.effects) {
    line("effect", effect.depth + first, "event", to_json_line(effect.event));
  }
}

int trace(const Context& context, const TraceArguments& arguments) {
  TraceOptions options;
  options.tenant = arguments.tenant;
  if (arguments.limit) options.limit = static_cast<std::size_t>(parse_integer("--limit", *arguments.limit, 1));
  const Uuid id = parse_uuid("ID", arguments.id);
  EventStore store = context.open_store();
  Trace found = stele::trace(store, id, options);
  if (arguments.list) {
    std::sort(found.effects.begin(), found.effects.end(),
              [](const auto& a, const auto& b) { return a.event.position < b.event.position; });
    for (TracedEvent& effect : found.effects) effect.depth = 0;
  }
  if (context.json) {
    print_json(found);
  } else {
    print_tree(found);
  }
  if (!found.complete)
    message("There is more: only the nearest " + counted(static_cast<long long>(options.limit), "event") +
            " are shown.");
  return exit_ok;
}

}  // namespace

void add_trace(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("trace", "Print what led to an event, and what followed from it");
  auto arguments = std::make_shared<TraceArguments>();
  command->add_option("ID", arguments->id, "Of an event, a command, or a correlation")->required();
  command->add_flag("--list", arguments->list, "What followed in the order of the log, not as a tree");
  add_value(*command, "--limit", arguments->limit, "At most so many events that followed; 10,000 unless given", "N");
  add_value(*command, "--tenant", arguments->tenant, "Only what is this tenant's", "TENANT");
  command->callback(
      [&context, arguments] { context.action = [&context, arguments] { return trace(context, *arguments); }; });
}

}  // namespace stele::cli
