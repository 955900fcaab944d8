// stele keys, stele forget: what is encrypted, and for whom.
#include <nlohmann/json.hpp>

#include "arguments.h"
#include "command_line.h"
#include "exit_codes.h"
#include "output.h"
#include "stele/key_provider.h"

namespace stele::cli {
namespace {

constexpr std::size_t keys_per_page = 1'000;

struct KeysArguments {
  std::string tenant, id, subject;
  std::optional<std::string> only_tenant;
  ForgetOptions forget;
};

int list(const Context& context, const KeysArguments& arguments) {
  EventStore store = context.open_store();
  Table table({{"KEY"}, {"SUBJECT"}, {"MASTER KEY"}, {"CREATED"}, {"DESTROYED"}});
  std::optional<Uuid> after;
  for (;;) {
    const std::vector<SubjectKey> page = store.list_subject_keys(arguments.tenant, after, keys_per_page);
    for (const SubjectKey& key : page) {
      after = key.key_id;
      if (context.json) {
        nlohmann::ordered_json object{{"key_id", key.key_id.to_string()}};
        if (!key.subject.empty()) object["subject"] = key.subject;
        if (key.wrapped) object["master_key_id"] = key.wrapped->master_key_id;
        object["created_at"] = key.created_at.to_string();
        if (key.destroyed_at) object["destroyed_at"] = key.destroyed_at->to_string();
        out().write_line(object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
      } else {
        table.add({key.key_id.to_string(), key.subject.empty() ? "-" : printable(key.subject),
                   key.wrapped ? printable(key.wrapped->master_key_id) : "-", key.created_at.to_string(),
                   key.destroyed_at ? key.destroyed_at->to_string() : "-"});
      }
    }
    if (page.size() < keys_per_page) break;
  }
  table.end();
  return exit_ok;
}

int rewrap(const Context& context, const KeysArguments& arguments) {
  EventStore store = context.open_store();
  const std::int64_t done = store.rewrap_keys(arguments.only_tenant);
  if (context.json) {
    out().write_line(nlohmann::ordered_json{{"rewrapped", done}}.dump());
  } else {
    out().write_line(counted(done, "key") + " wrapped under the current master key");
  }
  return exit_ok;
}

int make_master_key(const KeysArguments& arguments) {
  out().write_line(new_master_key_line(arguments.id));
  return exit_ok;
}

int forget(const Context& context, const KeysArguments& arguments) {
  EventStore store = context.open_store();
  const ForgetResult result = store.forget(arguments.tenant, arguments.subject, arguments.forget);
  if (!result.found) throw Error(ErrorCode::not_found, "nothing is encrypted for this subject");
  if (context.json) {
    out().write_line(nlohmann::ordered_json{{"key_id", result.key_id.to_string()},
                                            {"events", result.events},
                                            {"streams", result.streams},
                                            {"snapshots", result.snapshots}}
                         .dump());
  } else {
    out().write_line("forgotten: " + counted(result.events, "event") + " in " + counted(result.streams, "stream") +
                     " cannot be read any more, " + counted(result.snapshots, "snapshot") + " deleted");
  }
  return exit_ok;
}

}  // namespace

void add_keys(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<KeysArguments>();
  CLI::App* command = app.add_subcommand("keys", "Look after the keys that personal data is encrypted under");
  command->require_subcommand(1);

  CLI::App* listed = command->add_subcommand("list", "List the subjects' keys; no key can be seen");
  add_tenant(*listed, context, arguments->tenant);
  listed->callback(
      [&context, arguments] { context.action = [&context, arguments] { return list(context, *arguments); }; });

  CLI::App* rewrapped = command->add_subcommand("rewrap", "Wrap them under the current master key; needs --keys");
  add_value(*rewrapped, "--tenant", arguments->only_tenant, "Only this tenant's; all tenants' unless given", "TENANT");
  rewrapped->callback(
      [&context, arguments] { context.action = [&context, arguments] { return rewrap(context, *arguments); }; });

  CLI::App* made = command->add_subcommand("new", "Print a line for a file of master keys; needs no database");
  made->add_option("ID", arguments->id, "The master key's name, for example key-2026")->required();
  made->callback([&context, arguments] { context.action = [arguments] { return make_master_key(*arguments); }; });

  CLI::App* forgotten =
      app.add_subcommand("forget", "Destroy a subject's key: nobody can read what was encrypted under it, for good");
  forgotten->add_option("SUBJECT", arguments->subject, "Whose data it is")->required();
  add_tenant(*forgotten, context, arguments->tenant);
  forgotten->add_flag("--in-spite-of-retention", arguments->forget.in_spite_of_retention,
                      "Also if some of the events have to be kept for longer");
  forgotten->callback(
      [&context, arguments] { context.action = [&context, arguments] { return forget(context, *arguments); }; });
}

}  // namespace stele::cli
