// stele snapshot: which snapshots there are, and deleting old ones. None of them is needed for anything.
#include "stele/snapshot.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "arguments.h"
#include "command_line.h"
#include "exit_codes.h"
#include "output.h"

namespace stele::cli {
namespace {

constexpr std::size_t snapshots_per_page = 1'000;

struct SnapshotArguments {
  std::string tenant;
  std::optional<std::string> stream, type, limit;  // list
  std::optional<std::string> keep, before;         // prune, and type
};

std::string snapshot_line(const SnapshotInfo& info) {
  nlohmann::ordered_json object;
  if (info.stream.tenant != default_tenant) object["tenant_id"] = info.stream.tenant;
  object["stream_type"] = info.stream.type;
  object["stream_id"] = info.stream.id;
  object["stream_version"] = info.version.value();
  object["schema_version"] = info.schema_version;
  object["snapshot_id"] = info.snapshot_id.to_string();
  object["recorded_at"] = info.recorded_at.to_string();
  object["bytes"] = info.bytes;
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

int list_snapshots(const Context& context, const SnapshotArguments& arguments) {
  SnapshotListOptions options;
  options.tenant = arguments.tenant;
  options.stream_type = arguments.type;
  if (arguments.stream) {
    const StreamKey stream = parse_stream("--stream", *arguments.stream, arguments.tenant);
    options.stream_type = stream.type;
    options.stream_id = stream.id;
  }
  std::size_t left = std::numeric_limits<std::size_t>::max();
  if (arguments.limit) left = static_cast<std::size_t>(parse_integer("--limit", *arguments.limit, 1));

  EventStore store = context.open_store();
  Table table({{"STREAM"},
               {"VERSION", Table::Align::right},
               {"SCHEMA", Table::Align::right},
               {"BYTES", Table::Align::right},
               {"RECORDED"}});
  while (left > 0) {
    options.limit = std::min(left, snapshots_per_page);
    const std::vector<SnapshotInfo> page = store.list_snapshots(options);
    for (const SnapshotInfo& info : page) {
      if (context.json) {
        out().write_line(snapshot_line(info));
      } else {
        table.add({printable(info.stream.to_string()), std::to_string(info.version.value()),
                   std::to_string(info.schema_version), with_thousands(info.bytes), info.recorded_at.to_string()});
      }
    }
    if (page.size() < options.limit) break;
    left -= page.size();
    options.after = page.back();
  }
  table.end();
  return exit_ok;
}

int prune_snapshots(const Context& context, const SnapshotArguments& arguments) {
  SnapshotDeletion which;
  which.tenant = arguments.tenant;
  which.stream_type = arguments.type;
  which.keep =
      static_cast<std::int32_t>(parse_integer("--keep", *arguments.keep, 0, std::numeric_limits<std::int32_t>::max()));
  if (arguments.before) which.before = parse_time("--before", *arguments.before);

  EventStore store = context.open_store();
  const std::int64_t deleted = store.delete_snapshots(which);
  if (context.json) {
    out().write_line(nlohmann::ordered_json{{"deleted", deleted}}.dump());
  } else {
    out().write_line(counted(deleted, "snapshot") + " deleted");
  }
  return exit_ok;
}

}  // namespace

void add_snapshot(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("snapshot", "List the snapshots of aggregates, or delete old ones");
  command->require_subcommand(1);
  auto arguments = std::make_shared<SnapshotArguments>();

  CLI::App* list = command->add_subcommand("list", "List snapshots by stream, the highest version first");
  CLI::Option* stream = add_value(*list, "--stream", arguments->stream, "Only of this stream", "TYPE/ID");
  add_value(*list, "--type", arguments->type, "Only of this stream type", "TYPE")->excludes(stream);
  add_value(*list, "--limit", arguments->limit, "At most so many", "N");
  add_tenant(*list, context, arguments->tenant);

  CLI::App* prune = command->add_subcommand("prune", "Delete all but the latest of each stream; nothing is lost by it");
  add_value(*prune, "--keep", arguments->keep, "Keep the latest so many of each stream; 0: none", "K")->required();
  add_value(*prune, "--before", arguments->before, "Only what was recorded before this time", "TIME");
  add_value(*prune, "--stream-type", arguments->type, "Only of this stream type", "TYPE");
  add_tenant(*prune, context, arguments->tenant);

  list->callback([&context, arguments] {
    context.action = [&context, arguments] { return list_snapshots(context, *arguments); };
  });
  prune->callback([&context, arguments] {
    context.action = [&context, arguments] { return prune_snapshots(context, *arguments); };
  });
}

}  // namespace stele::cli
