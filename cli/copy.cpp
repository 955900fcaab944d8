// stele copy FROM_URL TO_URL: a store into another one, of whatever backends.
#include "stele/copy.h"

#include <nlohmann/json.hpp>

#include "command_line.h"
#include "exit_codes.h"
#include "output.h"
#include "progress.h"
#include "stele/backends.h"

namespace stele::cli {
namespace {

struct CopyArguments {
  std::string from, to;
};

void print_json(const CopyResult& result) {
  out().write_line(nlohmann::ordered_json{
      {"events", result.events},
      {"events_there", result.events_there},
      {"commands", result.commands},
      {"commands_there", result.commands_there},
      {"schemas", result.schemas},
      {"rules", result.rules},
      {"keys", result.keys},
      {"keys_destroyed", result.keys_destroyed},
      {"notes",
       result.notes}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

void print(const CopyResult& result) {
  out().write_line(counted(result.events, "event") + " and " + counted(result.commands, "command") + " copied, " +
                   with_thousands(result.events_there) + " and " + with_thousands(result.commands_there) +
                   " already there");
  if (result.schemas + result.rules + result.keys + result.keys_destroyed == 0) return;
  out().write_line(counted(result.schemas, "schema") + ", rules of " + counted(result.rules, "event type") + " and " +
                   counted(result.keys, "subject key") + " copied, " + counted(result.keys_destroyed, "key") +
                   " destroyed");
}

int copy(const Context& context, const CopyArguments& arguments) {
  // Without keys: what is encrypted stays so.
  EventStore from = context.open_other_as_stored(arguments.from);
  EventStore to = stele::open(arguments.to);
  CopyResult result;
  {
    Progress progress("copy", "events", context.quiet);
    CopyOptions options;
    options.on_progress = [&](std::int64_t events, std::int64_t done, std::int64_t total) {
      progress.update(events, done, total);
    };
    try {
      result = copy_store(from, to, options);
    } catch (const Error&) {
      progress.finish();
      if (!context.quiet)
        message("stele: copy: what was copied before it failed stays; a repetition goes on from there");
      throw;
    }
  }
  if (context.json) {
    print_json(result);
  } else {
    print(result);
    out().flush();
    for (const std::string& note : result.notes) message("stele: copy: " + printable(note));
  }
  return exit_ok;
}

}  // namespace

void add_copy(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("copy", "Copy a store into another one; a repetition adds nothing");
  command->footer(
      R"(TO_URL has to be migrated (`stele --url TO_URL migrate up`). Every stream keeps its order and versions, every event all of
its fields but position and recorded_at, which the target gives. Schemas, rules and subjects' keys come along, too. What is
encrypted is copied as it is. FROM_URL may be an archive: archive:FILE.)");
  auto arguments = std::make_shared<CopyArguments>();
  command->add_option("FROM_URL", arguments->from, "What to copy")->required();
  command->add_option("TO_URL", arguments->to, "Where to")->required();
  command->callback(
      [&context, arguments] { context.action = [&context, arguments] { return copy(context, *arguments); }; });
}

}  // namespace stele::cli
