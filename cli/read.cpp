// stele read TYPE/ID: one stream.
#include "arguments.h"
#include "command_line.h"
#include "events_table.h"
#include "exit_codes.h"
#include "stele/error.h"

namespace stele::cli {
namespace {

struct ReadArguments {
  std::string stream;
  std::string tenant;
  std::optional<std::string> from, to, limit, as_of, valid_at;
  bool backwards = false;
};

int read(const Context& context, const ReadArguments& arguments) {
  const StreamKey stream = parse_stream("STREAM", arguments.stream, arguments.tenant);
  StreamReadOptions options;
  if (arguments.backwards) options.direction = Direction::backwards;
  if (arguments.from) options.from = Version(parse_integer("--from", *arguments.from, 1));
  if (arguments.to) options.to = Version(parse_integer("--to", *arguments.to, 1));
  if (arguments.limit) options.limit = static_cast<std::uint64_t>(parse_integer("--limit", *arguments.limit, 1));
  if (arguments.as_of) options.as_of = parse_time("--as-of", *arguments.as_of);
  if (arguments.valid_at) options.valid_at = parse_time("--valid-at", *arguments.valid_at);

  EventStore store = context.open_store();
  EventReader reader = store.read_stream(stream, options);
  EventPrinter printer(context.json, false);
  bool empty = true;
  while (const RecordedEvent* event = reader.next()) {
    printer.print(*event);
    empty = false;
  }
  printer.end();
  // Nothing to show may also come of the bounds.
  if (empty && store.stream_version(stream) == Version(0)) {
    throw Error(ErrorCode::not_found, "there is no stream " + stream.to_string());
  }
  return exit_ok;
}

}  // namespace

void add_read(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("read", "Print the events of one stream");
  auto arguments = std::make_shared<ReadArguments>();
  command->add_option("STREAM", arguments->stream, "STREAM_TYPE/STREAM_ID")->required();
  add_value(*command, "--from", arguments->from, "From this version on", "VERSION");
  add_value(*command, "--to", arguments->to, "Up to this version, included", "VERSION");
  command->add_flag("--backwards", arguments->backwards, "The last event first");
  add_value(*command, "--limit", arguments->limit, "At most so many events", "N");
  add_value(*command, "--as-of", arguments->as_of, "Only what was recorded by this time", "TIME");
  add_value(*command, "--valid-at", arguments->valid_at, "Only what is valid at this business time", "TIME");
  add_tenant(*command, context, arguments->tenant);
  command->callback(
      [&context, arguments] { context.action = [&context, arguments] { return read(context, *arguments); }; });
}

}  // namespace stele::cli
