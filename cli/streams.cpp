// stele streams: which streams there are.
#include <algorithm>

#include "arguments.h"
#include "command_line.h"
#include "exit_codes.h"
#include "output.h"
#include "stele/event_json.h"

namespace stele::cli {
namespace {

constexpr std::size_t page_size = 1'000;

struct StreamsArguments {
  std::string tenant;
  std::optional<std::string> type, prefix, after, limit;
};

int streams(const Context& context, const StreamsArguments& arguments) {
  StreamListOptions options;
  options.tenant = arguments.tenant;
  options.type = arguments.type;
  options.id_prefix = arguments.prefix.value_or("");
  if (arguments.after) options.after = parse_stream("--after", *arguments.after, arguments.tenant);
  std::size_t left = std::numeric_limits<std::size_t>::max();
  if (arguments.limit) left = static_cast<std::size_t>(parse_integer("--limit", *arguments.limit, 1));

  EventStore store = context.open_store();
  Table table({{"STREAM"}, {"VERSION", Table::Align::right}, {"CREATED"}, {"LAST RECORDED"}});
  while (left > 0) {
    options.limit = std::min(left, page_size);
    const std::vector<StreamInfo> page = store.list_streams(options);
    for (const StreamInfo& info : page) {
      if (context.json) {
        out().write_line(to_json_line(info));
      } else {
        table.add({printable(info.stream.to_string()), std::to_string(info.version.value()),
                   info.created_at.to_string(), info.last_recorded_at.to_string()});
      }
    }
    if (page.size() < options.limit) break;
    left -= page.size();
    options.after = page.back().stream;
  }
  table.end();
  return exit_ok;
}

}  // namespace

void add_streams(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("streams", "List the streams of a tenant, by type and id");
  auto arguments = std::make_shared<StreamsArguments>();
  add_value(*command, "--type", arguments->type, "Only of this stream type", "TYPE");
  add_value(*command, "--prefix", arguments->prefix, "Only ids that begin so", "TEXT");
  add_value(*command, "--after", arguments->after, "Behind this stream, the last one of the page before", "TYPE/ID");
  add_value(*command, "--limit", arguments->limit, "At most so many", "N");
  add_tenant(*command, context, arguments->tenant);
  command->callback(
      [&context, arguments] { context.action = [&context, arguments] { return streams(context, *arguments); }; });
}

}  // namespace stele::cli
