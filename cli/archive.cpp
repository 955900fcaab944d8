// stele archive: closed streams in a file, and checking such files.
#include "stele/archive.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "arguments.h"
#include "command_line.h"
#include "exit_codes.h"
#include "output.h"
#include "progress.h"

namespace stele::cli {
namespace {

struct ArchiveArguments {
  std::string file;
  std::optional<std::string> before;
  std::vector<std::string> closing, tenants;
  bool replace = false;
};

nlohmann::ordered_json json_of(const ArchiveInfo& info) {
  return {{"events", info.events},
          {"streams", info.streams},
          {"before", info.before.to_string()},
          {"closing_types", info.closing_types},
          {"tenants", info.tenants},
          {"made_at", info.made_at.to_string()},
          {"sha256", to_hex(info.sha256)}};
}

std::string dumped(const nlohmann::ordered_json& object) {
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string in_words(const ArchiveInfo& info) {
  return counted(info.events, "event") + " of " + counted(info.streams, "stream") + ", last recorded before " +
         info.before.to_string();
}

int write_archive_file(const Context& context, const ArchiveArguments& arguments) {
  ArchiveOptions options;
  options.before = parse_time("--before", *arguments.before);
  options.closing_types = arguments.closing;
  options.tenants = arguments.tenants;
  if (!arguments.replace && std::filesystem::is_regular_file(arguments.file)) {
    throw CommandFailure(exit_failed, arguments.file + ": is there already; --replace writes it anew");
  }
  EventStore store = context.open_store_as_stored();
  ArchiveInfo info;
  {
    Progress progress("archive", "events", context.quiet);
    options.on_progress = [&](std::int64_t events) { progress.update(events, 0, 0); };
    info = write_archive(store, arguments.file, options);
  }
  out().write_line(context.json ? dumped(json_of(info)) : "archived " + in_words(info));
  return exit_ok;
}

int verify_archive_file(const Context& context, const ArchiveArguments& arguments) {
  const ArchiveInfo info = verify_archive(arguments.file);
  out().write_line(context.json ? dumped(json_of(info)) : "whole: " + in_words(info));
  return exit_ok;
}

int compare_archive_file(const Context& context, const ArchiveArguments& arguments) {
  EventStore store = context.open_store_as_stored();
  ArchiveComparison comparison;
  {
    Progress progress("compare", "events", context.quiet);
    ArchiveCompareOptions options;
    options.on_progress = [&](std::int64_t events) { progress.update(events, 0, 0); };
    comparison = compare_archive(store, arguments.file, options);
  }
  if (context.json) {
    nlohmann::ordered_json object = json_of(comparison.archive);
    object["ok"] = comparison.ok();
    object["different"] = comparison.different;
    object["differences"] = nlohmann::ordered_json::array();
    for (const ArchiveDifference& each : comparison.differences) {
      nlohmann::ordered_json difference{{"line", each.line}};
      if (each.stream.tenant != default_tenant) difference["tenant_id"] = each.stream.tenant;
      difference["stream_type"] = each.stream.type;
      difference["stream_id"] = each.stream.id;
      difference["stream_version"] = each.version.value();
      difference["event_id"] = each.event_id.to_string();
      difference["what"] = each.what;
      object["differences"].push_back(std::move(difference));
    }
    out().write_line(dumped(object));
  } else {
    for (const ArchiveDifference& each : comparison.differences) {
      out().write_line("line " + std::to_string(each.line) + ": " + printable(each.stream.to_string()) + " version " +
                       std::to_string(each.version.value()) + " " + each.what);
    }
    out().write_line(in_words(comparison.archive) + ": " +
                     (comparison.ok() ? "all of them are in the store, and equal"
                                      : counted(comparison.different, "event") + " of them missing or different"));
  }
  return comparison.ok() ? exit_ok : exit_integrity;
}

}  // namespace

void add_archive(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("archive", "Write closed streams to a file, or check such a file; the store keeps them");
  command->require_subcommand(1);
  auto arguments = std::make_shared<ArchiveArguments>();

  CLI::App* written = command->add_subcommand("write", "Write all closed streams to a file");
  written->footer(
      R"(A stream is closed when its last event was recorded before --before, and is of one of the --closing types if there are any.
The file is gzip of JSON lines. It is read as a store with the URL archive:FILE. Nothing is deleted from the database.)");
  written->add_option("FILE", arguments->file, "Appears once it is complete")->required();
  written->add_flag("--replace", arguments->replace, "Take the place of a file that is there");
  add_value(*written, "--before", arguments->before, "Streams whose last event was recorded before this time", "TIME")
      ->required();
  add_values(*written, "--closing", arguments->closing, "And is of this type; may be repeated: any of them", "TYPE");
  add_values(*written, "--tenant", arguments->tenants, "Only of this tenant; may be repeated", "TENANT");
  written->callback([&context, arguments] {
    context.action = [&context, arguments] { return write_archive_file(context, *arguments); };
  });

  CLI::App* verified = command->add_subcommand("verify", "Check that a file is whole and unchanged; needs no database");
  verified->add_option("FILE", arguments->file, "The archive")->required();
  verified->callback([&context, arguments] {
    context.action = [&context, arguments] { return verify_archive_file(context, *arguments); };
  });

  CLI::App* compared = command->add_subcommand("compare", "Check that the store has every event of a file, and equal");
  compared->add_option("FILE", arguments->file, "The archive")->required();
  compared->callback([&context, arguments] {
    context.action = [&context, arguments] { return compare_archive_file(context, *arguments); };
  });
}

}  // namespace stele::cli
