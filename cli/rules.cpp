// stele rules: what holds for the events of a type.
#include <nlohmann/json.hpp>

#include "arguments.h"
#include "command_line.h"
#include "exit_codes.h"
#include "output.h"

namespace stele::cli {
namespace {

struct RulesArguments {
  std::string tenant, type;
  std::optional<std::string> schema, contexts, keep_days;
  std::vector<std::string> mask;
  bool mask_nothing = false;
};

std::string keep(const EventTypeRules& rules) {
  return rules.keep_days ? std::to_string(*rules.keep_days) : "-";
}

void print(const Context& context, Table& table, const EventTypeRules& rules) {
  if (context.json) {
    nlohmann::ordered_json object{{"event_type", rules.event_type},
                                  {"schema_mode", to_string(rules.schema_mode)},
                                  {"masked", rules.masked},
                                  {"mask_contexts", rules.mask_contexts}};
    if (rules.keep_days) object["keep_days"] = *rules.keep_days;
    out().write_line(object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    return;
  }
  std::string masked;
  for (const std::string& pointer : rules.masked) masked += (masked.empty() ? "" : " ") + printable(pointer);
  table.add({printable(rules.event_type), std::string(to_string(rules.schema_mode)), keep(rules),
             rules.mask_contexts ? "withhold" : "show", masked.empty() ? "-" : masked});
}

Table rules_table() {
  return Table({{"TYPE"}, {"SCHEMA"}, {"KEEP DAYS", Table::Align::right}, {"CONTEXTS"}, {"MASKED"}});
}

int list(const Context& context, const RulesArguments& arguments) {
  EventStore store = context.open_store();
  Table table = rules_table();
  for (const EventTypeRules& rules : store.list_type_rules(arguments.tenant)) print(context, table, rules);
  table.end();
  return exit_ok;
}

int set(const Context& context, const RulesArguments& arguments) {
  EventStore store = context.open_store();
  EventTypeRules rules = store.type_rules(arguments.tenant, arguments.type);
  if (arguments.schema) {
    const std::optional<SchemaMode> mode = parse_schema_mode(*arguments.schema);
    if (!mode) throw UsageError("--schema: \"" + *arguments.schema + "\" is none of off, warn, enforce");
    rules.schema_mode = *mode;
  }
  if (!arguments.mask.empty()) rules.masked = arguments.mask;
  if (arguments.mask_nothing) rules.masked.clear();
  if (arguments.contexts) {
    if (*arguments.contexts != "show" && *arguments.contexts != "withhold") {
      throw UsageError("--contexts: \"" + *arguments.contexts + "\" is neither show nor withhold");
    }
    rules.mask_contexts = *arguments.contexts == "withhold";
  }
  if (arguments.keep_days) {
    rules.keep_days.reset();
    if (*arguments.keep_days != "none") {
      rules.keep_days = static_cast<std::int32_t>(parse_integer("--keep-days", *arguments.keep_days, 0, 1'000'000));
    }
  }
  store.set_type_rules(rules);
  Table table = rules_table();
  print(context, table, rules);
  table.end();
  return exit_ok;
}

}  // namespace

void add_rules(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("rules", "Say what holds for the events of a type");
  command->require_subcommand(1);
  auto arguments = std::make_shared<RulesArguments>();
  RulesArguments& a = *arguments;

  CLI::App* listed = command->add_subcommand("list", "List the rules");
  add_tenant(*listed, context, a.tenant);
  listed->callback(
      [&context, arguments] { context.action = [&context, arguments] { return list(context, *arguments); }; });

  CLI::App* changed = command->add_subcommand("set", "Change rules of a type; what is not given stays");
  changed->add_option("TYPE", a.type, "The event type")->required();
  add_value(*changed, "--schema", a.schema, "Payloads that their schema refuses: off, warn or enforce", "MODE");
  CLI::Option* mask = add_values(*changed, "--mask", a.mask,
                                 "A place in the payload, as JSON Pointer, that readers with too little clearance do "
                                 "not see; may be repeated, and replaces those there were",
                                 "POINTER");
  changed->add_flag("--mask-nothing", a.mask_nothing, "No place is named: such readers see nothing of the payload")
      ->excludes(mask);
  add_value(*changed, "--contexts", a.contexts, "Whether they see metadata and the contexts: show or withhold", "SHOW");
  add_value(*changed, "--keep-days", a.keep_days, "How long such events have to be kept at least; none: not said",
            "DAYS");
  add_tenant(*changed, context, a.tenant);
  changed->callback(
      [&context, arguments] { context.action = [&context, arguments] { return set(context, *arguments); }; });
}

}  // namespace stele::cli
