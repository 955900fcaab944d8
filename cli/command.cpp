// stele command SOURCE ID: a request as it was recorded, with its outcome.
#include "command_line.h"
#include "exit_codes.h"
#include "output.h"
#include "stele/error.h"
#include "stele/event_json.h"

namespace stele::cli {
namespace {

struct CommandArguments {
  CommandKey key;
};

void print(const CommandRecord& record) {
  const auto line = [](std::string_view name, std::string_view value) {
    out().write(name);
    out().write(std::string(name.size() < 13 ? 13 - name.size() : 1, ' '));
    out().write_line(printable(value));
  };
  if (record.key.tenant != default_tenant) line("tenant", record.key.tenant);
  line("source", record.key.source);
  line("request id", record.key.request_id);
  line("command id", record.command_id.to_string());
  line("type", record.type);
  if (record.stream) line("stream", record.stream->to_string());
  if (record.actor) line("actor", std::string(to_string(record.actor->type)) + ":" + record.actor->id);
  if (record.channel) line("channel", to_string(*record.channel));
  line("recorded at", record.recorded_at.to_string());
  if (record.data) line("data", record.data->text());
  for (const StreamOutcome& outcome : record.outcome) {
    std::string text = outcome.stream.to_string();
    if (outcome.last_position == Position()) {
      text += " unchanged at version " + std::to_string(outcome.last_version.value());
    } else {
      text += " version " + std::to_string(outcome.first_version.value());
      if (outcome.last_version != outcome.first_version) text += " to " + std::to_string(outcome.last_version.value());
    }
    line("outcome", text);
  }
}

int command(const Context& context, const CommandArguments& arguments) {
  EventStore store = context.open_store();
  const std::optional<CommandRecord> record = store.find_command(arguments.key);
  if (!record) {
    throw Error(ErrorCode::not_found,
                "there is no command " + arguments.key.request_id + " of " + arguments.key.source);
  }
  if (context.json) {
    out().write_line(to_json_line(*record));
  } else {
    print(*record);
  }
  return exit_ok;
}

}  // namespace

void add_command(CLI::App& app, Context& context) {
  CLI::App* subcommand = app.add_subcommand("command", "Look up a recorded command and its outcome");
  auto arguments = std::make_shared<CommandArguments>();
  subcommand->add_option("SOURCE", arguments->key.source, "The system that sent it")->required();
  subcommand->add_option("ID", arguments->key.request_id, "Its request id there")->required();
  add_tenant(*subcommand, context, arguments->key.tenant);
  subcommand->callback(
      [&context, arguments] { context.action = [&context, arguments] { return command(context, *arguments); }; });
}

}  // namespace stele::cli
