// stele schema: what payloads have to look like.
#include "stele/schema.h"

#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "arguments.h"
#include "command_line.h"
#include "exit_codes.h"
#include "output.h"
#include "progress.h"

namespace stele::cli {
namespace {

struct SchemaArguments {
  std::string tenant, type, file;
  std::optional<std::string> of_type, version, max_violations;
  bool compatible = false;
};

constexpr std::int64_t highest_version = std::numeric_limits<std::int32_t>::max();

std::int32_t version_of(const SchemaArguments& arguments) {
  return arguments.version
             ? static_cast<std::int32_t>(parse_integer("--version", *arguments.version, 1, highest_version))
             : 1;
}

EventForm form_of(const SchemaArguments& arguments) {
  return {arguments.type, version_of(arguments)};
}

SchemaValidator compiled(const std::string& file, const std::string& text) {
  try {
    return SchemaValidator::compile(text);
  } catch (const Error& error) {
    throw UsageError(file + ": " + error.message());
  }
}

std::string name_of(const EventForm& form) {
  return printable(form.type) + " version " + std::to_string(form.event_version);
}

std::optional<EventSchema> find(const std::vector<EventSchema>& schemas, const EventForm& form) {
  for (const EventSchema& schema : schemas) {
    if (schema.form == form) return schema;
  }
  return std::nullopt;
}

/// The schema with the highest version below this one.
std::optional<EventSchema> version_before(const std::vector<EventSchema>& schemas, const EventForm& form) {
  std::optional<EventSchema> before;
  for (const EventSchema& schema : schemas) {
    if (schema.form.type == form.type && schema.form.event_version < form.event_version) before = schema;
  }
  return before;
}

/// Tells what the new version does to those who know the one before it; returns whether it may break anything.
bool tell_compatibility(const std::vector<EventSchema>& schemas, const EventForm& form,
                        const SchemaValidator& validator) {
  const std::optional<EventSchema> before = version_before(schemas, form);
  if (!before) return false;
  const std::vector<CompatibilityFinding> findings =
      check_compatibility(SchemaValidator::compile(before->text), validator);
  for (const CompatibilityFinding& finding : findings) {
    message("against version " + std::to_string(before->form.event_version) + ": " + printable(finding.to_string()));
  }
  return !findings.empty();
}

void tell_ignored(const SchemaValidator& validator) {
  for (const IgnoredKeyword& ignored : validator.ignored()) {
    message("ignored: " + printable(ignored.schema_pointer) + ": " + printable(ignored.why));
  }
}

int add(const Context& context, const SchemaArguments& arguments) {
  EventSchema schema;
  schema.tenant = arguments.tenant;
  schema.form = form_of(arguments);
  schema.text = read_file("FILE", arguments.file);
  const SchemaValidator validator = compiled(arguments.file, schema.text);
  EventStore store = context.open_store();
  tell_ignored(validator);
  if (tell_compatibility(store.list_schemas(arguments.tenant), schema.form, validator) && arguments.compatible) {
    throw CommandFailure(exit_conflict, name_of(schema.form) + " is not compatible with the version before it");
  }
  const bool added = store.add_schema(schema);
  if (context.json) {
    out().write_line(nlohmann::ordered_json{
        {"event_type", schema.form.type},
        {"event_version", schema.form.event_version},
        {"added", added}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    out().write_line((added ? "added the schema of " : "there already: the schema of ") + name_of(schema.form));
  }
  return exit_ok;
}

int list(const Context& context, const SchemaArguments& arguments) {
  EventStore store = context.open_store();
  std::map<std::string, EventTypeRules> rules;
  for (EventTypeRules& each : store.list_type_rules(arguments.tenant)) rules[each.event_type] = std::move(each);
  Table table({{"TYPE"}, {"VERSION", Table::Align::right}, {"MODE"}, {"BYTES", Table::Align::right}, {"RECORDED"}});
  for (const EventSchema& schema : store.list_schemas(arguments.tenant)) {
    const auto mode = to_string(rules[schema.form.type].schema_mode);
    if (context.json) {
      nlohmann::ordered_json object{{"event_type", schema.form.type},
                                    {"event_version", schema.form.event_version},
                                    {"mode", mode},
                                    {"bytes", schema.text.size()},
                                    {"recorded_at", schema.recorded_at.to_string()}};
      out().write_line(object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    } else {
      table.add({printable(schema.form.type), std::to_string(schema.form.event_version), std::string(mode),
                 with_thousands(static_cast<long long>(schema.text.size())), schema.recorded_at.to_string()});
    }
  }
  table.end();
  return exit_ok;
}

int show(const Context& context, const SchemaArguments& arguments) {
  EventStore store = context.open_store();
  const std::optional<EventSchema> schema = find(store.list_schemas(arguments.tenant), form_of(arguments));
  if (!schema) throw Error(ErrorCode::not_found, name_of(form_of(arguments)) + " has no schema");
  out().write(schema->text);
  if (!schema->text.ends_with('\n')) out().write("\n");
  return exit_ok;
}

int remove(const Context& context, const SchemaArguments& arguments) {
  EventStore store = context.open_store();
  if (!store.remove_schema(arguments.tenant, form_of(arguments))) {
    throw Error(ErrorCode::not_found, name_of(form_of(arguments)) + " has no schema");
  }
  if (!context.json) message("removed the schema of " + name_of(form_of(arguments)));
  return exit_ok;
}

/// What cannot be read says nothing of what was written: that was checked before it was encrypted.
bool can_be_judged(const RecordedEvent& event) {
  if (event.attributes.count("stele.key") == 0) return true;
  const std::string& text = event.data.text();
  return text.find("\"$encrypted\"") == std::string::npos && text.find("\"$unreadable\"") == std::string::npos;
}

/// Events that are there, against the schemas that are there or one that is not yet.
int check(const Context& context, const SchemaArguments& arguments) {
  if (!arguments.file.empty() && !arguments.of_type) throw UsageError("FILE: is the schema of which --type?");
  EventStore store = context.open_store();
  if (store.clearance() != Clearance::secrets) {
    throw Error(ErrorCode::permission_denied, "what is withheld cannot be checked, and this clearance is " +
                                                  std::string(to_string(store.clearance())));
  }
  std::map<EventForm, SchemaValidator> validators;
  std::vector<EventSchema> schemas = store.list_schemas(arguments.tenant);
  LogReadOptions options;
  options.filter.tenant = arguments.tenant;
  if (arguments.of_type) options.filter.event_types = {*arguments.of_type};
  if (arguments.file.empty()) {
    for (const EventSchema& schema : schemas) {
      if (arguments.of_type && schema.form.type != *arguments.of_type) continue;
      if (arguments.version && schema.form.event_version != version_of(arguments)) continue;
      validators.emplace(schema.form, SchemaValidator::compile(schema.text));
    }
    if (arguments.of_type && validators.empty()) {
      throw Error(ErrorCode::not_found, printable(*arguments.of_type) + " has no such schema");
    }
  } else {
    const EventForm form{*arguments.of_type, version_of(arguments)};
    const SchemaValidator validator = compiled(arguments.file, read_file("FILE", arguments.file));
    tell_ignored(validator);
    tell_compatibility(schemas, form, validator);
    validators.emplace(form, validator);
  }
  const std::int64_t most =
      arguments.max_violations ? parse_integer("--max-violations", *arguments.max_violations, 1) : 100;

  Progress progress("schema check", "events", context.quiet);
  const Position last = last_position(store);
  std::int64_t checked = 0;
  std::int64_t refused = 0;
  std::int64_t unreadable = 0;
  for (const RecordedEvent& event : store.read_log(options)) {
    const auto validator = validators.find({event.type, event.event_version});
    if (validator == validators.end()) continue;
    if (!can_be_judged(event)) {
      ++unreadable;
      continue;
    }
    progress.update(++checked, event.position.value(), last.value());
    const std::vector<SchemaViolation> violations = validator->second.check(event.data);
    if (violations.empty()) continue;
    ++refused;
    if (refused > most) continue;
    for (const SchemaViolation& violation : violations) {
      if (context.json) {
        nlohmann::ordered_json object{{"global_position", event.position.value()},
                                      {"event_id", event.event_id.to_string()},
                                      {"event_type", event.type},
                                      {"event_version", event.event_version},
                                      {"pointer", violation.pointer},
                                      {"keyword", violation.keyword},
                                      {"schema_pointer", violation.schema_pointer},
                                      {"message", violation.message}};
        out().write_line(object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
      } else {
        out().write_line("position " + std::to_string(event.position.value()) + ": " +
                         name_of({event.type, event.event_version}) + ": " + printable(violation.to_string()));
      }
    }
  }
  progress.finish();
  if (!context.quiet) {
    message(counted(checked, "event") + " checked against " +
            counted(static_cast<long long>(validators.size()), "schema") + ", " + with_thousands(refused) +
            " not as they should be" +
            (unreadable == 0 ? "" : "; " + counted(unreadable, "event") + " not checked, because encrypted"));
  }
  return refused == 0 ? exit_ok : exit_integrity;
}

}  // namespace

void add_schema(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("schema", "Say what the payloads of event types have to look like");
  command->require_subcommand(1);
  const auto subcommand = [&](const char* name, const char* what, int (*run)(const Context&, const SchemaArguments&)) {
    auto arguments = std::make_shared<SchemaArguments>();
    CLI::App* made = command->add_subcommand(name, what);
    add_value(*made, "--version", arguments->version, "The payload's schema version", "N");
    add_tenant(*made, context, arguments->tenant);
    made->callback([&context, arguments, run] {
      context.action = [&context, arguments, run] { return run(context, *arguments); };
    });
    return std::pair(made, arguments.get());
  };

  const auto [added, a] = subcommand("add", "Add the JSON Schema of a type's version; it never changes then", add);
  added->add_option("TYPE", a->type, "The event type")->required();
  added->add_option("FILE", a->file, "The schema, draft 7; - for standard input")->required();
  added->add_flag("--compatible", a->compatible, "Refuse one that may break readers or writers of the version before");

  auto [listed, l] = subcommand("list", "List the schemas", list);
  static_cast<void>(listed);
  static_cast<void>(l);

  const auto [shown, s] = subcommand("show", "Print a schema as it was given", show);
  shown->add_option("TYPE", s->type, "The event type")->required();

  const auto [checked, c] = subcommand(
      "check", "Check the events that are there, against the schemas that are there or one in a file", check);
  checked->add_option("FILE", c->file, "A schema that is not there yet; - for standard input");
  add_value(*checked, "--type", c->of_type, "Only events of this type; needed with FILE", "TYPE");
  add_value(*checked, "--max-violations", c->max_violations, "Print at most so many events; 100 unless given", "N");

  const auto [removed, r] = subcommand("remove", "Remove a schema of which there is no event yet", remove);
  removed->add_option("TYPE", r->type, "The event type")->required();
}

}  // namespace stele::cli
