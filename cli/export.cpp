// stele export [FILE]: the whole log as JSON lines, which import reads.
#include "atomic_file.h"
#include "command_line.h"
#include "exit_codes.h"
#include "output.h"
#include "progress.h"
#include "stele/event_json.h"

namespace stele::cli {
namespace {

struct ExportArguments {
  std::string file = "-";
};

/// The log as it is when the export begins: a busy writer cannot keep it from ending.
std::int64_t write_log(const Context& context, EventStore& store, FileWriter& writer) {
  Progress progress("export", "events", context.quiet);
  const Position last = last_position(store);
  if (last == Position()) return 0;
  LogReadOptions options;
  options.before = Position(last.value() + 1);
  EventReader reader = store.read_log(options);
  std::int64_t count = 0;
  while (const RecordedEvent* event = reader.next()) {
    writer.write_line(to_json_line(*event));
    progress.update(++count, event->position.value(), last.value());
  }
  return count;
}

int export_log(const Context& context, const ExportArguments& arguments) {
  EventStore store = context.open_store();
  if (arguments.file == "-") {
    write_log(context, store, out());
    return exit_ok;
  }
  AtomicFile file(arguments.file);
  const std::int64_t count = write_log(context, store, file.writer());
  file.commit();
  if (!context.quiet) message("exported " + counted(count, "event"));
  return exit_ok;
}

}  // namespace

void add_export(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("export", "Write all events as JSON lines, in the order of the log");
  auto arguments = std::make_shared<ExportArguments>();
  command->add_option("FILE", arguments->file,
                      "Takes the place of what is there once it is complete; - or nothing for standard output");
  command->callback(
      [&context, arguments] { context.action = [&context, arguments] { return export_log(context, *arguments); }; });
}

}  // namespace stele::cli
